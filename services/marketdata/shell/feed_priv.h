/*
 * feed_priv.h - the state of the feed; shared by feed.c, feed_time.c and feed_steer.c only.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_FEED_PRIV_H
#define SCRIP_MARKETDATA_FEED_PRIV_H

#include "base/map.h"
#include "host/metrics.h"
#include "marketdata/shell/feed.h"

#define FEED_SYMBOLS_MAX 4096u /* that one source speaks of */

enum feed_state { FEED_RUNNING, FEED_WAITING, FEED_ENDED };

struct feed_symbol {
    code_t symbol;
    bool has_begun; /* in this round */
    bool is_removed;
};

struct feed_source {
    struct feed *feed;
    struct spec spec; /* as configured, and symbols that were added */
    const struct source_ops *ops;
    void *self;
    enum feed_state state;
    struct source_counts counts;
    struct feed_symbol *known;
    uint32_t known_count;
    struct map by_name;
    void *map_memory;
    /* How it is played. */
    rate_t speed; /* 0 = as fast as it goes */
    bool loops, is_paused;
    /* The event that waits for its time. */
    bool has_event, is_state;
    struct md_event event;
    /* This round. */
    bool has_base, has_exchange_shift;
    int64_t base_at_us, base_now_us; /* a receive time of the recording, and when that is due */
    int64_t shift_us, exchange_shift_us;
    int64_t last_at_us; /* receive time of the last event, as recorded; 0 = none yet */
    uint64_t round_events;
    /* Over all rounds. */
    uint64_t given;
    int64_t begin_us, end_us; /* recorded times, once a round has come to its end */
    int64_t last_time_us;     /* latest time handed on */
    int64_t lag_us;           /* how late the last event was */
    struct metric *events[MD_EVENT_KINDS], *skipped, *ignored, *lag;
};

struct feed {
    struct feed_options o;
    struct feed_source *sources;
    struct loop_timer *timer;
    uint32_t first; /* whose turn it is to go first */
};

/* ---- Times (feed_time.c) ---------------------------------------------------------------- */

/* A recording is played at its own pace; what is heard now is not. */
bool feed_is_paced(const struct feed_source *s);
/* The first event of a round is due now. */
void feed_base_set(struct feed_source *s, const struct md_event *e, int64_t now_us);
/* When the waiting event is due, by our clock; INT64_MAX while paused. */
int64_t feed_due_us(const struct feed_source *s);
/* The recorded time that playback has come to; 0 before its first event. */
int64_t feed_position_us(const struct feed_source *s, int64_t now_us);
/* From here on as it is now: before speed or pause change. */
void feed_base_move(struct feed_source *s, int64_t now_us);
/* A recorded silence that is too long is cut. */
void feed_silence_cut(struct feed_source *s);
/* Moves the event's times to this run. What has no exchange time gets its receive time. */
void feed_times_set(struct feed_source *s, struct md_event *e);

/* ---- Rounds (feed.c) -------------------------------------------------------------------- */

enum err feed_source_open(struct feed_source *s, char *why);
/* Symbols begin anew with the next event. */
void feed_round_begin(struct feed_source *s);
/* NULL when there is no room for another one. */
struct feed_symbol *feed_known(struct feed_source *s, code_t symbol);
void feed_hand_on(struct feed_source *s, const struct md_event *e);

#endif
