DROP VIEW IF EXISTS v_prices;
DROP VIEW IF EXISTS v_dead_letters;
DROP VIEW IF EXISTS v_anomalies;
