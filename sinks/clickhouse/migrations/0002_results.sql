-- What the stream computed: windows, anomalies, and the inputs it refused.

CREATE TABLE IF NOT EXISTS windows
(
    swarm_id      LowCardinality(String) COMMENT 'Swarm.',
    agent_id      LowCardinality(String) COMMENT 'Agent; empty: events of the swarm itself.',
    metric        LowCardinality(String) COMMENT 'Metric name.',
    window_ms     UInt32 COMMENT 'Size of the window in milliseconds.' CODEC(ZSTD(1)),
    window_start  DateTime64(3, 'UTC') COMMENT 'Start of the window, inclusive, UTC; the end, exclusive, is window_ms later.' CODEC(Delta, ZSTD(1)),
    log_id        LowCardinality(String) COMMENT 'Identity of the Kafka log (topic id).',
    topic         LowCardinality(String) COMMENT 'Kafka topic.',
    partition     UInt16 COMMENT 'Kafka partition.' CODEC(ZSTD(1)),
    gen           UInt64 COMMENT 'Generation. 0: the window as first opened; else the offset of the late event that opened it again.' CODEC(ZSTD(1)),
    fold_version  UInt16 COMMENT 'Version of the fold that computed the row.' CODEC(ZSTD(1)),
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
    closed        UInt8 COMMENT '1: the watermark passed end + allowed lateness; 0: still open.' CODEC(ZSTD(1)),
    ver           UInt64 COMMENT 'fold_version << 48 | last offset folded in: the highest wins.' CODEC(Delta, ZSTD(1)),

    CONSTRAINT holds_events CHECK events > 0 AND weight_sum > 0,
    CONSTRAINT sketch_is_aligned CHECK length(sketch_keys) = length(sketch_counts)
)
ENGINE = ReplacingMergeTree(ver)
PARTITION BY toYYYYMM(window_start)
PRIMARY KEY (swarm_id, metric, window_ms, window_start, agent_id)
ORDER BY (swarm_id, metric, window_ms, window_start, agent_id, log_id, topic, partition, gen, fold_version)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Aggregates of event-time windows, one row a series, window, log, partition and generation; read through v_windows.';

CREATE TABLE IF NOT EXISTS anomalies
(
    anomaly_id           String COMMENT 'Id, the same whenever the same log is read again.' CODEC(ZSTD(1)),
    swarm_id             LowCardinality(String) COMMENT 'Swarm.',
    agent_id             LowCardinality(String) COMMENT 'Agent; empty: the swarm itself.',
    metric               LowCardinality(String) COMMENT 'Metric name.',
    window_ms            UInt32 COMMENT 'Size of the scored window in milliseconds.',
    window_start         DateTime64(3, 'UTC') COMMENT 'Start of the scored window, UTC, milliseconds.' CODEC(Delta, ZSTD(1)),
    detected_at          DateTime64(3, 'UTC') COMMENT 'Append time of the record that closed the window, UTC, milliseconds.' CODEC(Delta, ZSTD(1)),
    value                Float64 COMMENT 'Value that was scored, in `unit`.',
    expected_low         Float64 COMMENT 'Lower end of the expected range, in `unit`.',
    expected_high        Float64 COMMENT 'Upper end of the expected range, in `unit`.',
    score                Float64 COMMENT 'Calibrated score, 0..1: share of quiet points with a lower score.',
    severity             LowCardinality(String) COMMENT 'low | medium | high | critical.',
    direction            LowCardinality(String) COMMENT 'above | below the expected range.',
    detector             LowCardinality(String) COMMENT 'Detector.',
    detector_version     UInt16 COMMENT 'Version of the detector.',
    reason               String COMMENT 'Why, in one sentence.' CODEC(ZSTD(1)),
    unit                 LowCardinality(String) COMMENT 'Unit of the values; empty: the unit of the metric catalogue.',
    log_id               LowCardinality(String) COMMENT 'Identity of the Kafka log (topic id).',
    topic                LowCardinality(String) COMMENT 'Kafka topic.',
    partition            UInt16 COMMENT 'Kafka partition.',
    evidence_from_offset UInt64 COMMENT 'First Kafka offset of the evidence.',
    evidence_to_offset   UInt64 COMMENT 'Last Kafka offset of the evidence.',
    fold_version         UInt16 COMMENT 'Version of the fold that computed the row.',
    ver                  UInt64 COMMENT 'fold_version << 48 | offset: the highest wins.',

    CONSTRAINT score_is_a_ratio CHECK score >= 0 AND score <= 1
)
ENGINE = ReplacingMergeTree(ver)
ORDER BY (swarm_id, metric, window_start, anomaly_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Anomalies with their evidence, one row an anomaly; read through v_anomalies.';

CREATE TABLE IF NOT EXISTS dead_letters
(
    topic         LowCardinality(String) COMMENT 'Kafka topic of the refused input.',
    partition     UInt16 COMMENT 'Kafka partition.',
    offset        UInt64 COMMENT 'Kafka offset of the record.' CODEC(Delta, ZSTD(1)),
    idx           Int32 COMMENT 'Index of the event within its record; -1: the whole record.',
    log_id        LowCardinality(String) COMMENT 'Identity of the Kafka log (topic id).',
    error_code    LowCardinality(String) COMMENT 'Stable code of what is wrong.',
    reason        String COMMENT 'What is wrong, in one sentence.' CODEC(ZSTD(1)),
    payload       String COMMENT 'The original bytes, cut at a limit.' CODEC(ZSTD(3)),
    payload_bytes UInt64 COMMENT 'Full length of the original, in bytes.',
    content_type  LowCardinality(String) COMMENT 'content-type header of the record; empty: none.',
    appended_at   DateTime64(3, 'UTC') COMMENT 'When the record was appended to the log, UTC, milliseconds.' CODEC(Delta, ZSTD(1)),
    stored_at     DateTime('UTC') MATERIALIZED now('UTC') COMMENT 'When the row was stored, UTC: decides when it expires.' CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree
ORDER BY (topic, partition, offset, idx, log_id)
TTL stored_at + INTERVAL 30 DAY
SETTINGS ttl_only_drop_parts = 1, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Refused inputs with coordinates and reason, one row an event or record; read through v_dead_letters.';
