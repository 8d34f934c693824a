-- What ended activities give as metric events: their durations, and the cost of model calls.
INSERT INTO metrics (swarm_id, agent_id, run_id, metric, timestamp, value, unit, tags, weight, source, priority, category,
    provenance, event_id, appended_at, log_id, topic, partition, offset, idx)
SELECT
    swarm_id, agent_id, run_id, made.1, assumeNotNull(ended_at), assumeNotNull(made.2), made.3, tags, 1, 'agent', 'medium', '',
    if(made.3 = 'USD', cost_provenance, provenance), '', appended_at, log_id, topic, partition, offset,
    idx + 65536 * (position_in_rules - 1)
FROM activities
ARRAY JOIN
    [(transform(kind, ['task', 'model_call', 'tool_call'], ['task_duration', 'model_call_duration', 'tool_duration'], ''),
        duration_ms, 'ms'), ('cost_usd', cost_usd, 'USD')] AS made,
    [1, 2] AS position_in_rules
WHERE made.2 IS NOT NULL
