-- The table and its functions are there. SPDX-License-Identifier: Apache-2.0
BEGIN;
SELECT shard_group, number, time_us, epoch, text FROM ledger.anchor WHERE false;
SELECT 'ledger.anchor_add(integer, bigint, bigint, bigint, text)'::regprocedure;
ROLLBACK;
