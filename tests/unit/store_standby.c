/*
 * store_standby.c - see store_standby.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "store_standby.h"

#include <criterion/criterion.h>
#include <string.h>

#include "ledger_parts.h"
#include "store_database.h"
#include "store_life.h"

struct standby standby;

static void
standby_turn(void *arg)
{
    (void)arg;
    if (standby.project != NULL)
        project_turn(standby.project, loop_steady_us(life.loop));
    if (standby.restore != NULL && !standby.is_over)
        restore_turn(standby.restore);
}

static void
standby_restored(void *arg, const char *why)
{
    (void)arg;
    cr_assert_str_eq(why, "");
    standby.is_over = true;
    loop_stop(life.loop);
}

void
standby_begin(void)
{
    memset(&standby, 0, sizeof standby);
    ledger_make(&standby.ledger, &standby.memory, &standby.out);
    standby.journal = journal_new(&(struct journal_options){.store = life.store,
                                                            .records_max = 4096,
                                                            .bytes_max = 4 << 20,
                                                            .held_max = 8 * LEDGER_OUT_MAX});
    loop_on_turn(life.loop, standby_turn, &standby);
    standby.restore = restore_begin(&(struct restore_options){.loop = life.loop,
                                                              .conninfo = conninfo,
                                                              .store = life.store,
                                                              .ledger = &standby.ledger,
                                                              .journal = standby.journal,
                                                              .owned = life.owned,
                                                              .on_done = standby_restored});
}

void
standby_take(void)
{
    struct project *own = life.project;
    life.project = NULL;
    project_close(&own);
    database_ask("BEGIN; SELECT pg_advisory_xact_lock(2, 0); "
                 "UPDATE ledger.lease SET epoch = epoch + 1; COMMIT");
    struct project *project = project_open(&(struct project_options){.loop = life.loop,
                                                                     .conninfo = conninfo,
                                                                     .ledger = &standby.ledger,
                                                                     .journal = standby.journal,
                                                                     .epoch = life.epoch + 1,
                                                                     .interval_us = 3000,
                                                                     .rows_max = 200});
    standby.project = project;
    restore_take(standby.restore, project);
    while (!standby.is_over)
        run_ms(1);
    for (uint16_t i = 0; i < LEDGER_SHARDS; i++)
        cr_assert_eq(journal_applied(standby.journal, i), journal_applied(life.journal, i));
    cr_assert_eq(digest(&standby.ledger), digest(&life.ledger));
    /* What the tables lacked it has to write. */
    while (!project_is_done(project))
        run_ms(1);
    for (uint16_t i = 0; i < LEDGER_SHARDS; i++)
        cr_assert_eq(project_stamp(project, i), journal_applied(life.journal, i));
    project_close(&standby.project);
}

void
standby_end(void)
{
    loop_off_turn(life.loop, standby_turn, &standby);
    restore_end(&standby.restore);
    journal_destroy(&standby.journal);
    ledger_free(standby.memory, &standby.out);
}
