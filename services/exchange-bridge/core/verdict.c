/*
 * verdict.c - finds the row of verdicts.def that decides.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/core/verdict.h"

#include <string.h>

/* What stands in the place of a status. LATE and LOST: the request was sent. */
enum { HALF = -5, LATE = -4, LOST = -3, NOT_SENT_IN_TIME = -2, NOT_SENT = -1 };

enum {
    READS = 1 << CALL_READS,
    PLACES = 1 << CALL_PLACES,
    CANCELS = 1 << CALL_CANCELS,
    SETS = 1 << CALL_SETS
};
enum { SPOT = 1 << TRADING_TYPE_spot, USDM = 1 << TRADING_TYPE_futures };

struct range {
    int64_t low, high;
};

struct row {
    int classes, markets;
    struct range status, codes;
    const char *text;
    struct ruling ruling;
};

enum { ERR_OK = OK };
#define RULING(classes_, markets_, status_, codes_, text_, verdict_, error_)                       \
    {.classes = classes_,                                                                          \
     .markets = markets_,                                                                          \
     .status = status_,                                                                            \
     .codes = codes_,                                                                              \
     .text = text_,                                                                                \
     .ruling = {VERDICT_##verdict_, (enum err)ERR_##error_}},
static const struct row ROWS[] = {
#include "exchange-bridge/core/verdicts.def"
};
#undef RULING
#define ROW_COUNT (sizeof(ROWS) / sizeof(ROWS[0]))

static int64_t
status_of(const struct answer *a)
{
    if (a->status <= 0 && a->was_sent)
        return a->timed_out ? LATE : LOST;
    if (a->status <= 0)
        return a->timed_out ? NOT_SENT_IN_TIME : NOT_SENT;
    return a->status >= 200 && a->status <= 299 && !a->has_body ? HALF : a->status;
}

static bool
is_in(struct range r, int64_t value)
{
    return value >= r.low && value <= r.high;
}

static bool
has_text(const char *message, const char *part)
{
    size_t length = strlen(part);
    if (length == 0)
        return true;
    for (; message != NULL && *message != '\0'; message++)
        if (strncmp(message, part, length) == 0)
            return true;
    return false;
}

uint32_t
verdict_row(enum call_name call, const struct answer *a)
{
    const struct call_facts *facts = call_facts(call);
    int class_ = 1 << facts->class_, market = 1 << facts->market;
    int64_t status = status_of(a);
    for (uint32_t i = 0; i < ROW_COUNT; i++) {
        const struct row *r = &ROWS[i];
        if ((r->classes & class_) != 0 && (r->markets & market) != 0 && is_in(r->status, status) &&
            is_in(r->codes, a->code) && has_text(a->message, r->text))
            return i;
    }
    CHECK(false);
    return 0;
}

uint32_t
verdict_rows(void)
{
    return (uint32_t)ROW_COUNT;
}

struct ruling
verdict_of(enum call_name call, const struct answer *a)
{
    return ROWS[verdict_row(call, a)].ruling;
}

const char *
verdict_name(enum verdict v)
{
    static const char *const NAMES[] = {
        [VERDICT_OK] = "OK",           [VERDICT_DONE] = "DONE",     [VERDICT_REFUSED] = "REFUSED",
        [VERDICT_KEY] = "KEY",         [VERDICT_CLOCK] = "CLOCK",   [VERDICT_AGAIN] = "AGAIN",
        [VERDICT_LIMITED] = "LIMITED", [VERDICT_ABSENT] = "ABSENT", [VERDICT_GONE] = "GONE",
        [VERDICT_UNKNOWN] = "UNKNOWN"};
    CHECK((size_t)v < sizeof(NAMES) / sizeof(NAMES[0]));
    return NAMES[v];
}
