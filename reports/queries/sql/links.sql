-- Who started whom (with how many activities of the started one), and who told whom (by type of message).
SELECT
    swarm_id,
    toString(source) AS source,
    toString(target) AS target,
    toString(what) AS kind,
    count() AS n
FROM
(
    SELECT
        swarm_id,
        if(a.kind = 'message', if(a.from_agent_id = '', a.agent_id, a.from_agent_id), a.parent_agent_id) AS source,
        if(a.kind = 'message', a.to_agent_id, a.agent_id) AS target,
        if(a.kind = 'message', if(a.message_type = '', 'message', a.message_type), 'started') AS what
    FROM v_activities AS a
    WHERE (a.kind = 'message' OR a.parent_agent_id != '')
        AND swarm_id IN {swarms:Array(String)}
        AND a.started_at >= fromUnixTimestamp64Milli({from_ms:Int64})
        AND a.started_at < fromUnixTimestamp64Milli({to_ms:Int64})
)
WHERE source != '' AND target != ''
GROUP BY swarm_id, source, target, kind
ORDER BY swarm_id, n DESC, kind, source, target
LIMIT {limit:UInt32} BY swarm_id
