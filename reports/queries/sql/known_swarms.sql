-- The swarms there are, the most recently active first.
SELECT swarm_id
FROM
(
    SELECT swarm_id, max(started_at) AS last_at FROM v_activities GROUP BY swarm_id
    UNION ALL
    SELECT swarm_id, max(window_start) AS last_at FROM v_swarm_windows GROUP BY swarm_id
)
GROUP BY swarm_id
ORDER BY max(last_at) DESC, swarm_id
LIMIT {limit:UInt32}
