/*
 * ws.h - WebSockets: account events in order, public prices and candles, by subscription.
 *
 * libwebsockets speaks the protocol on the process's own loop; connections arrive from http.c
 * with the bytes of their upgrade request. What waits for a client is bounded: of the market a slow
 * one gets what still counts, and only account events that it does not take close it, with 4008.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_GATEWAY_SHELL_WS_H
#define SCRIP_GATEWAY_SHELL_WS_H

#include "base/msg.h"

struct shell;
struct ws;

/* Marks an owner of a call as a WebSocket's (bit 63). */
#define WS_OWNER (UINT64_C(1) << 63)
/* Of those, a book's (bit 31). */
#define WS_BOOK_OWNER (WS_OWNER | UINT64_C(1) << 31)

/* NULL with a logged reason. */
struct ws *ws_open(struct shell *s);
void ws_close(struct ws **w);
/* Takes a connection over, whatever comes of it. False when there is no room: nothing is taken. */
bool ws_adopt(struct ws *w, int fd, const char *bytes, size_t length);
/* Closes all with code 1001; they are gone after a few turns. */
void ws_drain(struct ws *w);
uint32_t ws_connections(const struct ws *w);

/* An answer to a question of a WebSocket, or (NULL) why there is none. */
void ws_answer(struct ws *w, uint64_t owner, const struct msg *m, enum err e);
/* Whether a message on the asking socket is an event behind an event_resumed; then it is taken. */
bool ws_takes_event(struct ws *w, uint32_t server, const struct msg *m);
void ws_account_event(struct ws *w, const char *topic, const struct msg *m);
void ws_market_event(struct ws *w, const char *topic, const struct msg *m);
/* An answer to the question of a book, and a message that was asked for again. */
void ws_book_answer(struct ws *w, uint64_t owner, const struct msg *m);
void ws_book_resent(struct ws *w, const struct msg *m);
/* A symbol is there no more: its subscriptions end. */
void ws_symbol_removed(struct ws *w, const char *symbol);

#endif
