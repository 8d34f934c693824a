-- When a measure of activities began and ended. The measures: task_series.sql.
SELECT
    if(count(measure) = 0, NULL, toUnixTimestamp64Milli(minIf(a.started_at, measure IS NOT NULL))) AS first_ms,
    if(count(measure) = 0, NULL, toUnixTimestamp64Milli(maxIf(a.started_at, measure IS NOT NULL))) AS last_ms,
    count(measure) AS points
FROM
(
    SELECT
        t.started_at AS started_at,
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
) AS a
