/*
 * ctl_twin_test.c - the twin takes what the real cores did, and nothing else.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "ctl_journal.h"
#include "ledger_parts.h"
#include "scripctl/twin.h"

#define SEEDS 4

static struct ctl_journal journal;
static struct arena lists;

static void
setup(void)
{
    ctl_journal_init(&journal);
    arena_init(&lists, aligned_alloc(16, 1 << 20), 1 << 20);
}

static void
teardown(void)
{
    ctl_journal_fini(&journal);
    free(lists.bytes);
}

TestSuite(ctl_twin, .init = setup, .fini = teardown);

/* Until the first wrong record, whose verdict it gives; "" when all are right. */
static const char *
verdict(const struct twin_options *o)
{
    static char why[1024];
    struct twin *t = twin_new(o);
    why[0] = '\0';
    for (uint32_t i = 0; i < journal.count && why[0] == '\0'; i++)
        if (!twin_apply(t, &journal.records[i]))
            snprintf(why, sizeof why, "%s", twin_why(t));
    twin_destroy(&t);
    return why;
}

static const char *
verdict_full(void)
{
    return verdict(&(struct twin_options){.is_trusting = false});
}

/* ---- What is right ------------------------------------------------------------------------ */

Test(ctl_twin, takes_whatever_the_real_cores_did)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        setup();
        ctl_journal_make(&journal, seed, 5, 12000);
        cr_expect_str_empty(verdict_full(), "seed %d: %s", (int)seed, verdict_full());
        cr_expect_gt(journal.count, 10000);
        if (seed < SEEDS)
            teardown();
    }
}
