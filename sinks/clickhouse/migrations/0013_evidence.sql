-- The evidence of named detectors, beside their numbers.

ALTER TABLE anomalies ADD COLUMN IF NOT EXISTS evidence Map(LowCardinality(String), String)
    COMMENT 'What a named detector found, by name; empty for the score of a series.' CODEC(ZSTD(1));

CREATE OR REPLACE VIEW v_anomalies AS
SELECT
    swarm_id, agent_id, metric, detected_at, window_start, value, expected_low, expected_high, score, severity,
    detector, reason,
    anomaly_id, direction, unit, window_ms, detector_version, log_id, topic, partition,
    evidence_from_offset, evidence_to_offset, evidence
FROM anomalies FINAL
WHERE fold_version = (SELECT fold_version FROM v_active_fold);
