-- What each agent's work came to; an agent is one of its own swarm, whatever the side holds. A completion that its source only declares (tag declared_success) measures nothing.
SELECT
    swarm_id,
    a.own_swarm AS own_swarm,
    a.agent_id AS agent_id,
    max(a.role) AS role,
    countIf(a.kind = 'task' AND a.status IN ('completed', 'failed', 'cancelled') AND NOT declared) AS ended,
    countIf(a.kind = 'task' AND a.status = 'completed' AND NOT declared) AS completed,
    countIf(a.kind IN ('task', 'tool_call', 'model_call', 'message') AND a.status IN ('completed', 'failed')
        AND NOT declared) AS judged,
    countIf(a.kind IN ('task', 'tool_call', 'model_call', 'message') AND a.status = 'failed' AND NOT declared) AS failed,
    count(a.quality_ratio) AS quality_n,
    sumOrNull(a.quality_ratio) AS quality_sum,
    arraySort(groupUniqArray(toString(a.provenance))) AS provenances
FROM
(
    SELECT swarm_id, t.own_swarm, t.agent_id, t.role, t.kind, t.status, t.quality_ratio, t.provenance,
        t.success IS NULL AND mapContains(t.tags, 'declared_success') AS declared
    FROM v_activities AS t
    WHERE swarm_id IN {swarms:Array(String)}
        AND t.started_at >= fromUnixTimestamp64Milli({from_ms:Int64})
        AND t.started_at < fromUnixTimestamp64Milli({to_ms:Int64})
) AS a
GROUP BY swarm_id, own_swarm, agent_id
ORDER BY swarm_id, own_swarm, agent_id
