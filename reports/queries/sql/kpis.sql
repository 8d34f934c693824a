-- The counts behind the key figures of each side. Phases that still run are left out; work without a number of
-- conflicts is no integration; a completion that its source only declares measures nothing.
SELECT
    swarm_id,
    countIf(task AND ended) AS tasks_ended,
    countIf(task AND ended AND a.status = 'completed') AS tasks_completed,
    countIf(a.kind = 'task' AND a.duration_ms IS NOT NULL) AS durations,
    avgOrNullIf(a.duration_ms, a.kind = 'task') AS duration_mean_ms,
    if(durations > 1, stddevSampStableIf(assumeNotNull(a.duration_ms), a.kind = 'task' AND a.duration_ms IS NOT NULL), NULL)
        AS duration_sd_ms,
    countIf(a.kind = 'phase' AND a.status != 'running') AS phases_ended,
    countIf(a.kind = 'phase' AND a.status != 'running' AND ifNull(a.success = 1, a.status = 'completed'))
        AS phases_succeeded,
    countIf(a.conflicts IS NOT NULL) AS integrations,
    countIf(ifNull(a.conflicts = 0, 0)) AS integrations_clean
FROM
(
    SELECT swarm_id, t.kind, t.status, t.duration_ms, t.success, t.conflicts,
        t.kind = 'task' AND NOT (t.success IS NULL AND mapContains(t.tags, 'declared_success')) AS task,
        t.status IN ('completed', 'failed', 'cancelled') AS ended
    FROM v_activities AS t
    WHERE swarm_id IN {swarms:Array(String)}
        AND t.started_at >= fromUnixTimestamp64Milli({from_ms:Int64})
        AND t.started_at < fromUnixTimestamp64Milli({to_ms:Int64})
) AS a
GROUP BY swarm_id
ORDER BY swarm_id
