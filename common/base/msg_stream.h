/*
 * msg_stream.h - what messages of a symbol's market stream have in common: whose they are, and
 * which.
 *
 * The stream is what marketdata publishes under "t.<SYMBOL>.": md_trade, md_quote, md_depth,
 * md_book, md_mark and md_liquidation, each with the next number, and md_beat with the last one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BASE_MSG_STREAM_H
#define SCRIP_BASE_MSG_STREAM_H

#include "base/msg.h"

/* NULL for other messages. */
const code_t *msg_stream_symbol(const struct msg *m);
/* 0 for other messages. */
uint64_t msg_stream_number(const struct msg *m);

#endif
