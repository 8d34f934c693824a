-- How long each agent took to answer: from a message's arrival to its receiver's next message back to the sender.
-- A message that was never followed by one back has no answer and no time.
WITH
    talk AS
    (
        SELECT
            swarm_id,
            toString(if(m.from_agent_id = '', m.agent_id, m.from_agent_id)) AS sender,
            toString(m.to_agent_id) AS receiver,
            toUnixTimestamp64Milli(m.started_at) AS sent_ms,
            toUnixTimestamp64Milli(ifNull(m.ended_at, m.started_at)) AS arrived_ms
        FROM v_activities AS m
        WHERE m.kind = 'message'
            AND m.to_agent_id != ''
            AND sender != ''
            AND sender != receiver
            AND swarm_id IN {swarms:Array(String)}
            AND m.started_at >= fromUnixTimestamp64Milli({from_ms:Int64})
            AND m.started_at < fromUnixTimestamp64Milli({to_ms:Int64})
    )
SELECT
    asked.swarm_id AS swarm_id,
    asked.receiver AS agent_id,
    count() AS received,
    countIf(answer.sent_ms > 0) AS answered,
    sumOrNullIf(toFloat64(answer.sent_ms - asked.arrived_ms), answer.sent_ms > 0) AS response_ms_sum
FROM talk AS asked
ASOF LEFT JOIN talk AS answer
    ON answer.swarm_id = asked.swarm_id AND answer.sender = asked.receiver AND answer.receiver = asked.sender
    AND answer.sent_ms >= asked.arrived_ms
GROUP BY swarm_id, agent_id
ORDER BY swarm_id, agent_id
