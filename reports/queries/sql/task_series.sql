-- A measure of activities in intervals of their start, by side and group; an interval without a value has no row.
-- Success as in tasks.sql; a task that has not ended and says nothing has none.
SELECT
    swarm_id,
    of,
    at_ms,
    count(measure) AS n,
    avg(assumeNotNull(measure)) AS mean,
    quantileExactInclusive(0.95)(assumeNotNull(measure)) AS p95,
    max(assumeNotNull(measure)) AS max,
    sum(assumeNotNull(measure)) AS sum,
    multiIf({series:String} = 'cost_usd', 'USD', endsWith({series:String}, '_duration'), 'ms', 'ratio') AS unit
FROM
(
    SELECT
        swarm_id,
        toString(value_of) AS of,
        intDiv(toUnixTimestamp64Milli(t.started_at), {interval_ms:Int64}) * {interval_ms:Int64} AS at_ms,
        multiIf(
            {series:String} = 'task_success' AND t.kind = 'task', multiIf(t.success IS NOT NULL, toFloat64(t.success),
                mapContains(t.tags, 'declared_success'), NULL, t.status = 'completed', 1., t.status = 'failed', 0., NULL),
            {series:String} = 'task_duration' AND t.kind = 'task', t.duration_ms,
            {series:String} = 'model_call_duration' AND t.kind = 'model_call', t.duration_ms,
            {series:String} = 'tool_duration' AND t.kind = 'tool_call', t.duration_ms,
            {series:String} = 'cost_usd' AND t.kind = 'model_call', t.cost_usd,
            {series:String} = 'quality', t.quality_ratio,
            {series:String} = 'test_coverage', t.test_coverage_ratio,
            NULL) AS measure
    FROM v_activities AS t
    WHERE swarm_id IN {swarms:Array(String)}
        AND t.started_at >= fromUnixTimestamp64Milli({from_ms:Int64})
        AND t.started_at < fromUnixTimestamp64Milli({to_ms:Int64})
)
WHERE measure IS NOT NULL
GROUP BY swarm_id, of, at_ms
ORDER BY swarm_id, of, at_ms
LIMIT {limit:UInt32}
