-- How long the tasks of each agent took, by the stretch of time in which they began.
SELECT
    swarm_id,
    agent_id,
    intDiv(toUnixTimestamp64Milli(a.started_at), {bucket_ms:Int64}) * {bucket_ms:Int64} AS start_ms,
    count(a.duration_ms) AS n,
    avg(assumeNotNull(a.duration_ms)) AS mean,
    'ms' AS unit
FROM v_activities AS a
WHERE a.kind = 'task'
    AND a.duration_ms IS NOT NULL
    AND agent_id != ''
    AND swarm_id IN {swarms:Array(String)}
    AND a.started_at >= fromUnixTimestamp64Milli({from_ms:Int64})
    AND a.started_at < fromUnixTimestamp64Milli({to_ms:Int64})
GROUP BY swarm_id, agent_id, start_ms
ORDER BY swarm_id, start_ms, agent_id
LIMIT {limit:UInt32}
