-- Alerts about each swarm that were open at some moment of the time range, the newest first; at most 100 a swarm.
SELECT
    swarm_id,
    rule,
    severity,
    state,
    toUnixTimestamp64Milli(since) AS since_ms,
    toUnixTimestamp64Milli(at) AS at_ms,
    reason,
    alert_id
FROM v_alerts
WHERE swarm_id IN {swarms:Array(String)}
    AND state != 'pending'
    AND since < fromUnixTimestamp64Milli({to_ms:Int64})
    AND (state != 'resolved' OR at >= fromUnixTimestamp64Milli({from_ms:Int64}))
ORDER BY swarm_id, since DESC, alert_id
LIMIT 100 BY swarm_id
