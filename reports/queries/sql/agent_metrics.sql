-- Each agent's weighted mean of each metric over its raw events. Events that were projected from activities are
-- left out: tasks and calls are compared from the activities themselves.
-- Whole hours are read from their sums, the events of an hour that the time range cuts one by one.
WITH
    toStartOfHour(fromUnixTimestamp64Milli({from_ms:Int64} + 3599999, 'UTC')) AS first_hour,
    toStartOfHour(fromUnixTimestamp64Milli({to_ms:Int64}, 'UTC')) AS end_hour
SELECT
    swarm_id,
    metric,
    agent_id,
    sum(h.events) AS events,
    sum(h.sum) / sum(h.weight_sum) AS mean,
    any(h.unit) AS unit,
    arraySort(groupUniqArrayArray(arrayMap(p -> toString(p), h.provenances))) AS provenances
FROM
(
    SELECT swarm_id, metric, agent_id, events, weight_sum, sum, unit, provenances
    FROM v_metric_hours
    WHERE swarm_id IN {swarms:Array(String)}
        AND hour >= first_hour AND hour < end_hour
        AND NOT endsWith(topic, 'swarm.activities')
    UNION ALL
    SELECT swarm_id, metric, agent_id, 1, weight, value * weight, unit, [provenance]
    FROM v_metrics
    WHERE swarm_id IN {swarms:Array(String)}
        AND timestamp >= fromUnixTimestamp64Milli({from_ms:Int64})
        AND timestamp < fromUnixTimestamp64Milli({to_ms:Int64})
        AND (timestamp < first_hour OR timestamp >= end_hour)
        AND NOT endsWith(topic, 'swarm.activities')
) AS h
GROUP BY swarm_id, metric, agent_id
ORDER BY swarm_id, metric, agent_id
