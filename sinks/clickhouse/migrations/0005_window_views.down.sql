DROP VIEW IF EXISTS v_window_parts;
DROP VIEW IF EXISTS v_swarm_windows;
DROP VIEW IF EXISTS v_windows;
DROP VIEW IF EXISTS v_active_fold;
