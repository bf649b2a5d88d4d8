/*
 * query.h - questions answered from memory.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_CORE_QUERY_H
#define SCRIP_LEDGER_CORE_QUERY_H

#include "ledger/core/ledger.h"
#include "ledger/core/reply.h"

/* An order as a request names it: by id, or else by client order id. */
struct order_key {
    uint64_t account_id, order_id;
    const cid_t *client_order_id;
};

/*
 * Refuses with FIELD_MISSING (neither id), ACCOUNT_NOT_FOUND, CLIENT_ID_INVALID or
 * ORDER_NOT_FOUND; OK with the order, or OK with NULL when the tables may have it (never once
 * they were `looked_up`).
 */
MUST_USE enum err order_seek(const struct ledger *l, const struct order_key *key, bool looked_up,
                             struct ledger_order **out);

enum ledger_outcome query_order(const struct ledger *l, struct asker who,
                                const struct order_get *ask, struct outbox *out);
/* `row` is what the tables have; NULL for nothing. */
void query_order_found(const struct ledger *l, struct asker who, const struct order_get *ask,
                       const struct order_view *row, struct outbox *out);
void query_open_orders(const struct ledger *l, struct asker who, const struct order_open_list *ask,
                       struct outbox *out);
void query_account(const struct ledger *l, struct asker who, const struct account_get *ask,
                   struct outbox *out);
void query_balance(const struct ledger *l, struct asker who, const struct balance_get *ask,
                   struct outbox *out);
void query_settings(const struct ledger *l, struct asker who, const struct settings_get *ask,
                    struct outbox *out);
/* What every list is asked with. */
struct page {
    uint64_t account_id, cursor;
    uint32_t limit;
};

/* order_list, trade_list, balance_history: refuses what the tables need not be asked for. */
enum ledger_outcome query_tables(const struct ledger *l, struct asker who, const struct page *page,
                                 struct outbox *out);

#endif
