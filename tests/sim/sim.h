/*
 * sim.h - a whole Scrip in one process, on a virtual network, clock and database, from one seed.
 *
 * Real: the cores of gateway, ledger and matcher, and of the ledger's shell serve.c, take.c, link.c
 * and journal.c. Made up here: the bus and the loop they stand on (sim_bus.c), the database with
 * its sessions, locks and tables (sim_database.c, sim_parts.c), the market, the clients. Every
 * choice comes from the seed, so a seed is a story that can be told again. sim_follow.c and
 * sim_judge.c hold everybody to what was promised, after every step.
 *
 * A step of the simulation lets each process do a part of a turn: between two parts anything else
 * may happen, and inside of one it may die wherever it touches the world (sim_edge()).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TESTS_SIM_SIM_H
#define SCRIP_TESTS_SIM_SIM_H

#include <setjmp.h>

#include "gateway/core/gateway.h"
#include "ledger/shell/serve.h"
#include "matcher/core/match.h"
#include "scenarios/ledger_tables.h"
#include "sim/sim_bridge.h"

#define SIM_GATEWAYS     3
#define SIM_GROUPS_MAX   2
#define SIM_MATCHERS_MAX 2
#define SIM_BRIDGES      2
#define SIM_PEERS        6 /* of a bus: gateways and bridges, or groups; and nobody */
#define SIM_SYMBOLS      3
#define SIM_ACCOUNTS_MAX 20
#define SIM_INTENTS_MAX  48
#define SIM_LEVELS       6
#define SIM_BACKENDS_MAX 16
#define SIM_CALLS_MAX    8
#define SIM_START_US     INT64_C(1700000000000000)
#define SIM_NOBODY       UINT32_MAX

/* An order whose id the gateway made is repeated by its requests alone, and the ledger remembers it
 * in memory alone: for longer than a request may live, in the gateway and on the way, and clocks
 * may differ. */
#define SIM_TIMEOUT_US 2000000 /* in the gateway */
#define SIM_ON_WAY_US  3000000
#define SIM_SKEW_US    1000000  /* steps of a clock that runs, at most */
#define SIM_APART_US   30000000 /* of two hosts' clocks, at most: who takes over may be ahead */
#define SIM_KEEP_US    (SIM_TIMEOUT_US + SIM_ON_WAY_US + 2 * SIM_SKEW_US)

/* What the simulation may do wrong on purpose, at its seams, to prove that it would be seen. */
#define SIM_MUTATIONS(X)                                                                           \
    X(none, "nothing")                                                                             \
    X(replies_early, "answers leave before the commit that covers them")                           \
    X(events_early, "events leave before the commit that covers them")                             \
    X(answers_twice, "an answer is given twice")                                                   \
    X(tail_lost, "a restart forgets the journal's last record")                                    \
    X(tables_only, "a restart loads the tables without the journal behind them")                   \
    X(commit_lied, "a commit is reported that did not happen")                                     \
    X(loss_is_done, "a batch whose answer was lost is taken to be in the journal")                 \
    X(gaps_kept, "a batch is taken without the one before it")                                     \
    X(numbers_twice, "the journal takes two records of one number")                                \
    X(owner_not_fenced, "the journal takes the batches of a deposed owner")                        \
    X(tables_not_fenced, "the tables take the rows of a deposed owner")                            \
    X(lease_in_a_hurry, "a standby takes the lease while a batch of the owner is being written")   \
    X(epoch_kept, "a standby takes over under the epoch of the one before")                        \
    X(clock_falls, "records bear the time of a clock that goes back")                              \
    X(stale_answers, "a gateway takes answers of a deposed owner")                                 \
    X(stale_work, "a matcher takes frames of a deposed owner")                                     \
    X(stale_reports, "a ledger takes reports that were for the owner before it")                   \
    X(frames_twice, "a frame of the link is taken twice")                                          \
    X(loss_hidden, "a lost frame of the link does not show")                                       \
    X(sessions_mixed, "reports of an older session are taken")                                     \
    X(pulls_lost, "pulls never reach the matcher")                                                 \
    X(trims_lost, "amendments never reach the matcher")                                            \
    X(ranks_lost, "a resync forgets the orders' ranks")                                            \
    X(pairs_apart, "a matcher does not know which orders are a pair")                              \
    X(triggers_forgotten, "a resync forgets that orders were set off")                             \
    X(sibling_kept, "a matcher does not end the other order of a pair")                            \
    X(prints_twice, "what fills took of a display can be had again from its print")                \
    X(holds_more, "a pair holds more than the larger need")                                        \
    X(record_forgotten, "a command now and then is not appended to the journal")                   \
    X(places_early, "real orders leave before the commit that covers them")                        \
    X(places_again, "a real order that was not heard of is sent again, not asked about")           \
    X(asks_forgotten, "nobody is asked what became of real orders")                                \
    X(ticks_unseen, "a matcher and its judge hear different markets")                              \
    X(client_new_id, "a client repeats an order under another id")

