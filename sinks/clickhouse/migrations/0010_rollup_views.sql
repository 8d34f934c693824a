-- What is read from the roll-ups, exactly as if it were read from the rows themselves.
-- Planning such a query takes longer than running it: so the marks are read directly and not through v_rollup_marks, and
-- version and lateness are one subquery, which the engine then runs once.

-- Hours and days of windows that changed since their roll-up was begun.
CREATE OR REPLACE VIEW v_changed_hours AS
SELECT fold_version, swarm_id, max(m.window_ms) AS window_ms, hour
FROM rollup_marks AS m
WHERE source = 'windows'
GROUP BY fold_version, swarm_id, hour
HAVING max(m.rolled_at) <= max(m.stored_at) + toIntervalSecond(120) AND max(m.stored_at) > toDateTime64(0, 3, 'UTC');

CREATE OR REPLACE VIEW v_changed_days AS
SELECT fold_version, swarm_id, toStartOfDay(hour) AS day
FROM rollup_marks
WHERE source = 'windows'
GROUP BY fold_version, swarm_id, day
HAVING max(day_rolled_at) <= max(stored_at) + toIntervalSecond(120);

CREATE OR REPLACE VIEW v_changed_metric_hours AS
SELECT swarm_id, hour
FROM rollup_marks
WHERE source = 'metrics'
GROUP BY swarm_id, hour
HAVING max(rolled_at) <= max(stored_at) + toIntervalSecond(120);

-- Metric events by the hour.
CREATE OR REPLACE VIEW v_metric_hours AS
SELECT swarm_id, agent_id, metric, hour, events, weight_sum, sum, first_at, last_at, unit, provenances, topic
FROM metric_hours FINAL
WHERE (swarm_id, hour) NOT IN (SELECT swarm_id, hour FROM v_changed_metric_hours)
UNION ALL
SELECT
    swarm_id, agent_id, metric, toStartOfHour(timestamp) AS hour, count() AS events, sum(e.weight) AS weight_sum,
    sum(e.value * e.weight) AS sum, min(timestamp) AS first_at, max(timestamp) AS last_at, any(e.unit) AS unit,
    arraySort(groupUniqArray(e.provenance)) AS provenances, topic
FROM metrics AS e FINAL
WHERE (swarm_id, toStartOfHour(timestamp)) IN
    (SELECT swarm_id, hour FROM v_changed_metric_hours)
GROUP BY swarm_id, agent_id, metric, topic, hour;

-- What v_hours adds up: roll-ups that still stand, and the windows of every hour that changed.
CREATE OR REPLACE VIEW v_hour_parts AS
SELECT
    swarm_id, agent_id, metric, of_swarm, window_ms, window_start, events, weight_sum, sum, min, max, mean, m2, closed,
    sketch_keys, sketch_counts, last, last_at, unit, parts
FROM window_rollups FINAL
WHERE fold_version = (SELECT (fold_version, allowed_lateness_ms) FROM v_active_fold).1
    AND window_ms = 3600000
    AND (fold_version, swarm_id, window_start) NOT IN (SELECT fold_version, swarm_id, hour FROM v_changed_hours)
UNION ALL
SELECT
    swarm_id, agent_id, metric, arrayJoin([0, 1])::UInt8 AS of_swarm, toUInt32(3600000) AS window_ms,
    toDateTime64(toStartOfHour(w.window_start), 3, 'UTC') AS window_start,
    events, weight_sum, sum, min, max, mean, m2, closed, sketch_keys, sketch_counts, last, last_at, unit,
    toUInt64(1) AS parts
FROM windows AS w FINAL
WHERE fold_version = (SELECT (fold_version, allowed_lateness_ms) FROM v_active_fold).1
    AND (fold_version, swarm_id, w.window_ms, toStartOfHour(w.window_start)) IN (SELECT * FROM v_changed_hours)
    AND toUnixTimestamp64Milli(w.window_start) % w.window_ms = 0;

-- What v_days adds up: roll-ups that still stand, and the hours of every day that changed.
CREATE OR REPLACE VIEW v_day_parts AS
SELECT
    swarm_id, agent_id, metric, of_swarm, window_ms, window_start, events, weight_sum, sum, min, max, mean, m2, closed,
    sketch_keys, sketch_counts, last, last_at, unit, parts
FROM window_rollups FINAL
WHERE fold_version = (SELECT (fold_version, allowed_lateness_ms) FROM v_active_fold).1
    AND window_ms = 86400000
    AND (fold_version, swarm_id, window_start) NOT IN (SELECT * FROM v_changed_days)
UNION ALL
SELECT
    swarm_id, agent_id, metric, of_swarm, toUInt32(86400000) AS window_ms,
    toDateTime64(toStartOfDay(h.window_start), 3, 'UTC') AS window_start,
    events, weight_sum, sum, min, max, mean, m2, closed, sketch_keys, sketch_counts, last, last_at, unit, parts
FROM v_hour_parts AS h
WHERE (swarm_id, toStartOfDay(h.window_start)) IN
    (SELECT swarm_id, day FROM v_changed_days WHERE fold_version = (SELECT (fold_version, allowed_lateness_ms) FROM v_active_fold).1);

-- One row a swarm, agent, metric and hour; the columns are those of v_windows.
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

-- The same per swarm: all agents and the swarm's own events.
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

-- The same by the day, UTC.
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
