DROP VIEW IF EXISTS v_change_points;

CREATE OR REPLACE VIEW v_anomalies AS
SELECT
    swarm_id, agent_id, metric, detected_at, window_start, value, expected_low, expected_high, score, severity,
    detector, reason,
    anomaly_id, direction, unit, window_ms, detector_version, log_id, topic, partition,
    evidence_from_offset, evidence_to_offset, evidence
FROM anomalies FINAL
WHERE fold_version = (SELECT fold_version FROM v_active_fold);

ALTER TABLE anomalies COMMENT COLUMN IF EXISTS severity 'low | medium | high | critical.';
