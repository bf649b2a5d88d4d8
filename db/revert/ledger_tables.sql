BEGIN;
DROP TABLE ledger.balance_change, ledger.trade, ledger."order", ledger.balance, ledger.settings,
           ledger.account, ledger.shard;
COMMIT;
