-- Messages that each agent sent or received, and how many of those with an outcome succeeded.
SELECT
    swarm_id,
    own_swarm,
    agent_id,
    count() AS messages,
    countIf(outcome IS NOT NULL) AS judged,
    countIf(ifNull(outcome = 1, 0)) AS succeeded
FROM
(
    SELECT
        swarm_id,
        m.own_swarm AS own_swarm,
        arrayJoin(arrayDistinct(arrayFilter(one -> one != '',
            [toString(if(m.from_agent_id = '', m.agent_id, m.from_agent_id)), toString(m.to_agent_id)]))) AS agent_id,
        multiIf(m.success IS NOT NULL, toInt8(m.success), m.status = 'completed', 1, m.status = 'failed', 0, NULL) AS outcome
    FROM v_activities AS m
    WHERE m.kind = 'message'
        AND swarm_id IN {swarms:Array(String)}
        AND m.started_at >= fromUnixTimestamp64Milli({from_ms:Int64})
        AND m.started_at < fromUnixTimestamp64Milli({to_ms:Int64})
)
GROUP BY swarm_id, own_swarm, agent_id
ORDER BY swarm_id, own_swarm, agent_id
