-- Each swarm's activities by kind: how they ended, how long they took, what they cost.
-- A sum over nothing measured is NULL, not 0. Percentiles are exact.
SELECT
    swarm_id,
    kind,
    count() AS total,
    countIf(a.status = 'completed') AS completed,
    countIf(a.status = 'failed') AS failed,
    countIf(a.status = 'cancelled') AS cancelled,
    countIf(a.status = 'blocked') AS blocked,
    countIf(a.status = 'running') AS running,
    count(a.duration_ms) AS measured,
    quantileExactInclusiveOrNull(0.5)(a.duration_ms) AS duration_p50_ms,
    quantileExactInclusiveOrNull(0.95)(a.duration_ms) AS duration_p95_ms,
    avgOrNull(a.duration_ms) AS duration_mean_ms,
    count(a.cost_usd) AS priced,
    sumOrNull(a.cost_usd) AS cost_usd,
    arraySort(groupUniqArrayIf(toString(a.cost_provenance), a.cost_usd IS NOT NULL)) AS cost_provenances,
    countIf(coalesce(a.input_tokens, a.cache_read_tokens, a.cache_write_5m_tokens, a.cache_write_1h_tokens,
        a.output_tokens) IS NOT NULL) AS with_tokens,
    sumOrNull(a.input_tokens) AS input_tokens,
    sumOrNull(a.cache_read_tokens) AS cache_read_tokens,
    sumOrNull(if(a.cache_write_5m_tokens IS NULL AND a.cache_write_1h_tokens IS NULL, NULL,
        ifNull(a.cache_write_5m_tokens, 0) + ifNull(a.cache_write_1h_tokens, 0))) AS cache_write_tokens,
    sumOrNull(a.output_tokens) AS output_tokens,
    arraySort(groupUniqArray(toString(a.provenance))) AS provenances
FROM v_activities AS a
WHERE swarm_id IN {swarms:Array(String)}
    AND started_at >= fromUnixTimestamp64Milli({from_ms:Int64})
    AND started_at < fromUnixTimestamp64Milli({to_ms:Int64})
GROUP BY swarm_id, kind
ORDER BY swarm_id, kind
