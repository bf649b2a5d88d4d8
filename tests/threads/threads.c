/*
 * threads.c - what crosses threads, run hard: loop_wake, the password hashes off the loop, memory
 * made ahead, anchors, and recordings read ahead.
 *
 * A program of its own, without Criterion (which does not run under ThreadSanitizer), so that
 * tests/threads/run.sh can build it with -fsanitize=thread. The other builds run it as it is.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "ahead.h"
#include "anchors.h"
#include "base/check.h"
#include "gateway/shell/hash_pool.h"
#include "host/loop.h"
#include "host/pages.h"
#include "host/prefault.h"

#define SENDERS  4
#define SENT     2000
#define JOBS     24
#define LIMIT_MS 60000

static void
on_limit(void *arg)
{
    (void)arg;
    fprintf(stderr, "threads: nothing came for too long\n");
    check_failed(__FILE__, __LINE__, "in time");
}

/* ---- loop_wake: any number of sends, from any thread, wake at least once after the last ------ */

struct wakes {
    struct loop *loop;
    struct loop_wake *wake;
    atomic_uint sent;
};

static void *
sender(void *arg)
{
    struct wakes *w = arg;
    for (unsigned i = 0; i < SENT; i++) {
        atomic_fetch_add(&w->sent, 1);
        loop_wake_send(w->wake);
    }
    return NULL;
}

static void
on_wake(void *arg)
{
    struct wakes *w = arg;
    if (atomic_load(&w->sent) == SENDERS * SENT)
        loop_stop(w->loop);
}

static void
wakes_are_heard(struct loop *loop)
{
    struct wakes w = {.loop = loop};
    w.wake = loop_wake_new(loop, on_wake, &w);
    pthread_t threads[SENDERS];
    for (int i = 0; i < SENDERS; i++)
        CHECK(pthread_create(&threads[i], NULL, sender, &w) == 0);
    loop_run(loop);
    for (int i = 0; i < SENDERS; i++)
        pthread_join(threads[i], NULL);
    loop_wake_end(&w.wake);
}

/* ---- hash_pool: passwords made and compared by several threads ------------------------------- */

struct hashes {
    struct loop *loop;
    struct hash_pool *pool;
    unsigned made, compared, agreed;
};

static void
on_compared(void *arg, bool ok, const char *hash)
{
    struct hashes *h = arg;
    CHECK(hash == NULL);
    h->agreed += ok;
    if (++h->compared == JOBS)
        loop_stop(h->loop);
}

static void
on_made(void *arg, bool ok, const char *hash)
{
    struct hashes *h = arg;
    CHECK(ok && strncmp(hash, "$argon2id$", 10) == 0);
    /* Every other one with the wrong password. */
    const char *password = h->made++ % 2 == 0 ? "correct horse" : "wrong horse";
    CHECK(hash_pool_compare(h->pool, hash, password, on_compared, h) == OK);
}

static void
on_unheard(void *arg, bool ok, const char *hash)
{
    (void)arg, (void)ok, (void)hash;
    check_failed(__FILE__, __LINE__, "nobody is called after hash_pool_close()");
}

static void
hashes_agree(struct loop *loop)
{
    struct hashes h = {.loop = loop};
    h.pool = hash_pool_open(&(struct hash_pool_options){
        .loop = loop, .threads = 3, .queue_max = JOBS, .kib = 64, .passes = 1});
    for (unsigned i = 0; i < JOBS; i++)
        CHECK(hash_pool_make(h.pool, "correct horse", on_made, &h) == OK);
    CHECK(hash_pool_make(h.pool, "one too many", on_made, &h) == ERR_GATEWAY_BUSY);
    loop_run(loop);
    CHECK(h.agreed == JOBS / 2);
    /* Closing in the middle of work: what is under way ends, and nobody is called. */
    for (unsigned i = 0; i < JOBS; i++)
        CHECK(hash_pool_make(h.pool, "never heard of", on_unheard, NULL) == OK);
    hash_pool_close(&h.pool);
}

/* ---- prefault: memory is made while it is written, and what was written stays ---------------- */

static void
made_memory_keeps_what_is_written(void)
{
    enum { BYTES = 32 << 20, STEP = 1 << 20 };
    uint8_t *block = pages_take(BYTES);
    CHECK(block != NULL);
    struct prefault *p = prefault_new();
    for (int at = 0; at < BYTES; at += STEP) {
        prefault_ask(p, block + at, STEP);
        block[at] = (uint8_t)(at / STEP);
    }
    prefault_end(&p);
    for (int at = 0; at < BYTES; at += STEP)
        CHECK(block[at] == (uint8_t)(at / STEP));
    pages_give(block, BYTES);
}

int
main(void)
{
    struct loop *loop = loop_new();
    struct loop_timer *limit = loop_timer_new(loop, LIMIT_MS, 0, on_limit, NULL);
    wakes_are_heard(loop);
    hashes_agree(loop);
    made_memory_keeps_what_is_written();
    anchors_are_signed(loop);
    what_is_read_ahead_is_the_same(loop);
    loop_timer_end(&limit);
    loop_destroy(&loop);
    printf("threads: %u wakes, %u hashes: as they should be\n", SENDERS * SENT, JOBS);
    return 0;
}
