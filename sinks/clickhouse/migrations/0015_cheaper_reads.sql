-- Cheaper reads of what is rolled up and summed, with the results they had.
--
-- A roll-up holds the whole of its hour or day, so where its percentiles lie in the sketch is known when it is written:
-- they become columns, and a question about a month reads 700 numbers instead of 700 sketches. Only hours and days that
-- changed since are still merged from parts.
-- Planning such a question takes longer than answering it, and every view within a view is planned on its own: so the
-- views here are flat, and name the tables behind the views that they would otherwise read.
-- Rows that were stored before are computed as they are read; docs/data-model.md says how to store them.

ALTER TABLE window_rollups
    ADD COLUMN IF NOT EXISTS sketch_units UInt64 MATERIALIZED arraySum(sketch_counts)
        COMMENT 'Percentile sketch: weight in all buckets, in units of 1/1024.' CODEC(T64, ZSTD(1)),
    ADD COLUMN IF NOT EXISTS p50 Float64 MATERIALIZED least(greatest(arrayMap(
        k -> sign(k) * exp2((abs(k) - 50000) / 44) * 2 * exp2(1 / 44) / (exp2(1 / 44) + 1),
        [sketch_keys[arrayFirstIndex(c -> c >= intDiv(sketch_units, 100) * 50 + intDiv(sketch_units % 100 * 50 + 99, 100),
            arrayCumSum(sketch_counts))]])[1], min), max)
        COMMENT '50th percentile of the values.' CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS p90 Float64 MATERIALIZED least(greatest(arrayMap(
        k -> sign(k) * exp2((abs(k) - 50000) / 44) * 2 * exp2(1 / 44) / (exp2(1 / 44) + 1),
        [sketch_keys[arrayFirstIndex(c -> c >= intDiv(sketch_units, 100) * 90 + intDiv(sketch_units % 100 * 90 + 99, 100),
            arrayCumSum(sketch_counts))]])[1], min), max)
        COMMENT '90th percentile of the values.' CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS p95 Float64 MATERIALIZED least(greatest(arrayMap(
        k -> sign(k) * exp2((abs(k) - 50000) / 44) * 2 * exp2(1 / 44) / (exp2(1 / 44) + 1),
        [sketch_keys[arrayFirstIndex(c -> c >= intDiv(sketch_units, 100) * 95 + intDiv(sketch_units % 100 * 95 + 99, 100),
            arrayCumSum(sketch_counts))]])[1], min), max)
        COMMENT '95th percentile of the values.' CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS p99 Float64 MATERIALIZED least(greatest(arrayMap(
        k -> sign(k) * exp2((abs(k) - 50000) / 44) * 2 * exp2(1 / 44) / (exp2(1 / 44) + 1),
        [sketch_keys[arrayFirstIndex(c -> c >= intDiv(sketch_units, 100) * 99 + intDiv(sketch_units % 100 * 99 + 99, 100),
            arrayCumSum(sketch_counts))]])[1], min), max)
        COMMENT '99th percentile of the values.' CODEC(ZSTD(1));

CREATE OR REPLACE VIEW v_hours AS
SELECT
    swarm_id, agent_id, metric, window_ms, window_start, events, sum, min, max,
    sum / weight_sum AS mean,
    sqrt(m2 / weight_sum) AS stddev,
    p50, p90, p95, p99,
    toUInt8(closed OR toUnixTimestamp64Milli(window_start) + window_ms + 60000
        + (SELECT (fold_version, allowed_lateness_ms) FROM v_active_fold).2 < toUnixTimestamp64Milli(now64(3, 'UTC'))) AS closed,
    weight_sum, last, last_at,
    sum * 1000 / window_ms AS sum_per_s,
    weight_sum * 1000 / window_ms AS events_per_s,
    unit, parts
