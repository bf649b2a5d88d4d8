/*
 * anchors.c - anchors signed and put into a folder on threads; a part of the program threads.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "anchors.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "ledger/shell/anchor_job.h"

#define ANCHORS 200

struct work {
    struct loop *loop;
    struct anchor_job *signing, *filing;
    char key[96], public_key[96], folder[64];
    uint64_t number;
    unsigned filed;
};

static void
sign_next(struct work *w)
{
    struct anchor a = {.number = ++w->number, .epoch = 1, .time_us = 1, .heads_count = 1};
    a.heads[0] = (struct anchor_point){.shard = 3, .seq = w->number};
    anchor_job_sign(w->signing, w->key, &a);
}

/* The next one is signed while this one goes to the disk. */
static void
on_signed(void *arg, const struct anchor_paper *paper, const char *why, int64_t took_us)
{
    struct work *w = arg;
    (void)took_us;
    CHECK(why[0] == '\0' && paper->anchor.number == w->number);
    if (!anchor_job_is_busy(w->filing))
        anchor_job_file(w->filing, w->folder, paper);
    if (w->number < ANCHORS)
        sign_next(w);
    else if (!anchor_job_is_busy(w->filing))
        loop_stop(w->loop);
}

static void
on_filed(void *arg, const struct anchor_paper *paper, const char *why, int64_t took_us)
{
    struct work *w = arg;
    char path[160];
    (void)took_us;
    CHECK(why[0] == '\0');
    snprintf(path, sizeof path, "%s/anchor-0-%012llu.txt", w->folder,
             (unsigned long long)paper->anchor.number);
    CHECK(unlink(path) == 0);
    w->filed++;
    if (w->number == ANCHORS && !anchor_job_is_busy(w->signing))
        loop_stop(w->loop);
}

void
anchors_are_signed(struct loop *loop)
{
    char why[ANCHOR_WHY_BYTES];
    struct work w = {.loop = loop, .folder = "/tmp/scrip-threads-XXXXXX"};
    CHECK(mkdtemp(w.folder) != NULL);
    snprintf(w.key, sizeof w.key, "%s/key", w.folder);
    snprintf(w.public_key, sizeof w.public_key, "%s/key.pub", w.folder);
    CHECK(anchor_keys_make(w.key, w.public_key, why));
    w.signing = anchor_job_new(loop, on_signed, &w);
    w.filing = anchor_job_new(loop, on_filed, &w);
    sign_next(&w);
    loop_run(loop);
    CHECK(w.number == ANCHORS && w.filed > 0);
    /* Ending in the middle of work: it is waited for, and nobody is called. */
    sign_next(&w);
    anchor_job_end(&w.signing);
    anchor_job_end(&w.filing);
    CHECK(unlink(w.key) == 0 && unlink(w.public_key) == 0 && rmdir(w.folder) == 0);
}
