/*
 * gw_market.h - a market data service of few words for the gateway of gw_stage.c: it publishes and
 * answers what a test says, in a process of its own.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TESTS_GW_MARKET_H
#define SCRIP_TESTS_GW_MARKET_H

/* Answers md_symbols_get at first: BTCUSDT and ETHUSDT, version 1. */
void market_begin(void);
void market_end(void);
/* The same process also answers as "ledger" or "bridge" from now on, until market_end(). Of a
 * secret that it is sent it tells "secret LENGTH HASH", by map_hash(). */
void market_serve(const char *name);
/* "publish t.BTCUSDT. md_trade ...": at once. "answer md_snapshot_get md_book ...": to each such
 * question from now on; a further line for the same question follows in the same answer, and
 * "forget md_snapshot_get" ends that. */
void market_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Waits until the service has told this: "asked md_resend_get ... from=3 ..." a question, or
 * "follows t.BTCUSDT." a topic that somebody follows. Told things are heard once and in order;
 * others before it are passed over. */
void market_hear(const char *what, const char *detail);

#endif
