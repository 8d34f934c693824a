-- Alerts: every transition, what became of every message, and the views that show the present state.

CREATE TABLE IF NOT EXISTS alerts
(
    alert_id  String COMMENT 'Id of the alert: rule, labels and moment it was first found.' CODEC(ZSTD(1)),
    seq       UInt32 COMMENT 'Number of the transition within the alert, from 1.',
    at        DateTime64(3, 'UTC') COMMENT 'Event time of the transition, UTC, milliseconds; of a command: when it was given.' CODEC(Delta, ZSTD(1)),
    rule      LowCardinality(String) COMMENT 'Name of the rule.',
    kind      LowCardinality(String) COMMENT 'threshold | rate | absence | anomaly | composite | sla; empty: the rule was removed.',
    event     LowCardinality(String) COMMENT 'pending | firing | escalated | acknowledged | unsilenced | resolved.',
    state     LowCardinality(String) COMMENT 'State after the transition: pending | firing | acknowledged | resolved.',
    severity  LowCardinality(String) COMMENT 'info | low | medium | warning | high | critical.',
    swarm_id  LowCardinality(String) COMMENT 'Swarm; empty: the rule does not tell swarms apart.',
    agent_id  LowCardinality(String) COMMENT 'Agent; empty: the rule does not tell agents apart.',
    labels    Map(LowCardinality(String), String) COMMENT 'All labels of the alert, those of its rule included.',
    value     Float64 COMMENT 'Value the rule found, in the unit of its metric.',
    bound     Float64 COMMENT 'Limit of the rule at this severity, in the same unit.',
    reason    String COMMENT 'Why, in one sentence.' CODEC(ZSTD(1)),
    action    String COMMENT 'What to do, as the rule says.' CODEC(ZSTD(1)),
    since     DateTime64(3, 'UTC') COMMENT 'Event time of the first look that found it, UTC, milliseconds.' CODEC(Delta, ZSTD(1)),
    by        String COMMENT 'Who acknowledged or resolved it; empty: nobody, the stream did.',
    silenced  UInt8 COMMENT '1: a silence covered it, so nobody was told.',
    ver       UInt64 COMMENT 'The highest wins; equal to seq.'
)
ENGINE = ReplacingMergeTree(ver)
ORDER BY (alert_id, seq)
TTL toDateTime(at) + INTERVAL 400 DAY
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Transitions of alerts, one row each; read through v_alerts and v_alert_history.';

CREATE TABLE IF NOT EXISTS alert_messages
(
    message_key String COMMENT 'Idempotency key of the message.' CODEC(ZSTD(1)),
    channel     LowCardinality(String) COMMENT 'console | webhook | slack | teams | email.',
    status      LowCardinality(String) COMMENT 'delivered | undelivered.',
    rule        LowCardinality(String) COMMENT 'Name of the rule.',
    event       LowCardinality(String) COMMENT 'What the message told: firing | escalated | acknowledged | unsilenced | resolved.',
    severity    LowCardinality(String) COMMENT 'The worst severity of its alerts.',
    at          DateTime64(3, 'UTC') COMMENT 'When it was delivered or given up, UTC, milliseconds.' CODEC(Delta, ZSTD(1)),
    attempts    UInt32 COMMENT 'How often it was tried.',
    problem     String COMMENT 'Why it was not delivered; empty: it was.' CODEC(ZSTD(1)),
    alert_ids   Array(String) COMMENT 'Alerts it tells of.' CODEC(ZSTD(1)),
    ver         UInt64 COMMENT 'The highest wins: epoch milliseconds of at.'
)
ENGINE = ReplacingMergeTree(ver)
ORDER BY (message_key, channel)
TTL toDateTime(at) + INTERVAL 400 DAY
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Messages about alerts, one row a message and channel; read through v_alert_messages.';

CREATE OR REPLACE VIEW v_alert_history AS
SELECT
    alert_id, seq, at, event, state, severity, rule, swarm_id, agent_id, value, bound, reason, by, silenced,
    kind, labels, action, since
FROM alerts FINAL;

CREATE OR REPLACE VIEW v_alerts AS
SELECT
    alert_id, state, severity, rule, swarm_id, agent_id, since, at, value, bound, reason, action, by, silenced,
    kind, labels, seq
FROM alerts FINAL
ORDER BY alert_id, seq DESC
LIMIT 1 BY alert_id;

CREATE OR REPLACE VIEW v_alert_messages AS
SELECT
    at, channel, status, rule, event, severity, attempts, problem, alert_ids, message_key
FROM alert_messages FINAL;
