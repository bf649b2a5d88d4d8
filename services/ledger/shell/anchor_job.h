/*
 * anchor_job.h - what takes the ledger too long for its loop: signing an anchor with a key from a
 * file, and putting an anchor into a folder, on the disk. Each on a thread of its own.
 *
 * The key is read for each anchor and wiped right after it, so that a new key file is used from
 * the next anchor on.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_SHELL_ANCHOR_JOB_H
#define SCRIP_LEDGER_SHELL_ANCHOR_JOB_H

#include "host/anchor.h"
#include "host/loop.h"

struct anchor_job;

/* A text with its anchor. */
struct anchor_paper {
    struct anchor anchor;
    size_t length;
    char text[ANCHOR_TEXT_MAX];
};

/* On the loop. `why` is empty when it was done. */
typedef void anchor_job_done(void *arg, const struct anchor_paper *paper, const char *why,
                             int64_t took_us);

struct anchor_job *anchor_job_new(struct loop *l, anchor_job_done *done, void *arg);
/* Waits for the thread; `done` is not called any more. */
void anchor_job_end(struct anchor_job **j);
bool anchor_job_is_busy(const struct anchor_job *j);

/* One at a time. Texts are lent until `done`, the anchor is copied. */
void anchor_job_sign(struct anchor_job *j, const char *key_file, const struct anchor *a);
/* Writes FOLDER/anchor-GROUP-NUMBER.txt whole or not at all. The same anchor may be there already;
 * another one of that name is never replaced. */
void anchor_job_file(struct anchor_job *j, const char *folder, const struct anchor_paper *paper);

#endif
