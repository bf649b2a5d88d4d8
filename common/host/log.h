/*
 * log.h - one `key=value` line per event on standard error.
 *
 *   time=2026-11-21T10:00:00.000000Z level=info service=ledger event=started epoch=3
 *
 * The correlation id is printed as corr=%016x. Secrets never reach a log: messages are printed by
 * msg_print(), which masks them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_HOST_LOG_H
#define SCRIP_HOST_LOG_H

#include <stdint.h>

#include "base/check.h"

struct msg;

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* Once, at start. */
void log_open(const char *service, enum log_level least);
/* `event` is one word; the format gives further key=value pairs. */
void log_line(enum log_level level, const char *event, const char *format, ...) PRINTF(3, 4);
/* The same about a request. */
void log_corr(enum log_level level, uint64_t corr, const char *event, const char *format, ...)
    PRINTF(4, 5);
/* A message, at debug level. */
void log_msg(const char *event, const struct msg *m);
/* Whether a line of this level would be written; for callers that must format first. */
int log_on(enum log_level level);

#endif
