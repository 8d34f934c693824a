-- Roll-ups: raw events and window rows by the hour, window rows by the day, so that a month is answered from thousands
-- of rows and not from millions.
--
-- Nothing is added up as it is inserted: a row that is stored again would count twice. Each insert leaves a mark (hour H
-- of swarm S changed at T; the largest T stays, so marks repeat harmlessly). Once an hour has been quiet for two
-- minutes, it is computed anew, as a whole, from the final rows, and replaces what stood there. The views read the
-- roll-up of an hour only while no mark is younger than it; every other hour they read from the rows themselves. So a
-- late event, a newer version or a new generation shows at once.
--
-- 120 s: the longest that an insert may take before its writer gives up and repeats it (REQUEST_TIMEOUT_S). A row
-- that a roll-up could not see yet was acknowledged after the roll-up began, so its mark is at most 120 s older:
-- a roll-up counts only when it began more than 120 s after the last mark.

CREATE TABLE IF NOT EXISTS rollup_marks
(
    source        LowCardinality(String) COMMENT 'metrics | windows: the table the mark is about.',
    fold_version  UInt16 COMMENT 'Version of the fold that computed the windows; 0: metrics, which have none.',
    swarm_id      LowCardinality(String) COMMENT 'Swarm.',
    hour          DateTime('UTC') COMMENT 'Start of the hour of event time, UTC.' CODEC(Delta, ZSTD(1)),
    window_ms     SimpleAggregateFunction(max, UInt32) COMMENT 'Largest stored window size that divides an hour, in milliseconds; 0: none, or metrics.',
    stored_at     SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'When an insert of rows of this hour last began, UTC; 1970: not said by this row.',
    rolled_at     SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'When the newest complete roll-up of the hour was begun, UTC; 1970: none yet.',
    day_rolled_at SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'The same for the day that starts with this hour.'
)
ENGINE = AggregatingMergeTree
ORDER BY (source, fold_version, swarm_id, hour)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Which hours changed when, and when they were rolled up; read through v_rollup_marks.';