FROM window_rollups FINAL
WHERE fold_version = (SELECT (fold_version, allowed_lateness_ms) FROM v_active_fold).1
    AND window_ms = 3600000 AND NOT of_swarm
    AND (fold_version, swarm_id, window_start) NOT IN (SELECT fold_version, swarm_id, hour FROM rollup_marks WHERE source = 'windows' GROUP BY fold_version, swarm_id, hour
        HAVING max(rolled_at) <= max(stored_at) + toIntervalSecond(120) AND max(stored_at) > toDateTime64(0, 3, 'UTC'))
UNION ALL
SELECT
    swarm_id, agent_id, metric, window_ms, start AS window_start,
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
    toUInt8(all_closed OR toUnixTimestamp64Milli(start) + window_ms + 60000
        + (SELECT (fold_version, allowed_lateness_ms) FROM v_active_fold).2 < toUnixTimestamp64Milli(now64(3, 'UTC'))) AS closed,
    weight AS weight_sum,
    newest.1 AS last,
    newest.2 AS last_at,
    total * 1000 / window_ms AS sum_per_s,
    weight * 1000 / window_ms AS events_per_s,
    a_unit AS unit,
    n_parts AS parts
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
                swarm_id, agent_id, metric, toUInt32(3600000) AS window_ms, toDateTime64(toStartOfHour(p.window_start), 3, 'UTC') AS start,
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
                argMax((p.last, p.last_at), (p.last_at, p.log_id, p.topic, p.partition, p.gen, p.agent_id)) AS newest,
                any(p.unit) AS a_unit,
                count() AS n_parts
            FROM windows AS p FINAL
            WHERE fold_version = (SELECT (fold_version, allowed_lateness_ms) FROM v_active_fold).1
                AND (fold_version, swarm_id, p.window_ms, toStartOfHour(p.window_start)) IN (SELECT fold_version, swarm_id, max(m.window_ms) AS window_ms, hour FROM rollup_marks AS m WHERE source = 'windows' GROUP BY fold_version, swarm_id, hour
        HAVING max(rolled_at) <= max(stored_at) + toIntervalSecond(120) AND max(stored_at) > toDateTime64(0, 3, 'UTC'))
                AND toUnixTimestamp64Milli(p.window_start) % p.window_ms = 0
            GROUP BY swarm_id, agent_id, metric, start
        )
    )
);

CREATE OR REPLACE VIEW v_swarm_hours AS
SELECT
    swarm_id, metric, window_ms, window_start, events, sum, min, max,
    sum / weight_sum AS mean,
    sqrt(m2 / weight_sum) AS stddev,
    p50, p90, p95, p99,
    toUInt8(closed OR toUnixTimestamp64Milli(window_start) + window_ms + 60000
        + (SELECT (fold_version, allowed_lateness_ms) FROM v_active_fold).2 < toUnixTimestamp64Milli(now64(3, 'UTC'))) AS closed,
    weight_sum, last, last_at,
    sum * 1000 / window_ms AS sum_per_s,
    weight_sum * 1000 / window_ms AS events_per_s,
    unit, parts
FROM window_rollups FINAL
WHERE fold_version = (SELECT (fold_version, allowed_lateness_ms) FROM v_active_fold).1
    AND window_ms = 3600000 AND of_swarm
    AND (fold_version, swarm_id, window_start) NOT IN (SELECT fold_version, swarm_id, hour FROM rollup_marks WHERE source = 'windows' GROUP BY fold_version, swarm_id, hour
        HAVING max(rolled_at) <= max(stored_at) + toIntervalSecond(120) AND max(stored_at) > toDateTime64(0, 3, 'UTC'))
