-- When a metric's events began and ended.
SELECT
    if(count() = 0, NULL, toUnixTimestamp64Milli(min(m.timestamp))) AS first_ms,
    if(count() = 0, NULL, toUnixTimestamp64Milli(max(m.timestamp))) AS last_ms,
    count() AS points
FROM v_metrics AS m
WHERE m.swarm_id IN {swarms:Array(String)}
    AND m.metric = {series:String}
    AND m.timestamp >= fromUnixTimestamp64Milli({from_ms:Int64})
    AND m.timestamp < fromUnixTimestamp64Milli({to_ms:Int64})
