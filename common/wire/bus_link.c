/*
 * bus_link.c - whether the server is there: what libzmq tells of a socket's connection.
 *
 * libzmq tells it on a socket of its own, in the order of events. A connection counts once both
 * sides have greeted each other: a process that hangs is connected to by the kernel alone.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "wire/bus_parts.h"

/* The next event; 0 when there is none. */
static uint16_t
event_take(struct bus *b)
{
    uint8_t event[6] = {0}; /* its number, and a value that is of no interest */
    uint8_t address[256];
    uint16_t number;
    if (zmq_recv(b->monitor, event, sizeof event, ZMQ_DONTWAIT) < 0)
        return 0;
    zmq_recv(b->monitor, address, sizeof address, ZMQ_DONTWAIT);
    memcpy(&number, event, sizeof number);
    return number;
}

static void
on_monitor(void *arg)
{
    struct bus *b = arg;
    for (uint16_t event; (event = event_take(b)) != 0;)
        b->o.on_link(b->o.arg, event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
}

void
bus_link_open(struct bus *b, void *context, uint64_t number)
{
    char address[64];
    snprintf(address, sizeof address, "inproc://bus-link-%" PRIu64, number);
    CHECK(zmq_socket_monitor(b->socket, address,
                             ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED) == 0);
    b->monitor = zmq_socket(context, ZMQ_PAIR);
    CHECK(b->monitor != NULL && zmq_connect(b->monitor, address) == 0);
    b->monitor_watch = loop_watch_zmq(b->loop, b->monitor, on_monitor, b);
}

void
bus_link_close(struct bus *b)
{
    if (b->monitor == NULL)
        return;
    loop_watch_end(&b->monitor_watch);
    zmq_socket_monitor(b->socket, NULL, 0);
    zmq_close(b->monitor);
    b->monitor = NULL;
}
