/*
 * journal.c - see journal.h for the states.
 *
 * The arrays of all batches are allocated once and reused; a payload's place in its batch never
 * moves, because a batch is refused before it is full.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/shell/journal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "host/log.h"
#include "host/metrics.h"
#include "ledger/core/ledger.h"
#include "ledger/shell/held.h"
#include "ledger/shell/record_clock.h"
#include "wire/codec.h"

#define RETRY_US        100000
#define PAYLOAD_MAX     65536           /* no command packs to more: 64 fills are some 6 KB */
#define HELD_BYTES_MAX  (64u << 20)     /* messages held by one batch */
#define HELD_BYTES_ROOM FRAME_BYTES_MAX /* what one command may add */
#define CONFLICTS_MAX   3               /* numbers taken, but the record absent: not ours */
#define BATCHES         (STORE_APPENDS_MAX + 1)

/* What is known of a batch that was sent. */
enum place {
    PLACE_AWAY, /* it is on its way */
    PLACE_IN,   /* in the store; held until those before it are settled */
    PLACE_OUT,  /* not in the store */
    PLACE_UNSURE,
};

struct batch {
    struct journal *journal;
    struct journal_record *records;
    uint32_t count;
    struct bytes payloads;
    struct held held;
    bool is_urgent;
    int64_t since_us;   /* steady; when a turn first saw it unsent */
    int64_t started_us; /* steady; when it was sent first */
    enum place place;
    uint64_t send; /* number of its last sending */
};

struct head {
    uint64_t seq, committed;
    uint8_t hash[HASH_BYTES], committed_hash[HASH_BYTES];
};

struct journal {
    struct journal_options o;
    struct held_way way;
    enum journal_state state;
    struct journal_hasher *hasher;
    struct head heads[LEDGER_SHARDS];
    struct batch batches[BATCHES];
    struct batch *filling;
    struct batch *sent[STORE_APPENDS_MAX]; /* not settled yet, from the oldest on */
    uint32_t sent_count;
    struct journal_record last; /* of the last batch that was committed; its key and hash */
    bool has_last;
    struct record_clock clock; /* as of the last turn */
    int64_t retry_us;
    uint32_t conflicts;      /* since the last commit */
    bool is_there, is_other; /* what asking found */
    bool hurry;
    int64_t unmeasured_us[STORE_APPENDS_MAX]; /* when those committed since the turn were sent */
    uint32_t unmeasured_count;
    uint64_t sends, sends_durable;
    struct metric *m_commits, *m_records, *m_latency, *m_pending, *m_held, *m_retries;
};

static void
batch_init(struct batch *b, const struct journal_options *o)
{
    b->records = calloc(o->records_max, sizeof *b->records);
    CHECK(b->records != NULL);
    held_init(&b->held, o->held_max);
    bytes_reserve(&b->payloads, o->bytes_max);
}

static void
batch_fini(struct batch *b)
{
    free(b->records);
    held_fini(&b->held);
    bytes_free(&b->payloads);
}

static void
batch_clear(struct batch *b)
{
    b->count = 0;
    held_clear(&b->held);
    bytes_clear(&b->payloads);
    b->is_urgent = false;
    b->since_us = 0;
}

struct journal *
journal_new(const struct journal_options *o)
{
    CHECK(o->records_max >= 2 && o->bytes_max >= 16 * PAYLOAD_MAX);
    CHECK(o->held_max >= 4 * LEDGER_OUT_MAX);
    struct journal *j = calloc(1, sizeof *j);
    CHECK(j != NULL);
    j->o = *o;
    j->way = (struct held_way){o->arg, o->on_reply, o->on_event, o->on_bridge};
    j->hasher = journal_hasher_new();
    for (int i = 0; i < BATCHES; i++) {
        batch_init(&j->batches[i], o);
        j->batches[i].journal = j;
    }
    j->filling = &j->batches[0];
    j->m_commits = metric_counter("scrip_ledger_commits_total", "", "Batches committed.");
    j->m_records = metric_counter("scrip_ledger_records_total", "", "Journal records committed.");
    j->m_latency = metric_histogram("scrip_ledger_commit_latency_us", "",
                                    "From sending a batch to its commit.");
    j->m_pending = metric_gauge("scrip_ledger_pending_records", "", "Records not yet durable.");
    j->m_held = metric_gauge("scrip_ledger_held_messages", "",
                             "Replies, events and what is for a bridge that wait for a commit.");
    j->m_retries = metric_counter("scrip_ledger_commit_retries_total", "",
                                  "Batches lost, taken or refused and tried again.");
    return j;
}

