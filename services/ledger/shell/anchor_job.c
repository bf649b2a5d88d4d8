/*
 * anchor_job.c - see anchor_job.h. A job belongs to its thread until the loop is woken.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/shell/anchor_job.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"

struct anchor_job {
    anchor_job_done *done;
    void *arg;
    struct loop_wake *wake;
    pthread_t thread;
    bool is_busy, is_filing;
    const char *place; /* key file, or folder */
    struct anchor_paper paper;
    int64_t took_us;
    char why[ANCHOR_WHY_BYTES];
};

static void
sign(struct anchor_job *j)
{
    struct anchor_signer *signer = anchor_signer_open(j->place, j->why);
    if (signer == NULL)
        return;
    j->paper.length = anchor_sign(signer, &j->paper.anchor, j->paper.text);
    anchor_signer_close(&signer);
}

/* ---- A file ------------------------------------------------------------------------------- */

static bool
write_all(int fd, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t wrote = write(fd, text, length);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return false;
        text += wrote;
        length -= (size_t)wrote;
    }
    return true;
}

/* What an earlier life left half done is written over: only a finished file gets the name. */
static bool
put_aside(int folder, const char *name, const struct anchor_paper *p)
{
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return false;
    bool ok = write_all(fd, p->text, p->length) && fsync(fd) == 0;
    int reason = errno;
    close(fd);
    errno = reason;
    return ok;
}

static bool
is_same(int folder, const char *name, const struct anchor_paper *p)
{
    char text[ANCHOR_TEXT_MAX + 1];
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t length = read(fd, text, sizeof text);
    close(fd);
    return length == (ssize_t)p->length && memcmp(text, p->text, p->length) == 0;
}

static void
file_in(struct anchor_job *j, int folder)
{
    char name[64], aside[72];
    const struct anchor *a = &j->paper.anchor;
    snprintf(name, sizeof name, "anchor-%" PRIu32 "-%012" PRIu64 ".txt", a->group, a->number);
    snprintf(aside, sizeof aside, ".%s.new", name);
    if (is_same(folder, name, &j->paper))
        return;
    /* A link takes no name that is taken, where renaming would replace what is there. */
    if (put_aside(folder, aside, &j->paper) && linkat(folder, aside, folder, name, 0) == 0 &&
        fsync(folder) == 0) {
        (void)unlinkat(folder, aside, 0);
        return;
    }
    int reason = errno;
    (void)unlinkat(folder, aside, 0);
    snprintf(j->why, sizeof j->why, "%s/%s: %s", j->place, name,
             reason == EEXIST ? "another anchor has this name" : strerror(reason));
}

static void
file(struct anchor_job *j)
{
    int folder = open(j->place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) {
        snprintf(j->why, sizeof j->why, "%s: %s", j->place, strerror(errno));
        return;
    }
    file_in(j, folder);
    close(folder);
}

/* ---- The thread --------------------------------------------------------------------------- */

static void *
work(void *arg)
{
    struct anchor_job *j = arg;
    int64_t before_us = loop_measure_us();
    j->why[0] = '\0';
    if (j->is_filing)
        file(j);
    else
        sign(j);
    j->took_us = loop_measure_us() - before_us;
    loop_wake_send(j->wake);
    return NULL;
}

static void
on_wake(void *arg)
{
    struct anchor_job *j = arg;
    if (!j->is_busy)
        return;
    CHECK(pthread_join(j->thread, NULL) == 0);
    j->is_busy = false;
    j->done(j->arg, &j->paper, j->why, j->took_us);
}

static void
begin(struct anchor_job *j, bool is_filing, const char *place)
{
    CHECK(!j->is_busy);
    j->is_busy = true;
    j->is_filing = is_filing;
    j->place = place;
    CHECK(pthread_create(&j->thread, NULL, work, j) == 0);
}

void
anchor_job_sign(struct anchor_job *j, const char *key_file, const struct anchor *a)
{
    CHECK(!j->is_busy);
    j->paper.anchor = *a;
    begin(j, false, key_file);
}

void
anchor_job_file(struct anchor_job *j, const char *folder, const struct anchor_paper *paper)
{
    CHECK(!j->is_busy);
    j->paper = *paper;
    begin(j, true, folder);
}

bool
anchor_job_is_busy(const struct anchor_job *j)
{
    return j->is_busy;
}

struct anchor_job *
anchor_job_new(struct loop *l, anchor_job_done *done, void *arg)
{
    struct anchor_job *j = calloc(1, sizeof *j);
    CHECK(j != NULL);
    j->done = done;
    j->arg = arg;
    j->wake = loop_wake_new(l, on_wake, j);
    return j;
}

void
anchor_job_end(struct anchor_job **j)
{
    if (*j == NULL)
        return;
    if ((*j)->is_busy)
        CHECK(pthread_join((*j)->thread, NULL) == 0);
    loop_wake_end(&(*j)->wake);
    free(*j);
    *j = NULL;
}
