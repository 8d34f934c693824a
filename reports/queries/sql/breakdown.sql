-- Each swarm's tasks by phase, pattern, role and class of error; the 20 values with the most tasks of each.
-- A task that names none is not in that breakdown. A sum over nothing measured is NULL, not 0.
SELECT
    swarm_id,
    part.1 AS dimension,
    part.2 AS value,
    count() AS tasks,
    countIf(t.status = 'completed') AS completed,
    countIf(t.status = 'failed') AS failed,
    count(t.duration_ms) AS measured,
    quantileExactInclusiveOrNull(0.5)(t.duration_ms) AS duration_p50_ms,
    quantileExactInclusiveOrNull(0.95)(t.duration_ms) AS duration_p95_ms,
    count(t.cost_usd) AS priced,
    sumOrNull(t.cost_usd) AS cost_usd
FROM
(
    SELECT
        swarm_id,
        a.status AS status,
        a.duration_ms AS duration_ms,
        a.cost_usd AS cost_usd,
        arrayJoin([('phase', toString(a.phase)), ('pattern', toString(a.pattern)), ('role', toString(a.role)),
            ('error type', toString(a.error_type))]) AS part
    FROM v_activities AS a
    WHERE swarm_id IN {swarms:Array(String)}
        AND kind = 'task'
        AND started_at >= fromUnixTimestamp64Milli({from_ms:Int64})
        AND started_at < fromUnixTimestamp64Milli({to_ms:Int64})
) AS t
WHERE part.2 != ''
GROUP BY swarm_id, dimension, value
ORDER BY swarm_id, dimension, tasks DESC, value
LIMIT 20 BY swarm_id, dimension
