/*
 * ahead.c - batches between the thread that reads and the loop that plays.
 *
 *   FREE -> (thread) being filled -> READY -> (loop) being played -> FREE
 *
 * One mutex guards the lists of batches and the thread's state. A batch belongs to one side at a
 * time, so its events need no guard. The playback itself belongs to the thread while it RUNS, and
 * to the loop while it is PARKED.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/shell/ahead.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCHES      4u
#define BATCH_EVENTS 256u
#define BATCH_LEVELS 20000u /* two whole books of 5000 levels a side */
#define BATCH_STEPS  4096u  /* then it is given as it is, events or none */
#define WHERE_BYTES  4096u

struct batch {
    struct md_event events[BATCH_EVENTS];
    enum source_step steps[BATCH_EVENTS]; /* SOURCE_EVENT or SOURCE_STATE */
    struct level levels[BATCH_LEVELS];
    uint32_t count, level_count;
    bool is_last; /* the playback ended behind it */
    struct source_counts counts;
    char where[WHERE_BYTES];
};

struct ahead {
    void *playback;
    struct spec spec;                /* the playback's own: its symbols change while it runs */
    struct source_counts own_counts; /* the playback's; the thread's */
    struct source_env env;
    struct loop_wake *wake;
    pthread_t thread;
    /* Guarded: */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct batch *free_list[BATCHES], *ready[BATCHES];
    uint32_t free_count, ready_count;
    bool must_park, is_parked, must_end, loop_waits, has_ended;
    /* The loop's: */
    struct batch *playing;
    uint32_t at;
    bool is_over; /* everything was given */
};

/* ---- The thread ------------------------------------------------------------------------- */

/* Lists are lent by the playback until its next step: they are kept with the batch. */
static void
levels_keep(struct batch *b, const struct level **list, uint32_t count)
{
    if (count == 0)
        return;
    struct level *kept = &b->levels[b->level_count];
    memcpy(kept, *list, count * sizeof *kept);
    b->level_count += count;
    *list = kept;
}

static bool
batch_has_room(const struct batch *b)
{
    /* For the largest event there is. */
    return b->count < BATCH_EVENTS && b->level_count <= BATCH_LEVELS / 2;
}

/* Works until the batch is full, the end is reached, or somebody wants the playback. */
static void
batch_fill(struct ahead *a, struct batch *b)
{
    b->count = b->level_count = 0;
    b->is_last = false;
    for (uint32_t steps = 0; batch_has_room(b) && steps < BATCH_STEPS; steps++) {
        if (__atomic_load_n(&a->must_park, __ATOMIC_RELAXED))
            break;
        struct md_event *e = &b->events[b->count];
        enum source_step step = source_playback.next(a->playback, e);
        if (step == SOURCE_EVENT || step == SOURCE_STATE) {
            levels_keep(b, &e->bids, e->bid_count);
            levels_keep(b, &e->asks, e->ask_count);
            b->steps[b->count++] = step;
        } else if (step == SOURCE_END) {
            b->is_last = true;
            break;
        }
    }
    b->counts = a->own_counts;
    snprintf(b->where, sizeof b->where, "%s", source_playback.where(a->playback));
}

static void
batch_give(struct ahead *a, struct batch *b)
{
    if (b->count == 0 && !b->is_last) {
        a->free_list[a->free_count++] = b;
        return;
    }
    a->has_ended = b->is_last;
    a->ready[a->ready_count++] = b;
    if (a->loop_waits) {
        a->loop_waits = false;
        loop_wake_send(a->wake);
    }
}

static void *
run(void *arg)
{
    struct ahead *a = arg;
    pthread_mutex_lock(&a->mutex);
    while (!a->must_end) {
        if (a->must_park || a->free_count == 0 || a->has_ended) {
            a->is_parked = true;
            pthread_cond_broadcast(&a->changed);
            pthread_cond_wait(&a->changed, &a->mutex);
            continue;
        }
        a->is_parked = false;
        struct batch *b = a->free_list[--a->free_count];
        pthread_mutex_unlock(&a->mutex);
        batch_fill(a, b);
        pthread_mutex_lock(&a->mutex);
        batch_give(a, b);
    }
    pthread_mutex_unlock(&a->mutex);
    return NULL;
}

/* ---- The loop --------------------------------------------------------------------------- */

/* From here to unpark() the playback is the loop's. */
static void
park(struct ahead *a)
{
    pthread_mutex_lock(&a->mutex);
    __atomic_store_n(&a->must_park, true, __ATOMIC_RELAXED);
    while (!a->is_parked)
        pthread_cond_wait(&a->changed, &a->mutex);
    pthread_mutex_unlock(&a->mutex);
}

static void
unpark(struct ahead *a)
{
    pthread_mutex_lock(&a->mutex);
    __atomic_store_n(&a->must_park, false, __ATOMIC_RELAXED);
    a->is_parked = false;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->mutex);
}

