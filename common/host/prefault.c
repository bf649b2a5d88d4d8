/*
 * prefault.c - one thread, a ring of ranges, and madvise(MADV_POPULATE_WRITE).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "host/prefault.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/check.h"

#define RANGES_MAX 64
#define STEP_BYTES ((size_t)2 << 20) /* one huge page at a time, so that the end is soon heard */

struct range {
    uint8_t *at;
    size_t bytes;
};

struct prefault {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct range ranges[RANGES_MAX]; /* under the lock */
    uint32_t put, taken;             /* under the lock */
    bool is_ending;                  /* under the lock */
};

/* The next step of the oldest range; false at the end. */
static bool
step_take(struct prefault *p, struct range *step)
{
    pthread_mutex_lock(&p->lock);
    while (!p->is_ending && p->taken == p->put)
        pthread_cond_wait(&p->more, &p->lock);
    bool is_ending = p->is_ending;
    if (!is_ending) {
        struct range *r = &p->ranges[p->taken % RANGES_MAX];
        step->at = r->at;
        step->bytes = r->bytes < STEP_BYTES ? r->bytes : STEP_BYTES;
        r->at += step->bytes;
        r->bytes -= step->bytes;
        p->taken += r->bytes == 0;
    }
    pthread_mutex_unlock(&p->lock);
    return !is_ending;
}

static void *
work(void *arg)
{
    struct range step;
    while (step_take(arg, &step))
        (void)madvise(step.at, step.bytes, MADV_POPULATE_WRITE);
    return NULL;
}

struct prefault *
prefault_new(void)
{
    struct prefault *p = calloc(1, sizeof *p);
    CHECK(p != NULL);
    CHECK(pthread_mutex_init(&p->lock, NULL) == 0 && pthread_cond_init(&p->more, NULL) == 0);
    CHECK(pthread_create(&p->thread, NULL, work, p) == 0);
    return p;
}

void
prefault_end(struct prefault **p)
{
    struct prefault *old = *p;
    if (old == NULL)
        return;
    *p = NULL;
    pthread_mutex_lock(&old->lock);
    old->is_ending = true;
    pthread_cond_signal(&old->more);
    pthread_mutex_unlock(&old->lock);
    pthread_join(old->thread, NULL);
    pthread_cond_destroy(&old->more);
    pthread_mutex_destroy(&old->lock);
    free(old);
}

void
prefault_ask(struct prefault *p, void *at, size_t bytes)
{
    if (bytes == 0)
        return;
    pthread_mutex_lock(&p->lock);
    if (p->put - p->taken < RANGES_MAX) {
        p->ranges[p->put++ % RANGES_MAX] = (struct range){at, bytes};
        pthread_cond_signal(&p->more);
    }
    pthread_mutex_unlock(&p->lock);
}