UNION ALL
SELECT
    swarm_id, metric, window_ms, start AS window_start,
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
    toUInt8(all_closed OR toUnixTimestamp64Milli(start) + window_ms + 60000
        + (SELECT (fold_version, allowed_lateness_ms) FROM v_active_fold).2 < toUnixTimestamp64Milli(now64(3, 'UTC'))) AS closed,
    weight AS weight_sum,
    newest.1 AS last,
    newest.2 AS last_at,
    total * 1000 / window_ms AS sum_per_s,
    weight * 1000 / window_ms AS events_per_s,
    a_unit AS unit,
    n_parts AS parts
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
                swarm_id, metric, toUInt32(3600000) AS window_ms, toDateTime64(toStartOfHour(p.window_start), 3, 'UTC') AS start,
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
                argMax((p.last, p.last_at), (p.last_at, p.log_id, p.topic, p.partition, p.gen, p.agent_id)) AS newest,
                any(p.unit) AS a_unit,
                count() AS n_parts
            FROM windows AS p FINAL
            WHERE fold_version = (SELECT (fold_version, allowed_lateness_ms) FROM v_active_fold).1
                AND (fold_version, swarm_id, p.window_ms, toStartOfHour(p.window_start)) IN (SELECT fold_version, swarm_id, max(m.window_ms) AS window_ms, hour FROM rollup_marks AS m WHERE source = 'windows' GROUP BY fold_version, swarm_id, hour
        HAVING max(rolled_at) <= max(stored_at) + toIntervalSecond(120) AND max(stored_at) > toDateTime64(0, 3, 'UTC'))
                AND toUnixTimestamp64Milli(p.window_start) % p.window_ms = 0
            GROUP BY swarm_id, metric, start
        )
    )
);

CREATE OR REPLACE VIEW v_days AS
SELECT
    swarm_id, agent_id, metric, window_ms, window_start, events, sum, min, max,
    sum / weight_sum AS mean,
    sqrt(m2 / weight_sum) AS stddev,
    p50, p90, p95, p99,
    toUInt8(closed OR toUnixTimestamp64Milli(window_start) + window_ms + 60000
        + (SELECT (fold_version, allowed_lateness_ms) FROM v_active_fold).2 < toUnixTimestamp64Milli(now64(3, 'UTC'))) AS closed,
    weight_sum, last, last_at,
    sum * 1000 / window_ms AS sum_per_s,
    weight_sum * 1000 / window_ms AS events_per_s,
    unit, parts
FROM window_rollups FINAL
WHERE fold_version = (SELECT (fold_version, allowed_lateness_ms) FROM v_active_fold).1
    AND window_ms = 86400000 AND NOT of_swarm
    AND (fold_version, swarm_id, window_start) NOT IN (SELECT fold_version, swarm_id, day FROM rollup_marks WHERE source = 'windows' GROUP BY fold_version, swarm_id, toStartOfDay(hour) AS day
        HAVING max(day_rolled_at) <= max(stored_at) + toIntervalSecond(120))
UNION ALL
SELECT
    swarm_id, agent_id, metric, window_ms, start AS window_start,
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
    toUInt8(all_closed OR toUnixTimestamp64Milli(start) + window_ms + 60000
        + (SELECT (fold_version, allowed_lateness_ms) FROM v_active_fold).2 < toUnixTimestamp64Milli(now64(3, 'UTC'))) AS closed,
    weight AS weight_sum,
    newest.1 AS last,
    newest.2 AS last_at,
    total * 1000 / window_ms AS sum_per_s,
    weight * 1000 / window_ms AS events_per_s,
    a_unit AS unit,
    n_parts AS parts
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
                swarm_id, agent_id, metric, toUInt32(86400000) AS window_ms, toDateTime64(toStartOfDay(p.window_start), 3, 'UTC') AS start,
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
                sum(p.parts) AS n_parts
            FROM
            (
                SELECT
                    swarm_id, agent_id, metric, window_start, events, weight_sum, sum, min, max, mean, m2, closed,
                    sketch_keys, sketch_counts, last, last_at, unit, parts
                FROM window_rollups FINAL
                WHERE fold_version = (SELECT (fold_version, allowed_lateness_ms) FROM v_active_fold).1
                    AND window_ms = 3600000 AND NOT of_swarm
                    AND (fold_version, swarm_id, toStartOfDay(window_start)) IN (SELECT fold_version, swarm_id, day FROM rollup_marks WHERE source = 'windows' GROUP BY fold_version, swarm_id, toStartOfDay(hour) AS day
                    HAVING max(day_rolled_at) <= max(stored_at) + toIntervalSecond(120))
                    AND (fold_version, swarm_id, window_start) NOT IN (SELECT fold_version, swarm_id, hour FROM rollup_marks WHERE source = 'windows' GROUP BY fold_version, swarm_id, hour
                    HAVING max(rolled_at) <= max(stored_at) + toIntervalSecond(120) AND max(stored_at) > toDateTime64(0, 3, 'UTC'))
                UNION ALL
                -- A day is rolled up after all its hours: one that holds a changed hour has changed.
                SELECT
                    swarm_id, agent_id, metric, window_start, events, weight_sum, sum, min, max, mean, m2, closed,
                    sketch_keys, sketch_counts, last, last_at, unit, toUInt64(1) AS parts
                FROM windows FINAL
                WHERE fold_version = (SELECT (fold_version, allowed_lateness_ms) FROM v_active_fold).1
                    AND (fold_version, swarm_id, window_ms, toStartOfHour(window_start)) IN (SELECT fold_version, swarm_id, max(m.window_ms) AS window_ms, hour FROM rollup_marks AS m WHERE source = 'windows' GROUP BY fold_version, swarm_id, hour
                    HAVING max(rolled_at) <= max(stored_at) + toIntervalSecond(120) AND max(stored_at) > toDateTime64(0, 3, 'UTC'))
                    AND toUnixTimestamp64Milli(window_start) % window_ms = 0
            ) AS p
            GROUP BY swarm_id, agent_id, metric, start
        )
    )
);