void
journal_destroy(struct journal **j)
{
    if (*j == NULL)
        return;
    for (int i = 0; i < BATCHES; i++)
        batch_fini(&(*j)->batches[i]);
    journal_hasher_destroy(&(*j)->hasher);
    free(*j);
    *j = NULL;
}

void
journal_set_head(struct journal *j, uint16_t shard, uint64_t seq, const uint8_t hash[HASH_BYTES])
{
    struct head *h = &j->heads[shard];
    h->seq = h->committed = seq;
    memcpy(h->hash, hash, HASH_BYTES);
    memcpy(h->committed_hash, hash, HASH_BYTES);
}

uint64_t
journal_applied(const struct journal *j, uint16_t shard)
{
    return j->heads[shard].seq;
}

uint64_t
journal_committed(const struct journal *j, uint16_t shard)
{
    return j->heads[shard].committed;
}

void
journal_committed_hash(const struct journal *j, uint16_t shard, uint8_t out[HASH_BYTES])
{
    memcpy(out, j->heads[shard].committed_hash, HASH_BYTES);
}

void
journal_head_hash(const struct journal *j, uint16_t shard, uint8_t out[HASH_BYTES])
{
    memcpy(out, j->heads[shard].hash, HASH_BYTES);
}

/* Reads are held by a batch that is sent, so all must have room for a command's output. */
static bool
batch_fits(const struct journal *j, uint32_t share)
{
    const struct batch *b = j->filling;
    for (int i = 0; i < BATCHES; i++)
        if (j->batches[i].held.count + LEDGER_OUT_MAX > j->o.held_max / share ||
            j->batches[i].held.bytes.length + HELD_BYTES_ROOM > HELD_BYTES_MAX / share)
            return false;
    return b->count < j->o.records_max / share &&
           b->payloads.length + PAYLOAD_MAX <= j->o.bytes_max / share;
}

bool
journal_has_room(const struct journal *j)
{
    return batch_fits(j, 1);
}

bool
journal_is_crowded(const struct journal *j)
{
    return !batch_fits(j, 2);
}

bool
journal_is_writable(const struct journal *j, int64_t steady_us)
{
    if (!store_is_up(j->o.store))
        return false;
    return j->state == JOURNAL_IDLE ||
           (j->state == JOURNAL_WRITING && steady_us - j->sent[0]->started_us < j->o.stall_us);
}

enum journal_state
journal_state_now(const struct journal *j)
{
    return j->state;
}

uint32_t
journal_pending(const struct journal *j)
{
    uint32_t count = j->filling->count;
    for (uint32_t i = 0; i < j->sent_count; i++)
        count += j->sent[i]->count;
    return count;
}

static uint32_t
held_count(const struct journal *j)
{
    uint32_t count = j->filling->held.count;
    for (uint32_t i = 0; i < j->sent_count; i++)
        count += j->sent[i]->held.count;
    return count;
}

bool
journal_is_empty(const struct journal *j)
{
    return journal_pending(j) == 0 && held_count(j) == 0;
}

uint64_t
journal_sends(const struct journal *j)
{
    return j->sends;
}

uint64_t
journal_sends_durable(const struct journal *j)
{
    return j->sends_durable;
}

int64_t
journal_newest_us(const struct journal *j)
{
    int64_t stored_us = store_newest_us(j->o.store);
    return j->clock.newest_us > stored_us ? j->clock.newest_us : stored_us;
}

int64_t
journal_time_us(const struct journal *j, int64_t now_us)
{
    return record_clock_now(&j->clock, store_newest_us(j->o.store), now_us);
}

void
journal_append(struct journal *j, uint16_t shard, const struct msg *cmd, code_t source,
               int64_t now_us)
{
    struct batch *b = j->filling;
    CHECK(b->count < j->o.records_max && now_us >= j->clock.newest_us);
    record_clock_write(&j->clock, now_us);
    const uint8_t *place = b->payloads.data;
    size_t at = b->payloads.length;
    /* All members of the union start where the first one does. */
    msg_pack_payload(&b->payloads, cmd->type, &cmd->frame);
    CHECK(b->payloads.data == place);

    struct head *h = &j->heads[shard];
    struct journal_record *r = &b->records[b->count++];
    r->shard = shard;
    r->kind = (uint32_t)cmd->type;
    r->seq = ++h->seq;
    r->time_us = now_us;
    r->corr = cmd->corr;
    r->source = source;
    r->payload = place + at;
    r->payload_length = (uint32_t)(b->payloads.length - at);
    journal_hash(j->hasher, h->hash, r, r->hash);
    memcpy(h->hash, r->hash, HASH_BYTES);
}

/* The batch whose commit covers everything applied so far. The filling one keeps the order when
 * something is held there already. */
