/*
 * sim.h - a whole Scrip in one process, on a virtual network, clock and store, from one seed.
 *
 * Real: the cores of ledger and matcher, and of the ledger's shell take.c, link.c and journal.c.
 * Made up here: the bus and the loop they stand on (sim_net.c), the tables and the restore
 * (sim_ledger.c), the market, the clients. Every choice comes from the seed, so a seed is a story
 * that can be told again. sim_judge.c holds everybody to what was promised.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TESTS_SIM_SIM_H
#define SCRIP_TESTS_SIM_SIM_H

#include "ledger/shell/serve.h"
#include "matcher/core/match.h"
#include "scenarios/ledger_tables.h"

#define SIM_GATEWAYS     3
#define SIM_MATCHERS_MAX 2
#define SIM_SYMBOLS      3
#define SIM_ACCOUNTS_MAX 20
#define SIM_INTENTS_MAX  48
#define SIM_LEVELS       6
#define SIM_START_US     INT64_C(1700000000000000)

/* What the simulation may do wrong on purpose, at its seams, to prove that it would be seen. */
#define SIM_MUTATIONS(X)                                                                           \
    X(none, "nothing")                                                                             \
    X(replies_early, "answers leave before the commit that covers them")                           \
    X(events_early, "events leave before the commit that covers them")                             \
    X(tail_lost, "a restart forgets the journal's last record")                                    \
    X(tables_only, "a restart loads the tables without the journal behind them")                   \
    X(gaps_kept, "a batch is taken without the one before it")                                     \
    X(frames_twice, "a frame of the link is taken twice")                                          \
    X(loss_hidden, "a lost frame of the link does not show")                                       \
    X(sessions_mixed, "reports of an older session are taken")                                     \
    X(pulls_lost, "pulls never reach the matcher")                                                 \
    X(ranks_lost, "a resync forgets the orders' ranks")                                            \
    X(pairs_apart, "a matcher does not know which orders are a pair")                              \
    X(triggers_forgotten, "a resync forgets that orders were set off")                             \
    X(trims_lost, "amendments never reach the matcher")                                            \
    X(sibling_kept, "a matcher does not end the other order of a pair")                            \
    X(prints_twice, "what fills took of a display can be had again from its print")                \
    X(holds_more, "a pair holds more than the larger need")                                        \
    X(ticks_unseen, "a matcher and its judge hear different markets")                              \
    X(client_new_id, "a client repeats an order under another id")

enum sim_mutation {
#define SIM_MUTATION(name, sentence) SIM_##name,
    SIM_MUTATIONS(SIM_MUTATION)
#undef SIM_MUTATION
        SIM_MUTATION_COUNT
};

/* ---- The network ---------------------------------------------------------------------------- */

struct packet {
    struct packet *next;
    int64_t due_us;
    size_t length;
    uint8_t data[];
};

/* One direction between two processes: in order, with a delay; frames may get lost, be damaged,
 * or come a second time out of order. */
struct wire {
    struct packet *first, *last;
    struct packet *strays; /* copies with a time of their own */
    int64_t delay_us;
    uint32_t lost, doubled, damaged; /* of 1000 */
    bool is_split; /* the next frame goes on where the last one ended: worth losing */
};

struct receiver {
    struct bytes buffer;
    uint64_t session, sent;
    struct wire *in, *out;
};

/* The bus of wire/bus.h, as the simulation provides it. */
struct bus {
    struct sim *sim;
    struct loop *loop;
    struct bus *next; /* of the same process */
    struct bus_options o;
    char name[24];
    uint64_t epoch;
    uint32_t peers;
    struct receiver to[SIM_GATEWAYS + 1]; /* by peer */
    uint64_t counted, counted_session;    /* mutations: frames handed over */
    bool is_paused;
};

struct loop_timer {
    struct loop_timer *next;
    struct loop *loop;
    int64_t due_us, every_us; /* due INT64_MAX = off */
    void (*on_time)(void *arg);
    void *arg;
};

