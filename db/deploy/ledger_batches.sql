-- Batches of the journal may follow each other before the first of them is committed. So each but
-- the first names the last record of the one before it, and is refused when that is not there: of
-- batches on their way none is ever in the journal without all before it.
--
-- SPDX-License-Identifier: Apache-2.0

BEGIN;

-- Part of the statement that writes a batch. Raises SF001 when the writer was deposed, SF002 when
-- the record that the batch follows is not in the journal; a NULL after_seq follows nothing. One
-- row, which means nothing: a function in FROM needs one. The lock comes first, and each query
-- after it sees what was committed before it, so that an epoch cannot change behind the check.
CREATE FUNCTION ledger.fence_batch(of_group integer, with_epoch bigint, after_shard smallint,
                                   after_seq bigint, after_hash bytea)
RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(2, of_group);
    IF NOT EXISTS (SELECT FROM ledger.lease
                   WHERE shard_group = of_group AND epoch = with_epoch) THEN
        RAISE EXCEPTION 'epoch % of shard group % has ended', with_epoch, of_group
            USING ERRCODE = 'SF001';
    END IF;
    IF after_seq IS NOT NULL AND NOT EXISTS
        (SELECT FROM ledger.journal
         WHERE shard = after_shard AND seq = after_seq AND hash = after_hash) THEN
        RAISE EXCEPTION 'the batch before, up to record % of shard %, is not in the journal',
            after_seq, after_shard USING ERRCODE = 'SF002';
    END IF;
    RETURN true;
END $$;

COMMIT;
