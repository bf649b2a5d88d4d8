-- What a ledger sends of orders and trades: arrays of rows of these types, whose columns it names
-- when it writes them into the tables. So a column that a later migration adds to a table is none
-- of a running ledger's business. Never change these types: a migration that adds a column for a
-- newer ledger makes a type of its own, order_row_2, and leaves this one to those that know it.
--
-- SPDX-License-Identifier: Apache-2.0
BEGIN;

CREATE TYPE ledger.order_row AS (
    order_id                bigint,
    account_id              bigint,
    client_order_id         text,
    symbol                  text,
    side                    smallint,
    type                    smallint,
    time_in_force           smallint,
    status                  smallint,
    end_reason              smallint,
    mode                    smallint,
    price                   bigint,
    quantity                bigint,
    quote_order_quantity    bigint,
    executed_quantity       bigint,
    executed_quote_quantity bigint,
    hold                    bigint,
    held                    bigint,
    created_us              bigint,
    updated_us              bigint,
    base_asset              text,
    quote_asset             text,
    id_was_made             boolean,
    worst_price             bigint,
    reference_price         bigint,
    step_size               bigint,
    maker_fee_rate          bigint,
    taker_fee_rate          bigint,
    rank                    bigint,
    fills                   integer,
    terms                   bytea
);

CREATE TYPE ledger.trade_row AS (
    trade_id          bigint,
    order_id          bigint,
    account_id        bigint,
    symbol            text,
    side              smallint,
    price             bigint,
    quantity          bigint,
    quote_quantity    bigint,
    fee               bigint,
    fee_asset         text,
    is_maker          boolean,
    time_us           bigint,
    evidence_source   smallint,
    evidence_sequence bigint,
    evidence_price    bigint,
    evidence_quantity bigint,
    evidence_time_us  bigint,
    evidence_is_stale boolean
);

COMMIT;
