/*
 * pending.c - see pending.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/shell/pending.h"

#include <openssl/crypto.h>
#include <stdlib.h>

#include "base/check.h"

/* The piece itself stands behind this, aligned for anything. */
union head {
    struct pending_piece piece;
    max_align_t align;
};

void *
pending_new(struct pending *p, size_t bytes)
{
    union head *h = calloc(1, sizeof *h + bytes);
    CHECK(h != NULL);
    h->piece = (struct pending_piece){p->first, &p->first, bytes};
    if (p->first != NULL)
        p->first->at = &h->piece.next;
    p->first = &h->piece;
    return h + 1;
}

void
pending_free(void *piece)
{
    if (piece == NULL)
        return;
    union head *h = (union head *)piece - 1;
    *h->piece.at = h->piece.next;
    if (h->piece.next != NULL)
        h->piece.next->at = h->piece.at;
    OPENSSL_cleanse(h, sizeof *h + h->piece.bytes);
    free(h);
}

void
pending_free_all(struct pending *p)
{
    while (p->first != NULL)
        pending_free((union head *)p->first + 1);
}
