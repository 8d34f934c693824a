-- The runs of each swarm that overlap the time range: when they started and ended, and how.
SELECT
    swarm_id,
    run_id,
    status,
    toUnixTimestamp64Milli(started_at) AS started_ms,
    toUnixTimestamp64Milli(ended_at) AS ended_ms
FROM v_swarms
WHERE swarm_id IN {swarms:Array(String)}
    AND started_at < fromUnixTimestamp64Milli({to_ms:Int64})
    AND (ended_at IS NULL OR ended_at >= fromUnixTimestamp64Milli({from_ms:Int64}))
ORDER BY swarm_id, started_at, run_id
