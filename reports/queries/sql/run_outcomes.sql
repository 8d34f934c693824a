-- What each run's tasks came to, with the settings the run declared.
WITH
    runs AS
    (
        SELECT r.swarm_id AS of_swarm, r.run_id AS of_run, r.configuration AS configuration
        FROM v_swarms AS r
        WHERE r.swarm_id IN {swarms:Array(String)}
    )
SELECT
    t.swarm_id AS swarm_id,
    t.run_id AS run_id,
    t.tasks AS tasks,
    t.duration_ms AS task_duration,
    t.cost_usd AS cost_usd,
    t.success AS task_success,
    r.configuration AS configuration,
    t.provenances AS provenances,
    t.cost_provenances AS cost_provenances
FROM
(
    SELECT
        swarm_id,
        a.run_id AS run_id,
        count() AS tasks,
        avgOrNull(a.duration_ms) AS duration_ms,
        avgOrNull(nullIf(a.cost_usd, 0)) AS cost_usd,
        avgOrNullIf(ifNull(a.success, a.status = 'completed'),
            a.success IS NOT NULL
            OR (a.status IN ('completed', 'failed') AND NOT mapContains(a.tags, 'declared_success'))) AS success,
        arraySort(groupUniqArray(toString(a.provenance))) AS provenances,
        arraySort(groupUniqArrayIf(toString(a.cost_provenance), a.cost_usd IS NOT NULL)) AS cost_provenances
    FROM v_activities AS a
    WHERE a.kind = 'task'
        AND swarm_id IN {swarms:Array(String)}
        AND a.started_at >= fromUnixTimestamp64Milli({from_ms:Int64})
        AND a.started_at < fromUnixTimestamp64Milli({to_ms:Int64})
    GROUP BY swarm_id, run_id
) AS t
INNER JOIN runs AS r ON r.of_swarm = t.swarm_id AND r.of_run = t.run_id
ORDER BY swarm_id, run_id
