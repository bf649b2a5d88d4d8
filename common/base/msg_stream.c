/*
 * msg_stream.c - one row a message of the stream.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/msg_stream.h"

#define STREAM(X)                                                                                  \
    X(md_trade) X(md_quote) X(md_depth) X(md_book) X(md_mark) X(md_liquidation) X(md_beat)

const code_t *
msg_stream_symbol(const struct msg *m)
{
#define SYMBOL(name)                                                                               \
    case MSG_##name:                                                                               \
        return &m->name.symbol;
    switch (m->type) {
        STREAM(SYMBOL)
    default:
        return NULL;
    }
#undef SYMBOL
}

uint64_t
msg_stream_number(const struct msg *m)
{
#define NUMBER(name)                                                                               \
    case MSG_##name:                                                                               \
        return m->name.sequence;
    switch (m->type) {
        STREAM(NUMBER)
    default:
        return 0;
    }
#undef NUMBER
}
