-- What is given from outside the stream: prices, stored reports, and which version of the fold is shown.

CREATE TABLE IF NOT EXISTS prices
(
    model_pattern               String COMMENT 'Pattern of model names these rates are for.',
    effective_from              DateTime64(3, 'UTC') COMMENT 'From when the rates are valid, UTC.',
    prompt_tokens_from          UInt64 COMMENT 'Lower end, inclusive, of the band of prompt tokens the rates are for; 0: all.',
    input_usd_per_mtok          Float64 COMMENT 'US dollars per million uncached input tokens.',
    cache_read_usd_per_mtok     Float64 COMMENT 'US dollars per million input tokens read from the cache.',
    cache_write_5m_usd_per_mtok Float64 COMMENT 'US dollars per million input tokens written to the 5 minute cache.',
    cache_write_1h_usd_per_mtok Float64 COMMENT 'US dollars per million input tokens written to the 1 hour cache.',
    output_usd_per_mtok         Float64 COMMENT 'US dollars per million output tokens.',
    source                      String COMMENT 'Where the rates were taken from.',
    updated_at                  DateTime64(3, 'UTC') COMMENT 'When the row was written, UTC: the newest wins.'
)
ENGINE = ReplacingMergeTree(updated_at)
ORDER BY (model_pattern, effective_from, prompt_tokens_from)
COMMENT 'Price book of language models; read through v_prices.';

CREATE TABLE IF NOT EXISTS reports
(
    report_id  String COMMENT 'Id of the report.',
    format     LowCardinality(String) COMMENT 'html | md | json | csv | text | pdf.',
    kind       LowCardinality(String) COMMENT 'Kind of report, for example comparison.',
    created_at DateTime64(3, 'UTC') COMMENT 'When the report was made, UTC: the newest wins.',
    title      String COMMENT 'Title.',
    config     String COMMENT 'What was asked for, as JSON.' CODEC(ZSTD(3)),
    body       String COMMENT 'The rendered report.' CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree(created_at)
ORDER BY (report_id, format)
COMMENT 'Stored reports, one row a report and format.';

CREATE TABLE IF NOT EXISTS folds
(
    fold_version        UInt16 COMMENT 'Version of the fold.',
    active              UInt8 COMMENT '1: may be shown, the highest such version is; 0: being built, or retired.',
    allowed_lateness_ms UInt32 COMMENT 'How long after its end a window stays open for late events, in milliseconds.',
    note                String COMMENT 'Why the row was written.',
    changed_at          DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') COMMENT 'When the row was written, UTC: the newest wins.'
)
ENGINE = ReplacingMergeTree(changed_at)
ORDER BY fold_version
COMMENT 'Which version of the results the views show.';
