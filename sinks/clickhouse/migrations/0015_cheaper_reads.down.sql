CREATE OR REPLACE VIEW v_hours AS
SELECT
    swarm_id, agent_id, metric, window_ms, window_start,
    n AS events,
    total AS sum,
    low AS min,
    high AS max,
    total / weight AS mean,
    sqrt((arraySum(m2s) + arraySum((w, m) -> w * pow(m - total / weight, 2), weights, means)) / weight) AS stddev,
    least(greatest(sign(k50) * exp2((abs(k50) - 50000) / 44) * 2 * exp2(1 / 44) / (exp2(1 / 44) + 1), low), high) AS p50,
    least(greatest(sign(k90) * exp2((abs(k90) - 50000) / 44) * 2 * exp2(1 / 44) / (exp2(1 / 44) + 1), low), high) AS p90,
    least(greatest(sign(k95) * exp2((abs(k95) - 50000) / 44) * 2 * exp2(1 / 44) / (exp2(1 / 44) + 1), low), high) AS p95,
    least(greatest(sign(k99) * exp2((abs(k99) - 50000) / 44) * 2 * exp2(1 / 44) / (exp2(1 / 44) + 1), low), high) AS p99,
    -- Without new events no watermark moves: a window of a silent log counts as closed a minute after its time.
    toUInt8(all_closed OR toUnixTimestamp64Milli(window_start) + window_ms + 60000
        + (SELECT (fold_version, allowed_lateness_ms) FROM v_active_fold).2 < toUnixTimestamp64Milli(now64(3, 'UTC'))) AS closed,
    weight AS weight_sum,
    newest.1 AS last,
    newest.2 AS last_at,
    total * 1000 / window_ms AS sum_per_s,
    weight * 1000 / window_ms AS events_per_s,
    a_unit AS unit,
    parts
FROM
(
    SELECT
        *,
        keys[arrayFirstIndex(c -> c >= intDiv(units, 100) * 50 + intDiv(units % 100 * 50 + 99, 100), filled)] AS k50,
        keys[arrayFirstIndex(c -> c >= intDiv(units, 100) * 90 + intDiv(units % 100 * 90 + 99, 100), filled)] AS k90,
        keys[arrayFirstIndex(c -> c >= intDiv(units, 100) * 95 + intDiv(units % 100 * 95 + 99, 100), filled)] AS k95,
        keys[arrayFirstIndex(c -> c >= intDiv(units, 100) * 99 + intDiv(units % 100 * 99 + 99, 100), filled)] AS k99
    FROM
    (
        SELECT
            *,
            arraySort(loose_keys) AS keys,
            arrayCumSum(arraySort((c, k) -> k, loose_counts, loose_keys)) AS filled,
            filled[-1] AS units
        FROM
        (
            SELECT
                swarm_id, agent_id, metric, window_ms, window_start,
                sum(p.events) AS n,
                sum(p.weight_sum) AS weight,
                sum(p.sum) AS total,
                min(p.min) AS low,
                max(p.max) AS high,
                groupArray(p.weight_sum) AS weights,
                groupArray(p.mean) AS means,
                groupArray(p.m2) AS m2s,
                groupArrayArray(p.sketch_keys) AS loose_keys,
                groupArrayArray(p.sketch_counts) AS loose_counts,
                min(p.closed) AS all_closed,
                argMax((p.last, p.last_at), p.last_at) AS newest,
                any(p.unit) AS a_unit,
                sum(p.parts) AS parts
            FROM v_hour_parts AS p
            WHERE NOT p.of_swarm
            GROUP BY swarm_id, agent_id, metric, window_ms, window_start
        )
    )
);

CREATE OR REPLACE VIEW v_swarm_hours AS
SELECT
    swarm_id, metric, window_ms, window_start,
    n AS events,
    total AS sum,
    low AS min,
    high AS max,
    total / weight AS mean,
    sqrt((arraySum(m2s) + arraySum((w, m) -> w * pow(m - total / weight, 2), weights, means)) / weight) AS stddev,
    least(greatest(sign(k50) * exp2((abs(k50) - 50000) / 44) * 2 * exp2(1 / 44) / (exp2(1 / 44) + 1), low), high) AS p50,
    least(greatest(sign(k90) * exp2((abs(k90) - 50000) / 44) * 2 * exp2(1 / 44) / (exp2(1 / 44) + 1), low), high) AS p90,
    least(greatest(sign(k95) * exp2((abs(k95) - 50000) / 44) * 2 * exp2(1 / 44) / (exp2(1 / 44) + 1), low), high) AS p95,
    least(greatest(sign(k99) * exp2((abs(k99) - 50000) / 44) * 2 * exp2(1 / 44) / (exp2(1 / 44) + 1), low), high) AS p99,
    -- Without new events no watermark moves: a window of a silent log counts as closed a minute after its time.
    toUInt8(all_closed OR toUnixTimestamp64Milli(window_start) + window_ms + 60000
        + (SELECT (fold_version, allowed_lateness_ms) FROM v_active_fold).2 < toUnixTimestamp64Milli(now64(3, 'UTC'))) AS closed,
    weight AS weight_sum,
    newest.1 AS last,
    newest.2 AS last_at,
    total * 1000 / window_ms AS sum_per_s,
    weight * 1000 / window_ms AS events_per_s,
    a_unit AS unit,
    parts
