-- Work that was done more than once: tasks of one hash, tool calls of one tool and input. Only what completed counts: to
-- do again what failed is a retry. What came after the first completion could have been remembered.
SELECT
    swarm_id,
    kind,
    name,
    hash,
    count() AS times,
    uniqExact(agent_id) AS agents,
    sumOrNull(duration_ms) - ifNull(argMin(duration_ms, started_at), 0) AS again_ms,
    sumOrNull(cost_usd) - ifNull(argMin(cost_usd, started_at), 0) AS again_usd
FROM
(
    SELECT
        swarm_id,
        a.kind AS kind,
        if(a.kind = 'task', a.workflow, a.tool) AS name,
        if(a.kind = 'task', a.task_hash, a.input_hash) AS hash,
        a.agent_id AS agent_id,
        a.started_at AS started_at,
        a.duration_ms AS duration_ms,
        a.cost_usd AS cost_usd
    FROM v_activities AS a
    WHERE a.kind IN ('task', 'tool_call')
        AND a.status = 'completed'
        AND ifNull(a.success, 1) = 1
        AND swarm_id IN {swarms:Array(String)}
        AND a.started_at >= fromUnixTimestamp64Milli({from_ms:Int64})
        AND a.started_at < fromUnixTimestamp64Milli({to_ms:Int64})
)
GROUP BY swarm_id, kind, name, hash
ORDER BY swarm_id, kind, again_ms DESC NULLS LAST, times DESC, name, hash
