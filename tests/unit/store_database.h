/*
 * store_database.h - a database of its own for one test, with Scrip's schema deployed.
 *
 * pg_main.c skips the test when SCRIP_TEST_PG is not set.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TESTS_STORE_DATABASE_H
#define SCRIP_TESTS_STORE_DATABASE_H

#include <libpq-fe.h>

/* Makes the database on the server of SCRIP_TEST_PG and returns its conninfo (static). */
const char *database_make(void);
/* Drops it, with whoever is still connected. */
void database_drop(void);
/* One statement on a connection of its own; the first value as text ("" when there is none). */
const char *database_ask(const char *sql);

#endif
