-- The highest-scored anomalies.
SELECT
    swarm_id,
    agent_id,
    metric,
    toUnixTimestamp64Milli(window_start) AS window_start_ms,
    toUnixTimestamp64Milli(detected_at) AS detected_at_ms,
    value,
    expected_low,
    expected_high,
    unit,
    score,
    severity,
    detector,
    reason
FROM v_anomalies
WHERE swarm_id IN {swarms:Array(String)}
    AND window_start >= fromUnixTimestamp64Milli({from_ms:Int64})
    AND window_start < fromUnixTimestamp64Milli({to_ms:Int64})
ORDER BY score DESC, window_start, swarm_id, agent_id, metric
LIMIT {limit:UInt32}
