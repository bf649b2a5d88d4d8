/*
 * members.h - takes named members out of the text of a JSON object, and leaves the others as they
 * were written.
 *
 * So a line can say more than a request does, and the request is still read by its own strict
 * reader, from its own text. What is no JSON stays in, for that reader to refuse.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_MEMBERS_H
#define SCRIPCTL_MEMBERS_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/codec.h"

struct member {
    const char *name;
    char *to; /* its value as text, without the quotes of a string; cut at `room` */
    size_t room;
    bool is_taken;
};

/* Appends the object without these members to `rest`. False when one of them comes twice. */
bool members_cut(const char *text, size_t length, struct member *members, uint32_t count,
                 struct bytes *rest);
/* Behind the blanks that begin here. */
const char *members_blanks_end(const char *at, const char *end);

#endif