FROM
(
    SELECT
        *,
        keys[arrayFirstIndex(c -> c >= intDiv(units, 100) * 50 + intDiv(units % 100 * 50 + 99, 100), filled)] AS k50,
        keys[arrayFirstIndex(c -> c >= intDiv(units, 100) * 90 + intDiv(units % 100 * 90 + 99, 100), filled)] AS k90,
        keys[arrayFirstIndex(c -> c >= intDiv(units, 100) * 95 + intDiv(units % 100 * 95 + 99, 100), filled)] AS k95,
        keys[arrayFirstIndex(c -> c >= intDiv(units, 100) * 99 + intDiv(units % 100 * 99 + 99, 100), filled)] AS k99
    FROM
    (
        SELECT
            *,
            arraySort(loose_keys) AS keys,
            arrayCumSum(arraySort((c, k) -> k, loose_counts, loose_keys)) AS filled,
            filled[-1] AS units
        FROM
        (
            SELECT
                swarm_id, metric, window_ms, window_start,
                sum(p.events) AS n,
                sum(p.weight_sum) AS weight,
                sum(p.sum) AS total,
                min(p.min) AS low,
                max(p.max) AS high,
                groupArray(p.weight_sum) AS weights,
                groupArray(p.mean) AS means,
                groupArray(p.m2) AS m2s,
                groupArrayArray(p.sketch_keys) AS loose_keys,
                groupArrayArray(p.sketch_counts) AS loose_counts,
                min(p.closed) AS all_closed,
                argMax((p.last, p.last_at), (p.last_at, p.agent_id)) AS newest,
                any(p.unit) AS a_unit,
                sum(p.parts) AS parts
            FROM v_hour_parts AS p
            WHERE p.of_swarm
            GROUP BY swarm_id, metric, window_ms, window_start
        )
    )
);

CREATE OR REPLACE VIEW v_days AS
SELECT
    swarm_id, agent_id, metric, window_ms, window_start,
    n AS events,
    total AS sum,
    low AS min,
    high AS max,
    total / weight AS mean,
    sqrt((arraySum(m2s) + arraySum((w, m) -> w * pow(m - total / weight, 2), weights, means)) / weight) AS stddev,
    least(greatest(sign(k50) * exp2((abs(k50) - 50000) / 44) * 2 * exp2(1 / 44) / (exp2(1 / 44) + 1), low), high) AS p50,
    least(greatest(sign(k90) * exp2((abs(k90) - 50000) / 44) * 2 * exp2(1 / 44) / (exp2(1 / 44) + 1), low), high) AS p90,
    least(greatest(sign(k95) * exp2((abs(k95) - 50000) / 44) * 2 * exp2(1 / 44) / (exp2(1 / 44) + 1), low), high) AS p95,
    least(greatest(sign(k99) * exp2((abs(k99) - 50000) / 44) * 2 * exp2(1 / 44) / (exp2(1 / 44) + 1), low), high) AS p99,
    -- Without new events no watermark moves: a window of a silent log counts as closed a minute after its time.
    toUInt8(all_closed OR toUnixTimestamp64Milli(window_start) + window_ms + 60000
        + (SELECT (fold_version, allowed_lateness_ms) FROM v_active_fold).2 < toUnixTimestamp64Milli(now64(3, 'UTC'))) AS closed,
    weight AS weight_sum,
    newest.1 AS last,
    newest.2 AS last_at,
    total * 1000 / window_ms AS sum_per_s,
    weight * 1000 / window_ms AS events_per_s,
    a_unit AS unit,
    parts
