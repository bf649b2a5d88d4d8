-- The ledger's tables: the journal's outcome, as of the stamp in ledger.shard.
--
-- They are written behind the journal in batches, one transaction per batch with its stamps, so
-- that they are always true at a point of the journal: the ledger loads them at start and applies
-- the journal from there. Nobody else writes them. Amounts are bigint counts of 10^-8; enums are
-- the numbers of common/tbl/messages.def; ids carry their shard in the bits from 47 up.
BEGIN;

-- The stamp: the tables are true after record `seq` of the shard, whose hash this is.
CREATE TABLE ledger.shard (
    shard           smallint PRIMARY KEY,
    seq             bigint   NOT NULL,
    hash            bytea    NOT NULL,
    order_sequence  bigint   NOT NULL,
    trade_sequence  bigint   NOT NULL,
    change_sequence bigint   NOT NULL
);

CREATE TABLE ledger.account (
    account_id     bigint   PRIMARY KEY,
    shard          smallint NOT NULL,
    user_id        bigint   NOT NULL,
    tier           integer  NOT NULL,
    event_sequence bigint   NOT NULL,
    orders_placed  bigint   NOT NULL,
    commands_next  integer  NOT NULL,
    commands       bytea    NOT NULL -- ids and hashes of the last commands, 8 + 8 bytes each
) WITH (fillfactor = 70);
CREATE INDEX account_by_shard ON ledger.account (shard);

CREATE TABLE ledger.settings (
    account_id       bigint   NOT NULL,
    wallet           smallint NOT NULL,
    mode             smallint NOT NULL,
    dry_run_mode     boolean  NOT NULL,
    auto_trading     boolean  NOT NULL,
    margin_per_trade bigint   NOT NULL,
    leverage         integer  NOT NULL,
    -- The paper balance last set by its owner, and the limits that held then.
    paper_balance    bigint,
    balance_min      bigint,
    balance_max      bigint,
    PRIMARY KEY (account_id, wallet),
    CONSTRAINT paper_balance_in_range CHECK (paper_balance BETWEEN balance_min AND balance_max)
);

-- Users' balances and those of the system accounts (issuance, house, fees); the sum per shard and
-- asset is zero. Only the system's may be negative.
CREATE TABLE ledger.balance (
    account_id bigint   NOT NULL,
    wallet     smallint NOT NULL,
    asset      text     NOT NULL,
    shard      smallint NOT NULL,
    free       bigint   NOT NULL,
    held       bigint   NOT NULL,
    PRIMARY KEY (account_id, wallet, asset),
    CHECK (held >= 0 AND (free >= 0 OR account_id >= (1::bigint << 50)))
) WITH (fillfactor = 70);

-- Of this table and of ledger.trade the ledger writes whole rows, so that the order of the columns
-- is part of what it knows. Each index costs about a tenth of what writing an order costs: there
-- is none by order_id alone (an id carries its shard, not its account).
CREATE TABLE ledger."order" (
    order_id                bigint   NOT NULL,
    account_id              bigint   NOT NULL,
    client_order_id         text     COLLATE "C" NOT NULL,
    symbol                  text     NOT NULL,
    side                    smallint NOT NULL,
    type                    smallint NOT NULL,
    time_in_force           smallint NOT NULL,
    status                  smallint NOT NULL,
    end_reason              smallint NOT NULL,
    mode                    smallint NOT NULL,
    price                   bigint   NOT NULL,
    quantity                bigint   NOT NULL,
    quote_order_quantity    bigint   NOT NULL,
    executed_quantity       bigint   NOT NULL,
    executed_quote_quantity bigint   NOT NULL,
    hold                    bigint   NOT NULL, -- reserved at the start
    held                    bigint   NOT NULL, -- what is left of it
    created_us              bigint   NOT NULL,
    updated_us              bigint   NOT NULL,
    base_asset              text     NOT NULL,
    quote_asset             text     NOT NULL,
    id_was_made             boolean  NOT NULL,
    worst_price             bigint   NOT NULL,
    reference_price         bigint   NOT NULL,
    step_size               bigint   NOT NULL,
    maker_fee_rate          bigint   NOT NULL,
    taker_fee_rate          bigint   NOT NULL,
    rank                    bigint   NOT NULL,
    fills                   integer  NOT NULL,
    PRIMARY KEY (account_id, order_id)
) WITH (fillfactor = 85);
-- Those that clients chose. Ids that the gateway made are known to nobody but who got the answer,
-- and he got the order id with them.
CREATE INDEX order_by_client ON ledger."order" (account_id, client_order_id)
    WHERE NOT id_was_made;
-- What a start has to load: NEW and PARTIALLY_FILLED.
CREATE INDEX order_open ON ledger."order" (order_id) WHERE status <= 2;

CREATE TABLE ledger.trade (
    trade_id          bigint   NOT NULL,
    order_id          bigint   NOT NULL,
    account_id        bigint   NOT NULL,
    symbol            text     NOT NULL,
    side              smallint NOT NULL,
    price             bigint   NOT NULL,
    quantity          bigint   NOT NULL,
    quote_quantity    bigint   NOT NULL,
    fee               bigint   NOT NULL,
    fee_asset         text     NOT NULL,
    is_maker          boolean  NOT NULL,
    time_us           bigint   NOT NULL,
    evidence_source   smallint NOT NULL,
    evidence_sequence bigint   NOT NULL,
    evidence_price    bigint   NOT NULL,
    evidence_quantity bigint   NOT NULL,
    evidence_time_us  bigint   NOT NULL,
    PRIMARY KEY (account_id, trade_id)
);
CREATE INDEX trade_by_order ON ledger.trade (order_id);

CREATE TABLE ledger.balance_change (
    change_id   bigint   NOT NULL,
    account_id  bigint   NOT NULL,
    wallet      smallint NOT NULL,
    time_us     bigint   NOT NULL,
    old_balance bigint   NOT NULL,
    new_balance bigint   NOT NULL,
    source      smallint NOT NULL,
    changed_by  bigint   NOT NULL,
    PRIMARY KEY (account_id, wallet, change_id)
);

COMMIT;
