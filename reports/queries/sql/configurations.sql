-- How each run was configured, as it said itself when it started.
SELECT swarm_id, run_id, status, configuration
FROM v_swarms
WHERE swarm_id IN {swarms:Array(String)}
ORDER BY swarm_id, started_at, run_id
