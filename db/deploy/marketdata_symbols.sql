-- Which symbols were added and removed while market data ran. Read at its start and laid over the
-- configuration: a row wins over what the sources' own lists say. Written by the market data
-- service alone.
--
-- SPDX-License-Identifier: Apache-2.0
BEGIN;

-- `source` is the place of the source in the configuration, from 0.
CREATE TABLE marketdata.symbol (
    source     smallint NOT NULL,
    symbol     text     NOT NULL,
    is_removed boolean  NOT NULL,
    changed_us bigint   NOT NULL,
    PRIMARY KEY (source, symbol),
    CHECK (source >= 0 AND symbol <> '')
);

COMMIT;