CREATE OR REPLACE VIEW v_swarm_days AS
SELECT
    swarm_id, metric, window_ms, window_start, events, sum, min, max,
    sum / weight_sum AS mean,
    sqrt(m2 / weight_sum) AS stddev,
    p50, p90, p95, p99,
    toUInt8(closed OR toUnixTimestamp64Milli(window_start) + window_ms + 60000
        + (SELECT (fold_version, allowed_lateness_ms) FROM v_active_fold).2 < toUnixTimestamp64Milli(now64(3, 'UTC'))) AS closed,
    weight_sum, last, last_at,
    sum * 1000 / window_ms AS sum_per_s,
    weight_sum * 1000 / window_ms AS events_per_s,
    unit, parts
FROM window_rollups FINAL
WHERE fold_version = (SELECT (fold_version, allowed_lateness_ms) FROM v_active_fold).1
    AND window_ms = 86400000 AND of_swarm
    AND (fold_version, swarm_id, window_start) NOT IN (SELECT fold_version, swarm_id, day FROM rollup_marks WHERE source = 'windows' GROUP BY fold_version, swarm_id, toStartOfDay(hour) AS day
        HAVING max(day_rolled_at) <= max(stored_at) + toIntervalSecond(120))
UNION ALL
SELECT
    swarm_id, metric, window_ms, start AS window_start,
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
    toUInt8(all_closed OR toUnixTimestamp64Milli(start) + window_ms + 60000
        + (SELECT (fold_version, allowed_lateness_ms) FROM v_active_fold).2 < toUnixTimestamp64Milli(now64(3, 'UTC'))) AS closed,
    weight AS weight_sum,
    newest.1 AS last,
    newest.2 AS last_at,
    total * 1000 / window_ms AS sum_per_s,
    weight * 1000 / window_ms AS events_per_s,
    a_unit AS unit,
    n_parts AS parts
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
                swarm_id, metric, toUInt32(86400000) AS window_ms, toDateTime64(toStartOfDay(p.window_start), 3, 'UTC') AS start,
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
                sum(p.parts) AS n_parts
            FROM
            (
                SELECT
                    swarm_id, metric, window_start, events, weight_sum, sum, min, max, mean, m2, closed,
                    sketch_keys, sketch_counts, last, last_at, unit, parts, agent_id
                FROM window_rollups FINAL
                WHERE fold_version = (SELECT (fold_version, allowed_lateness_ms) FROM v_active_fold).1
                    AND window_ms = 3600000 AND of_swarm
                    AND (fold_version, swarm_id, toStartOfDay(window_start)) IN (SELECT fold_version, swarm_id, day FROM rollup_marks WHERE source = 'windows' GROUP BY fold_version, swarm_id, toStartOfDay(hour) AS day
                    HAVING max(day_rolled_at) <= max(stored_at) + toIntervalSecond(120))
                    AND (fold_version, swarm_id, window_start) NOT IN (SELECT fold_version, swarm_id, hour FROM rollup_marks WHERE source = 'windows' GROUP BY fold_version, swarm_id, hour
                    HAVING max(rolled_at) <= max(stored_at) + toIntervalSecond(120) AND max(stored_at) > toDateTime64(0, 3, 'UTC'))
                UNION ALL
                -- A day is rolled up after all its hours: one that holds a changed hour has changed.
                SELECT
                    swarm_id, metric, window_start, events, weight_sum, sum, min, max, mean, m2, closed,
                    sketch_keys, sketch_counts, last, last_at, unit, toUInt64(1) AS parts, agent_id
                FROM windows FINAL
                WHERE fold_version = (SELECT (fold_version, allowed_lateness_ms) FROM v_active_fold).1
                    AND (fold_version, swarm_id, window_ms, toStartOfHour(window_start)) IN (SELECT fold_version, swarm_id, max(m.window_ms) AS window_ms, hour FROM rollup_marks AS m WHERE source = 'windows' GROUP BY fold_version, swarm_id, hour
                    HAVING max(rolled_at) <= max(stored_at) + toIntervalSecond(120) AND max(stored_at) > toDateTime64(0, 3, 'UTC'))
                    AND toUnixTimestamp64Milli(window_start) % window_ms = 0
            ) AS p
            GROUP BY swarm_id, metric, start
        )
    )
);

