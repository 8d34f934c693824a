-- What each swarm left behind: when, how many agents, activities and metric events.
-- Whole hours of events are read from their sums, the events of an hour that the time range cuts one by one.
WITH
    toStartOfHour(fromUnixTimestamp64Milli({from_ms:Int64} + 3599999, 'UTC')) AS first_hour,
    toStartOfHour(fromUnixTimestamp64Milli({to_ms:Int64}, 'UTC')) AS end_hour
SELECT
    swarm_id,
    toUnixTimestamp64Milli(min(first_at)) AS first_ms,
    toUnixTimestamp64Milli(max(last_at)) AS last_ms,
    uniqExactIf(agent_id, agent_id != '') AS agents,
    sum(activities) AS activities,
    sum(metric_events) AS metric_events
FROM
(
    SELECT
        swarm_id,
        agent_id,
        min(started_at) AS first_at,
        max(coalesce(ended_at, started_at)) AS last_at,
        count() AS activities,
        0 AS metric_events
    FROM v_activities
    WHERE swarm_id IN {swarms:Array(String)}
        AND started_at >= fromUnixTimestamp64Milli({from_ms:Int64})
        AND started_at < fromUnixTimestamp64Milli({to_ms:Int64})
    GROUP BY swarm_id, agent_id
    UNION ALL
    SELECT
        swarm_id,
        agent_id,
        min(h.first_at) AS first_at,
        max(h.last_at) AS last_at,
        0 AS activities,
        sum(h.events) AS metric_events
    FROM v_metric_hours AS h
    WHERE swarm_id IN {swarms:Array(String)}
        AND hour >= first_hour AND hour < end_hour
    GROUP BY swarm_id, agent_id
    UNION ALL
    SELECT
        swarm_id,
        agent_id,
        min(timestamp) AS first_at,
        max(timestamp) AS last_at,
        0 AS activities,
        count() AS metric_events
    FROM v_metrics
    WHERE swarm_id IN {swarms:Array(String)}
        AND timestamp >= fromUnixTimestamp64Milli({from_ms:Int64})
        AND timestamp < fromUnixTimestamp64Milli({to_ms:Int64})
        AND (timestamp < first_hour OR timestamp >= end_hour)
    GROUP BY swarm_id, agent_id
)
GROUP BY swarm_id
ORDER BY swarm_id
