-- The values of one key among the tasks of all sides, those with the most tasks first.
SELECT toString(value) AS stratum, count() AS tasks
FROM v_activities
WHERE kind = 'task'
    AND swarm_id IN {swarms:Array(String)}
    AND started_at >= fromUnixTimestamp64Milli({from_ms:Int64})
    AND started_at < fromUnixTimestamp64Milli({to_ms:Int64})
GROUP BY stratum
ORDER BY tasks DESC, stratum
LIMIT {limit:UInt32}
