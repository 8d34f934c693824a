-- How long calls of each model and tool take.
SELECT
    swarm_id,
    a.kind AS kind,
    if(a.kind = 'tool_call', a.tool, a.model) AS name,
    count() AS n,
    countIf(ifNull(a.success = 0, a.status = 'failed')) AS failed,
    quantileExactInclusive(0.5)(d) AS p50_ms,
    quantileExactInclusive(0.9)(d) AS p90_ms,
    quantileExactInclusive(0.95)(d) AS p95_ms,
    quantileExactInclusive(0.99)(d) AS p99_ms,
    max(d) AS max_ms,
    sum(d) AS sum_ms,
    countIf(a.kind = 'tool_call' AND a.tags['duration_includes'] = 'approval') AS with_approval,
    arraySort(groupUniqArray(toString(a.provenance))) AS provenances
FROM
(
    SELECT swarm_id, t.kind, t.tool, t.model, t.success, t.status, t.tags, t.provenance, assumeNotNull(t.duration_ms) AS d
    FROM v_activities AS t
    WHERE t.kind IN ('model_call', 'tool_call')
        AND t.duration_ms IS NOT NULL
        AND swarm_id IN {swarms:Array(String)}
        AND t.started_at >= fromUnixTimestamp64Milli({from_ms:Int64})
        AND t.started_at < fromUnixTimestamp64Milli({to_ms:Int64})
) AS a
GROUP BY swarm_id, kind, name
ORDER BY swarm_id, kind, sum_ms DESC, name
