BEGIN;
DROP TABLE marketdata.candle;
DROP SCHEMA marketdata;
COMMIT;
