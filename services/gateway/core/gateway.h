/*
 * gateway.h - requests in flight to other services: sent, sent again, answered, given up.
 *
 * ZeroMQ delivers at most once, so the same packed command is sent again every resend_us with the
 * same correlation id until its answer comes or its time is over; the ledger runs it once. What is
 * in flight is bounded.
 *
 *      gw_start ──► WAITING ──gw_answer──► gone, the answer goes to its owner
 *                    │  ▲
 *        resend is due  └ sent again
 *                    ├── its server is away ──► gone, "unavailable": a read, or never sent
 *                    └── deadline ──► gone: OUTCOME_UNKNOWN when it was sent and changes something,
 *                                     otherwise the server's own "unavailable" error
 *
 * While the connection to a server is gone nothing is sent: what is asked waits here, so that it is
 * certain that it was not taken, and leaves when the connection is back. A server is away when its
 * connection has been gone for silent_us, or when it was asked and has not been heard for so long.
 * Before that, and while it is, it is probed with a harmless question of our own: one that only
 * waits for somebody else, as a ledger for its matcher, is heard so. While it is away requests are
 * refused before they are sent. What was sent and changes something is kept to its deadline: an
 * owner that is back by then knows the outcome, and nobody else does.
 * What is secret has one of a few places of its own, longer ones, and is wiped behind it.
 *
 * Replicas do the same for the same requests, so that one of a group is asked: the first that works
 * from a given one on. A call whose replica is gone or silent, or can do nothing (gw_ask_next()),
 * is sent to the next that works, as the same bytes with the same correlation id. The one before
 * may have done it all the same, or do it later: what is sent to a group must be so that a second
 * time changes nothing. The group is away when all of it is.
 *
 * Answers of an older epoch than one already heard come from a deposed owner and are dropped.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_GATEWAY_CORE_GATEWAY_H
#define SCRIP_GATEWAY_CORE_GATEWAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/map.h"

#define GW_PACKED_MAX   1024
#define GW_SECRET_MAX   8192
#define GW_SECRETS      16
#define GW_SERVERS_MAX  81 /* 64 ledger groups at most, market data, bridges */
#define GW_REPLICAS_MAX 16
#define GW_NONE         UINT32_MAX

struct gw_call {
    uint64_t corr;  /* 0 = free */
    uint64_t owner; /* the shell's own mark, handed back */
    uint32_t server;
    bool mutates, is_probe;
    bool was_sent, was_resent;
    uint32_t copies, answers; /* sent, and refusals that came */
    uint32_t turned_away;     /* bit n: by the n-th of its group, which could do nothing */
    int64_t resend_at_us;
    int64_t deadline_us; /* when it is looked at next */
    int64_t give_up_us;
    uint32_t resend_next, resend_prev;     /* by resend_at_us */
    uint32_t deadline_next, deadline_prev; /* by deadline_us */
    uint32_t length;
    uint32_t secret; /* 0 = the message is in `packed`; else the number of its place + 1 */
    uint8_t packed[GW_PACKED_MAX];
};

struct gw_server {
    enum err away_error;
    uint32_t first;      /* of its group; the others have the numbers behind it */
    uint32_t replicas;   /* of the first: how many they are, itself included */
    int64_t timeout_us;  /* of its calls */
    uint64_t epoch;      /* highest heard */
    int64_t asked_us;    /* since when it owes a sign of life; 0 = it owes none */
    int64_t down_us;     /* since when the connection is gone; only while is_down */
    int64_t probe_at_us; /* not before */
    uint32_t in_flight;
    uint32_t probes;   /* of these */
    uint32_t hopeless; /* of these, what has nothing to wait for while it is away */
    bool is_down;
};

struct gw_queue {
    uint32_t first, last;
};

struct gw {
    /* settings */
    int64_t resend_us, timeout_us, silent_us;
    /* state */
    struct gw_server servers[GW_SERVERS_MAX];
    uint32_t server_count;
    struct gw_call *calls;
    uint32_t calls_max, free_first; /* free ones linked by resend_next */
    uint32_t count;
    struct map by_corr;
    struct gw_queue resends, deadlines;
    uint8_t (*secrets)[GW_SECRET_MAX];
    uint32_t secrets_used; /* bit n: place n */
    uint32_t sweep;        /* next in `deadlines` to be looked at for being hopeless */
    int64_t swept_us;
    /* counted for the metrics */
    uint64_t resent, expired, stale, unknown;
};

struct gw_options {
    uint32_t calls_max;
    int64_t resend_us, timeout_us, silent_us;
};