FROM
(
    SELECT
        *,
        keys[arrayFirstIndex(c -> c >= intDiv(units, 100) * 50 + intDiv(units % 100 * 50 + 99, 100), filled)] AS k50,
        keys[arrayFirstIndex(c -> c >= intDiv(units, 100) * 90 + intDiv(units % 100 * 90 + 99, 100), filled)] AS k90,
        keys[arrayFirstIndex(c -> c >= intDiv(units, 100) * 95 + intDiv(units % 100 * 95 + 99, 100), filled)] AS k95,
        keys[arrayFirstIndex(c -> c >= intDiv(units, 100) * 99 + intDiv(units % 100 * 99 + 99, 100), filled)] AS k99
    FROM
    (
        SELECT
            *,
            arraySort(loose_keys) AS keys,
            arrayCumSum(arraySort((c, k) -> k, loose_counts, loose_keys)) AS filled,
            filled[-1] AS units
        FROM
        (
            SELECT
                swarm_id, agent_id, metric, window_ms, window_start,
                sum(p.events) AS n,
                sum(p.weight_sum) AS weight,
                sum(p.sum) AS total,
                min(p.min) AS low,
                max(p.max) AS high,
                groupArray(p.weight_sum) AS weights,
                groupArray(p.mean) AS means,
                groupArray(p.m2) AS m2s,
                groupArrayArray(p.sketch_keys) AS loose_keys,
                groupArrayArray(p.sketch_counts) AS loose_counts,
                min(p.closed) AS all_closed,
                argMax((p.last, p.last_at), p.last_at) AS newest,
                any(p.unit) AS a_unit,
                sum(p.parts) AS parts
            FROM v_day_parts AS p
            WHERE NOT p.of_swarm
            GROUP BY swarm_id, agent_id, metric, window_ms, window_start
        )
    )
);

CREATE OR REPLACE VIEW v_swarm_days AS
SELECT
    swarm_id, metric, window_ms, window_start,
    n AS events,
    total AS sum,
    low AS min,
    high AS max,
    total / weight AS mean,
    sqrt((arraySum(m2s) + arraySum((w, m) -> w * pow(m - total / weight, 2), weights, means)) / weight) AS stddev,
    least(greatest(sign(k50) * exp2((abs(k50) - 50000) / 44) * 2 * exp2(1 / 44) / (exp2(1 / 44) + 1), low), high) AS p50,
    least(greatest(sign(k90) * exp2((abs(k90) - 50000) / 44) * 2 * exp2(1 / 44) / (exp2(1 / 44) + 1), low), high) AS p90,
    least(greatest(sign(k95) * exp2((abs(k95) - 50000) / 44) * 2 * exp2(1 / 44) / (exp2(1 / 44) + 1), low), high) AS p95,
    least(greatest(sign(k99) * exp2((abs(k99) - 50000) / 44) * 2 * exp2(1 / 44) / (exp2(1 / 44) + 1), low), high) AS p99,
    -- Without new events no watermark moves: a window of a silent log counts as closed a minute after its time.
    toUInt8(all_closed OR toUnixTimestamp64Milli(window_start) + window_ms + 60000
        + (SELECT (fold_version, allowed_lateness_ms) FROM v_active_fold).2 < toUnixTimestamp64Milli(now64(3, 'UTC'))) AS closed,
    weight AS weight_sum,
    newest.1 AS last,
    newest.2 AS last_at,
    total * 1000 / window_ms AS sum_per_s,
    weight * 1000 / window_ms AS events_per_s,
    a_unit AS unit,
    parts
FROM
(
    SELECT
        *,
        keys[arrayFirstIndex(c -> c >= intDiv(units, 100) * 50 + intDiv(units % 100 * 50 + 99, 100), filled)] AS k50,
        keys[arrayFirstIndex(c -> c >= intDiv(units, 100) * 90 + intDiv(units % 100 * 90 + 99, 100), filled)] AS k90,
        keys[arrayFirstIndex(c -> c >= intDiv(units, 100) * 95 + intDiv(units % 100 * 95 + 99, 100), filled)] AS k95,
        keys[arrayFirstIndex(c -> c >= intDiv(units, 100) * 99 + intDiv(units % 100 * 99 + 99, 100), filled)] AS k99
    FROM
    (
        SELECT
            *,
            arraySort(loose_keys) AS keys,
            arrayCumSum(arraySort((c, k) -> k, loose_counts, loose_keys)) AS filled,
            filled[-1] AS units
        FROM
        (
            SELECT
                swarm_id, metric, window_ms, window_start,
                sum(p.events) AS n,
                sum(p.weight_sum) AS weight,
                sum(p.sum) AS total,
                min(p.min) AS low,
                max(p.max) AS high,
                groupArray(p.weight_sum) AS weights,
                groupArray(p.mean) AS means,
                groupArray(p.m2) AS m2s,
                groupArrayArray(p.sketch_keys) AS loose_keys,
                groupArrayArray(p.sketch_counts) AS loose_counts,
                min(p.closed) AS all_closed,
                argMax((p.last, p.last_at), (p.last_at, p.agent_id)) AS newest,
                any(p.unit) AS a_unit,
                sum(p.parts) AS parts
            FROM v_day_parts AS p
            WHERE p.of_swarm
            GROUP BY swarm_id, metric, window_ms, window_start
        )
    )
);

