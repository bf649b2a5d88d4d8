/*
 * ahead.h - a part of the program threads, see threads.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TESTS_THREADS_AHEAD_H
#define SCRIP_TESTS_THREADS_AHEAD_H

#include "host/loop.h"

void what_is_read_ahead_is_the_same(struct loop *loop);

#endif
