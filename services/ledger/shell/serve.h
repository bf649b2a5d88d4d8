/*
 * serve.h - the ledger process: what it is made of and the phases of its life.
 *
 *   STANDBY ──lease──► RESTORING ──books proved──► OPENING ──► SERVING ──SIGTERM──► DRAINING ──►
 * end
 *
 * While OPENING, requests wait until matchers and bridges work and prices are known, for a second:
 * a successor must not turn away what its predecessor would have taken. While DRAINING none is read
 * any more, so that the gateway keeps what comes for the successor. The files of the sockets are
 * gone before the lease is.
 *
 * A deposed owner, a broken journal or books that do not add up at the start end the process with
 * a status other than 0; whoever starts it again gets a standby.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_SHELL_SERVE_H
#define SCRIP_LEDGER_SHELL_SERVE_H

#include "host/service.h"
#include "ledger/shell/ahead.h"
#include "ledger/shell/anchoring.h"
#include "ledger/shell/bridges.h"
#include "ledger/shell/journal.h"
#include "ledger/shell/link.h"
#include "ledger/shell/market.h"
#include "ledger/shell/policy.h"
#include "ledger/shell/project.h"
#include "ledger/shell/query.h"
#include "ledger/shell/restore.h"
#include "wire/bus.h"

#define SERVE_TYPES_MAX  256  /* message numbers, of messages.def */
#define SERVE_ERRORS_MAX 1000 /* error numbers, of errors.def */

enum phase { PHASE_STANDBY, PHASE_RESTORING, PHASE_OPENING, PHASE_SERVING, PHASE_DRAINING };

/* Sees who follows whose events, so that nobody packs what nobody reads. */
struct metric;

struct followers {
    struct map accounts; /* followed by their own topic */
    void *bytes;
    uint32_t others; /* topics that are not of one account: everything is published */
};

struct serve {
    const struct ledger_config *config;
    struct host host;
    enum phase phase;
    bool owned[LEDGER_SHARDS];
    uint64_t epoch;

    struct ledger ledger;
    void *memory;
    size_t memory_bytes;
    struct ahead *ahead;
    struct outbox out;
    struct store *store;
    struct journal *journal;
    struct project *project;
    struct query *query;
    struct restore *restore;     /* while RESTORING */
    struct anchoring *anchoring; /* NULL: none are to be written */
    struct links *links;
    struct bridges *bridges;
    struct market *market;
    struct bus *serve, *publish;
    struct followers followers;

    struct loop_timer *lease_timer, *wake_timer, *check_timer;
    bool lease_asked, was_up, is_restored, is_draining;
    int64_t evict_us;                /* steady: from then on finished orders may be forgotten */
    int64_t turn_us;                 /* the clock as of the last turn */
    int64_t opened_us;               /* steady */
    uint64_t real_refused;           /* reports of bridges, as last looked at */
    uint32_t check_shard;            /* whose books are proved next */
    bool is_violated[LEDGER_SHARDS]; /* the last proof failed */
    uint32_t violated;               /* so many of them */
    text_t violation;                /* the latest */
    struct metric *m_commands[SERVE_TYPES_MAX], *m_refusals[SERVE_ERRORS_MAX];
    struct metric *m_epoch, *m_violated, *m_reports_refused, *m_open_orders, *m_accounts;
    struct metric *m_evicted, *m_working, *m_crowded, *m_real_refused;
};

/* For service_run(). */
enum err serve_start(struct host *h, const void *config, void **state);
const char *serve_not_ready(void *state);
void serve_drain(void *state);
void serve_stop(void *state);

/* ---- take.c: from the bus to the core and back --------------------------------------------- */

/* Opens the doors: the sockets of gateways and followers. */
MUST_USE enum err take_open(struct serve *s);
void take_close(struct serve *s);
/* Whether requests are read; until then they wait in the socket. */
void take_pause(struct serve *s, bool is_paused);
/* Whether reports must wait: some queue is half full. */
bool take_is_crowded(const struct serve *s);
/* For links, query and journal. */
bool take_report(void *arg, code_t matcher, struct msg *report);
void take_explained(void *arg, struct msg *said);
void take_found(void *arg, uint32_t peer, struct msg *cmd, code_t source,
                const struct order_view *row);
void take_list(void *arg, uint32_t peer, struct msg *cmd, code_t source,
               const struct list_view *row);
void take_story(void *arg, uint32_t peer, const struct msg *cmd, const struct order_story *row);
void take_page(void *arg, uint32_t peer, const struct msg *page);
void take_reply(void *arg, uint32_t peer, const uint8_t *data, size_t length);
void take_event(void *arg, uint64_t account_id, const uint8_t *data, size_t length);
void take_order(void *arg, const uint8_t *data, size_t length);

#endif
