-- How long each kind of work takes, by its name: phases, tasks by agent, tools, models, messages by receiver.
SELECT
    swarm_id,
    a.kind AS kind,
    multiIf(a.kind = 'phase', a.phase, a.kind = 'task', a.agent_id, a.kind = 'tool_call', a.tool,
        a.kind = 'model_call', a.model, a.to_agent_id) AS name,
    count() AS total,
    count(a.duration_ms) AS measured,
    quantileExactInclusiveOrNull(0.5)(a.duration_ms) AS p50_ms,
    sumOrNull(a.duration_ms) AS sum_ms,
    countIf(ifNull(a.success = 0, a.status = 'failed')) AS failed,
    sumOrNull(a.conflicts) AS conflicts
FROM v_activities AS a
WHERE a.kind IN ('phase', 'task', 'tool_call', 'model_call', 'message')
    AND a.status != 'running'
    AND swarm_id IN {swarms:Array(String)}
    AND a.started_at >= fromUnixTimestamp64Milli({from_ms:Int64})
    AND a.started_at < fromUnixTimestamp64Milli({to_ms:Int64})
GROUP BY swarm_id, kind, name
ORDER BY swarm_id, kind, name