enum sim_mutation {
#define SIM_MUTATION(name, sentence) SIM_##name,
    SIM_MUTATIONS(SIM_MUTATION)
#undef SIM_MUTATION
        SIM_MUTATION_COUNT
};

/* ---- The network ---------------------------------------------------------------------------- */

struct receiver {
    struct bytes buffer;
    uint64_t session, sent, epoch;
    struct wire *in, *out;
};

enum bus_end { END_SERVES, END_PUBLISHES, END_ASKS, END_MATCHER, END_BRIDGE };

/* The bus of wire/bus.h, as the simulation provides it. */
struct bus {
    struct sim *sim;
    struct loop *loop;
    struct bus *next; /* of the same process */
    struct bus_options o;
    char name[24];
    enum bus_end end;
    uint32_t index; /* END_ASKS: of the matcher; END_BRIDGE: of the bridge */
    uint64_t epoch;
    uint32_t peers;
    struct receiver to[SIM_PEERS];     /* by peer */
    uint64_t counted, counted_session; /* mutations: frames handed over */
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
    struct sim_ledger *ledger; /* whose it is; NULL = a matcher's */
    struct loop_timer *timers;
    struct bus *buses;
    void (*on_turn)(void *arg);
    void *turn_arg;
    int64_t apart_us, skew_us; /* of the process's UTC clock: its host's, and steps beside that */
    int64_t now_us, steady_us; /* as read at the turn's beginning */
    struct packet *at_hand;    /* being handed over: freed by who ends the process */
    bool is_stopped;
};

/* ---- The database --------------------------------------------------------------------------- */

enum call_kind { CALL_APPEND, CALL_READ, CALL_LEASE, CALL_KEEP };
enum call_state { CALL_SENT, CALL_AT_WORK, CALL_ANSWERED };

/* A statement on its way through a session. */
struct sim_call {
    enum call_kind kind;
    enum call_state state;
    enum store_outcome outcome;
    int64_t due_us; /* of the next state; of the answer's arrival */
    struct journal_record *records;
    uint32_t count;
    bool has_after;
    struct journal_record follows;
    struct journal_record found; /* a read's; seq 0 = nothing */
    uint64_t epoch;
    int64_t newest_us;
    store_record *each;
    store_done *done;
    store_lease *lease_done;
    void *arg;
};

/* The server's end of a session. It outlives the client's: what was sent may still be done. */
struct backend {
    bool is_used, has_lock;
    bool is_cut;    /* the client cannot hear it any more */
    bool is_owned;  /* a client has it */
    int64_t end_us; /* cut: when the server notices; 0 = it has */
    uint32_t group;
    uint64_t epoch;     /* of its client */
    uint32_t count, at; /* calls; of these carried out */
    uint32_t reached;   /* cut: of these it has */
    struct sim_call calls[SIM_CALLS_MAX];
};

/* The client's end, which is its `struct store`. */
struct sim_session {
    struct store store; /* first: see store.h */
    struct sim *sim;
    struct sim_ledger *ledger;
    struct backend *backend; /* NULL = not connected */
    uint64_t epoch;          /* 0 until the lease is ours */
    int64_t newest_us;       /* of the journal, as it was then */
    bool is_up;
    int64_t notice_us;           /* cut: when the client knows */
    int64_t connect_us, keep_us; /* again at; keep INT64_MAX = the lock is ours, or not wanted */
};

