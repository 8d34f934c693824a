-- The views as 0005 made them. What was named in `folds` stays: it is what they would show.
-- Which results are shown: the highest active version in `folds`; the highest there is while `folds` is empty.
CREATE OR REPLACE VIEW v_active_fold AS
SELECT
    max(f.fold_version) AS fold_version,
    if(count() = 0, 5000, argMax(f.allowed_lateness_ms, f.fold_version)) AS allowed_lateness_ms
FROM
(
    SELECT fold_version, allowed_lateness_ms FROM folds FINAL WHERE active = 1
    UNION ALL
    SELECT max(fold_version) AS fold_version, toUInt32(5000) AS allowed_lateness_ms
    FROM windows WHERE (SELECT count() FROM folds) = 0
    UNION ALL
    SELECT max(fold_version) AS fold_version, toUInt32(5000) AS allowed_lateness_ms
    FROM anomalies WHERE (SELECT count() FROM folds) = 0
) AS f;

-- One row a swarm, agent, metric and window.
CREATE OR REPLACE VIEW v_windows AS
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
        + (SELECT allowed_lateness_ms FROM v_active_fold) < toUnixTimestamp64Milli(now64(3, 'UTC'))) AS closed,
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
                argMax((p.last, p.last_at), (p.last_at, p.log_id, p.topic, p.partition, p.gen)) AS newest,
                any(p.unit) AS a_unit,
                count() AS parts
            FROM windows AS p FINAL
            WHERE p.fold_version = (SELECT fold_version FROM v_active_fold)
            GROUP BY swarm_id, agent_id, metric, window_ms, window_start
        )
    )
);

-- The same per swarm: all agents and the swarm's own events.
CREATE OR REPLACE VIEW v_swarm_windows AS
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
        + (SELECT allowed_lateness_ms FROM v_active_fold) < toUnixTimestamp64Milli(now64(3, 'UTC'))) AS closed,
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
                argMax((p.last, p.last_at), (p.last_at, p.log_id, p.topic, p.partition, p.gen, p.agent_id)) AS newest,
                any(p.unit) AS a_unit,
                count() AS parts
            FROM windows AS p FINAL
            WHERE p.fold_version = (SELECT fold_version FROM v_active_fold)
            GROUP BY swarm_id, metric, window_ms, window_start
        )
    )
);