CREATE OR REPLACE VIEW v_agent_summary AS
SELECT
    swarm_id,
    agent_id,
    max(p.role) AS role,
    max(p.parent_agent_id) AS parent_agent_id,
    min(p.first_at) AS first_at,
    max(p.last_at) AS last_at,
    sum(p.activities) AS activities,
    sum(p.running) AS running,
    sum(p.completed) AS completed,
    sum(p.failed) AS failed,
    sum(p.blocked) AS blocked,
    sum(p.cancelled) AS cancelled,
    sum(p.model_calls) AS model_calls,
    sum(p.tool_calls) AS tool_calls,
    sum(p.input_tokens) AS input_tokens,
    sum(p.cache_read_tokens) AS cache_read_tokens,
    sum(p.cache_write_5m_tokens) AS cache_write_5m_tokens,
    sum(p.cache_write_1h_tokens) AS cache_write_1h_tokens,
    sum(p.output_tokens) AS output_tokens,
    sum(p.cost_usd) AS cost_usd,
    sum(p.priced_calls) AS priced_calls,
    sum(p.unpriced_calls) AS unpriced_calls,
    sum(p.metric_events) AS metric_events,
    sum(p.anomalies) AS anomalies
FROM
(
    SELECT
        swarm_id, agent_id, toString(max(v.role)) AS role, toString(max(v.parent_agent_id)) AS parent_agent_id,
        min(v.started_at) AS first_at, max(coalesce(v.ended_at, v.started_at)) AS last_at,
        count() AS activities,
        countIf(v.status = 'running') AS running,
        countIf(v.status = 'completed') AS completed,
        countIf(v.status = 'failed') AS failed,
        countIf(v.status = 'blocked') AS blocked,
        countIf(v.status = 'cancelled') AS cancelled,
        countIf(v.kind = 'model_call') AS model_calls,
        countIf(v.kind = 'tool_call') AS tool_calls,
        sum(if(spends, v.input_tokens, NULL)) AS input_tokens,
        sum(if(spends, v.cache_read_tokens, NULL)) AS cache_read_tokens,
        sum(if(spends, v.cache_write_5m_tokens, NULL)) AS cache_write_5m_tokens,
        sum(if(spends, v.cache_write_1h_tokens, NULL)) AS cache_write_1h_tokens,
        sum(if(spends, v.output_tokens, NULL)) AS output_tokens,
        sum(if(spends, v.cost_usd, NULL)) AS cost_usd,
        countIf(spends AND v.cost_usd IS NOT NULL) AS priced_calls,
        countIf(spends AND v.cost_usd IS NULL AND (v.input_tokens IS NOT NULL OR v.cache_read_tokens IS NOT NULL
            OR v.cache_write_5m_tokens IS NOT NULL OR v.cache_write_1h_tokens IS NOT NULL
            OR v.output_tokens IS NOT NULL)) AS unpriced_calls,
        toUInt64(0) AS metric_events, toUInt64(0) AS anomalies
    FROM
    (
        -- The rows of `v_activities`, and the condition of `v_spending`.
        SELECT
            swarm_id, agent_id, role, parent_agent_id, started_at, ended_at, status, kind, input_tokens, cache_read_tokens,
            cache_write_5m_tokens, cache_write_1h_tokens, output_tokens, cost_usd,
            kind = 'model_call' OR (kind = 'task' AND swarm_id NOT IN (SELECT swarm_id FROM measured_calls)) AS spends
        FROM activities FINAL
        ORDER BY swarm_id, activity_id, appended_at DESC, ver DESC, log_id, topic, partition, kind
        LIMIT 1 BY swarm_id, activity_id
    ) AS v
    GROUP BY swarm_id, agent_id
    UNION ALL
    SELECT
        swarm_id, agent_id, '', '', min(h.first_at), max(h.last_at), 0, 0, 0, 0, 0, 0, 0, 0,
        NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, sum(h.events), 0
    FROM metric_hours AS h FINAL
    WHERE (swarm_id, hour) NOT IN (SELECT swarm_id, hour FROM rollup_marks WHERE source = 'metrics' GROUP BY swarm_id, hour
    HAVING max(rolled_at) <= max(stored_at) + toIntervalSecond(120))
    GROUP BY swarm_id, agent_id
    UNION ALL
    SELECT
        swarm_id, agent_id, '', '', min(timestamp), max(timestamp), 0, 0, 0, 0, 0, 0, 0, 0,
        NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, count(), 0
    FROM metrics FINAL
    WHERE (swarm_id, toStartOfHour(timestamp)) IN (SELECT swarm_id, hour FROM rollup_marks WHERE source = 'metrics' GROUP BY swarm_id, hour
    HAVING max(rolled_at) <= max(stored_at) + toIntervalSecond(120))
    GROUP BY swarm_id, agent_id
    UNION ALL
    SELECT
        swarm_id, agent_id, '', '', min(window_start), max(window_start), 0, 0, 0, 0, 0, 0, 0, 0,
        NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, count()
    FROM anomalies FINAL
    WHERE fold_version = (SELECT (fold_version, allowed_lateness_ms) FROM v_active_fold).1 AND severity != 'info'
    GROUP BY swarm_id, agent_id
) AS p
GROUP BY swarm_id, agent_id;

