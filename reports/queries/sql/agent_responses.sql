-- How long each agent took to answer: from a message's arrival to its receiver's next message back to the sender, in the same run.
-- A message that was never followed by one back has no answer and no time.
WITH
    talk AS
    (
        SELECT
            swarm_id,
            m.own_swarm AS own_swarm,
            m.run_id AS run_id,
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
    asked.own_swarm AS own_swarm,
    asked.receiver AS agent_id,
    count() AS received,
    countIf(answer.sent_ms > 0) AS answered,
    sumOrNullIf(toFloat64(answer.sent_ms - asked.arrived_ms), answer.sent_ms > 0) AS response_ms_sum
FROM talk AS asked
ASOF LEFT JOIN talk AS answer
    ON answer.swarm_id = asked.swarm_id AND answer.own_swarm = asked.own_swarm AND answer.run_id = asked.run_id
    AND answer.sender = asked.receiver AND answer.receiver = asked.sender
    AND answer.sent_ms >= asked.arrived_ms
GROUP BY swarm_id, own_swarm, agent_id
ORDER BY swarm_id, own_swarm, agent_id