struct loop {
    struct sim *sim;
    struct loop_timer *timers;
    struct bus *buses;
    int64_t skew_us; /* of the process's UTC clock */
};

/* ---- The processes -------------------------------------------------------------------------- */

struct sim_ledger {
    bool is_up;
    int64_t up_us; /* when a dead one comes back */
    struct loop loop;
    struct serve serve;
    struct ledger_config config;
    char matchers[64];
    uint64_t epoch;
    /* outlives the process */
    struct store *store;
    bool is_store_up, is_store_slow;
    int64_t store_due_us, store_up_us;
    struct tables tables;
    uint64_t stamps[LEDGER_SHARDS]; /* what the tables know of */
    int64_t project_us;
    struct sim_question *questions;
};

struct sim_matcher {
    bool is_up;
    int64_t up_us, time_us, beat_us;
    uint32_t index;
    struct loop loop;
    void *memory;
    struct match *core;
    struct sim_twin *twin;
    struct bus *bus;
    struct wire to_ledger, from_ledger, market;
    struct outbox out;
};

struct sim_symbol {
    code_t code;
    enum liquidity source;
    uint64_t sequence;
    int64_t mid, tick;
    struct level sides[2][SIM_LEVELS]; /* bids, asks */
    uint32_t matcher;
    int64_t beat_us;
};

/* Something a client wants, until it has its answer. */
struct intent {
    struct msg cmd;
    struct order_wish orders[3]; /* of a list */
    uint64_t account_id;
    uint32_t gateway;
    int64_t send_us, corr_us; /* sent again; the correlation id chosen */
    bool is_active, is_sent;
};

/* ---- The judge ------------------------------------------------------------------------------ */

/* An order as its client wanted it, and the most that was ever said of it. */
struct promise {
    struct order_place cmd; /* as the client sent it */
    uint64_t order_id;      /* 0 = never told */
    int64_t executed, executed_quote;
    enum order_status status;
    uint32_t journaled; /* final count of records that made it */
    uint32_t list;      /* 0, or one more than the number of its list's first promise */
    bool is_replacement;
};

struct judge {
    struct promise *promises;
    uint32_t promises_count, promises_max;
    struct map trades, events; /* id to hash of what was said */
    struct map commands;       /* acknowledged command ids */
    void *bytes[3];
    uint64_t published[SIM_ACCOUNTS_MAX + 1]; /* last event of the account */
    uint64_t published_epoch[SIM_ACCOUNTS_MAX + 1];
    struct bytes scratch;
};

struct sim_counts {
    uint64_t turns, sent, lost, requests, answers, refusals, events, orders, fills, crashes_ledger,
        crashes_matcher, store_breaks, records, lookups, sessions, cancels;
    uint64_t lists, replaced, trimmed, triggered; /* in the journal */
};

struct sim {
    uint64_t seed, random;
    enum sim_mutation mutation;
    bool is_verbose, is_calm; /* calm: no more faults, no more wishes */
    uint32_t step, steps;
    int64_t now_us;
    char failure[512]; /* "" = all is well */
    /* the seed's character, of 1000 a step unless named otherwise */
    uint32_t crash_ledger, crash_matcher, store_break, store_refuse, store_slow, wish, tick;
    uint32_t market_gap, patience, split;
    uint32_t spread, favourites; /* ticks around the middle; symbols that clients trade */
    int crash_after;             /* handed messages until the ledger dies; below 0: it lives */
    struct sim_ledger ledger;
    struct sim_matcher matchers[SIM_MATCHERS_MAX];
    uint32_t matchers_count;
    struct wire to_ledger[SIM_GATEWAYS], from_ledger[SIM_GATEWAYS];
    struct sim_symbol symbols[SIM_SYMBOLS];
    uint32_t accounts;
    struct intent intents[SIM_INTENTS_MAX];
    uint64_t next_corr, next_command;
    struct judge judge;
    struct arena lists; /* of the message being handed over */
    struct arena said;  /* of the message being judged */
    struct sim_counts counts;
};

