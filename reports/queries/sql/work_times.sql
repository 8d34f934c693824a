-- When tasks began, how long they took, and who did them. A task that stands for a sub-agent counts like any other.
SELECT
    swarm_id,
    a.own_swarm AS own_swarm,
    a.agent_id AS agent_id,
    a.role AS role,
    toUnixTimestamp64Milli(a.started_at) AS started_ms,
    a.duration_ms AS duration_ms
FROM v_activities AS a
WHERE a.kind = 'task'
    AND swarm_id IN {swarms:Array(String)}
    AND a.started_at >= fromUnixTimestamp64Milli({from_ms:Int64})
    AND a.started_at < fromUnixTimestamp64Milli({to_ms:Int64})
ORDER BY swarm_id, started_ms, a.activity_id
LIMIT {limit:UInt32}
