-- Tasks, each with 10 model calls and 20 tool calls: activity n of a task is the task itself (0), a call (1..10) or a
-- tool (11..30). Equal task ids in every swarm, so that a comparison can pair them.
INSERT INTO activities (swarm_id, kind, activity_id, agent_id, parent_agent_id, run_id, started_at, ended_at, duration_ms,
    status, role, model, provider, task_id, tool, input_tokens, cache_read_tokens, output_tokens, cost_usd,
    cost_provenance, error_type, success, provenance, tags, appended_at, log_id, topic, partition, offset, idx, ver)
WITH
    ['', 'agent', 'coder', 'tester', 'reviewer'] AS roles,
    ['large', 'medium', 'small'] AS models
SELECT
    concat('swarm-', leftPad(toString(swarm), 2, '0')),
    multiIf(n = 0, 'task', n <= 10, 'model_call', 'tool_call') AS what,
    concat(what, '-', toString(task), '-', toString(n)),
    concat('agent-', toString(agent)),
    '',
    concat('run-', toString(day)),
    fromUnixTimestamp64Milli({from_ms:Int64} + start_ms, 'UTC') AS started,
    started + toIntervalMillisecond(toUInt32(took_ms)) AS ended,
    took_ms,
    if(failed, 'failed', 'completed'),
    roles[2 + agent % 4],
    if(what = 'model_call', models[1 + n % 3], ''),
    if(what = 'model_call', 'bench', ''),
    concat('task-', toString(task)),
    if(what = 'tool_call', concat('tool-', toString(n % 5)), ''),
    if(what = 'model_call', 500 + h % 4000, NULL) AS prompt,
    if(what = 'model_call', h % 20000, NULL) AS cached,
    if(what = 'model_call', 50 + g % 900, NULL) AS answer,
    if(what = 'model_call', round((prompt * 3 + cached * 0.3 + answer * 15) / 1e6, 6), NULL) AS cost,
    if(what = 'model_call', 'estimated', ''),
    if(failed, 'Timeout', ''),
    if(what = 'task', toUInt8(NOT failed), NULL),
    'measured',
    map('shard', toString(swarm % 4)),
    ended,
    'history-activities',
    'swarm.activities',
    swarm % 4,
    number,
    0,
    bitShiftLeft(toUInt64(1), 48) + number
FROM
(
    SELECT
        number,
        cityHash64(number, {seed:UInt64}, 'activity') AS h,
        cityHash64(h) AS g,
        number % 12 AS swarm,
        intDiv(number, 12) % 31 AS n,
        intDiv(number, 372) AS task,
        cityHash64(task, swarm) % if(swarm = 0, 8, 16) AS agent,
        task % {days:UInt32} AS day,
        day * 86400000 + if(swarm = 0, 3600000 * (task % 24), (2 * swarm - 1) * 3600000) + n * 1000 + h % 1000 AS start_ms,
        (1 + 0.05 * swarm) * exp(multiIf(n = 0, 10, n <= 10, 7, 5) + (g % 1000) / 500) AS took_ms,
        g % 100 < if(n = 0, 6, 2) AS failed
    FROM numbers({tasks:UInt64} * 372)
)
