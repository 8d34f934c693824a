-- A metric's events in intervals, by side and group; an interval without an event has no row.
SELECT
    m.swarm_id AS swarm_id,
    toString(value_of) AS of,
    intDiv(toUnixTimestamp64Milli(m.timestamp), {interval_ms:Int64}) * {interval_ms:Int64} AS at_ms,
    count() AS n,
    sum(m.value * m.weight) / sum(m.weight) AS mean,
    quantileExactInclusive(0.95)(m.value) AS p95,
    max(m.value) AS max,
    sum(m.value * m.weight) AS sum,
    any(m.unit) AS unit
FROM v_metrics AS m
WHERE m.swarm_id IN {swarms:Array(String)}
    AND m.metric = {series:String}
    AND m.timestamp >= fromUnixTimestamp64Milli({from_ms:Int64})
    AND m.timestamp < fromUnixTimestamp64Milli({to_ms:Int64})
GROUP BY swarm_id, of, at_ms
ORDER BY swarm_id, of, at_ms
LIMIT {limit:UInt32}