/* What the database has of a shard group. */
struct sim_group {
    uint64_t epoch;
    struct tables tables;
    uint64_t stamps[LEDGER_SHARDS]; /* what the tables know of */
    int64_t newest_us;              /* of its records */
    int64_t served_us[2];           /* when the last owner opened its doors, and the one before */
    uint32_t address;               /* ledger that the gateways' endpoint leads to */
    uint32_t next_address;          /* the same from then on: */
    int64_t address_us;
};

struct sim_database {
    bool is_up;
    int64_t up_us;
    struct journal_record *records; /* in the order of their commits */
    uint32_t count;
    uint32_t *of_shard[LEDGER_SHARDS]; /* places in them */
    uint32_t counts[LEDGER_SHARDS];
    struct backend backends[SIM_BACKENDS_MAX];
};

/* A ledger that replays each record when it is committed. */
struct sim_follower {
    struct ledger ledger;
    void *memory;
    struct outbox out;
    struct map trades; /* id to hash, of all fills ever */
    void *trades_bytes;
    uint64_t digests[LEDGER_SHARDS];
    uint64_t known;    /* shards whose digest is that */
    uint64_t unproved; /* shards that changed since their proof */
};

/* ---- The processes -------------------------------------------------------------------------- */

/* The parts of a ledger's turn; between them others move, and it may be frozen. */
enum sim_part { PART_STORE, PART_FRAMES, PART_TIMERS, PART_TURN, PART_SEND, PARTS };

struct sim_ledger {
    struct sim *sim;
    uint32_t index, group;
    bool is_up;
    int64_t apart_us;             /* of its host's clock */
    int64_t up_us;                /* when a dead one comes back */
    int64_t frozen_at, frozen_us; /* since and until when it does not move */
    int64_t woke_us, slept_us;    /* when it last woke, after how long */
    bool has_served;              /* its doors are, or were, open in this life */
    enum sim_part part;
    uint32_t flush_from; /* buses sent already in this turn */
    struct loop loop;
    struct host host;
    struct serve *serve; /* NULL = not running */
    struct ledger_config config;
    char matchers[64], name[24];
    struct sim_session *session;
    bool is_linked[SIM_MATCHERS_MAX]; /* its connection bears the group's name there */
    int64_t link_us[SIM_MATCHERS_MAX];
    uint64_t published[SIM_ACCOUNTS_MAX + 1]; /* in this life: last event of the account */
    uint64_t unequal;                         /* shards to be compared with the follower's */
};

