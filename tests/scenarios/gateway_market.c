/*
 * gateway_market.c - the part of the gateway's driver about the market: lanes of topics and books.
 *
 *   newest n=7 | kept n=8                a message of the topic that only the last counts of; each
 *   join conn=1 | read conn=1            a client follows it; reads all that there is for it
 *   md_trade ... | md_beat ... | ...     of the symbol's stream; kept while an answer is awaited
 *   answer md_book ...                   the answer to a question; and md_resent, behind which
 *   resent md_trade ...                  come the messages that were asked for
 *   hear conn=1 levels=5                 a client of the book reads one event
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway_market.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/core/conflate.h"
#include "gateway/core/depth.h"

#define CONNS_MAX  4
#define KEPT_MAX   3
#define LEVELS_MAX 20
#define HELD_MAX   16

struct gateway_market {
    struct lane lane;
    void *kept[KEPT_MAX];
    struct lane_place places[CONNS_MAX];
    struct depth depth;
    void *depth_room;
    uint64_t book_places[CONNS_MAX];
    char *held[HELD_MAX];
    uint32_t held_count;
    struct level levels[DEPTH_CHANGES_MAX];
};

struct gateway_market *
gateway_market_open(void)
{
    struct gateway_market *s = calloc(1, sizeof *s);
    CHECK(s != NULL);
    s->depth_room = calloc(1, depth_bytes(LEVELS_MAX));
    CHECK(s->depth_room != NULL);
    lane_init(&s->lane, s->kept, KEPT_MAX);
    depth_init(&s->depth, code_of("BTCUSDT"), LEVELS_MAX, s->depth_room);
    return s;
}

void
gateway_market_close(struct gateway_market *s)
{
    for (uint32_t i = 0; i < s->held_count; i++)
        free(s->held[i]);
    free(s->depth_room);
    free(s);
}

static uint64_t
number(const char *line, const char *key)
{
    const char *text = scenario_value(line, key);
    return text == NULL ? 0 : strtoull(text, NULL, 10);
}

/* ---- Lanes ---- */

/* Items are their own numbers; newest ones are told by a sign. */
static void *
item(uint64_t n, bool is_newest)
{
    return (void *)(uintptr_t)(n * 2 + is_newest); // NOLINT(performance-no-int-to-ptr)
}

static void
lane_read(struct gateway_market *s, uint32_t conn, struct scenario_out *out)
{
    for (;;) {
        uint64_t conflated, missed = lane_missed(&s->lane, &s->places[conn]);
        if (missed > 0)
            scenario_say(out, "conn=%u missed=%llu", conn, (unsigned long long)missed);
        uintptr_t got = (uintptr_t)lane_next(&s->lane, &s->places[conn], &conflated);
        if (got == 0)
            return;
        scenario_say(out, "conn=%u %s n=%llu conflated=%llu", conn,
                     got % 2 == 1 ? "newest" : "kept", (unsigned long long)(got / 2),
                     (unsigned long long)conflated);
    }
}

/* ---- Books ---- */

static void
ask_say(const struct gateway_market *s, struct scenario_out *out)
{
    if (s->depth.state == DEPTH_AWAITS_BOOK)
        scenario_say(out, "ask md_snapshot_get");
    else
        scenario_say(out, "ask md_resend_get from=%llu to=%llu",
                     (unsigned long long)s->depth.sequence + 1,
                     (unsigned long long)s->depth.missing_to);
}

static void
take(struct gateway_market *s, const char *line, bool is_late, struct scenario_out *out)
{
    struct msg m;
    if (!scenario_read_msg(out, line, &m))
        return;
    switch (depth_take(&s->depth, &m, is_late)) {
    case DEPTH_SAME:
        return;
    case DEPTH_CHANGED:
        scenario_say(out, "changed sequence=%llu", (unsigned long long)s->depth.changed_sequence);
        return;
    case DEPTH_ASK:
        ask_say(s, out);
        break;
    case DEPTH_HOLD:
        scenario_say(out, "kept");
        break;
    }
    if (m.type == MSG_md_beat)
        return;
    CHECK(s->held_count < HELD_MAX);
    s->held[s->held_count++] = strdup(line);
}

static void
replay(struct gateway_market *s, struct scenario_out *out)
{
    char *held[HELD_MAX];
    uint32_t count = s->held_count;
    memcpy(held, s->held, sizeof held);
    s->held_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        take(s, held[i], true, out);
        free(held[i]);
    }
}

static void
answer(struct gateway_market *s, const char *line, struct scenario_out *out)
{
    struct msg m;
    if (!scenario_read_msg(out, line, &m))
        return;
    if (m.type == MSG_md_book && depth_take_book(&s->depth, &m.md_book)) {
        scenario_say(out, "begun sequence=%llu", (unsigned long long)s->depth.sequence);
        replay(s, out);
    } else if (m.type == MSG_md_resent && depth_take_head(&s->depth, &m.md_resent) == DEPTH_ASK) {
        ask_say(s, out);
    }
}

static void
resent(struct gateway_market *s, const char *line, struct scenario_out *out)
{
    struct msg m;
    enum depth_verdict v;
    if (!scenario_read_msg(out, line, &m))
        return;
    bool is_last = depth_take_resent(&s->depth, &m, &v);
    if (v == DEPTH_CHANGED)
        scenario_say(out, "changed sequence=%llu", (unsigned long long)s->depth.changed_sequence);
    if (is_last)
        replay(s, out);
}

static void
hear(struct gateway_market *s, const char *line, uint32_t conn, struct scenario_out *out)
{
    struct msg m = {.type = MSG_md_depth};
    uint64_t previous;
    if (!depth_is_due(&s->depth, s->book_places[conn])) {
        scenario_say(out, "conn=%u has all", conn);
    } else if (depth_since(&s->depth, &s->book_places[conn], s->levels, &m.md_depth, &previous)) {
        scenario_say(out, "conn=%u previous_sequence=%llu", conn, (unsigned long long)previous);
        scenario_say_msg(out, "  depth", &m);
    } else {
        m.type = MSG_md_book;
        depth_snapshot(&s->depth, (uint32_t)number(line, "levels"), &s->book_places[conn],
                       s->levels, &m.md_book);
        scenario_say(out, "conn=%u", conn);
        scenario_say_msg(out, "  depth_snapshot", &m);
    }
}

bool
gateway_market_input(struct gateway_market *s, const char *line, struct scenario_out *out)
{
    uint32_t conn = (uint32_t)number(line, "conn") % CONNS_MAX;
    if (scenario_is(line, "newest"))
        lane_put_newest(&s->lane, item(number(line, "n"), true));
    else if (scenario_is(line, "kept"))
        lane_put_kept(&s->lane, item(number(line, "n"), false));
    else if (scenario_is(line, "join"))
        s->places[conn] = lane_join(&s->lane);
    else if (scenario_is(line, "read"))
        lane_read(s, conn, out);
    else if (strncmp(line, "md_", 3) == 0)
        take(s, line, false, out);
    else if (strncmp(line, "answer md_", 10) == 0)
        answer(s, line + 7, out);
    else if (strncmp(line, "resent md_", 10) == 0)
        resent(s, line + 7, out);
    else if (scenario_is(line, "hear"))
        hear(s, line, conn, out);
    else
        return false;
    depth_check(&s->depth);
    return true;
}
