-- The ledger's journal and the lease of its shard groups.
-- Amounts everywhere are bigint counts of 10^-8, times are bigint microseconds UTC.
BEGIN;

CREATE SCHEMA ledger;

-- Every input that changed the ledger's state, in order, for ever. Nothing updates or deletes.
-- `kind` is the message number of common/tbl/messages.def and `payload` its msgpack body, with the
-- fields that the ledger filled in. hash = SHA-256(hash of seq - 1, and this record); seq 1 follows
-- 32 zero bytes. When the table outgrows one file it can become a table partitioned by range of
-- (shard, seq) or (shard, time_us) without a change to any query.
CREATE TABLE ledger.journal (
    shard   smallint NOT NULL,
    seq     bigint   NOT NULL,
    time_us bigint   NOT NULL,
    kind    integer  NOT NULL,
    source  text     NOT NULL,
    corr    bigint   NOT NULL,
    payload bytea    NOT NULL,
    hash    bytea    NOT NULL,
    epoch   bigint   NOT NULL,
    PRIMARY KEY (shard, seq),
    CHECK (seq > 0 AND octet_length(hash) = 32)
);

-- Who may write the shards of a group. The epoch rises with each owner.
CREATE TABLE ledger.lease (
    shard_group integer PRIMARY KEY,
    epoch       bigint  NOT NULL,
    owner       text    NOT NULL,
    taken_us    bigint  NOT NULL
);

-- Advisory locks of a group: (1, group) is held by the owner's session, and tells a standby when
-- the owner is gone; (2, group) is held shared by each write until it commits, and exclusively by
-- the one change of the epoch. So an epoch never changes between a write's check and its commit,
-- and no row is locked: FOR SHARE on the lease would write that row twice a batch.

-- Takes the lease for the calling session: the new epoch, or NULL while another session has it.
CREATE FUNCTION ledger.lease_take(of_group integer, by_owner text, at_us bigint)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    taken bigint;
BEGIN
    IF NOT pg_try_advisory_lock(1, of_group) THEN
        RETURN NULL;
    END IF;
    PERFORM pg_advisory_xact_lock(2, of_group);
    INSERT INTO ledger.lease AS l VALUES (of_group, 1, by_owner, at_us)
        ON CONFLICT (shard_group) DO UPDATE
        SET epoch = l.epoch + 1, owner = by_owner, taken_us = at_us
        RETURNING epoch INTO taken;
    RETURN taken;
END $$;

-- After a lost connection: takes the session lock again under the same epoch. False while another
-- session holds it. Raises SF001 when the epoch is no longer ours.
CREATE FUNCTION ledger.lease_keep(of_group integer, with_epoch bigint)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM ledger.lease
                   WHERE shard_group = of_group AND epoch = with_epoch) THEN
        RAISE EXCEPTION 'epoch % of shard group % has ended', with_epoch, of_group
            USING ERRCODE = 'SF001';
    END IF;
    RETURN pg_try_advisory_lock(1, of_group);
END $$;

-- First statement of every transaction of the ledger. Raises SF001 when the writer was deposed.
CREATE FUNCTION ledger.fence(of_group integer, with_epoch bigint)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(2, of_group);
    IF NOT EXISTS (SELECT FROM ledger.lease
                   WHERE shard_group = of_group AND epoch = with_epoch) THEN
        RAISE EXCEPTION 'epoch % of shard group % has ended', with_epoch, of_group
            USING ERRCODE = 'SF001';
    END IF;
END $$;

COMMIT;
