/*
 * net_stage.h - a loop, a faulty server beside it, and waiting for what is to come.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TESTS_NET_STAGE_H
#define SCRIP_TESTS_NET_STAGE_H

#include <stdbool.h>

#include "host/loop.h"

struct net_stage {
    struct loop *loop;
    char folder[64];              /* with ca.pem, and other.pem, which vouches for nobody */
    int port, tls_port;           /* of net_server.py */
    int server_input, server_pid; /* the server ends with its input */
};

/* `with_server`: starts tests/unit/net_server.py. */
void net_stage_open(struct net_stage *s, bool with_server);
void net_stage_close(struct net_stage *s);
/* Runs the loop until the condition holds; fails the test after 20 s with what was waited for. */
void net_wait(struct net_stage *s, bool (*condition)(void), const char *what);

#endif
