-- The price book of the workers, as the newest worker to start has written it. A class of tokens without a rate is
-- NULL in the view: a call with such tokens is not priced, which is not a price of 0.

ALTER TABLE prices ADD COLUMN IF NOT EXISTS no_rate_for Array(LowCardinality(String))
    COMMENT 'Classes of tokens without a rate: a call with such tokens is not priced.' AFTER output_usd_per_mtok;

CREATE OR REPLACE VIEW v_prices AS
SELECT
    model_pattern, effective_from, prompt_tokens_from,
    if(has(no_rate_for, 'input'), NULL, p.input_usd_per_mtok) AS input_usd_per_mtok,
    if(has(no_rate_for, 'cache_read'), NULL, p.cache_read_usd_per_mtok) AS cache_read_usd_per_mtok,
    if(has(no_rate_for, 'cache_write_5m'), NULL, p.cache_write_5m_usd_per_mtok) AS cache_write_5m_usd_per_mtok,
    if(has(no_rate_for, 'cache_write_1h'), NULL, p.cache_write_1h_usd_per_mtok) AS cache_write_1h_usd_per_mtok,
    if(has(no_rate_for, 'output'), NULL, p.output_usd_per_mtok) AS output_usd_per_mtok,
    source, updated_at
FROM prices AS p FINAL
WHERE updated_at = (SELECT max(updated_at) FROM prices);
