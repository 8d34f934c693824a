-- Anomalies by severity.
SELECT swarm_id, severity, count() AS anomalies
FROM v_anomalies
WHERE swarm_id IN {swarms:Array(String)}
    AND window_start >= fromUnixTimestamp64Milli({from_ms:Int64})
    AND window_start < fromUnixTimestamp64Milli({to_ms:Int64})
GROUP BY swarm_id, severity
ORDER BY swarm_id, severity
