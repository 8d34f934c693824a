-- The summaries from what is small: metric events counted by the hour, and a list of the swarms whose model calls are
-- measured, where every question about one swarm read the model calls of all of them. A swarm whose calls carry cache
-- tokens alone has measured calls too: its tasks would count them a second time.

CREATE TABLE IF NOT EXISTS measured_calls
(
    swarm_id LowCardinality(String) COMMENT 'Swarm with a model call whose tokens or cost were measured.'
)
ENGINE = ReplacingMergeTree
ORDER BY swarm_id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Swarms whose spending is counted from model calls; read through v_spending.';

CREATE MATERIALIZED VIEW IF NOT EXISTS mark_measured_calls TO measured_calls AS
SELECT DISTINCT swarm_id
FROM activities
WHERE kind = 'model_call' AND (input_tokens IS NOT NULL OR cache_read_tokens IS NOT NULL
    OR cache_write_5m_tokens IS NOT NULL OR cache_write_1h_tokens IS NOT NULL
    OR output_tokens IS NOT NULL OR cost_usd IS NOT NULL)
COMMENT 'Notes the swarms of every insert of measured model calls.';

-- What was stored before.
INSERT INTO measured_calls (swarm_id)
SELECT DISTINCT swarm_id
FROM activities
WHERE kind = 'model_call' AND (input_tokens IS NOT NULL OR cache_read_tokens IS NOT NULL
    OR cache_write_5m_tokens IS NOT NULL OR cache_write_1h_tokens IS NOT NULL
    OR output_tokens IS NOT NULL OR cost_usd IS NOT NULL);

CREATE OR REPLACE VIEW v_spending AS
SELECT
    swarm_id, agent_id, run_id, kind, activity_id, started_at, model, provider,
    input_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, output_tokens,
    cost_usd, cost_provenance
FROM v_activities
WHERE (kind = 'model_call' OR (kind = 'task' AND swarm_id NOT IN (SELECT swarm_id FROM measured_calls)))
    AND (input_tokens IS NOT NULL OR cache_read_tokens IS NOT NULL OR cache_write_5m_tokens IS NOT NULL
        OR cache_write_1h_tokens IS NOT NULL OR output_tokens IS NOT NULL OR cost_usd IS NOT NULL);

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
