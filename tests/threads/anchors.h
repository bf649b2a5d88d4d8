/*
 * anchors.h - a part of the program threads, see threads.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TESTS_THREADS_ANCHORS_H
#define SCRIP_TESTS_THREADS_ANCHORS_H

#include "host/loop.h"

void anchors_are_signed(struct loop *loop);

#endif
