/*
 * bridge_caller_stage.h - a caller, the exchange of exchange_server.py, and what became of calls.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TESTS_BRIDGE_CALLER_STAGE_H
#define SCRIP_TESTS_BRIDGE_CALLER_STAGE_H

#include <criterion/criterion.h>

#include "exchange-bridge/shell/caller.h"
#include "net_stage.h"

#define API_KEY "key-of-the-tests"
#define SECRET  "a secret of the tests"
#define KEY     5
#define S       INT64_C(1000000)

#define REPLIES_MAX 2000

struct caller_stage {
    struct net_stage net;
    struct redis_link *redis;
    struct caller *caller;
    char base_url[160];
    const char *name; /* of the exchange; another one is another */
    /* Keys: one, as if it were stored. */
    bool is_store_away;
    const struct sign_key *key; /* instead of the one of API_KEY and SECRET */
    int opened;
    /* What became of the calls, in that order. */
    struct {
        struct caller_reply reply;
        char body[256];
        int mark;
    } got[REPLIES_MAX];
    int count;
};
extern struct caller_stage stage;

void stage_open(void);
void stage_close(void);
/* An exchange that behaves so; see exchange_server.py. */
void stage_caller(const char *words, struct caller_options o);
/* Sends a call with the key, or with the request's trial. */
uint64_t stage_send(struct caller_request r, enum call_name name, int mark);
void stage_wait(int done, const char *what);
/* Sends one call and waits for its end. */
struct caller_reply *stage_ask(struct caller_request r, enum call_name name);
void stage_on_done(void *arg, const struct caller_reply *r);
/* Checks an end. */
void ends(const struct caller_reply *r, enum verdict v, enum err e);
/* A request to the exchange itself. */
void stage_server(const char *path);
/* How often a method was used; and that nothing was wrong with any request. */
int stage_told(const char *name);
/* A later test may be given the same port. */
void stage_ban_forget(void);

#endif
