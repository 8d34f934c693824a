DROP VIEW IF EXISTS v_alert_messages;
DROP VIEW IF EXISTS v_alerts;
DROP VIEW IF EXISTS v_alert_history;
DROP TABLE IF EXISTS alert_messages;
DROP TABLE IF EXISTS alerts;
