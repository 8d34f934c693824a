-- The windows of one day and size, as a worker writes them: from the raw events, sketch included. One event in 256
-- came late and stands in a generation of its own.
INSERT INTO windows (swarm_id, agent_id, metric, window_ms, window_start, log_id, topic, partition, gen, fold_version, unit,
    events, weight_sum, sum, min, max, mean, m2, last, last_at, sketch_keys, sketch_counts, closed, ver)
WITH
    -- models.windows.sketch.keys_of; a test compares the two.
    reinterpretAsInt64(value) AS bits,
    bitAnd(bitShiftRight(bits, 52), 2047) AS exponent,
    if(exponent = 0, 0, if(bits < 0, -1, 1) * (50000 + (exponent - 1023) * 44
        + {buckets:Array(Int32)}[1 + bitAnd(bitShiftRight(bits, 42), 1023)])) AS key
SELECT
    swarm_id,
    agent_id,
    metric,
    {window_ms:UInt32},
    toStartOfInterval(timestamp, toIntervalMillisecond({window_ms:UInt32})) AS start,
    log_id,
    topic,
    partition,
    if(late, min(offset) + 1, 0),
    1,
    any(unit),
    count() AS n,
    n,
    sum(value) AS total,
    min(value),
    max(value),
    total / n,
    varPopStable(value) * n,
    argMax(value, (timestamp, offset, idx)),
    max(timestamp),
    arraySort(groupUniqArray(toInt32(key))) AS keys,
    arrayMap(k -> toUInt64(1024) * countEqual(groupArray(toInt32(key)), k), keys),
    1,
    bitShiftLeft(toUInt64(1), 48) + max(offset)
FROM metrics
WHERE timestamp >= fromUnixTimestamp64Milli({from_ms:Int64}) AND timestamp < fromUnixTimestamp64Milli({to_ms:Int64})
GROUP BY swarm_id, agent_id, metric, start, log_id, topic, partition, cityHash64(offset, idx) % 256 = 0 AS late
