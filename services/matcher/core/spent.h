/*
 * spent.h - what our fills used up of the market lately, so that nothing of it is used again.
 *
 * The market does not know of our fills. A print may hit a display that our orders had taken, or
 * the display may still show what they took from a print; either word may come first. A short list
 * for each book remembers the latest such uses. Times are the market's own; 0 where it gives none.
 *
 *   WHOLE    a display that is used up: the house has no level there until the market's next word
 *   DISPLAY  used of a display that the market's word of time_us has replaced: prints up to then
 *            hit that
 *   PRINT    used of a print of time_us that hit this side: displays older than it still show that
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MATCHER_CORE_SPENT_H
#define SCRIP_MATCHER_CORE_SPENT_H

#include "base/msg.h"

#define SPENT_MAX        16
#define SPENT_LATE_US    5000000 /* nothing comes later than this */
#define SPENT_UNSEEN_MAX 32

enum spent_kind { SPENT_WHOLE, SPENT_DISPLAY, SPENT_PRINT };

struct spent {
    enum spent_kind kind;
    enum side side; /* of the market's book */
    int64_t price, quantity, time_us;
};

struct spent_list {
    uint32_t count, unseen_count;
    struct spent at[SPENT_MAX]; /* oldest first */
    /* what was printed since the market's last word on its levels */
    struct {
        enum side side;
        int64_t price, quantity;
    } unseen[SPENT_UNSEEN_MAX];
};

/* Remembers a use; the oldest gives way when there is no room. */
void spent_add(struct spent_list *l, struct spent use);
/* A word of time_us on a level. Gives how much of what it displays is used up already. */
int64_t spent_displayed(struct spent_list *l, enum side side, int64_t price, int64_t time_us);
/* As much of a print, at most `quantity`, as hit a display that was used up. Not given twice. */
int64_t spent_printed(struct spent_list *l, enum side side, int64_t price, int64_t time_us,
                      int64_t quantity);
/* What the market shows at a price where all of it is used up; 0 otherwise. */
int64_t spent_whole(const struct spent_list *l, enum side side, int64_t price);
/* A print that no word on levels has told yet; forgotten beyond SPENT_UNSEEN_MAX prices. */
void spent_see(struct spent_list *l, enum side side, int64_t price, int64_t quantity);
/* What was printed at a price since the market's last word on its levels. */
int64_t spent_unseen(const struct spent_list *l, enum side side, int64_t price);
/* A word of time_us replaces all displays of a side. */
void spent_replace(struct spent_list *l, enum side side, int64_t time_us);

#endif
