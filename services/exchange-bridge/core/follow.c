/*
 * follow.c - see follow.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/core/follow.h"

#include "base/check.h"
#include "base/map.h"

#define SECOND_US  INT64_C(1000000)
#define PAUSE_US   (SECOND_US / 4)
#define PAUSES_MAX 8u                    /* doubled so often: a minute */
#define RENEW_US   (30 * 60 * SECOND_US) /* a listen key lives an hour */
#define ANSWER_US  (15 * SECOND_US)      /* a step of connecting takes no longer */
#define REST_US    SECOND_US             /* between two readings, whatever changes */
#define AGAIN_US   (5 * SECOND_US)       /* a reading that failed */

void
follow_init(struct follow *f, bool has_listen_key, int64_t catch_up_us, int64_t swap_us,
            uint64_t seed)
{
    *f = (struct follow){.has_listen_key = has_listen_key,
                         .catch_up_us = catch_up_us,
                         .swap_us = swap_us,
                         .random = seed};
}

static unsigned
connect(struct follow *f, int64_t now_us)
{
    f->state = f->has_listen_key ? FOLLOW_KEY : FOLLOW_OPENING;
    f->step_us = now_us + ANSWER_US;
    return f->has_listen_key ? FOLLOW_DO_ASK_KEY : FOLLOW_DO_OPEN;
}

/* Half of the time is chance: replicas and keys do not come back all at once. */
static void
pause(struct follow *f, int64_t now_us)
{
    uint32_t doublings = f->failures < PAUSES_MAX ? f->failures : PAUSES_MAX;
    int64_t pause_us = PAUSE_US << doublings;
    f->failures++;
    f->random = map_mix(f->random + 1);
    f->state = FOLLOW_PAUSING;
    f->step_us = now_us + pause_us / 2 + (int64_t)(f->random % (uint64_t)(pause_us / 2));
}

static unsigned
catch_up(struct follow *f)
{
    f->is_changed = true;
    if (f->is_catching_up)
        return 0;
    f->is_catching_up = true;
    f->is_changed = false;
    return FOLLOW_DO_CATCH_UP;
}

/* What an account that changes all the time costs is bounded. */
static unsigned
catch_up_due(struct follow *f, int64_t now_us)
{
    bool is_due = f->catch_at_us <= now_us || (f->is_changed && f->read_us + REST_US <= now_us);
    return is_due && !f->is_catching_up ? catch_up(f) : 0;
}

static unsigned
live(struct follow *f, int64_t now_us)
{
    f->state = FOLLOW_LIVE;
    f->failures = 0;
    f->step_us = now_us + f->swap_us;
    f->renew_us = now_us + RENEW_US;
    return catch_up(f);
}

static unsigned
caught_up(struct follow *f, bool is_done, int64_t now_us)
{
    f->is_catching_up = false;
    f->catch_at_us = now_us + (is_done ? f->catch_up_us : AGAIN_US);
    f->read_us = now_us;
    return f->state == FOLLOW_IDLE ? 0 : FOLLOW_DO_TELL;
}

static unsigned
on_time(struct follow *f, int64_t now_us)
{
    if (f->state == FOLLOW_IDLE)
        return 0;
    unsigned acts = catch_up_due(f, now_us);
    switch (f->state) {
    case FOLLOW_IDLE:
        break;
    case FOLLOW_PAUSING:
        return f->step_us <= now_us ? acts | connect(f, now_us) : acts;
    case FOLLOW_KEY:
    case FOLLOW_OPENING:
    case FOLLOW_SUBSCRIBING:
        if (f->step_us > now_us)
            return acts;
        pause(f, now_us);
        return acts | FOLLOW_DO_CLOSE;
    case FOLLOW_LIVE:
        if (f->step_us <= now_us)
            return acts | FOLLOW_DO_CLOSE | connect(f, now_us);
        if (f->has_listen_key && f->renew_us <= now_us) {
            f->renew_us = now_us + RENEW_US;
            acts |= FOLLOW_DO_RENEW_KEY;
        }
        return acts;
    }
    CHECK(false);
}

unsigned
follow_step(struct follow *f, enum follow_in in, int64_t now_us)
{
    bool is_idle = f->state == FOLLOW_IDLE;
    switch (in) {
    case FOLLOW_TIME:
        return on_time(f, now_us);
    case FOLLOW_OWNED:
        if (!is_idle)
            return 0;
        f->catch_at_us = now_us + f->catch_up_us;
        return connect(f, now_us) | catch_up(f);
    case FOLLOW_DISOWNED:
        f->state = FOLLOW_IDLE;
        f->failures = 0;
        return is_idle ? 0 : FOLLOW_DO_CLOSE;
    case FOLLOW_HAS_KEY:
        if (f->state != FOLLOW_KEY)
            return 0;
        f->state = FOLLOW_OPENING;
        f->step_us = now_us + ANSWER_US;
        return FOLLOW_DO_OPEN;
    case FOLLOW_OPENED:
        if (f->state != FOLLOW_OPENING)
            return 0;
        if (f->has_listen_key)
            return live(f, now_us);
        f->state = FOLLOW_SUBSCRIBING;
        f->step_us = now_us + ANSWER_US;
        return FOLLOW_DO_SUBSCRIBE;
    case FOLLOW_SUBSCRIBED:
        return f->state == FOLLOW_SUBSCRIBING ? live(f, now_us) : 0;
    case FOLLOW_FAILED:
    case FOLLOW_CLOSED:
    case FOLLOW_ENDED:
        if (is_idle || f->state == FOLLOW_PAUSING)
            return 0;
        pause(f, now_us);
        return FOLLOW_DO_CLOSE;
    case FOLLOW_SHUTDOWN:
        return f->state == FOLLOW_LIVE ? FOLLOW_DO_CLOSE | connect(f, now_us) : 0;
    case FOLLOW_CHANGED:
        f->is_changed = true;
        return is_idle ? 0 : catch_up_due(f, now_us);
    case FOLLOW_CAUGHT_UP:
    case FOLLOW_NOT_CAUGHT_UP:
        return caught_up(f, in == FOLLOW_CAUGHT_UP, now_us);
    }
    CHECK(false);
}
