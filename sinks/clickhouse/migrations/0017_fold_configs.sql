-- Which configuration computes a version of a log's results. Snapshots say it too, but those of another host are not
-- seen here, and lost ones say nothing: workers with other settings would mix their rows with what is stored.

CREATE TABLE IF NOT EXISTS fold_configs
(
    fold_version UInt16 COMMENT 'Version of the fold.',
    log_id       String COMMENT 'Id of the source log.',
    config       String COMMENT 'Fingerprint of everything that shapes results.',
    first_at     SimpleAggregateFunction(min, DateTime64(6, 'UTC')) DEFAULT now64(6, 'UTC') COMMENT 'When a worker with it first started, UTC: the earliest of a version and log is the one that may write.'
)
ENGINE = AggregatingMergeTree
ORDER BY (fold_version, log_id, config)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Which configuration computes a version of the results of a log; a worker with another one is refused.';
