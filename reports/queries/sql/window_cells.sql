-- The mean of a metric of each agent by stretch of time, from its smallest windows.
SELECT
    swarm_id,
    agent_id,
    intDiv(toUnixTimestamp64Milli(window_start), {bucket_ms:Int64}) * {bucket_ms:Int64} AS start_ms,
    sum(w.events) AS n,
    sum(w.sum) / sum(w.weight_sum) AS mean,
    any(toString(w.unit)) AS unit
FROM v_windows AS w
WHERE swarm_id IN {swarms:Array(String)}
    AND metric = {metric:String}
    AND window_start >= fromUnixTimestamp64Milli({from_ms:Int64})
    AND window_start < fromUnixTimestamp64Milli({to_ms:Int64})
    AND window_ms =
    (
        SELECT min(window_ms)
        FROM v_windows
        WHERE swarm_id IN {swarms:Array(String)}
            AND metric = {metric:String}
            AND window_start >= fromUnixTimestamp64Milli({from_ms:Int64})
            AND window_start < fromUnixTimestamp64Milli({to_ms:Int64})
    )
GROUP BY swarm_id, agent_id, start_ms
ORDER BY swarm_id, start_ms, agent_id
LIMIT {limit:UInt32}
