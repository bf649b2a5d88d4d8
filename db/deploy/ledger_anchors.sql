-- Signed checkpoints of the journal's chain heads; common/host/anchor.h tells their text. The table
-- is where they are exported from: an anchor protects whoever has a copy of it elsewhere.
--
-- SPDX-License-Identifier: Apache-2.0
BEGIN;

CREATE TABLE ledger.anchor (
    shard_group integer NOT NULL,
    number      bigint  NOT NULL CHECK (number > 0), -- from 1, without gaps
    time_us     bigint  NOT NULL,
    epoch       bigint  NOT NULL,
    text        text    NOT NULL, -- all its lines, the signature among them
    PRIMARY KEY (shard_group, number)
);

-- Against slips: whoever owns the table can take the trigger away, and has to.
CREATE FUNCTION ledger.anchor_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'anchors are neither changed nor deleted' USING ERRCODE = 'SF003';
END $$;

CREATE TRIGGER anchor_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.anchor
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.anchor_stays();

-- Adds the next anchor of a group. Raises SF001 when the writer was deposed, SF003 when it is not
-- the next one.
CREATE FUNCTION ledger.anchor_add(of_group integer, with_epoch bigint, with_number bigint,
                                  at_us bigint, with_text text)
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    last bigint;
BEGIN
    PERFORM ledger.fence(of_group, with_epoch);
    SELECT coalesce(max(number), 0) INTO last FROM ledger.anchor WHERE shard_group = of_group;
    IF with_number <> last + 1 THEN
        RAISE EXCEPTION 'anchor % of group % does not follow anchor %', with_number, of_group, last
            USING ERRCODE = 'SF003';
    END IF;
    INSERT INTO ledger.anchor VALUES (of_group, with_number, at_us, with_epoch, with_text);
END $$;

COMMIT;