CREATE TABLE IF NOT EXISTS metric_hours
(
    swarm_id   LowCardinality(String) COMMENT 'Swarm.',
    agent_id   LowCardinality(String) COMMENT 'Agent; empty: the swarm itself.',
    metric     LowCardinality(String) COMMENT 'Metric name.',
    topic      LowCardinality(String) COMMENT 'Kafka topic the events came through.',
    hour       DateTime('UTC') COMMENT 'Start of the hour of event time, UTC.' CODEC(Delta, ZSTD(1)),
    unit       LowCardinality(String) COMMENT 'Unit of an event of the hour; empty: the unit of the metric catalogue.',
    provenances Array(LowCardinality(String)) COMMENT 'Provenances of the events, in order: measured, derived, estimated, declared.' CODEC(ZSTD(1)),
    events     UInt64 COMMENT 'Events.' CODEC(T64, ZSTD(1)),
    weight_sum Float64 COMMENT 'Sum of the sampling weights: estimated number of events before sampling.' CODEC(ZSTD(1)),
    sum        Float64 COMMENT 'Weighted sum of the values.' CODEC(ZSTD(1)),
    first_at   DateTime64(3, 'UTC') COMMENT 'Earliest event time, UTC, milliseconds.' CODEC(Delta, ZSTD(1)),
    last_at    DateTime64(3, 'UTC') COMMENT 'Latest event time, UTC, milliseconds.' CODEC(Delta, ZSTD(1)),
    stored_at  DateTime('UTC') COMMENT 'When the newest of the events was stored, UTC: decides when the row expires.' CODEC(Delta, ZSTD(1)),
    series     UInt32 COMMENT 'Rows of this swarm and hour in the same roll-up: it counts once all of them are there.' CODEC(ZSTD(1)),
    as_of      DateTime64(3, 'UTC') COMMENT 'When the roll-up was begun, UTC: the newest wins.' CODEC(ZSTD(1)),

    INDEX as_of_range as_of TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(as_of)
PARTITION BY toYYYYMM(hour)
ORDER BY (swarm_id, metric, hour, agent_id, topic)
-- With the events it stands for: they expire 90 days after they were stored.
TTL stored_at + INTERVAL 90 DAY
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Metric events rolled up by the hour, one row a series, topic and hour; read through v_metric_hours.';

CREATE TABLE IF NOT EXISTS window_rollups
(
    swarm_id      LowCardinality(String) COMMENT 'Swarm.',
    agent_id      LowCardinality(String) COMMENT 'Agent; empty: events of the swarm itself.',
    metric        LowCardinality(String) COMMENT 'Metric name.',
    window_ms     UInt32 COMMENT '3600000: an hour, 86400000: a day.' CODEC(ZSTD(1)),
    of_swarm      UInt8 COMMENT '1: the whole swarm, and agent_id is empty; 0: one agent, or the events of the swarm itself.' CODEC(ZSTD(1)),
    window_start  DateTime64(3, 'UTC') COMMENT 'Start of the hour or day, inclusive, UTC.' CODEC(Delta, ZSTD(1)),
    fold_version  UInt16 COMMENT 'Version of the fold that computed the windows.' CODEC(ZSTD(1)),
    unit          LowCardinality(String) COMMENT 'Unit of the values; empty: the unit of the metric catalogue.',
    events        UInt64 COMMENT 'Events folded in, unweighted.' CODEC(T64, ZSTD(1)),
    weight_sum    Float64 COMMENT 'Sum of the sampling weights: estimated number of events before sampling.' CODEC(ZSTD(1)),
    sum           Float64 COMMENT 'Weighted sum of the values.' CODEC(ZSTD(1)),
    min           Float64 COMMENT 'Smallest value.' CODEC(ZSTD(1)),
    max           Float64 COMMENT 'Largest value.' CODEC(ZSTD(1)),
    mean          Float64 COMMENT 'Weighted mean of the values.' CODEC(ZSTD(1)),
    m2            Float64 COMMENT 'Weighted sum of squared deviations from `mean`; stddev = sqrt(m2 / weight_sum).' CODEC(ZSTD(1)),
    last          Float64 COMMENT 'Value of the event with the latest event time.' CODEC(ZSTD(1)),
    last_at       DateTime64(3, 'UTC') COMMENT 'Event time of `last`, UTC, milliseconds.' CODEC(Delta, ZSTD(1)),
    sketch_keys   Array(Int32) COMMENT 'Percentile sketch: bucket keys, ascending; key order is value order.' CODEC(Delta, ZSTD(1)),
    sketch_counts Array(UInt64) COMMENT 'Percentile sketch: weight in each bucket, in units of 1/1024.' CODEC(T64, ZSTD(1)),
    closed        UInt8 COMMENT '1: every window in it is closed; 0: one is still open.' CODEC(ZSTD(1)),
    parts         UInt64 COMMENT 'Rows of `windows` merged into this one.' CODEC(T64, ZSTD(1)),
    series        UInt32 COMMENT 'Rows of this swarm and hour or day in the same roll-up: it counts once all of them are there.' CODEC(ZSTD(1)),
    as_of         DateTime64(3, 'UTC') COMMENT 'When the roll-up was begun, UTC: the newest wins.' CODEC(ZSTD(1)),

    INDEX as_of_range as_of TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(as_of)
PARTITION BY toYYYYMM(window_start)
ORDER BY (swarm_id, metric, window_ms, of_swarm, window_start, agent_id, fold_version)
-- A row is a kilobyte or two: granules of the usual 8,192 rows would read 12 MB for one series.
SETTINGS index_granularity = 256, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Windows rolled up by hour and day, one row a series or swarm and hour or day; read through v_hours and v_days.';

-- The marks of each insert. max(window_ms) over sizes that divide an hour: the fewest rows that add up to one.
CREATE MATERIALIZED VIEW IF NOT EXISTS mark_windows TO rollup_marks AS
SELECT
    'windows' AS source,
    fold_version,
    swarm_id,
    toStartOfHour(window_start) AS hour,
    max(if(3600000 % w.window_ms = 0, w.window_ms, 0)) AS window_ms,
    now64(3, 'UTC') AS stored_at
FROM windows AS w
GROUP BY fold_version, swarm_id, hour
COMMENT 'Marks the hours of every insert into windows.';

CREATE MATERIALIZED VIEW IF NOT EXISTS mark_metrics TO rollup_marks AS
SELECT 'metrics' AS source, toUInt16(0) AS fold_version, swarm_id, toStartOfHour(timestamp) AS hour, now64(3, 'UTC') AS stored_at
FROM metrics
GROUP BY swarm_id, hour
COMMENT 'Marks the hours of every insert into metrics.';

-- What was stored before there were marks.
INSERT INTO rollup_marks (source, fold_version, swarm_id, hour, window_ms, stored_at)
SELECT
    'windows', fold_version, swarm_id, toStartOfHour(window_start) AS hour,
    max(if(3600000 % window_ms = 0, window_ms, 0)), now64(3, 'UTC')
FROM windows
GROUP BY fold_version, swarm_id, hour;

INSERT INTO rollup_marks (source, fold_version, swarm_id, hour, stored_at)
SELECT 'metrics', 0, swarm_id, toStartOfHour(timestamp) AS hour, now64(3, 'UTC')
FROM metrics
GROUP BY swarm_id, hour;

-- One line an hour: may its roll-up be read, may its day's.
CREATE OR REPLACE VIEW v_rollup_marks AS
SELECT
    source, fold_version, swarm_id, hour,
    max(m.window_ms) AS window_ms,
    max(m.stored_at) AS stored_at,
    max(m.rolled_at) AS rolled_at,
    max(m.day_rolled_at) AS day_rolled_at,
    -- A day's mark may stand on an hour that holds nothing.
    stored_at = toDateTime64(0, 3, 'UTC') OR rolled_at > stored_at + toIntervalSecond(120) AS clean,
    NOT clean AND stored_at + toIntervalSecond(120) < now64(3, 'UTC') AS due
FROM rollup_marks AS m
GROUP BY source, fold_version, swarm_id, hour;

-- The roll-ups themselves, each minute. At most 1,000 hours of a swarm at once bound the memory; the newest first, as
-- they are asked about most.
CREATE MATERIALIZED VIEW IF NOT EXISTS roll_metric_hours REFRESH EVERY 1 MINUTE APPEND TO metric_hours AS
SELECT *, count() OVER (PARTITION BY swarm_id, hour) AS series, now64(3, 'UTC') AS as_of
FROM
(
    SELECT
        swarm_id, agent_id, metric, topic,
        toStartOfHour(timestamp) AS hour,
        any(e.unit) AS unit,
        arraySort(groupUniqArray(e.provenance)) AS provenances,
        count() AS events,
        sum(e.weight) AS weight_sum,
        sum(e.value * e.weight) AS sum,
        min(e.timestamp) AS first_at,
        max(e.timestamp) AS last_at,
        max(e.stored_at) AS stored_at
    FROM metrics AS e FINAL
    WHERE (swarm_id, toStartOfHour(timestamp)) IN
        (SELECT swarm_id, hour FROM v_rollup_marks WHERE source = 'metrics' AND due ORDER BY hour DESC LIMIT 1000)
    GROUP BY swarm_id, agent_id, metric, topic, hour
)
COMMENT 'Rolls up hours of metric events that have become quiet.';

CREATE MATERIALIZED VIEW IF NOT EXISTS roll_window_hours REFRESH EVERY 1 MINUTE APPEND TO window_rollups AS
SELECT * EXCEPT (sketch, newest, weights, means, m2s),
    arraySum(m2s) + arraySum((w, m) -> w * pow(m - mean, 2), weights, means) AS m2,
    sketch.1 AS sketch_keys,
    sketch.2 AS sketch_counts,
    newest.1 AS last,
    newest.2 AS last_at,
    count() OVER (PARTITION BY fold_version, swarm_id, window_start) AS series,
    now64(3, 'UTC') AS as_of
FROM
(
    SELECT
        swarm_id, metric, fold_version,
        arrayJoin([0, 1])::UInt8 AS of_swarm,
        if(of_swarm, '', toString(p.agent_id)) AS agent_id,
        toUInt32(3600000) AS window_ms,
        toDateTime64(toStartOfHour(p.window_start), 3, 'UTC') AS window_start,
        any(p.unit) AS unit,
        sum(p.events) AS events,
        sum(p.weight_sum) AS weight_sum,
        sum(p.sum) AS sum,
        min(p.min) AS min,
        max(p.max) AS max,
        sum / weight_sum AS mean,
        groupArray(p.weight_sum) AS weights,
        groupArray(p.mean) AS means,
        groupArray(p.m2) AS m2s,
        argMax((p.last, p.last_at), (p.last_at, p.log_id, p.topic, p.partition, p.gen, p.agent_id)) AS newest,
        sumMap(p.sketch_keys, p.sketch_counts) AS sketch,
        min(p.closed) AS closed,
        count() AS parts
    FROM windows AS p FINAL
    WHERE (p.fold_version, p.swarm_id, p.window_ms, toStartOfHour(p.window_start)) IN
        (SELECT fold_version, swarm_id, window_ms, hour FROM v_rollup_marks
            WHERE source = 'windows' AND due AND window_ms > 0 ORDER BY hour DESC LIMIT 1000)
        -- Of sliding windows those that follow each other: every event is in exactly one.
        AND toUnixTimestamp64Milli(p.window_start) % p.window_ms = 0
    GROUP BY swarm_id, agent_id, metric, fold_version, of_swarm, window_start
)
COMMENT 'Rolls up hours of windows that have become quiet.';

-- Days from their hours, once all of these are rolled up.
CREATE MATERIALIZED VIEW IF NOT EXISTS roll_window_days REFRESH EVERY 1 MINUTE APPEND TO window_rollups AS
SELECT * EXCEPT (sketch, newest, weights, means, m2s),
    arraySum(m2s) + arraySum((w, m) -> w * pow(m - mean, 2), weights, means) AS m2,
    sketch.1 AS sketch_keys,
    sketch.2 AS sketch_counts,
    newest.1 AS last,
    newest.2 AS last_at,
    count() OVER (PARTITION BY fold_version, swarm_id, window_start) AS series,
    now64(3, 'UTC') AS as_of
FROM
(
    SELECT
        swarm_id, agent_id, metric, fold_version, of_swarm,
        toUInt32(86400000) AS window_ms,
        toDateTime64(toStartOfDay(p.window_start), 3, 'UTC') AS window_start,
        any(p.unit) AS unit,
        sum(p.events) AS events,
        sum(p.weight_sum) AS weight_sum,
        sum(p.sum) AS sum,
        min(p.min) AS min,
        max(p.max) AS max,
        sum / weight_sum AS mean,
        groupArray(p.weight_sum) AS weights,
        groupArray(p.mean) AS means,
        groupArray(p.m2) AS m2s,
        argMax((p.last, p.last_at), p.last_at) AS newest,
        sumMap(p.sketch_keys, p.sketch_counts) AS sketch,
        min(p.closed) AS closed,
        sum(p.parts) AS parts
    FROM window_rollups AS p FINAL
    WHERE p.window_ms = 3600000 AND (p.fold_version, p.swarm_id, toStartOfDay(p.window_start)) IN
        (SELECT fold_version, swarm_id, toStartOfDay(hour) AS day FROM v_rollup_marks
            WHERE source = 'windows'
            GROUP BY fold_version, swarm_id, day
            HAVING min(clean) AND max(day_rolled_at) <= max(stored_at) + toIntervalSecond(120)
            ORDER BY day DESC LIMIT 1000)
    GROUP BY swarm_id, agent_id, metric, fold_version, of_swarm, window_start
)
COMMENT 'Rolls up days whose hours are all rolled up.';

-- A roll-up counts when all of its rows are there: one that broke off half-way never does, and is made again.
CREATE MATERIALIZED VIEW IF NOT EXISTS mark_rollups REFRESH EVERY 1 MINUTE APPEND TO rollup_marks AS
SELECT
    'windows' AS source, fold_version, swarm_id, toDateTime(window_start, 'UTC') AS hour,
    if(any(r.window_ms) = 3600000, as_of, toDateTime64(0, 3, 'UTC')) AS rolled_at,
    if(any(r.window_ms) = 3600000, toDateTime64(0, 3, 'UTC'), as_of) AS day_rolled_at
FROM window_rollups AS r
WHERE as_of > now64(3, 'UTC') - toIntervalHour(1)
GROUP BY fold_version, swarm_id, window_ms, hour, as_of
HAVING count() = any(r.series)
UNION ALL
SELECT 'metrics', 0, swarm_id, hour, as_of, toDateTime64(0, 3, 'UTC')
FROM metric_hours AS r
WHERE as_of > now64(3, 'UTC') - toIntervalHour(1)
GROUP BY swarm_id, hour, as_of
HAVING count() = any(r.series)
COMMENT 'Marks the hours and days whose roll-up is complete.';