CREATE OR REPLACE VIEW v_swarm_summary AS
SELECT
    swarm_id,
    min(p.first_at) AS first_at,
    max(p.last_at) AS last_at,
    uniqExactIf(p.agent_id, p.agent_id != '') AS agents,
    sum(p.activities) AS activities,
    sum(p.running) AS running,
    sum(p.completed) AS completed,
    sum(p.failed) AS failed,
    sum(p.blocked) AS blocked,
    sum(p.cancelled) AS cancelled,
    sum(p.model_calls) AS model_calls,
    sum(p.tool_calls) AS tool_calls,
    sum(p.input_tokens) AS input_tokens,
    sum(p.cache_read_tokens) AS cache_read_tokens,
    sum(p.cache_write_5m_tokens) AS cache_write_5m_tokens,
    sum(p.cache_write_1h_tokens) AS cache_write_1h_tokens,
    sum(p.output_tokens) AS output_tokens,
    sum(p.cost_usd) AS cost_usd,
    sum(p.priced_calls) AS priced_calls,
    sum(p.unpriced_calls) AS unpriced_calls,
    sum(p.metric_events) AS metric_events,
    sum(p.anomalies) AS anomalies
FROM
(
    SELECT
        swarm_id, agent_id,
        min(v.started_at) AS first_at, max(coalesce(v.ended_at, v.started_at)) AS last_at,
        count() AS activities,
        countIf(v.status = 'running') AS running,
        countIf(v.status = 'completed') AS completed,
        countIf(v.status = 'failed') AS failed,
        countIf(v.status = 'blocked') AS blocked,
        countIf(v.status = 'cancelled') AS cancelled,
        countIf(v.kind = 'model_call') AS model_calls,
        countIf(v.kind = 'tool_call') AS tool_calls,
        sum(if(spends, v.input_tokens, NULL)) AS input_tokens,
        sum(if(spends, v.cache_read_tokens, NULL)) AS cache_read_tokens,
        sum(if(spends, v.cache_write_5m_tokens, NULL)) AS cache_write_5m_tokens,
        sum(if(spends, v.cache_write_1h_tokens, NULL)) AS cache_write_1h_tokens,
        sum(if(spends, v.output_tokens, NULL)) AS output_tokens,
        sum(if(spends, v.cost_usd, NULL)) AS cost_usd,
        countIf(spends AND v.cost_usd IS NOT NULL) AS priced_calls,
        countIf(spends AND v.cost_usd IS NULL AND (v.input_tokens IS NOT NULL OR v.cache_read_tokens IS NOT NULL
            OR v.cache_write_5m_tokens IS NOT NULL OR v.cache_write_1h_tokens IS NOT NULL
            OR v.output_tokens IS NOT NULL)) AS unpriced_calls,
        toUInt64(0) AS metric_events, toUInt64(0) AS anomalies
    FROM
    (
        -- The rows of `v_activities`, and the condition of `v_spending`.
        SELECT
            swarm_id, agent_id, started_at, ended_at, status, kind, input_tokens, cache_read_tokens,
            cache_write_5m_tokens, cache_write_1h_tokens, output_tokens, cost_usd,
            kind = 'model_call' OR (kind = 'task' AND swarm_id NOT IN (SELECT swarm_id FROM measured_calls)) AS spends
        FROM activities FINAL
        ORDER BY swarm_id, activity_id, appended_at DESC, ver DESC, log_id, topic, partition, kind
        LIMIT 1 BY swarm_id, activity_id
    ) AS v
    GROUP BY swarm_id, agent_id
    UNION ALL
    SELECT
        swarm_id, agent_id, min(h.first_at), max(h.last_at), 0, 0, 0, 0, 0, 0, 0, 0,
        NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, sum(h.events), 0
    FROM metric_hours AS h FINAL
    WHERE (swarm_id, hour) NOT IN (SELECT swarm_id, hour FROM rollup_marks WHERE source = 'metrics' GROUP BY swarm_id, hour
    HAVING max(rolled_at) <= max(stored_at) + toIntervalSecond(120))
    GROUP BY swarm_id, agent_id
    UNION ALL
    SELECT
        swarm_id, agent_id, min(timestamp), max(timestamp), 0, 0, 0, 0, 0, 0, 0, 0,
        NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, count(), 0
    FROM metrics FINAL
    WHERE (swarm_id, toStartOfHour(timestamp)) IN (SELECT swarm_id, hour FROM rollup_marks WHERE source = 'metrics' GROUP BY swarm_id, hour
    HAVING max(rolled_at) <= max(stored_at) + toIntervalSecond(120))
    GROUP BY swarm_id, agent_id
    UNION ALL
    SELECT
        swarm_id, agent_id, min(window_start), max(window_start), 0, 0, 0, 0, 0, 0, 0, 0,
        NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, count()
    FROM anomalies FINAL
    WHERE fold_version = (SELECT (fold_version, allowed_lateness_ms) FROM v_active_fold).1 AND severity != 'info'
    GROUP BY swarm_id, agent_id
) AS p
GROUP BY swarm_id;
