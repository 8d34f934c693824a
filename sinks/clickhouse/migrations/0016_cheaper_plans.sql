-- Questions about windows are planned in less time: each asked twice for the active fold, and that asked three tables.
--
-- A worker announces its fold version before it writes a row of it, so `folds` names every version there is, except in
-- a database that was filled before versions were announced: its newest is named here.
INSERT INTO folds (fold_version, active, allowed_lateness_ms)
SELECT max(fold_version), 1, 5000
FROM (SELECT fold_version FROM windows UNION ALL SELECT fold_version FROM anomalies)
WHERE (SELECT count() FROM folds) = 0
HAVING count() > 0;

-- Which results are shown: those of the highest active version in `folds`; of version 1, the default, while none is named.
CREATE OR REPLACE VIEW v_active_fold AS
SELECT
    if(count() = 0, 1, max(f.fold_version)) AS fold_version,
    if(count() = 0, 5000, argMax(f.allowed_lateness_ms, f.fold_version)) AS allowed_lateness_ms
FROM folds AS f FINAL
WHERE active = 1;

-- The views of 0005. One scalar for both columns of the active fold: equal subqueries are evaluated once.
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
                argMax((p.last, p.last_at), (p.last_at, p.log_id, p.topic, p.partition, p.gen)) AS newest,
                any(p.unit) AS a_unit,
                count() AS parts
            FROM windows AS p FINAL
            WHERE p.fold_version = (SELECT (fold_version, allowed_lateness_ms) FROM v_active_fold).1
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
                argMax((p.last, p.last_at), (p.last_at, p.log_id, p.topic, p.partition, p.gen, p.agent_id)) AS newest,
                any(p.unit) AS a_unit,
                count() AS parts
            FROM windows AS p FINAL
            WHERE p.fold_version = (SELECT (fold_version, allowed_lateness_ms) FROM v_active_fold).1
            GROUP BY swarm_id, metric, window_ms, window_start
        )
    )
);
