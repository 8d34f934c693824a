-- What each side holds: when, how many agents, activities and metric events.
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
        min(timestamp) AS first_at,
        max(timestamp) AS last_at,
        0 AS activities,
        count() AS metric_events
    FROM v_metrics
    WHERE swarm_id IN {swarms:Array(String)}
        AND timestamp >= fromUnixTimestamp64Milli({from_ms:Int64})
        AND timestamp < fromUnixTimestamp64Milli({to_ms:Int64})
    GROUP BY swarm_id, agent_id
)
GROUP BY swarm_id
ORDER BY swarm_id
