BEGIN;
SELECT shard, seq, hash, order_sequence, trade_sequence, change_sequence
  FROM ledger.shard WHERE false;
SELECT account_id, shard, user_id, tier, event_sequence, orders_placed, commands_next, commands
  FROM ledger.account WHERE false;
SELECT account_id, wallet, mode, dry_run_mode, auto_trading, margin_per_trade, leverage,
       paper_balance, balance_min, balance_max FROM ledger.settings WHERE false;
SELECT account_id, wallet, asset, shard, free, held FROM ledger.balance WHERE false;
SELECT order_id, account_id, client_order_id, status, worst_price, rank, fills
  FROM ledger."order" WHERE false;
SELECT trade_id, order_id, account_id, evidence_source FROM ledger.trade WHERE false;
SELECT change_id, account_id, wallet, changed_by FROM ledger.balance_change WHERE false;
ROLLBACK;
