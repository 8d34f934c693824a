-- One window in 4,000 was unusual.
INSERT INTO anomalies (anomaly_id, swarm_id, agent_id, metric, window_ms, window_start, detected_at, value, expected_low,
    expected_high, score, severity, direction, detector, detector_version, reason, unit, log_id, topic, partition,
    evidence_from_offset, evidence_to_offset, fold_version, ver)
SELECT
    hex(cityHash64(swarm_id, agent_id, metric, window_start)), swarm_id, agent_id, metric, window_ms, window_start,
    window_start + toIntervalSecond(15), max, min, mean, 0.999 + 0.001 * (h % 1000) / 1000,
    ['low', 'medium', 'high', 'critical'][1 + h % 4], 'above', 'residual', 1,
    concat('the maximum ', toString(max), ' is above the expected ', toString(mean)), unit, log_id, topic, partition,
    bitAnd(ver, 281474976710655), bitAnd(ver, 281474976710655), fold_version, ver
FROM (SELECT *, cityHash64(swarm_id, agent_id, metric, window_start, 'anomaly') AS h FROM windows)
WHERE window_ms = 10000 AND gen = 0 AND h % 4000 = 0
