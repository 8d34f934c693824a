-- Each swarm's windows of the chosen metrics, at the smallest window size there is.
SELECT
    swarm_id,
    metric,
    window_ms,
    toUnixTimestamp64Milli(window_start) AS window_start_ms,
    events,
    mean,
    p95
FROM v_swarm_windows
WHERE swarm_id IN {swarms:Array(String)}
    AND metric IN {metrics:Array(String)}
    AND window_start >= fromUnixTimestamp64Milli({from_ms:Int64})
    AND window_start < fromUnixTimestamp64Milli({to_ms:Int64})
ORDER BY metric, swarm_id, window_ms, window_start
