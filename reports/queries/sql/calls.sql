-- Durations of model calls and tool calls, summed over each task ('' = the calls that name no task) and, in rows
-- of their own, over each agent. `by_task` tells the two apart.
SELECT
    swarm_id,
    kind,
    toBool(grouping(task_id) = 0) AS by_task,
    if(by_task, task_id, agent_id) AS unit,
    count() AS calls,
    sum(assumeNotNull(duration_ms)) AS duration_sum_ms,
    arraySort(groupUniqArray(toString(provenance))) AS provenances
FROM
(
    SELECT
        swarm_id,
        kind,
        agent_id,
        -- The same name for a task as in tasks.sql.
        if(c.tags['benchmark'] = '' OR c.task_id = '', c.task_id,
            concat(c.tags['benchmark'], '/', c.task_id)) AS task_id,
        duration_ms,
        provenance
    FROM v_activities AS c
    WHERE kind IN ('model_call', 'tool_call')
        AND duration_ms IS NOT NULL
        AND swarm_id IN {swarms:Array(String)}
        AND started_at >= fromUnixTimestamp64Milli({from_ms:Int64})
        AND started_at < fromUnixTimestamp64Milli({to_ms:Int64})
)
GROUP BY GROUPING SETS ((swarm_id, kind, task_id), (swarm_id, kind, agent_id))
ORDER BY swarm_id, kind, by_task, unit
