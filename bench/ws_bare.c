/*
 * ws_bare.c - libwebsockets alone: the same message written to every client, as fast as asked.
 *
 *     ws_bare PORT CLIENTS BYTES ROUNDS_PER_S      ROUNDS_PER_S 0 = as fast as it goes
 *
 * Once CLIENTS are connected, each round writes one text message of BYTES to all of them. What a
 * slow client leaves unread makes it miss rounds. The ceiling for the gateway's fan-out: the same
 * library on the same loop, without topics, queues or JSON. Runs until its standard input ends.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <ev.h>
#include <libwebsockets.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "number.h"

struct client {
    struct lws *wsi;
    uint32_t due; /* rounds it has still to hear */
};

static struct client *clients;
static int client_count, client_max;
static unsigned char *message;
static size_t message_bytes;
static struct ev_loop *loop;
static ev_timer rounds;
static double rounds_per_s;
static struct lws_context *context;

#define DUE_MAX 64u

static void
round_begin(struct ev_loop *l, ev_timer *t, int events)
{
    (void)l;
    (void)t;
    (void)events;
    for (int i = 0; i < client_count; i++) {
        clients[i].due += clients[i].due < DUE_MAX;
        lws_callback_on_writable(clients[i].wsi);
    }
    lws_cancel_service(context);
}

static int
on_lws(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t length)
{
    struct client **own = user;
    (void)in;
    (void)length;
    if (reason == LWS_CALLBACK_ESTABLISHED) {
        if (client_count == client_max)
            return -1;
        *own = &clients[client_count++];
        (*own)->wsi = wsi;
        if (client_count == client_max && rounds_per_s > 0) {
            ev_timer_init(&rounds, round_begin, 0, 1 / rounds_per_s);
            ev_timer_start(loop, &rounds);
        } else if (client_count == client_max) {
            round_begin(loop, &rounds, 0);
        }
    } else if (reason == LWS_CALLBACK_SERVER_WRITEABLE) {
        struct client *c = *own;
        bool is_endless = rounds_per_s <= 0;
        while ((c->due > 0 || is_endless) && !lws_send_pipe_choked(wsi)) {
            if (lws_write(wsi, message + LWS_PRE, message_bytes, LWS_WRITE_TEXT) < 0)
                return -1;
            c->due -= c->due > 0;
            if (is_endless)
                break;
        }
        if (c->due > 0 || is_endless)
            lws_callback_on_writable(wsi);
    }
    return 0;
}

static void
on_input(struct ev_loop *l, ev_io *w, int events)
{
    (void)w;
    (void)events;
    ev_break(l, EVBREAK_ALL);
}

int
main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: ws_bare PORT CLIENTS BYTES ROUNDS_PER_S\n");
        return 2;
    }
    client_max = (int)number_of(argv[2]);
    message_bytes = (size_t)number_of(argv[3]);
    rounds_per_s = (double)number_of(argv[4]);
    clients = calloc((size_t)client_max, sizeof *clients);
    message = malloc(LWS_PRE + message_bytes);
    if (clients == NULL || message == NULL)
        return 1;
    memset(message, 'x', LWS_PRE + message_bytes);
    loop = ev_default_loop(0);
    void *loops[1] = {loop};
    static const struct lws_protocols protocols[] = {
        {"bare", on_lws, sizeof(struct client *), 0, 0, NULL, 0}, {NULL, NULL, 0, 0, 0, NULL, 0}};
    struct lws_context_creation_info info;
    memset(&info, 0, sizeof info);
    info.port = (int)number_of(argv[1]);
    info.iface = "lo";
    info.protocols = protocols;
    info.options = LWS_SERVER_OPTION_LIBEV;
    info.foreign_loops = loops;
    info.gid = (gid_t)-1;
    info.uid = (uid_t)-1;
    lws_set_log_level(LLL_ERR, NULL);
    context = lws_create_context(&info);
    if (context == NULL)
        return 1;
    ev_io input;
    ev_io_init(&input, on_input, 0, EV_READ);
    ev_io_start(loop, &input);
    ev_run(loop, 0);
    lws_context_destroy(context);
    free(message);
    free(clients);
    return 0;
}
