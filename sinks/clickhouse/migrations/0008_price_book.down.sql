-- The column stays: without this version nothing reads it, and taking a column away is never harmless.
CREATE OR REPLACE VIEW v_prices AS
SELECT
    model_pattern, effective_from, prompt_tokens_from, input_usd_per_mtok, cache_read_usd_per_mtok,
    cache_write_5m_usd_per_mtok, cache_write_1h_usd_per_mtok, output_usd_per_mtok, source, updated_at
FROM prices FINAL;
