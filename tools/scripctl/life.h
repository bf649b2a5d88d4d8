/*
 * life.h - what one record meant for an account or an order: in words, and every posting of it.
 *
 * An entry is made of what the twin says the record did. Its postings take each balance step by
 * step from what it was to what it is: what fills paid and received, their fees, then what was
 * held or released.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_LIFE_H
#define SCRIPCTL_LIFE_H

#include "scripctl/out.h"
#include "scripctl/twin.h"
#include "wire/codec.h"

/* Whose life it is. */
struct life_subject {
    uint64_t account_id; /* 0 until the order's is known */
    uint64_t order_id;   /* 0: the account's life */
};

struct life_posting {
    const char *what; /* opening, set, paid, received, fee, held, released, moved */
    enum wallet wallet;
    code_t asset;
    money_t free_change, held_change, free, held;
    uint64_t trade_id; /* 0: none */
};

struct life_entry {
    const struct twin_step *step;
    struct life_subject subject;
    struct bytes words; /* sentences, each with its NUL */
    struct life_posting *postings;
    uint32_t words_count, postings_count, postings_max;
};

/* Whether the record is of the subject; learns an order's account. */
bool life_is_of(struct life_subject *subject, const struct twin_step *step);
/* Begins with zeros; used again for each entry. */
void life_entry_make(struct life_entry *e, const struct life_subject *subject,
                     const struct twin_step *step);
void life_entry_free(struct life_entry *e);
/* life_say.c: the sentences of an entry. */
void life_say(struct life_entry *e);
/* A sentence more. */
void life_add(struct life_entry *e, const char *format, ...) PRINTF(2, 3);

/* For people. */
void life_entry_print(const struct life_entry *e, struct out *o);
/* As one JSON object. */
void life_entry_json(const struct life_entry *e, struct bytes *out);
/* An order with its hold and rank, as one JSON object. */
void life_order_json(const struct order_row *row, struct bytes *out);

#endif