/* sim_net.c */
uint64_t sim_draw(struct sim *s, uint64_t below);
bool sim_chance(struct sim *s, uint32_t of_thousand);
/* The first failure stays. */
void sim_fail(struct sim *s, const char *format, ...) PRINTF(2, 3);
void sim_trace(struct sim *s, const char *who, const char *what, const struct msg *m);
void wire_send(struct sim *s, struct wire *w, const uint8_t *data, size_t length);
/* NULL when nothing is due; the caller frees it. */
struct packet *wire_take(struct sim *s, struct wire *w);
void wire_clear(struct wire *w);
/* The connection broke: what was under way arrives or does not. */
void wire_break(struct sim *s, struct wire *w);
bool wire_is_empty(const struct wire *w);
/* Hands over at most `most` frames that are due; none any more once the process has died. */
void sim_loop_deliver(struct loop *l, uint32_t most);
void sim_loop_flush(struct loop *l);
void sim_loop_timers(struct loop *l);

/* sim_ledger.c */
void sim_ledger_new(struct sim *s);
void sim_ledger_free(struct sim *s);
void sim_ledger_start(struct sim *s);
void sim_ledger_crash(struct sim *s);
void sim_ledger_turn(struct sim *s);
void sim_store_turn(struct sim *s);
void sim_ledger_mutate(struct sim *s);
/* A ledger of the same sizes that has replayed the whole journal. The caller frees *memory. */
void sim_ledger_replayed(struct sim *s, struct ledger *l, void **memory,
                         const struct ledger_sink *sink);
struct msg sim_record_cmd(struct sim *s, const struct journal_record *r);

/* sim_matcher.c */
void sim_matcher_start(struct sim *s, struct sim_matcher *m);
void sim_matcher_crash(struct sim *s, struct sim_matcher *m);
void sim_matcher_free(struct sim_matcher *m);
void sim_matcher_turn(struct sim *s, struct sim_matcher *m);

/* sim_twin.c */
struct sim_twin *twin_new(const struct match_limits *limits);
void twin_destroy(struct sim_twin **t);
/* The core listens to a symbol: its books are numbered in this order. */
void twin_watch(struct sim_twin *t, code_t symbol);
/* A report of the core. */
void twin_told(struct sim *s, struct sim_twin *t, const struct order_report *r, uint64_t corr);
/* Around everything that the core is given; `msg` is NULL for a frame that cannot be read, and
 * twin_due() stands for the passing of time. */
void twin_before(struct sim_twin *t, const struct match *m);
void twin_due(struct sim *s, struct sim_twin *t, const struct match *m);
void twin_after(struct sim *s, struct sim_twin *t, const struct match *m, const struct msg *msg);

/* sim_market.c */
void sim_market_new(struct sim *s);
void sim_market_turn(struct sim *s);
/* What a ledger that has just begun knows of symbols and prices. */
void sim_market_tell(struct sim *s, struct ledger *l, bool with_prices);
void sim_market_answer(struct sim *s, struct sim_matcher *m, const struct msg *ask);

/* sim_clients.c */
void sim_clients_new(struct sim *s);
void sim_clients_turn(struct sim *s);
uint32_t sim_clients_waiting(const struct sim *s);
uint64_t sim_account_id(uint32_t account);

/* sim_judge.c */
void judge_new(struct sim *s);
void judge_free(struct sim *s);
uint32_t judge_promise(struct sim *s, const struct order_place *cmd);
/* What leaves the ledger: once said, it holds. */
void judge_reply(struct sim *s, const struct msg *m);
void judge_event(struct sim *s, const struct msg *m);
/* An answer that reached its client. */
void judge_answer(struct sim *s, const struct intent *t, const struct msg *answer);
/* At any moment. */
void judge_step(struct sim *s);
/* When everything has come to rest. */
void judge_rest(struct sim *s);

#endif