static struct batch *
covering(struct journal *j)
{
    bool at_work = j->filling->count > 0 || j->filling->held.count > 0;
    return at_work || j->sent_count == 0 ? j->filling : j->sent[j->sent_count - 1];
}

static void
hold(struct journal *j, enum held_for held_for, uint64_t to, const struct msg *m)
{
    struct batch *b = covering(j);
    held_add(&b->held, held_for, to, m);
    b->is_urgent |= held_for != HELD_FOR_FOLLOWERS;
    if (b == j->filling && b->count == 0)
        held_release(&b->held, &j->way);
}

void
journal_reply(struct journal *j, uint32_t peer, const struct msg *m)
{
    hold(j, HELD_FOR_ASKER, peer, m);
}

void
journal_event(struct journal *j, uint64_t account_id, const struct msg *m)
{
    hold(j, HELD_FOR_FOLLOWERS, account_id, m);
}

void
journal_bridge(struct journal *j, const struct msg *m)
{
    hold(j, HELD_FOR_BRIDGE, 0, m);
}

static void
fenced(struct journal *j, const char *why)
{
    j->state = JOURNAL_FENCED;
    j->o.on_fenced(j->o.arg, why);
}

/* A batch free to be filled. */
static struct batch *
batch_free(struct journal *j)
{
    for (int i = 0; i < BATCHES; i++) {
        struct batch *b = &j->batches[i];
        bool is_used = b == j->filling;
        for (uint32_t k = 0; k < j->sent_count; k++)
            is_used |= b == j->sent[k];
        if (!is_used)
            return b;
    }
    CHECK(false);
}

/* The oldest batch that was sent is in the store. */
static void
committed(struct journal *j)
{
    struct batch *b = j->sent[0];
    bool is_logged = log_on(LOG_DEBUG) != 0;
    for (uint32_t i = 0; i < b->count; i++) {
        const struct journal_record *r = &b->records[i];
        struct head *h = &j->heads[r->shard];
        h->committed = r->seq;
        memcpy(h->committed_hash, r->hash, HASH_BYTES);
        if (is_logged)
            log_corr(LOG_DEBUG, r->corr, "committed", "shard=%u seq=%" PRIu64 " kind=%u",
                     (unsigned)r->shard, (uint64_t)r->seq, (unsigned)r->kind);
    }
    j->sent_count--;
    memmove(j->sent, j->sent + 1, j->sent_count * sizeof(struct batch *));
    j->conflicts = 0;
    metric_add(j->m_commits, 1);
    metric_add(j->m_records, b->count);
    j->last = b->records[b->count - 1];
    j->last.payload = NULL;
    j->has_last = true;
    b->count = 0;
    if (j->unmeasured_count < STORE_APPENDS_MAX) /* the turn of the answer has the clock */
        j->unmeasured_us[j->unmeasured_count++] = b->started_us;
    if (j->o.on_committed != NULL)
        j->o.on_committed(j->o.arg);
    held_release(&b->held, &j->way);
    batch_clear(b);
}

static void
ask_later(struct journal *j)
{
    j->state = JOURNAL_UNSURE;
    j->retry_us = j->clock.steady_us + RETRY_US;
    metric_add(j->m_retries, 1);
}

/* After an answer: commits from the oldest on what is known to be in the store; once nothing is on
 * its way any more, the oldest of what is left says what to do. */
static void
settle(struct journal *j)
{
    j->state = JOURNAL_IDLE;
    while (j->sent_count > 0 && j->sent[0]->place == PLACE_IN)
        committed(j);
    for (uint32_t i = 0; i < j->sent_count; i++)
        if (j->sent[i]->place == PLACE_AWAY)
            j->state = JOURNAL_WRITING;
    if (j->sent_count == 0 || j->state == JOURNAL_WRITING)
        return;
    j->state = j->sent[0]->place == PLACE_UNSURE ? JOURNAL_UNSURE : JOURNAL_WAITING;
    metric_add(j->m_retries, 1);
}

static void
append_done(void *arg, enum store_outcome outcome)
{
    struct batch *b = arg;
    struct journal *j = b->journal;
    if (j->state == JOURNAL_FENCED)
        return;
    switch (outcome) {
    case STORE_DONE:
        b->place = PLACE_IN;
        if (b->send > j->sends_durable)
            j->sends_durable = b->send;
        break;
    case STORE_LOST:
    case STORE_TAKEN:
        log_line(LOG_WARN, "commit_unsure", "outcome=%s records=%u", store_outcome_name(outcome),
                 b->count);
        j->conflicts += outcome == STORE_TAKEN;
        b->place = PLACE_UNSURE;
        j->retry_us = 0;
        break;
    case STORE_REFUSED:
        b->place = PLACE_OUT;
        j->retry_us = j->clock.steady_us + RETRY_US;
        break;
    case STORE_GAP: /* the one before it failed, and has said when to try again */
        if (b == j->sent[0]) {
            fenced(j, "the journal has lost what was committed");
            return;
        }
        b->place = PLACE_OUT;
        break;
    case STORE_FENCED:
        fenced(j, "the lease has another owner");
        return;
    }
    settle(j);
}

