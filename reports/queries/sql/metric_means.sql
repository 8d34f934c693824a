-- Each agent's weighted mean of one metric over the raw events of each side, without those projected from activities.
SELECT
    m.swarm_id AS swarm_id,
    m.own_swarm AS own_swarm,
    m.agent_id AS agent_id,
    count() AS events,
    sum(m.value * m.weight) / sum(m.weight) AS mean,
    any(m.unit) AS unit
FROM v_metrics AS m
WHERE m.swarm_id IN {swarms:Array(String)}
    AND m.metric = {metric:String}
    AND m.timestamp >= fromUnixTimestamp64Milli({from_ms:Int64})
    AND m.timestamp < fromUnixTimestamp64Milli({to_ms:Int64})
    AND NOT endsWith(m.topic, 'swarm.activities')
GROUP BY swarm_id, own_swarm, agent_id
ORDER BY swarm_id, own_swarm, agent_id
