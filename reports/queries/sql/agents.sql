-- Each agent's work.
SELECT
    swarm_id,
    agent_id,
    max(a.role) AS role,
    countIf(a.kind = 'task') AS tasks,
    countIf(a.kind = 'task' AND ifNull(a.success = 0, a.status = 'failed')) AS failed,
    countIf(a.kind = 'tool_call') AS tool_calls,
    countIf(a.kind = 'model_call') AS model_calls,
    quantileExactInclusiveOrNullIf(0.5)(a.duration_ms, a.kind = 'task') AS task_p50_ms,
    quantileExactInclusiveOrNullIf(0.95)(a.duration_ms, a.kind = 'task') AS task_p95_ms
FROM v_activities AS a
WHERE agent_id != ''
    AND swarm_id IN {swarms:Array(String)}
    AND started_at >= fromUnixTimestamp64Milli({from_ms:Int64})
    AND started_at < fromUnixTimestamp64Milli({to_ms:Int64})
GROUP BY swarm_id, agent_id
ORDER BY swarm_id, agent_id
