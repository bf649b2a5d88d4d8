/*
 * ahead.c - messages into what the books look ahead for.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "matcher/core/ahead.h"

#include "base/check.h"

void
match_look_ahead(const struct match *m, const struct msg *msgs, uint32_t count)
{
    struct book_ahead soon[MATCH_AHEAD_MAX];
    CHECK(count <= MATCH_AHEAD_MAX);
    for (uint32_t i = 0; i < count; i++) {
        const struct order_work *w = &msgs[i].order_work;
        if (msgs[i].type == MSG_order_work)
            soon[i] = (struct book_ahead){.id = w->order_id,
                                          .book = match_book(m, w->symbol),
                                          .side = w->side == SIDE_BUY ? SIDE_BUY : SIDE_SELL,
                                          .price = w->price.v};
        else
            soon[i] = (struct book_ahead){.id = msgs[i].order_pull.order_id, .side = SIDE_BUY};
    }
    books_ahead(&m->books, soon, count);
}
