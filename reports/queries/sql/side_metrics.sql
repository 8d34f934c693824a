-- Each agent's weighted mean of each metric over the raw events of each side. Events that were projected from
-- activities are left out: tasks and calls are compared from the activities themselves.
SELECT
    m.swarm_id AS swarm_id,
    m.metric AS metric,
    m.agent_id AS agent_id,
    count() AS events,
    sum(m.value * m.weight) / sum(m.weight) AS mean,
    any(m.unit) AS unit,
    arraySort(groupUniqArray(toString(m.provenance))) AS provenances
FROM v_metrics AS m
WHERE m.swarm_id IN {swarms:Array(String)}
    AND m.timestamp >= fromUnixTimestamp64Milli({from_ms:Int64})
    AND m.timestamp < fromUnixTimestamp64Milli({to_ms:Int64})
    AND NOT endsWith(m.topic, 'swarm.activities')
GROUP BY swarm_id, metric, agent_id
ORDER BY swarm_id, metric, agent_id
