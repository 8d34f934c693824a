-- What was done when, of activities that have an end: for the shape of a run.
SELECT
    swarm_id,
    a.run_id AS run_id,
    a.kind AS kind,
    a.agent_id AS agent_id,
    a.parent_agent_id AS parent_agent_id,
    multiIf(a.kind = 'tool_call', a.tool, a.kind = 'model_call', a.model, a.kind = 'message', a.message_type,
        a.kind = 'phase', a.phase, a.task_id) AS name,
    toUnixTimestamp64Milli(a.started_at) AS started_ms,
    toUnixTimestamp64Milli(assumeNotNull(a.ended_at)) AS ended_ms
FROM v_activities AS a
WHERE a.kind IN ('task', 'model_call', 'tool_call', 'message', 'edit')
    AND a.ended_at IS NOT NULL
    AND swarm_id IN {swarms:Array(String)}
    AND a.started_at >= fromUnixTimestamp64Milli({from_ms:Int64})
    AND a.started_at < fromUnixTimestamp64Milli({to_ms:Int64})
ORDER BY swarm_id, run_id, started_ms, ended_ms, a.activity_id
LIMIT {limit:UInt32}
