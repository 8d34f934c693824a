-- The mean of a metric of each agent by stretch of time, from its hours.
SELECT
    swarm_id,
    agent_id,
    intDiv(toUnixTimestamp64Milli(window_start), {bucket_ms:Int64}) * {bucket_ms:Int64} AS start_ms,
    sum(h.events) AS n,
    sum(h.sum) / sum(h.weight_sum) AS mean,
    any(toString(h.unit)) AS unit
FROM v_hours AS h
WHERE swarm_id IN {swarms:Array(String)}
    AND metric = {metric:String}
    AND window_start >= fromUnixTimestamp64Milli({from_ms:Int64})
    AND window_start < fromUnixTimestamp64Milli({to_ms:Int64})
GROUP BY swarm_id, agent_id, start_ms
ORDER BY swarm_id, start_ms, agent_id
LIMIT {limit:UInt32}