enum gw_due_kind { GW_DUE_NOTHING, GW_DUE_RESEND, GW_DUE_EXPIRED, GW_DUE_PROBE };

struct gw_due {
    enum gw_due_kind kind;
    uint32_t server;
    uint64_t corr, owner;
    const uint8_t *packed; /* GW_DUE_RESEND: lent until the next call */
    bool is_secret;        /* likewise */
    uint32_t length;
    enum err error; /* GW_DUE_EXPIRED */
};

size_t gw_bytes(uint32_t calls_max);
/* Borrows `bytes`, of gw_bytes(calls_max). */
void gw_init(struct gw *g, const struct gw_options *o, void *bytes);
/* Gives the server's number. `away_error` is what its callers hear while it is away. */
uint32_t gw_add_server(struct gw *g, enum err away_error);
/* One more of the group that was added last, whose first is `first`. */
uint32_t gw_add_replica(struct gw *g, uint32_t first);
/* For one that waits for others itself: its calls are given up after this, not the usual time; it
 * is rounded up to a whole number of those. */
void gw_set_timeout(struct gw *g, uint32_t server, int64_t timeout_us);

/* The one of its group to be asked: the first that works from this one on; where none does, this
 * one. Who has no replicas is always this one. */
uint32_t gw_replica_from(const struct gw *g, int64_t now_us, uint32_t server);
/* Puts a request in flight; the caller sends it if gw_is_linked(), otherwise it waits. `corr` is
 * new and not 0. Refuses, in this order: the server's away error, GATEWAY_BUSY. CHECKs the packed
 * length. */
MUST_USE enum err gw_start(struct gw *g, int64_t now_us, uint32_t server, uint64_t corr,
                           uint64_t owner, bool mutates, const uint8_t *packed, size_t length);
/* The same for a secret that changes something, of at most GW_SECRET_MAX. */
MUST_USE enum err gw_start_secret(struct gw *g, int64_t now_us, uint32_t server, uint64_t corr,
                                  uint64_t owner, const uint8_t *packed, size_t length);
/* The same for a probe: an absent server does not refuse it. */
MUST_USE enum err gw_start_probe(struct gw *g, int64_t now_us, uint32_t server, uint64_t corr,
                                 const uint8_t *packed, size_t length);
/* This process did nothing for so long, up to now, and heard nobody: it counts for nobody's
 * silence, and no request is given up the sooner for it. To be said before anything else of then.
 */
void gw_stood_still(struct gw *g, int64_t still_us);
/* The connection to a server came or went; until the first call it is taken to be there. When it
 * comes, all that is in flight is due to be sent, in the order in which it was started. */
void gw_link(struct gw *g, int64_t now_us, uint32_t server, bool is_up);
bool gw_is_linked(const struct gw *g, uint32_t server);
/* Something came from a server, whatever it was. */
void gw_heard(struct gw *g, int64_t now_us, uint32_t server, uint64_t epoch);
/*
 * Whether an answer tells the outcome, asked once for each answer that came. A command that was
 * sent more than once is judged more than once: each copy may be refused, and then another one,
 * for which there were funds in the meantime, be carried out. So a refusal is believed when every
 * copy has been answered; one of a ledger that cannot commit or is behind never is, since the
 * command may have been taken the first time. Until then the command goes on being sent. `refused`
 * is OK for other answers, and for refusals that name an order, which all copies would get.
 */
bool gw_answer_settles(struct gw *g, uint64_t corr, enum err refused);
/* Asked before that: whether this is the refusal of a replica that is itself cut off, and another
 * one that works was not asked yet; it is then sent the call. */
bool gw_ask_next(struct gw *g, int64_t now_us, uint32_t server, uint64_t corr, enum err refused);
/* An answer. True and its owner when somebody waits for it; late, doubled and stale ones are
 * counted and dropped. */
bool gw_answer(struct gw *g, int64_t now_us, uint32_t server, uint64_t epoch, uint64_t corr,
               uint64_t *owner);
/* Gives up a request whose owner is gone. */
void gw_forget(struct gw *g, uint64_t corr);
/* What has to be done at this time, one thing a call; GW_DUE_NOTHING ends it. GW_DUE_PROBE names a
 * server that has owed a sign of life for resend_us: the caller starts a probe, or will be told
 * again after resend_us. */
struct gw_due gw_due(struct gw *g, int64_t now_us);
/* It, and all of its group. */
bool gw_is_away(const struct gw *g, int64_t now_us, uint32_t server);
/* Proves the tables: counts, links and order. */
void gw_check(const struct gw *g);

#endif
