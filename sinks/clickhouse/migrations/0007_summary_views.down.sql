DROP VIEW IF EXISTS v_swarm_summary;
DROP VIEW IF EXISTS v_agent_summary;
DROP VIEW IF EXISTS v_cost_by_model;
DROP VIEW IF EXISTS v_spending;
