-- Change points: rows of `anomalies` with severity `info`. They are no alarms, so `v_anomalies` leaves them out.

ALTER TABLE anomalies COMMENT COLUMN IF EXISTS severity 'low | medium | high | critical; info: a change point, which is no alarm.';

CREATE OR REPLACE VIEW v_anomalies AS
SELECT
    swarm_id, agent_id, metric, detected_at, window_start, value, expected_low, expected_high, score, severity,
    detector, reason,
    anomaly_id, direction, unit, window_ms, detector_version, log_id, topic, partition,
    evidence_from_offset, evidence_to_offset, evidence
FROM anomalies FINAL
WHERE fold_version = (SELECT fold_version FROM v_active_fold) AND severity != 'info';

CREATE OR REPLACE VIEW v_change_points AS
SELECT
    swarm_id, agent_id, metric, detected_at, window_start AS onset, direction,
    expected_low AS level_before, value AS level_after, unit, reason,
    anomaly_id AS change_id, window_ms, detector_version, log_id, topic, partition,
    evidence_from_offset, evidence_to_offset
FROM anomalies FINAL
WHERE fold_version = (SELECT fold_version FROM v_active_fold) AND detector = 'change_point';
