-- Each swarm's windows of the chosen metrics in every size that a line can show: the smaller ones only while the
-- busiest swarm stays below about 1,500 of them, hours and days always.
WITH
    (
        SELECT 2400 * max(hours)
        FROM
        (
            SELECT uniqExact(window_start) AS hours
            FROM v_hour_parts
            WHERE of_swarm
                AND swarm_id IN {swarms:Array(String)}
                AND metric IN {metrics:Array(String)}
                AND window_start >= toStartOfHour(fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC'))
                AND window_start < fromUnixTimestamp64Milli({to_ms:Int64})
            GROUP BY swarm_id, metric
        )
    ) AS smallest_ms
SELECT
    swarm_id,
    metric,
    window_ms,
    toUnixTimestamp64Milli(window_start) AS window_start_ms,
    events,
    mean,
    p95,
    unit
FROM
(
    SELECT swarm_id, metric, window_ms, window_start, events, mean, p95, unit
    FROM v_swarm_windows
    WHERE swarm_id IN {swarms:Array(String)}
        AND metric IN {metrics:Array(String)}
        AND window_ms >= smallest_ms
        AND window_start >= fromUnixTimestamp64Milli({from_ms:Int64})
        AND window_start < fromUnixTimestamp64Milli({to_ms:Int64})
    UNION ALL
    SELECT swarm_id, metric, window_ms, window_start, events, mean, p95, unit
    FROM v_swarm_hours
    WHERE swarm_id IN {swarms:Array(String)}
        AND metric IN {metrics:Array(String)}
        AND window_start >= fromUnixTimestamp64Milli({from_ms:Int64})
        AND window_start < fromUnixTimestamp64Milli({to_ms:Int64})
    UNION ALL
    SELECT swarm_id, metric, window_ms, window_start, events, mean, p95, unit
    FROM v_swarm_days
    WHERE swarm_id IN {swarms:Array(String)}
        AND metric IN {metrics:Array(String)}
        AND window_start >= fromUnixTimestamp64Milli({from_ms:Int64})
        AND window_start < fromUnixTimestamp64Milli({to_ms:Int64})
)
ORDER BY metric, swarm_id, window_ms, window_start
-- A worker may be set to windows of an hour or a day itself.
LIMIT 1 BY metric, swarm_id, window_ms, window_start
