/*
 * pending.h - what is remembered of something under way until its answer comes.
 *
 * Each piece is freed by whoever hears the answer; those whose answer never comes, since the
 * process ends, are freed with the list. All are wiped: some of them hold a secret.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BRIDGE_SHELL_PENDING_H
#define SCRIP_BRIDGE_SHELL_PENDING_H

#include <stddef.h>

struct pending_piece {
    struct pending_piece *next, **at; /* `at` points to what points here */
    size_t bytes;
};
struct pending {
    struct pending_piece *first;
};

/* Zeroed. */
void *pending_new(struct pending *p, size_t bytes);
/* NULL is nothing. */
void pending_free(void *piece);
void pending_free_all(struct pending *p);

#endif
