-- What was done when in one run, of activities that have an end: tasks and phases first, then the longest calls.
SELECT
    swarm_id,
    a.run_id AS run_id,
    a.kind AS kind,
    agent_id,
    multiIf(a.kind = 'tool_call', a.tool, a.kind = 'model_call', a.model, a.kind = 'phase', a.phase, a.task_id) AS name,
    a.status AS status,
    toUnixTimestamp64Milli(a.started_at) AS started_ms,
    toUnixTimestamp64Milli(assumeNotNull(a.ended_at)) AS ended_ms,
    count() OVER () AS total
FROM v_activities AS a
WHERE a.kind IN ('task', 'phase', 'model_call', 'tool_call')
    AND a.ended_at IS NOT NULL
    AND a.run_id = {run:String}
    AND swarm_id IN {swarms:Array(String)}
    AND a.started_at >= fromUnixTimestamp64Milli({from_ms:Int64})
    AND a.started_at < fromUnixTimestamp64Milli({to_ms:Int64})
ORDER BY a.kind IN ('task', 'phase') DESC, ended_ms - started_ms DESC, started_ms, a.activity_id
LIMIT {limit:UInt32}
