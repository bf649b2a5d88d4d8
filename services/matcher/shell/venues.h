/*
 * venues.h - the setting that says how the house trades in single symbols.
 *
 *     venues = SYMBOL=MODE[,SYMBOL=MODE...]        MODE = first | participant | off
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MATCHER_SHELL_VENUES_H
#define SCRIP_MATCHER_SHELL_VENUES_H

#include "matcher/core/match.h"

/* Reads the setting, and sets what it says where `m` is not NULL. CONFIG_BAD_VALUE when it is not
 * of that form. */
MUST_USE enum err venues_set(struct match *m, const char *text);

#endif
