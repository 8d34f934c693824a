-- Model calls and what they cost, by model. Calls without a price are counted, not assumed to be free.
SELECT
    swarm_id,
    model,
    count() AS calls,
    count(a.cost_usd) AS priced,
    sumOrNull(a.cost_usd) AS cost_usd,
    sumOrNull(a.output_tokens) AS output_tokens,
    arraySort(groupUniqArrayIf(toString(a.cost_provenance), a.cost_usd IS NOT NULL)) AS cost_provenances
FROM v_activities AS a
WHERE kind = 'model_call'
    AND swarm_id IN {swarms:Array(String)}
    AND started_at >= fromUnixTimestamp64Milli({from_ms:Int64})
    AND started_at < fromUnixTimestamp64Milli({to_ms:Int64})
GROUP BY swarm_id, model
ORDER BY swarm_id, cost_usd DESC NULLS LAST, model
