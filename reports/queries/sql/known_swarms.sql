-- The swarms there are, the most recently active first.
SELECT swarm_id
FROM
(
    SELECT swarm_id, max(started_at) AS last_at FROM v_activities GROUP BY swarm_id
    UNION ALL
    SELECT swarm_id, max(h.last_at) AS last_at FROM v_metric_hours AS h GROUP BY swarm_id
    UNION ALL
    -- Windows stay when the events they were made of have expired.
    SELECT swarm_id, max(p.last_at) AS last_at FROM v_hour_parts AS p WHERE of_swarm GROUP BY swarm_id
)
GROUP BY swarm_id
ORDER BY max(last_at) DESC, swarm_id
LIMIT {limit:UInt32}
