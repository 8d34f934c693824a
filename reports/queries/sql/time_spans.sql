-- What was done when, of activities with both ends, for the split of time: turns too, since outside of them the agent
-- waits for a person.
SELECT
    swarm_id,
    a.own_swarm AS own_swarm,
    a.run_id AS run_id,
    a.agent_id AS agent_id,
    a.parent_agent_id AS parent_agent_id,
    if(a.kind = 'phase', 'turn', toString(a.kind)) AS kind,
    a.tool AS tool,
    toUnixTimestamp64Milli(a.started_at) AS started_ms,
    toUnixTimestamp64Milli(assumeNotNull(a.ended_at)) AS ended_ms,
    a.provenance AS provenance,
    a.kind = 'tool_call' AND a.tags['duration_includes'] = 'approval' AS approval
FROM v_activities AS a
WHERE (a.kind IN ('task', 'model_call', 'tool_call', 'message', 'edit') OR (a.kind = 'phase' AND a.phase = 'turn'))
    AND a.ended_at IS NOT NULL
    AND swarm_id IN {swarms:Array(String)}
    AND a.started_at >= fromUnixTimestamp64Milli({from_ms:Int64})
    AND a.started_at < fromUnixTimestamp64Milli({to_ms:Int64})
LIMIT {limit:UInt32}
