/*
 * child.h - programs that run beside the gateway: a few at a time, each with a time limit, and with
 * what it writes kept up to a bound.
 *
 * A child gets its standard output and the environment it is given, and nothing else: no other
 * descriptor, no shell, no input, a group of its own. It is nice, and cannot use more processor
 * time than its time limit even when the gateway is gone.
 *
 *   FREE ─start─► RUNNING ─output ended, and it too─► told, FREE
 *                    │ too late, too large, dropped
 *                    ▼
 *                  ENDING (told; killed) ─it ended─► FREE
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_GATEWAY_SHELL_CHILD_H
#define SCRIP_GATEWAY_SHELL_CHILD_H

#include "base/err.h"
#include "host/loop.h"
#include "wire/codec.h"

#define CHILDREN_MAX 16

struct children;

struct children_options {
    struct loop *loop;
    uint32_t running_max; /* up to CHILDREN_MAX; those that are ending count */
    uint32_t bytes_max;   /* of one's output */
    int64_t time_ms;
};

enum child_end {
    CHILD_EXITED,   /* `status` is its exit status */
    CHILD_SIGNALED, /* `status` is the signal */
    CHILD_TOO_LATE,
    CHILD_TOO_LARGE,
};

/* On the loop, exactly once for each that was started and not dropped. `out` is lent. */
typedef void child_done(void *arg, uint64_t owner, enum child_end end, int status,
                        const struct bytes *out);

/* `done` is called with `arg` for all. */
struct children *children_open(const struct children_options *o, child_done *done, void *arg);
/* Kills and waits for all. */
void children_close(struct children **c);
uint32_t children_count(const struct children *c);
/* GATEWAY_BUSY when running_max are there, FILE_UNREADABLE when the program cannot be run. */
MUST_USE enum err child_start(struct children *c, uint64_t owner, const char *program,
                              char *const *arguments, char *const *environment);
/* Nobody waits for it any more: it is killed, and `done` is not called. */
void child_drop(struct children *c, uint64_t owner);
/* Drops those whose owner is not `wanted` any more. */
void children_sweep(struct children *c, bool (*wanted)(void *arg, uint64_t owner));

#endif
