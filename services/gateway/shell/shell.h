/*
 * shell.h - the gateway process: its parts, and the requests it is working on.
 *
 * A request lives from the moment its bytes are whole until it is answered; what it waits for
 * (another service, the users' database, a password hash, Redis) names it by a handle, which
 * stays safe when the request was answered in the meantime.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_GATEWAY_SHELL_SHELL_H
#define SCRIP_GATEWAY_SHELL_SHELL_H

#include "base/arena.h"
#include "gateway/core/gateway.h"
#include "gateway/core/limit.h"
#include "gateway/core/stream.h"
#include "gateway/shell/config.h"
#include "gateway/shell/hash_pool.h"
#include "gateway/shell/http.h"
#include "gateway/shell/route.h"
#include "gateway/shell/token.h"
#include "gateway/shell/users.h"
#include "host/metrics.h"
#include "host/service.h"
#include "host/shards.h"
#include "wire/bus.h"

/* The owner of the call that asks for the symbols. */
#define SYMBOLS_OWNER (UINT64_C(1) << 63 | UINT32_MAX)

struct shell;
struct audit;
struct market_cache;
struct ws;
struct request;
struct basket;
struct mode_switch;

/* A request's handle has its place in the lower bits of its lower half. Above them stands which of
 * several messages of one request is meant. */
#define REQUEST_PART_SHIFT 24

/* An answer of another service, or (msg NULL) why there is none. */
typedef void request_answer(struct shell *s, struct request *r, const struct msg *msg, enum err e);

struct request {
    uint32_t index, generation;
    bool in_use, is_queued; /* queued: in the list of those with a deadline of their own */
    struct http_ref ref;
    const struct route *route; /* NULL when none was found */
    uint64_t corr;
    int64_t start_us, deadline_us;    /* steady */
    struct token_holder who;          /* of USER routes; zero elsewhere */
    char refresh[REFRESH_TEXT_BYTES]; /* of a sign-up that waits for the ledger */
    cid_t client_order_id;
    char allow[32];      /* of a method that is not allowed */
    enum err late_error; /* the answer at the deadline */
    request_answer *on_answer;
    uint32_t part;            /* of several messages the one that is answered */
    struct basket *basket;    /* owned; of one that waits for its orders */
    struct mode_switch *mode; /* owned; of one that changes an account's mode */
    uint32_t next, prev;      /* queued ones by deadline; next also links the free ones */
};

struct shell {
    struct host *host;
    struct loop *loop;
    const struct gateway_config *config;
    uint64_t corr_base, corr_count;

    /* Requests. */
    struct request *requests;
    uint32_t requests_free, queue_first, queue_last, requests_count;
    struct bytes text; /* an answer's body being written */

    /* Other services. */
    struct gw gw;
    int64_t beat_us;                     /* steady: the latest time told to it */
    struct bus *servers[GW_SERVERS_MAX]; /* by the core's server number */
    struct bus *events[GW_SERVERS_MAX];  /* of the ledger with the same number */
    uint32_t shard_server[SHARDS];
    uint32_t ledger_count, market_server;
    uint32_t bridge_first, bridge_count;
    struct bus *market;
    struct bytes packed;
    struct arena lists; /* of the request that is being read */

    /* Own parts. */
    struct limit by_address, by_login, by_account, by_name;
    struct routes *routes;
    struct http *http;
    struct tokens *tokens;
    struct users *users;
    struct hash_pool *hashes;
    struct market_cache *cache;
    struct audit *audit;
    struct ws *ws;
    struct bytes openapi;
    code_t *symbols; /* in order */
    uint32_t symbol_count;
    uint64_t symbols_version;
    bool symbols_asked;
    int64_t symbols_at_us; /* when to ask for them again */
    struct loop_timer *tick;
    uint32_t flows; /* sign-ups and log-ins under way */
    bool draining;
    void *memory[8];

    struct metric *answers[6]; /* by the status's first digit */
    struct metric *latency, *in_flight, *resent, *expired, *late, *limited;
};

/* ---- Requests ---- */

uint64_t request_handle(const struct request *r);
/* Takes `count` requests more of what the account may ask; RATE_LIMITED and when to come back. */
MUST_USE enum err request_rate(struct shell *s, const struct request *r, uint32_t count,
                               uint32_t *retry_after_seconds);
/* NULL when it was answered already, and for owners of other kinds. */
struct request *request_find(struct shell *s, uint64_t handle);
/* Gives a request a deadline of its own, when nobody else keeps one for it. */
void request_queue(struct shell *s, struct request *r, enum err late_error);
uint64_t corr_new(struct shell *s);

