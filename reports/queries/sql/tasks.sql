-- One row a task: the mean of its repeats. A task without task_id stands for itself and cannot be paired.
-- Cost and tokens are the task activity's own; where it has none, the sum of the task's model calls divided by
-- its repeats, and only if every one of those calls has the number (else NULL: a part is not the whole).
-- A task of a benchmark (tag benchmark) is that benchmark's: two benchmarks may use one id for different tasks.
-- Success is the reported flag; where none was reported, completed = 1 and failed = 0. A success that its source only
-- declares (tag declared_success) is no outcome: a tool that says "true" of every task has measured nothing.
WITH
    tasks AS
    (
        SELECT
            swarm_id,
            if(task_id = '', activity_id,
                if(a.tags['benchmark'] = '', task_id, concat(a.tags['benchmark'], '/', task_id))) AS task_key,
            task_id != '' AS named,
            count() AS repeats,
            countIf(a.success IS NOT NULL
                OR (a.status IN ('completed', 'failed') AND NOT mapContains(a.tags, 'declared_success'))) AS finished,
            countIf(ifNull(a.success = 1,
                a.status = 'completed' AND NOT mapContains(a.tags, 'declared_success'))) AS successes,
            countIf(a.success IS NOT NULL) AS success_reported,
            avgOrNull(a.duration_ms) AS duration_ms,
            avgOrNull(a.cost_usd) AS cost_usd,
            avgOrNull(a.input_tokens) AS input_tokens,
            avgOrNull(a.cache_read_tokens) AS cache_read_tokens,
            avgOrNull(if(a.cache_write_5m_tokens IS NULL AND a.cache_write_1h_tokens IS NULL, NULL,
                ifNull(a.cache_write_5m_tokens, 0) + ifNull(a.cache_write_1h_tokens, 0))) AS cache_write_tokens,
            avgOrNull(a.output_tokens) AS output_tokens,
            groupUniqArray(toString(a.provenance)) AS provenances,
            groupUniqArrayIf(toString(a.cost_provenance), a.cost_usd IS NOT NULL) AS cost_provenances,
            any(multiIf(a.tags['task_class'] != '', a.tags['task_class'],
                a.tags['benchmark'] != '', a.tags['benchmark'], a.workflow)) AS task_class,
            toUnixTimestamp64Milli(min(a.started_at)) AS started_ms
        FROM v_activities AS a
        WHERE kind = 'task'
            AND swarm_id IN {swarms:Array(String)}
            AND started_at >= fromUnixTimestamp64Milli({from_ms:Int64})
            AND started_at < fromUnixTimestamp64Milli({to_ms:Int64})
        GROUP BY swarm_id, task_key, named
    ),
    calls AS
    (
        SELECT
            swarm_id,
            if(c.tags['benchmark'] = '', task_id, concat(c.tags['benchmark'], '/', task_id)) AS task_key,
            count() AS calls,
            count(c.cost_usd) = count() AS all_priced,
            sum(c.cost_usd) AS call_cost_usd,
            count(c.input_tokens) = count() AS all_input,
            sum(c.input_tokens) AS call_input_tokens,
            count(c.cache_read_tokens) = count() AS all_cache_read,
            sum(c.cache_read_tokens) AS call_cache_read_tokens,
            countIf(c.cache_write_5m_tokens IS NULL AND c.cache_write_1h_tokens IS NULL) = 0 AS all_cache_write,
            sum(ifNull(c.cache_write_5m_tokens, 0) + ifNull(c.cache_write_1h_tokens, 0)) AS call_cache_write_tokens,
            count(c.output_tokens) = count() AS all_output,
            sum(c.output_tokens) AS call_output_tokens,
            groupUniqArrayIf(toString(c.cost_provenance), c.cost_usd IS NOT NULL) AS call_cost_provenances
        FROM v_activities AS c
        WHERE c.kind = 'model_call'
            AND c.task_id != ''
            AND c.swarm_id IN {swarms:Array(String)}
            AND c.started_at >= fromUnixTimestamp64Milli({from_ms:Int64})
            AND c.started_at < fromUnixTimestamp64Milli({to_ms:Int64})
        GROUP BY swarm_id, task_key
    )
SELECT
    t.swarm_id AS swarm_id,
    t.task_key AS task_id,
    t.named AS named,
    t.repeats AS repeats,
    t.finished AS finished,
    t.successes AS successes,
    t.success_reported AS success_reported,
    t.duration_ms AS duration_ms,
    coalesce(t.cost_usd, if(c.calls > 0 AND c.all_priced, c.call_cost_usd / t.repeats, NULL)) AS cost_usd,
    coalesce(t.input_tokens, if(c.calls > 0 AND c.all_input, c.call_input_tokens / t.repeats, NULL)) AS input_tokens,
    coalesce(t.cache_read_tokens,
        if(c.calls > 0 AND c.all_cache_read, c.call_cache_read_tokens / t.repeats, NULL)) AS cache_read_tokens,
    coalesce(t.cache_write_tokens,
        if(c.calls > 0 AND c.all_cache_write, c.call_cache_write_tokens / t.repeats, NULL)) AS cache_write_tokens,
    coalesce(t.output_tokens, if(c.calls > 0 AND c.all_output, c.call_output_tokens / t.repeats, NULL)) AS output_tokens,
    arraySort(t.provenances) AS provenances,
    arraySort(if(empty(t.cost_provenances), c.call_cost_provenances, t.cost_provenances)) AS cost_provenances,
    t.task_class AS task_class,
    t.started_ms AS started_ms
FROM tasks AS t
LEFT JOIN calls AS c ON c.swarm_id = t.swarm_id AND c.task_key = t.task_key AND t.named
ORDER BY swarm_id, task_id
