-- Final anomalies, dead letters and prices.

CREATE OR REPLACE VIEW v_anomalies AS
SELECT
    swarm_id, agent_id, metric, detected_at, window_start, value, expected_low, expected_high, score, severity,
    detector, reason,
    anomaly_id, direction, unit, window_ms, detector_version, log_id, topic, partition,
    evidence_from_offset, evidence_to_offset
FROM anomalies FINAL
WHERE fold_version = (SELECT fold_version FROM v_active_fold);

CREATE OR REPLACE VIEW v_dead_letters AS
SELECT
    topic, partition, offset, idx, error_code, reason,
    log_id, payload, payload_bytes, content_type, appended_at
FROM dead_letters FINAL;

CREATE OR REPLACE VIEW v_prices AS
SELECT
    model_pattern, effective_from, prompt_tokens_from, input_usd_per_mtok, cache_read_usd_per_mtok,
    cache_write_5m_usd_per_mtok, cache_write_1h_usd_per_mtok, output_usd_per_mtok, source, updated_at
FROM prices FINAL;
