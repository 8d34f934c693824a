-- Each agent's weighted mean of each metric over its raw events. Events that were projected from activities are
-- left out: tasks and calls are compared from the activities themselves.
SELECT
    swarm_id,
    metric,
    agent_id,
    count() AS events,
    sum(value * weight) / sum(weight) AS mean,
    any(unit) AS unit,
    arraySort(groupUniqArray(toString(provenance))) AS provenances
FROM v_metrics
WHERE swarm_id IN {swarms:Array(String)}
    AND timestamp >= fromUnixTimestamp64Milli({from_ms:Int64})
    AND timestamp < fromUnixTimestamp64Milli({to_ms:Int64})
    AND NOT endsWith(topic, 'swarm.activities')
GROUP BY swarm_id, metric, agent_id
ORDER BY swarm_id, metric, agent_id
