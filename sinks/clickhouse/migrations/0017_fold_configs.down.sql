DROP TABLE IF EXISTS fold_configs;
