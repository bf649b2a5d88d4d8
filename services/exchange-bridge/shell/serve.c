/*
 * serve.c - bus to core and back: unpacked message in, the core's answers out.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/shell/serve.h"

#include <stdlib.h>

#include "exchange-bridge/config.h"
#include "exchange-bridge/core/bridge.h"
#include "host/log.h"
#include "host/metrics.h"
#include "wire/bus.h"

#define ANSWERS_MAX 1 /* of one message */

struct serve {
    struct bridge core;
    struct bus *bus;
    struct outbox out;
    struct out slots[ANSWERS_MAX];
    uint8_t lists[16] __attribute__((aligned(16))); /* no answer has a list */
    struct metric *asked, *misplaced;
};

static void
on_msg(void *arg, const struct bus_in *in)
{
    struct serve *s = arg;
    log_msg("asked", in->msg);
    outbox_clear(&s->out);
    bridge_apply(&s->core, in->peer, in->msg, &s->out);
    for (uint32_t i = 0; i < s->out.count; i++)
        bus_put(s->bus, s->out.slots[i].peer, s->out.slots[i].msg.type, s->out.slots[i].msg.corr,
                &s->out.slots[i].msg.refused);
    metric_set(s->asked, (int64_t)s->core.asked);
    metric_set(s->misplaced, (int64_t)s->core.misplaced);
}

enum err
serve_start(struct host *h, const void *config, void **state)
{
    const struct bridge_config *c = config;
    struct serve *s = calloc(1, sizeof *s);
    CHECK(s != NULL);
    bridge_init(&s->core);
    outbox_init(&s->out, s->slots, ANSWERS_MAX, s->lists, sizeof s->lists);
    s->asked = metric_counter("scrip_bridge_requests_total", "", "Requests, all refused so far.");
    s->misplaced = metric_counter("scrip_bridge_misplaced_total", "",
                                  "Messages that are no request to the bridge.");
    s->bus = bus_open(h->loop, &(struct bus_options){.role = BUS_SERVE,
                                                     .endpoint = c->serve_endpoint,
                                                     .name = h->name,
                                                     .arg = s,
                                                     .on_msg = on_msg});
    if (s->bus == NULL) {
        free(s);
        return ERR_BRIDGE_UNAVAILABLE;
    }
    *state = s;
    return OK;
}

void
serve_stop(void *state)
{
    struct serve *s = state;
    bus_close(&s->bus);
    free(s);
}
