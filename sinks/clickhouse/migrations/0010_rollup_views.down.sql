DROP VIEW IF EXISTS v_swarm_rollups;
DROP VIEW IF EXISTS v_rollups;
DROP VIEW IF EXISTS v_rollup_parts;
DROP VIEW IF EXISTS v_metric_hours;
DROP VIEW IF EXISTS v_changed_days;
DROP VIEW IF EXISTS v_changed_hours;
