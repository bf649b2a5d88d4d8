/*
 * scan.h - walks JSON text without building anything: values are found as slices of the text.
 *
 * Strict about structure (a value it has passed over was balanced and ended where it should),
 * not about what stands inside strings. Never reads past the end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BASE_SCAN_H
#define SCRIP_BASE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/err.h"

#define SCAN_DEPTH_MAX 16

struct scan {
    const char *at, *end;
};

/* A piece of the text. A string's slice is without its quotes, escapes unread. */
struct slice {
    const char *at;
    size_t length;
    char kind; /* 's' string, 'n' number, 'w' true false null, '{' '[' whole; 0 = absent */
};

/* scan_take() where blanks come first. */
bool scan_take_behind_blanks(struct scan *s, char c);
/* Takes a character, after blanks; false when something else stands there. */
static inline bool
scan_take(struct scan *s, char c)
{
    if (s->at < s->end && *s->at == c) {
        s->at++;
        return true;
    }
    return s->at < s->end && (unsigned char)*s->at <= ' ' && scan_take_behind_blanks(s, c);
}
/* Takes any one value. */
bool scan_value(struct scan *s, struct slice *out);
/* Takes a string with the colon behind it: a member's name. */
bool scan_name(struct scan *s, struct slice *out);
/* Whether only blanks are left. */
bool scan_done(struct scan *s);
bool slice_is(struct slice s, const char *text);
/* Digits only. */
bool slice_u64(struct slice s, uint64_t *out);
/* An exact decimal from a string or a number. */
bool slice_decimal(struct slice s, int64_t *out);

#endif
