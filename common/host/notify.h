/*
 * notify.h - tells whoever started this process that it can take over: sd_notify's "READY=1".
 *
 * A process that replaces another is started with NOTIFY_SOCKET, the name of a datagram socket, in
 * its environment; the one before it is told to end once this one has said that it is ready. Then,
 * and only then, its probe's address becomes free.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_HOST_NOTIFY_H
#define SCRIP_HOST_NOTIFY_H

#include <stdbool.h>

/* Whether somebody waits for it. */
bool notify_is_wanted(void);
/* Says it, the first time; nothing when nobody waits. */
void notify_ready(void);

#endif