/* ---- Answers: each ends the request ---- */

void answer_text(struct shell *s, struct request *r, int status, const char *type, const char *text,
                 size_t length);
void answer_json(struct shell *s, struct request *r, int status, const struct bytes *body);
/* A message's body as JSON. */
void answer_body(struct shell *s, struct request *r, int status, const struct msg_layout *l,
                 const void *body);
void answer_refused(struct shell *s, struct request *r, const struct refused *why);
void answer_error(struct shell *s, struct request *r, enum err e);
void answer_field(struct shell *s, struct request *r, enum err e, code_t field, text_t detail);
/* Appends the error object of a refusal as it is answered: with the client order id where the
 * outcome is unknown, and a time where it is worth trying again. */
void refusal_write(struct bytes *out, const struct refused *why, uint64_t corr,
                   const cid_t *client_order_id);
/* Appends the error object, for the stream too. */
void error_write(struct bytes *out, const struct refused *why, uint64_t corr,
                 const cid_t *client_order_id);

/* ---- Other services ---- */

/* Opens the sockets. CONFIG_BAD_VALUE after logging which setting. */
MUST_USE enum err call_open(struct shell *s);
void call_close(struct shell *s);
uint32_t call_ledger_of(const struct shell *s, uint64_t account_id);
/*
 * The bridge that is asked for an account, while it works; otherwise the next one is. GW_NONE where
 * there is none at all, and then call_send() refuses.
 *
 * A request may so be carried out by two bridges: by one that died or froze before its answer was
 * here, and by the next. Both together leave what one alone would:
 *   bridge_keys_put, _delete, bridge_bind, bridge_schedule_set   one statement each, which makes a
 *                         row what was asked for, or makes it go, whatever was there before;
 *   bridge_balance_sync   the correlation id, the same in each copy, is the ledger's command id:
 *                         the balance that gets there first counts;
 *   bridge_refresh        what the exchange has is told to the ledger, which leaves out what it
 *                         knows and what is older than that;
 *   bridge_keys_get, bridge_schedule_get   change nothing but when a key was looked at.
 * One that froze, and goes on when something newer was asked for, leaves what it was sent before:
 * see asks.h of the bridge.
 */
uint32_t call_bridge_of(const struct shell *s, uint64_t account_id);
/* Sends a request's message. On refusal nothing was sent. What MUTATES, and what the caller says
 * `matters`, such as a cancel, which is journaled as what it causes, is not given up while its
 * outcome may still be told. */
MUST_USE enum err call_send(struct shell *s, uint32_t server, enum msg_type type, uint64_t corr,
                            uint64_t owner, bool matters, const void *body);
/* The same of what MUTATES and need not be waited for: it is given up when its server is away. */
MUST_USE enum err call_send_lightly(struct shell *s, uint32_t server, enum msg_type type,
                                    uint64_t corr, uint64_t owner, const void *body);
/* The same of a message with a secret; what was packed is wiped. */
MUST_USE enum err call_send_secret(struct shell *s, uint32_t server, enum msg_type type,
                                   uint64_t corr, uint64_t owner, const void *body);
/* Resends and gives up what is due. */
void call_tick(struct shell *s);

/* ---- Handlers of OWN routes ---- */

#define OWN(method, path, handler, who, rate, body, sentence)                                      \
    void own_##handler(struct shell *s, struct request *r, const struct http_request *h);
#define ASK(method, path, to, request, answer, status, who, rate, body, sentence)
#include "gateway/routes.def"
#undef OWN
#undef ASK

/* ---- Baskets ---- */

/* Frees what a request's orders are waited for with; NULL is none. */
void basket_drop(struct basket **b);

/* ---- An account's mode ---- */

/* Takes a change of settings that is to change the mode, which is the bridge's affair, too; false
 * when it is the ledger's alone. */
bool mode_begin(struct shell *s, struct request *r, const struct settings_set *wish);
void mode_drop(struct mode_switch **m);

/* ---- Symbols ---- */

/* The names that market data knows, asked for when it says that they have changed; for those who
 * need to know a symbol without asking. Everything is known while nothing is. */
void symbols_tick(struct shell *s);
void symbols_beat(struct shell *s, const struct md_symbols_beat *beat);
void symbols_answer(struct shell *s, const struct msg *m);
bool symbols_known(const struct shell *s, const char *symbol);

/* ---- The process ---- */

MUST_USE enum err shell_start(struct host *h, const void *config, void **state);
const char *shell_not_ready(void *state);
void shell_drain(void *state);
void shell_stop(void *state);

#endif
