-- What agents published: metric events, activities, and the configuration of each run.
-- An acknowledged insert is on the disk (fsync): a snapshot of the stream's state must never outlive rows it counts on.
-- A row's identity holds the log it came from (log_id, topic, partition), so writing it again changes nothing
-- and a new log never overwrites the rows of an old one.

CREATE TABLE IF NOT EXISTS metrics
(
    swarm_id    LowCardinality(String) COMMENT 'Swarm that published the event.',
    agent_id    LowCardinality(String) COMMENT 'Agent that published it; empty: the swarm itself.',
    run_id      LowCardinality(String) COMMENT 'Run (one session of the swarm); empty: none given.',
    metric      LowCardinality(String) COMMENT 'Metric name, lower snake case.',
    timestamp   DateTime64(3, 'UTC') COMMENT 'Event time, UTC, milliseconds.' CODEC(Delta, ZSTD(1)),
    value       Float64 COMMENT 'Measured value, in `unit`.' CODEC(ZSTD(1)),
    unit        LowCardinality(String) COMMENT 'Unit of `value`; empty: the unit of the metric catalogue.',
    tags        Map(LowCardinality(String), String) COMMENT 'Labels and dimensions, name -> text.' CODEC(ZSTD(1)),
    weight      Float64 COMMENT '1 / sampling rate: how many events this one stands for.' CODEC(ZSTD(1)),
    source      LowCardinality(String) COMMENT 'agent | coordinator | memory | neural.',
    priority    LowCardinality(String) COMMENT 'high | medium | low.',
    category    LowCardinality(String) COMMENT 'performance | resource | error | business; empty: none given.',
    provenance  LowCardinality(String) COMMENT 'measured | derived | estimated | declared.',
    event_id    String COMMENT 'Id given by the producer; empty: none.' CODEC(ZSTD(1)),
    appended_at DateTime64(3, 'UTC') COMMENT 'When the record was appended to the log, UTC, milliseconds.' CODEC(Delta, ZSTD(1)),
    log_id      LowCardinality(String) COMMENT 'Identity of the Kafka log (topic id).',
    topic       LowCardinality(String) COMMENT 'Kafka topic.',
    partition   UInt16 COMMENT 'Kafka partition.' CODEC(ZSTD(1)),
    offset      UInt64 COMMENT 'Kafka offset of the record.' CODEC(Delta, ZSTD(1)),
    idx         UInt32 COMMENT 'Index of the event within its record.' CODEC(T64, ZSTD(1)),
    stored_at   DateTime('UTC') MATERIALIZED now('UTC') COMMENT 'When the row was stored, UTC: decides when it expires.' CODEC(Delta, ZSTD(1)),

    CONSTRAINT value_is_finite CHECK isFinite(value),
    CONSTRAINT weight_is_positive CHECK weight > 0 AND isFinite(weight)
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMMDD(timestamp)
PRIMARY KEY (swarm_id, metric, toStartOfHour(timestamp), agent_id, timestamp)
ORDER BY (swarm_id, metric, toStartOfHour(timestamp), agent_id, timestamp, log_id, topic, partition, offset, idx)
-- Rows expire by the time they were stored. An import brings events that are years old, and where the broker keeps
-- the producer's stamp the append time may be as old: by either, fresh rows would vanish at once.
TTL stored_at + INTERVAL 90 DAY
-- Few merges, few files to sync: docs/adr/0011-fewer-merges.md.
SETTINGS ttl_only_drop_parts = 1, fsync_after_insert = 1, fsync_part_directory = 1,
    merge_selector_base = 10, min_bytes_for_wide_part = 268435456
COMMENT 'Metric events as published, one row an event; read through v_metrics.';

CREATE TABLE IF NOT EXISTS activities
(
    swarm_id              LowCardinality(String) COMMENT 'Swarm the agent belongs to.',
    kind                  LowCardinality(String) COMMENT 'session | phase | task | model_call | tool_call | message | lifecycle | edit.',
    activity_id           String COMMENT 'Id of the activity within its swarm.' CODEC(ZSTD(1)),
    agent_id              LowCardinality(String) COMMENT 'Agent that did it; empty: the swarm itself.',
    parent_agent_id       LowCardinality(String) COMMENT 'Agent that started this agent; empty: a main agent.',
    run_id                LowCardinality(String) COMMENT 'Run (one session of the swarm); empty: none given.',
    started_at            DateTime64(3, 'UTC') COMMENT 'Start, UTC, milliseconds.' CODEC(Delta, ZSTD(1)),
    ended_at              Nullable(DateTime64(3, 'UTC')) COMMENT 'End, UTC, milliseconds; NULL: not known.' CODEC(ZSTD(1)),
    duration_ms           Nullable(Float64) COMMENT 'Duration in milliseconds; NULL: not measured.' CODEC(ZSTD(1)),
    status                LowCardinality(String) COMMENT 'running | completed | failed | blocked | cancelled.',
    role                  LowCardinality(String) COMMENT 'Role (agent type).',
    model                 LowCardinality(String) COMMENT 'Language model.',
    provider              LowCardinality(String) COMMENT 'Provider of the model.',
    phase                 LowCardinality(String) COMMENT 'Phase of the work.',
    pattern               LowCardinality(String) COMMENT 'Workflow shape.',
    workflow              LowCardinality(String) COMMENT 'Workflow.',
    task_id               String COMMENT 'Task the activity belongs to; empty: none given.' CODEC(ZSTD(1)),
    task_hash             String COMMENT 'Hash of the task: equal tasks have equal hashes.' CODEC(ZSTD(1)),
    tool                  LowCardinality(String) COMMENT 'Tool of a tool call.',
    input_hash            String COMMENT 'Hash of the tool input: equal inputs have equal hashes.' CODEC(ZSTD(1)),
    from_agent_id         LowCardinality(String) COMMENT 'Sender of a message.',
    to_agent_id           LowCardinality(String) COMMENT 'Receiver of a message.',
    message_type          LowCardinality(String) COMMENT 'Type of a message.',
    input_tokens          Nullable(UInt64) COMMENT 'Uncached input tokens; NULL: not measured.' CODEC(T64, ZSTD(1)),
    cache_read_tokens     Nullable(UInt64) COMMENT 'Input tokens read from the cache; NULL: not measured.' CODEC(T64, ZSTD(1)),
    cache_write_5m_tokens Nullable(UInt64) COMMENT 'Input tokens written to the 5 minute cache; NULL: not measured.' CODEC(T64, ZSTD(1)),
    cache_write_1h_tokens Nullable(UInt64) COMMENT 'Input tokens written to the 1 hour cache; NULL: not measured.' CODEC(T64, ZSTD(1)),
    output_tokens         Nullable(UInt64) COMMENT 'Output tokens; NULL: not measured.' CODEC(T64, ZSTD(1)),
    cost_usd              Nullable(Float64) COMMENT 'Cost in US dollars; NULL: not priced.' CODEC(ZSTD(1)),
    cost_provenance       LowCardinality(String) COMMENT 'measured | derived | estimated | declared; empty: not priced.',
    error_type            LowCardinality(String) COMMENT 'Class of the error; empty: none.',
    retries               Nullable(UInt64) COMMENT 'Retries; NULL: not measured.' CODEC(ZSTD(1)),
    conflicts             Nullable(UInt64) COMMENT 'Integration conflicts; NULL: not measured.' CODEC(ZSTD(1)),
    quality_ratio         Nullable(Float64) COMMENT 'Quality, 0..1; NULL: not measured.' CODEC(ZSTD(1)),
    test_coverage_ratio   Nullable(Float64) COMMENT 'Test coverage, 0..1; NULL: not measured.' CODEC(ZSTD(1)),
    security_findings     Nullable(UInt64) COMMENT 'Security findings; NULL: not measured.' CODEC(ZSTD(1)),
    files_touched         Nullable(UInt64) COMMENT 'Files touched; NULL: not measured.' CODEC(ZSTD(1)),
    success               Nullable(UInt8) COMMENT '1: succeeded, 0: did not; NULL: not reported.' CODEC(ZSTD(1)),
    provenance            LowCardinality(String) COMMENT 'measured | derived | estimated | declared.',
    tags                  Map(LowCardinality(String), String) COMMENT 'Labels, name -> text.' CODEC(ZSTD(1)),
    appended_at           DateTime64(3, 'UTC') COMMENT 'When the record was appended to the log, UTC, milliseconds.' CODEC(Delta, ZSTD(1)),
    log_id                LowCardinality(String) COMMENT 'Identity of the Kafka log (topic id).',
    topic                 LowCardinality(String) COMMENT 'Kafka topic.',
    partition             UInt16 COMMENT 'Kafka partition.' CODEC(ZSTD(1)),
    offset                UInt64 COMMENT 'Kafka offset of the record.' CODEC(Delta, ZSTD(1)),
    idx                   UInt32 COMMENT 'Index of the event within its record.' CODEC(ZSTD(1)),
    ver                   UInt64 COMMENT 'fold_version << 48 | offset: the highest wins.' CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(ver)
-- No partitions by time: a later record may correct an activity's times, and rows replace each other only
-- within one partition.
ORDER BY (swarm_id, kind, activity_id, log_id, topic, partition)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'What agents did, one row an activity and log; read through v_activities.';

CREATE TABLE IF NOT EXISTS swarms
(
    swarm_id      LowCardinality(String) COMMENT 'Swarm.',
    run_id        LowCardinality(String) COMMENT 'Run (one session of the swarm); empty: none given.',
    started_at    DateTime64(3, 'UTC') COMMENT 'Start of the run, UTC, milliseconds.' CODEC(Delta, ZSTD(1)),
    ended_at      Nullable(DateTime64(3, 'UTC')) COMMENT 'End of the run, UTC, milliseconds; NULL: still running.' CODEC(ZSTD(1)),
    status        LowCardinality(String) COMMENT 'running | completed | failed | blocked | cancelled.',
    configuration Map(LowCardinality(String), String) COMMENT 'Configuration of the run, name -> text: the tags of its session activity.' CODEC(ZSTD(1)),
    appended_at   DateTime64(3, 'UTC') COMMENT 'When the record was appended to the log, UTC, milliseconds.' CODEC(Delta, ZSTD(1)),
    log_id        LowCardinality(String) COMMENT 'Identity of the Kafka log (topic id).',
    topic         LowCardinality(String) COMMENT 'Kafka topic.',
    partition     UInt16 COMMENT 'Kafka partition.',
    offset        UInt64 COMMENT 'Kafka offset of the record.',
    ver           UInt64 COMMENT 'fold_version << 48 | offset: the highest wins.'
)
ENGINE = ReplacingMergeTree(ver)
ORDER BY (swarm_id, run_id, log_id, topic, partition)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Configuration of each run, one row a run and log; read through v_swarms.';
