-- Tokens and cost of model calls by group, model, day and band of prompt tokens: what one price applies to.
SELECT
    swarm_id,
    toString(value) AS of,
    a.model AS model,
    toUnixTimestamp64Milli(toDateTime64(toStartOfDay(a.started_at), 3, 'UTC')) AS day_ms,
    {bands:Array(UInt64)}[arrayCount(band -> band <= ifNull(a.input_tokens, 0) + ifNull(a.cache_read_tokens, 0)
        + ifNull(a.cache_write_5m_tokens, 0) + ifNull(a.cache_write_1h_tokens, 0), {bands:Array(UInt64)})] AS prompt_tokens_from,
    count() AS calls,
    count(a.cost_usd) AS priced,
    sumOrNull(a.cost_usd) AS cost_usd,
    sum(ifNull(a.input_tokens, 0)) AS input,
    sum(ifNull(a.cache_read_tokens, 0)) AS cache_read,
    sum(ifNull(a.cache_write_5m_tokens, 0)) AS cache_write_5m,
    sum(ifNull(a.cache_write_1h_tokens, 0)) AS cache_write_1h,
    sum(ifNull(a.output_tokens, 0)) AS output,
    countIf(coalesce(a.input_tokens, a.cache_read_tokens, a.cache_write_5m_tokens, a.cache_write_1h_tokens,
        a.output_tokens) IS NULL) AS without_tokens
FROM v_activities AS a
WHERE a.kind = 'model_call'
    AND swarm_id IN {swarms:Array(String)}
    AND a.started_at >= fromUnixTimestamp64Milli({from_ms:Int64})
    AND a.started_at < fromUnixTimestamp64Milli({to_ms:Int64})
GROUP BY swarm_id, of, model, day_ms, prompt_tokens_from
ORDER BY swarm_id, of, model, day_ms, prompt_tokens_from
