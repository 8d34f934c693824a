-- One day of plain metric events. The first busy_events of a day are those of the swarm that runs round the clock
-- (8 agents, evenly over the day); the others are sessions of 11 swarms (16 agents, an event a second and series).
INSERT INTO metrics (swarm_id, agent_id, run_id, metric, timestamp, value, unit, tags, weight, source, priority, category,
    provenance, event_id, appended_at, log_id, topic, partition, offset, idx)
WITH
    ['cpu_usage', 'memory_usage', 'network_latency', 'queue_depth', 'cache_hit_ratio', 'throughput', 'context_tokens',
        'response_time'] AS names,
    ['ratio', 'bytes', 'ms', 'events', 'ratio', 'events/s', 'tokens', 'ms'] AS units,
    [-1.5, 19.0, 3.0, 2.0, -0.4, 3.5, 9.0, 5.5] AS mu,
    [0.4, 0.3, 0.8, 1.0, 0.2, 0.5, 0.7, 0.9] AS sigma,
    ['plan', 'build', 'test', 'review'] AS phases
SELECT
    concat('swarm-', leftPad(toString(swarm), 2, '0')),
    concat('agent-', toString(agent)),
    concat('run-', toString({day:UInt32})),
    names[kind],
    fromUnixTimestamp64Milli({day_ms:Int64} + at_ms, 'UTC') AS event_time,
    -- Log-normal with a rhythm of the day: percentiles differ from hour to hour.
    round(exp(mu[kind] + sigma[kind] * normal) * (1 + 0.3 * sin(at_ms * 2 * pi() / 86400000)), 3),
    units[kind],
    map('phase', phases[1 + bitAnd(bitShiftRight(h, 8), 3)]),
    1,
    'agent',
    'medium',
    '',
    if(kind = 6, 'estimated', 'measured'),
    '',
    event_time + toIntervalMillisecond(200),
    'history',
    'swarm.metrics',
    swarm % 4,
    {day:UInt64} * 100000000 + intDiv(i, 500),
    i % 500
FROM
(
    SELECT
        number AS i,
        cityHash64(number, {day:UInt32}, {seed:UInt64}) AS h,
        cityHash64(h) AS g,
        sqrt(-2 * log((toFloat64(bitAnd(h, 0xFFFFFFFF)) + 1) / 4294967297)) * cos(2 * pi() * toFloat64(bitAnd(g, 0xFFFFFFFF)) / 4294967296) AS normal,
        number < {busy_events:UInt64} AS busy,
        if(busy, 0, 1 + (number - {busy_events:UInt64}) % 11) AS swarm,
        if(busy, number % 64, intDiv(number - {busy_events:UInt64}, 11) % 128) AS series,
        if(busy, series % 8, series % 16) AS agent,
        1 + if(busy, intDiv(series, 8), intDiv(series, 16)) AS kind,
        if(busy, intDiv(intDiv(number, 64) * 86400000 + g % 86400000, intDiv({busy_events:UInt64}, 64)),
            (2 * swarm - 1) * 3600000 + intDiv(number - {busy_events:UInt64}, 1408) * 1000 + g % 1000) AS at_ms
    FROM numbers_mt({events:UInt64})
)