CREATE OR REPLACE VIEW v_agent_summary AS
SELECT
    swarm_id,
    agent_id,
    max(r.role) AS role,
    max(r.parent_agent_id) AS parent_agent_id,
    min(r.first_at) AS first_at,
    max(r.last_at) AS last_at,
    sum(r.activities) AS activities,
    sum(r.running) AS running,
    sum(r.completed) AS completed,
    sum(r.failed) AS failed,
    sum(r.blocked) AS blocked,
    sum(r.cancelled) AS cancelled,
    sum(r.model_calls) AS model_calls,
    sum(r.tool_calls) AS tool_calls,
    sum(r.input_tokens) AS input_tokens,
    sum(r.cache_read_tokens) AS cache_read_tokens,
    sum(r.cache_write_5m_tokens) AS cache_write_5m_tokens,
    sum(r.cache_write_1h_tokens) AS cache_write_1h_tokens,
    sum(r.output_tokens) AS output_tokens,
    sum(r.cost_usd) AS cost_usd,
    sum(r.priced_calls) AS priced_calls,
    sum(r.unpriced_calls) AS unpriced_calls,
    sum(r.metric_events) AS metric_events,
    sum(r.anomalies) AS anomalies
FROM
(
    -- One pass over the activities: what `v_spending` would select is counted here under the same condition.
    SELECT
        swarm_id, agent_id, toString(role) AS role, toString(parent_agent_id) AS parent_agent_id,
        started_at AS first_at, coalesce(ended_at, started_at) AS last_at,
        1 AS activities, status = 'running' AS running, status = 'completed' AS completed,
        status = 'failed' AS failed, status = 'blocked' AS blocked, status = 'cancelled' AS cancelled,
        kind = 'model_call' AS model_calls, kind = 'tool_call' AS tool_calls,
        if(spends, v.input_tokens, NULL) AS input_tokens,
        if(spends, v.cache_read_tokens, NULL) AS cache_read_tokens,
        if(spends, v.cache_write_5m_tokens, NULL) AS cache_write_5m_tokens,
        if(spends, v.cache_write_1h_tokens, NULL) AS cache_write_1h_tokens,
        if(spends, v.output_tokens, NULL) AS output_tokens,
        if(spends, v.cost_usd, NULL) AS cost_usd,
        spends AND v.cost_usd IS NOT NULL AS priced_calls,
        spends AND v.cost_usd IS NULL AND (v.input_tokens IS NOT NULL OR v.cache_read_tokens IS NOT NULL
            OR v.cache_write_5m_tokens IS NOT NULL OR v.cache_write_1h_tokens IS NOT NULL
            OR v.output_tokens IS NOT NULL) AS unpriced_calls,
        0 AS metric_events, 0 AS anomalies
    FROM
    (
        SELECT
            *,
            kind = 'model_call' OR (kind = 'task' AND swarm_id NOT IN (SELECT swarm_id FROM measured_calls)) AS spends
        FROM v_activities
    ) AS v
    UNION ALL
    SELECT
        swarm_id, agent_id, '', '', min(h.first_at), max(h.last_at), 0, 0, 0, 0, 0, 0, 0, 0,
        NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, sum(h.events), 0
    FROM v_metric_hours AS h
    GROUP BY swarm_id, agent_id
    UNION ALL
    SELECT
        swarm_id, agent_id, '', '', window_start, window_start, 0, 0, 0, 0, 0, 0, 0, 0,
        NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 1
    FROM v_anomalies
) AS r
GROUP BY swarm_id, agent_id;

CREATE OR REPLACE VIEW v_swarm_summary AS
SELECT
    swarm_id,
    min(a.first_at) AS first_at,
    max(a.last_at) AS last_at,
    countIf(a.agent_id != '') AS agents,
    sum(a.activities) AS activities,
    sum(a.running) AS running,
    sum(a.completed) AS completed,
    sum(a.failed) AS failed,
    sum(a.blocked) AS blocked,
    sum(a.cancelled) AS cancelled,
    sum(a.model_calls) AS model_calls,
    sum(a.tool_calls) AS tool_calls,
    sum(a.input_tokens) AS input_tokens,
    sum(a.cache_read_tokens) AS cache_read_tokens,
    sum(a.cache_write_5m_tokens) AS cache_write_5m_tokens,
    sum(a.cache_write_1h_tokens) AS cache_write_1h_tokens,
    sum(a.output_tokens) AS output_tokens,
    sum(a.cost_usd) AS cost_usd,
    sum(a.priced_calls) AS priced_calls,
    sum(a.unpriced_calls) AS unpriced_calls,
    sum(a.metric_events) AS metric_events,
    sum(a.anomalies) AS anomalies
FROM v_agent_summary AS a
GROUP BY swarm_id;

ALTER TABLE window_rollups
    DROP COLUMN IF EXISTS p99,
    DROP COLUMN IF EXISTS p95,
    DROP COLUMN IF EXISTS p90,
    DROP COLUMN IF EXISTS p50,
    DROP COLUMN IF EXISTS sketch_units;