static void
found_record(void *arg, const struct journal_record *r)
{
    struct journal *j = arg;
    const struct journal_record *last = &j->sent[0]->records[j->sent[0]->count - 1];
    j->is_there = memcmp(r->hash, last->hash, HASH_BYTES) == 0;
    j->is_other = !j->is_there;
}

static void
asked_done(void *arg, enum store_outcome outcome)
{
    struct journal *j = arg;
    if (outcome != STORE_DONE) {
        ask_later(j);
        return;
    }
    log_line(LOG_INFO, "commit_asked", "there=%d other=%d", j->is_there, j->is_other);
    if (!j->is_there && (j->is_other || j->conflicts > CONFLICTS_MAX)) {
        fenced(j, "the journal has another record in the place of ours");
        return;
    }
    j->sent[0]->place = j->is_there ? PLACE_IN : PLACE_OUT;
    j->retry_us = 0;
    settle(j);
}

/* A batch is all or nothing, so its last record tells of all of it. */
static void
ask(struct journal *j)
{
    const struct batch *b = j->sent[0];
    const struct journal_record *last = &b->records[b->count - 1];
    j->is_there = j->is_other = false;
    j->state = JOURNAL_ASKING;
    if (!store_read(j->o.store, last->shard, last->seq - 1, 1, found_record, asked_done, j))
        ask_later(j);
}

/* Sends all that was to be sent and is not in the store, each behind the one before it. */
static void
send(struct journal *j)
{
    const struct journal_record *after = j->has_last ? &j->last : NULL;
    j->state = JOURNAL_WAITING;
    for (uint32_t i = 0; i < j->sent_count; i++) {
        struct batch *b = j->sent[i];
        if (b->place != PLACE_AWAY) {
            b->send = ++j->sends;
            b->place = PLACE_AWAY;
            if (!store_append(j->o.store, b->records, b->count, after, append_done, b)) {
                b->place = PLACE_OUT;
                j->retry_us = 0;
                return;
            }
        }
        j->state = JOURNAL_WRITING;
        after = &b->records[b->count - 1];
    }
}

static bool
is_due(const struct journal *j)
{
    const struct batch *b = j->filling;
    return b->count > 0 && (b->is_urgent || j->hurry || journal_is_crowded(j) ||
                            j->clock.steady_us - b->since_us >= j->o.delay_us);
}

/* The batch that was filling goes to the store, and another one is filled. */
static void
launch(struct journal *j)
{
    struct batch *b = j->filling;
    b->started_us = j->clock.steady_us;
    b->place = PLACE_OUT;
    j->sent[j->sent_count++] = b;
    j->filling = batch_free(j);
    send(j);
}

void
journal_turn(struct journal *j, int64_t steady_us)
{
    record_clock_turn(&j->clock, steady_us);
    while (j->unmeasured_count > 0)
        metric_observe_us(j->m_latency, steady_us - j->unmeasured_us[--j->unmeasured_count]);
    if (j->filling->count > 0 && j->filling->since_us == 0)
        j->filling->since_us = steady_us;
    bool may_try = store_is_up(j->o.store) && steady_us >= j->retry_us;
    bool may_send = j->state == JOURNAL_IDLE || j->state == JOURNAL_WRITING;

    if (j->state == JOURNAL_UNSURE && may_try)
        ask(j);
    else if (j->state == JOURNAL_WAITING && may_try)
        send(j);
    else if (may_send && j->sent_count < STORE_APPENDS_MAX && is_due(j))
        launch(j);
    metric_set(j->m_pending, journal_pending(j));
    metric_set(j->m_held, held_count(j));
}

int64_t
journal_wake_us(const struct journal *j)
{
    switch (j->state) {
    case JOURNAL_UNSURE:
    case JOURNAL_WAITING:
        /* With the store away its return ends the wait. */
        return store_is_up(j->o.store) ? j->retry_us : INT64_MAX;
    case JOURNAL_IDLE:
    case JOURNAL_WRITING:
        return j->filling->count > 0 && j->sent_count < STORE_APPENDS_MAX
                   ? j->filling->since_us + j->o.delay_us
                   : INT64_MAX;
    case JOURNAL_ASKING:
    case JOURNAL_FENCED:
        return INT64_MAX;
    }
    CHECK(false);
}

void
journal_hurry(struct journal *j)
{
    j->hurry = true;
}