/* A batch that was played goes back, the next one comes. */
static bool
batch_next(struct ahead *a)
{
    pthread_mutex_lock(&a->mutex);
    if (a->playing != NULL) {
        a->free_list[a->free_count++] = a->playing;
        a->playing = NULL;
        a->is_parked = false;
        pthread_cond_broadcast(&a->changed);
    }
    if (a->ready_count > 0) {
        a->playing = a->ready[0];
        a->ready_count--;
        memmove(&a->ready[0], &a->ready[1], a->ready_count * sizeof a->ready[0]);
    } else {
        a->loop_waits = true;
    }
    pthread_mutex_unlock(&a->mutex);
    a->at = 0;
    if (a->playing != NULL)
        *a->env.counts = a->playing->counts;
    return a->playing != NULL;
}

static enum source_step
ahead_next(void *self, struct md_event *out)
{
    struct ahead *a = self;
    for (;;) {
        if (a->playing != NULL && a->at < a->playing->count) {
            *out = a->playing->events[a->at];
            return a->playing->steps[a->at++];
        }
        a->is_over |= a->playing != NULL && a->playing->is_last;
        if (a->is_over)
            return SOURCE_END;
        if (!batch_next(a))
            return SOURCE_WAIT;
    }
}

static void
on_wake(void *arg)
{
    struct ahead *a = arg;
    a->env.on_ready(a->env.arg);
}

static enum err
ahead_open(const struct spec *spec, const struct source_env *env, void **self,
           char why[SOURCE_WHY_BYTES])
{
    struct ahead *a = calloc(1, sizeof *a);
    CHECK(a != NULL);
    a->env = *env;
    a->spec = *spec;
    struct source_env inner = *env;
    inner.loop = NULL; /* the loop's clock and timers are not the thread's */
    inner.counts = &a->own_counts;
    a->own_counts = *env->counts;
    enum err e = source_playback.open(&a->spec, &inner, &a->playback, why);
    if (e != OK) {
        free(a);
        return e;
    }
    for (; a->free_count < BATCHES; a->free_count++) {
        a->free_list[a->free_count] = malloc(sizeof(struct batch));
        CHECK(a->free_list[a->free_count] != NULL);
    }
    a->wake = loop_wake_new(env->loop, on_wake, a);
    pthread_mutex_init(&a->mutex, NULL);
    pthread_cond_init(&a->changed, NULL);
    CHECK(pthread_create(&a->thread, NULL, run, a) == 0);
    *self = a;
    return OK;
}

static void
ahead_close(void **self)
{
    struct ahead *a = *self;
    if (a == NULL)
        return;
    park(a);
    pthread_mutex_lock(&a->mutex);
    a->must_end = true;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->mutex);
    pthread_join(a->thread, NULL);
    source_playback.close(&a->playback);
    loop_wake_end(&a->wake);
    free(a->playing);
    for (uint32_t i = 0; i < a->free_count; i++)
        free(a->free_list[i]);
    for (uint32_t i = 0; i < a->ready_count; i++)
        free(a->ready[i]);
    pthread_mutex_destroy(&a->mutex);
    pthread_cond_destroy(&a->changed);
    free(a);
    *self = NULL;
}

static const char *
ahead_where(const void *self)
{
    const struct ahead *a = self;
    return a->playing == NULL ? "" : a->playing->where;
}

/* What was read ahead is of the old place. */
static enum err
ahead_seek(void *self, int64_t to_us, char why[SOURCE_WHY_BYTES])
{
    struct ahead *a = self;
    park(a);
    enum err e = source_playback.seek(a->playback, to_us, why);
    if (e == OK) {
        if (a->playing != NULL)
            a->free_list[a->free_count++] = a->playing;
        a->playing = NULL;
        while (a->ready_count > 0)
            a->free_list[a->free_count++] = a->ready[--a->ready_count];
        a->has_ended = a->is_over = false;
    }
    unpark(a);
    return e;
}

static enum err
ahead_symbol_add(void *self, code_t symbol, char why[SOURCE_WHY_BYTES])
{
    struct ahead *a = self;
    enum err e = OK;
    park(a);
    if (spec_takes(&a->spec, symbol)) {
        /* It comes as it is. */
    } else if (a->spec.symbol_count == SPEC_SYMBOLS_MAX) {
        snprintf(why, SOURCE_WHY_BYTES, "the source names as many symbols as it can");
        e = ERR_SYMBOLS_FULL;
    } else {
        a->spec.symbols[a->spec.symbol_count++] = symbol;
    }
    unpark(a);
    return e;
}

static void
ahead_rules_set(void *self, const struct symbol_rules *rules, uint32_t count)
{
    struct ahead *a = self;
    park(a);
    source_playback.rules_set(a->playback, rules, count);
    unpark(a);
}

static void
ahead_view(const void *self, struct source_view *out)
{
    struct ahead *a = (struct ahead *)self;
    park(a);
    source_playback.view(a->playback, out);
    unpark(a);
}

const struct source_ops source_ahead = {
    .kind = "playback",
    .open = ahead_open,
    .next = ahead_next,
    .close = ahead_close,
    .where = ahead_where,
    .symbol_add = ahead_symbol_add,
    .seek = ahead_seek,
    .rules_set = ahead_rules_set,
    .view = ahead_view,
};
