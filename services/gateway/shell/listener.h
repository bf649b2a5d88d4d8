/*
 * listener.h - the socket on which HTTP connections arrive: opened here, or handed over.
 *
 * Handed over as systemd's socket units do it (LISTEN_PID, LISTEN_FDS), so that connections wait
 * in it while one process follows another.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_GATEWAY_SHELL_LISTENER_H
#define SCRIP_GATEWAY_SHELL_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

/* Sets fd and port, which may have been 0. False, with errno, when it cannot listen there. */
bool listener_open(const char *address, uint16_t *port, int *fd);

#endif