struct sim_gateway {
    struct gw gw;
    void *memory;
    struct bytes packed;
    uint64_t sequences[SIM_ACCOUNTS_MAX + 1]; /* of the account's last event it was told of */
    /* by group: */
    uint64_t epoch[SIM_GROUPS_MAX];   /* of what it took last */
    uint32_t target[SIM_GROUPS_MAX];  /* ledger it is connected to, SIM_NOBODY = none */
    uint32_t follows[SIM_GROUPS_MAX]; /* the same of its events */
    int64_t link_us[SIM_GROUPS_MAX], follow_us[SIM_GROUPS_MAX];
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
    struct frame said[SIM_GROUPS_MAX]; /* epoch and session of the frames to a group's ledger */
    struct wire to_ledger[SIM_LEDGERS_MAX], from_ledger[SIM_LEDGERS_MAX], market;
    uint32_t holder[SIM_GROUPS_MAX]; /* ledger whose connection bears the group's name */
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

/* What was told of an order. */
struct told {
    int64_t executed, executed_quote;
    enum order_status status; /* NONE = nothing */
};

/* Something a client wants, until it has its answer. */
struct intent {
    struct msg cmd;
    struct order_wish orders[3]; /* of a list */
    uint64_t account_id;
    uint32_t gateway;
    int64_t send_us;             /* when it is asked */
    uint32_t promise;            /* of an order that it is about, + 1 */
    struct told known;           /* at its gateway, when it was asked */
    uint64_t known_sequence;     /* the same of the account's events */
    struct told known_elsewhere; /* what anybody had been told */
    bool is_active, is_sent;
};

/* ---- The judge ------------------------------------------------------------------------------ */

/* An order as its client wanted it, and the most that was ever said of it. */
struct promise {
    struct order_place cmd; /* as the client sent it */
    uint64_t order_id;      /* 0 = never told */
    struct told told, at[SIM_GATEWAYS];
    uint32_t journaled;           /* records that made it */
    uint32_t list;                /* 0, or one more than the number of its list's first promise */
    enum contingency contingency; /* of the list */
    bool is_replacement;
    cid_t replaces;
    enum replace_mode mode;
};

struct judge {
    struct promise *promises;
    uint32_t promises_count, promises_max;
    struct map events;   /* id to hash of what was said */
    struct map commands; /* acknowledged command ids */
    struct map asked;    /* hash of who asked what, to how often it was not answered */
    void *bytes[3];
    uint64_t published[SIM_ACCOUNTS_MAX + 1]; /* last event of the account, by its owner */
    struct bytes scratch;
};

#define SIM_COUNTS(X)                                                                              \
    X(turns)                                                                                       \
    X(sent)                                                                                        \
    X(lost)                                                                                        \
    X(requests)                                                                                    \
    X(answers)                                                                                     \
    X(refusals)                                                                                    \
    X(events)                                                                                      \
    X(orders)                                                                                      \
    X(fills)                                                                                       \
    X(records)                                                                                     \
    X(lookups)                                                                                     \
    X(cancels)                                                                                     \
    X(lists)                                                                                       \
    X(replaced)                                                                                    \
    X(trimmed)                                                                                     \
    X(triggered)                                                                                   \
    X(rejected)                                                                                    \
    X(crashes_ledger)                                                                              \
    X(crashes_matcher)                                                                             \
    X(crashes_gateway)                                                                             \
    X(store_breaks)                                                                                \
    X(sessions_cut)                                                                                \
    X(freezes)                                                                                     \
    X(takeovers)                                                                                   \
    X(deposed)                                                                                     \
    X(deposed_answers)                                                                             \
    X(stale_answers)                                                                               \
    X(stale_events)                                                                                \
    X(stale_work)                                                                                  \
    X(compared)                                                                                    \
    X(stale_reads)                                                                                 \
    X(told_behind)                                                                                 \
    X(clock_steps)                                                                                 \
    X(real_placed)                                                                                 \
    X(real_refused)                                                                                \
    X(real_never)                                                                                  \
    X(real_fills)                                                                                  \
    X(crashes_bridge)

struct sim_counts {
#define SIM_COUNT(name) uint64_t name;
    SIM_COUNTS(SIM_COUNT)
#undef SIM_COUNT
};

/* The seed's character: chances of 1000 a step unless named otherwise. */
struct character {
    uint32_t crash_ledger, crash_matcher, crash_gateway, store_break, store_cut, store_refuse,
        store_slow, freeze, interrupt, drain, clock, move, wish, read, tick, market_gap, patience,
        split, real, crash_bridge;
    uint32_t spread, favourites; /* ticks around the middle; symbols that clients trade */
    uint32_t pace;               /* of time */
    bool are_apart;              /* the clocks of hosts */
    bool is_blind;               /* who is cut off learns it late */
    bool is_undead;              /* the server learns it late */
};

struct sim {
    uint64_t seed, random;
    enum sim_mutation mutation;
    bool is_verbose, is_calm; /* calm: no more faults, no more wishes */
    char *tail;               /* where the last lines of the story go, NULL = nowhere */
    uint32_t step, steps;
    int64_t now_us;
    char failure[512]; /* "" = all is well */
    struct character is;
    struct sim_ledger *running; /* whose code is at work, NULL = nobody's */
    int fuse;                   /* edges until it dies; below 0: it lives */
    jmp_buf death;
    struct sim_ledger ledgers[SIM_LEDGERS_MAX];
    struct sim_matcher matchers[SIM_MATCHERS_MAX];
    struct sim_gateway gateways[SIM_GATEWAYS];
    struct sim_bridge bridges[SIM_BRIDGES];
    struct sim_exchange exchange;
    uint32_t groups_count, ledgers_count, matchers_count;
    struct wire asks[SIM_GATEWAYS][SIM_LEDGERS_MAX], answers[SIM_GATEWAYS][SIM_LEDGERS_MAX],
        events[SIM_GATEWAYS][SIM_LEDGERS_MAX];
    struct sim_database database;
    struct sim_group groups[SIM_GROUPS_MAX];
    struct sim_follower follower;
    struct sim_symbol symbols[SIM_SYMBOLS];
    uint32_t accounts;
    struct intent intents[SIM_INTENTS_MAX];
    uint64_t next_corr, next_command;
    struct judge judge;
    struct arena lists; /* of the message being handed over */
    struct arena said;  /* of the message being judged */
    struct sim_counts counts;
};

/* sim_net.c: chance, failure, wires */
uint64_t sim_draw(struct sim *s, uint64_t below);
bool sim_chance(struct sim *s, uint32_t of_thousand);
/* The same while there are faults. */
bool sim_fault(struct sim *s, uint32_t of_thousand);
/* How far a clock is off: a little, or seconds. */
int64_t sim_skew(struct sim *s);
/* The first failure stays. */
void sim_fail(struct sim *s, const char *format, ...) PRINTF(2, 3);
void sim_trace(struct sim *s, const char *who, const char *what, const struct msg *m);
void sim_note(struct sim *s, const char *who, uint32_t number, const char *what);
#define SIM_TAIL_LINES 40
#define SIM_TAIL_BYTES 400

/* sim_bus.c: bus and loop */
/* The process touches the world: it may die here. */
void sim_edge(struct sim *s);
/* Hands over at most `most` frames that are due. */
void sim_loop_deliver(struct loop *l, uint32_t most);
/* Sends what the process's buses from `from` on have buffered, so many of them. */
uint32_t sim_loop_flush(struct loop *l, uint32_t from, uint32_t most);
void sim_loop_timers(struct loop *l);
void sim_loop_end(struct loop *l);

/* sim_database.c, sim_store.c: the database, and a client's end of it */
void sim_database_new(struct sim *s);
void sim_database_free(struct sim *s);
/* Statements are carried out, connections and the server break. */
void sim_database_turn(struct sim *s);
void sim_call_drop(struct sim_call *c);
void sim_backend_free(struct backend *b);
/* The client hears what has come for it. */
void sim_session_turn(struct sim_session *t);
/* Its process is gone. */
void sim_session_leave(struct sim_session *t);
/* The server ends the session, or the network does. */
void sim_session_cut(struct sim *s, struct sim_session *t);
const struct journal_record *sim_record(const struct sim *s, uint16_t shard, uint64_t seq);
struct msg sim_record_cmd(struct sim *s, const struct journal_record *r);

/* sim_parts.c: what stands in for project.c, restore.c, query.c, market.c, policy.c */
void sim_limits(struct ledger_limits *l, struct ledger_policy *p);

/* sim_ledger.c */
void sim_ledgers_new(struct sim *s);
void sim_ledger_free(struct sim_ledger *l);
void sim_ledger_turn(struct sim_ledger *l);
/* Frozen or deposed, but running. */
bool sim_ledger_is_deposed(const struct sim_ledger *l);
/* Its doors are open. */
bool sim_ledger_serves(const struct sim_ledger *l);
/* NULL while nobody serves the group under its epoch. */
struct sim_ledger *sim_owner(struct sim *s, uint32_t group);
bool sim_owns(const struct sim *s, uint32_t group, uint32_t shard);

/* sim_mutate.c */
void sim_mutate(struct sim *s);

/* sim_matcher.c */
void sim_matcher_start(struct sim *s, struct sim_matcher *m);
void sim_matcher_crash(struct sim *s, struct sim_matcher *m);
void sim_matcher_free(struct sim_matcher *m);
void sim_matcher_turn(struct sim *s, struct sim_matcher *m);
/* A ledger's connection to the matcher came, under the name of its group; or it went. */
void sim_link_up(struct sim *s, struct sim_matcher *m, struct sim_ledger *l);
void sim_link_down(struct sim *s, struct sim_matcher *m, struct sim_ledger *l);
void sim_links_turn(struct sim *s);

/* sim_twin.c */
struct sim_twin *twin_new(const struct match_limits *limits);
void twin_destroy(struct sim_twin **t);
/* The core listens to a symbol: its books are numbered in this order. */
void twin_watch(struct sim_twin *t, code_t symbol);
/* A report of the core to the ledger of this link. */
void twin_told(struct sim *s, struct sim_twin *t, const struct order_report *r, uint64_t corr,
               uint32_t link);
/* Around everything that the core is given; `msg` is NULL for a frame that cannot be read, and
 * twin_due() stands for the passing of time. */
void twin_before(struct sim_twin *t, const struct match *m);
void twin_due(struct sim *s, struct sim_twin *t, const struct match *m);
void twin_after(struct sim *s, struct sim_twin *t, const struct match *m, const struct frame *f,
                const struct msg *msg);

/* sim_market.c */
void sim_market_new(struct sim *s);
void sim_market_turn(struct sim *s);
/* What a ledger that has just begun knows of symbols. */
void sim_market_tell(struct ledger *l);
void sim_market_answer(struct sim *s, struct sim_matcher *m, const struct msg *ask);

/* sim_gateway.c */
void sim_gateways_new(struct sim *s);
void sim_gateways_free(struct sim *s);
void sim_gateways_turn(struct sim *s);
/* Puts a request in flight. */
enum err sim_gateway_ask(struct sim *s, uint32_t gateway, const struct msg *m, uint64_t owner);

/* sim_wishes.c */
uint32_t sim_promise(struct sim *s, struct order_place *p);
void sim_wish(struct sim *s, struct intent *t);

/* sim_clients.c */
void sim_clients_new(struct sim *s);
void sim_clients_turn(struct sim *s);
/* An answer for an intent, or why there is none. */
void sim_client_hears(struct sim *s, uint64_t owner, const struct msg *m, enum err e);
uint32_t sim_clients_waiting(const struct sim *s);
uint64_t sim_account_id(uint32_t account);
bool sim_has_command(const struct sim *s, uint64_t account_id);

/* sim_follow.c */
void follow_new(struct sim *s);
void follow_free(struct sim *s);
/* These records are in the journal from now on. */
void follow_committed(struct sim *s, uint32_t from);
/* The owners' state is that of the journal. */
void follow_compare(struct sim *s, bool all);
/* The naive ledger reads it all. */
uint64_t follow_trade_hash(const struct trade *t);

/* sim_judge.c */
void judge_new(struct sim *s);
void judge_free(struct sim *s);
uint32_t judge_promise(struct sim *s, const struct order_place *cmd);
struct promise *judge_promise_of(struct sim *s, const cid_t *cid);
bool judge_is_over(enum order_status status);
uint64_t judge_command_of(const struct msg *cmd);
/* What leaves a ledger: once said, it holds. */
void judge_reply(struct sim *s, const struct sim_ledger *l, uint32_t peer, const struct msg *m);
void judge_event(struct sim *s, struct sim_ledger *l, const struct msg *m);
/* A request that a ledger hears. */
void judge_asked(struct sim *s, const struct sim_ledger *l, uint32_t peer, const struct msg *m);
/* What a gateway takes. */
void judge_heard(struct sim *s, uint32_t gateway, uint32_t group, uint64_t epoch,
                 const struct msg *m);
/* An answer that reached its client. */
void judge_answer(struct sim *s, const struct intent *t, const struct msg *answer);
/* At any moment. */
void judge_step(struct sim *s);

/* sim_rest.c: when everything has come to rest */
/* NULL, or what is still under way. */
const char *sim_unrest(struct sim *s);
void judge_rest(struct sim *s);

/* sim_steps.c: one run, of a zeroed simulation with seed, steps and mutation set */
void sim_run(struct sim *s);

extern const char *const sim_mutation_names[], *const sim_mutation_sentences[];

#endif
