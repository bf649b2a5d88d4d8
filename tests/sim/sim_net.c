/*
 * sim_net.c - chance, the story's lines, and wires with delays, losses, copies and late frames.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"

/* ---- Chance, failure, story ----------------------------------------------------------------- */

uint64_t
sim_draw(struct sim *s, uint64_t below)
{
    s->random += UINT64_C(0x9e3779b97f4a7c15);
    return map_mix(s->random) % below;
}

bool
sim_chance(struct sim *s, uint32_t of_thousand)
{
    return of_thousand > 0 && sim_draw(s, 1000) < of_thousand;
}

bool
sim_fault(struct sim *s, uint32_t of_thousand)
{
    return !s->is_calm && sim_chance(s, of_thousand);
}

int64_t
sim_skew(struct sim *s)
{
    int64_t most = sim_chance(s, 300) ? 2 * SIM_SKEW_US : 40000;
    return (int64_t)sim_draw(s, (uint64_t)most) - most / 2;
}

void
sim_fail(struct sim *s, const char *format, ...)
{
    if (s->failure[0] != '\0')
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(s->failure, sizeof s->failure, format, args);
    va_end(args);
}

static void
line_add(struct sim *s, const char *line)
{
    if (s->is_verbose)
        printf("%s\n", line);
    if (s->tail == NULL)
        return;
    memmove(s->tail, s->tail + SIM_TAIL_BYTES, (SIM_TAIL_LINES - 1) * SIM_TAIL_BYTES);
    snprintf(s->tail + (SIM_TAIL_LINES - 1) * SIM_TAIL_BYTES, SIM_TAIL_BYTES, "%.*s",
             SIM_TAIL_BYTES - 1, line);
}

void
sim_trace(struct sim *s, const char *who, const char *what, const struct msg *m)
{
    if (!s->is_verbose && s->tail == NULL)
        return;
    bool is_noise = m != NULL && (m->type == MSG_link_beat || m->type == MSG_md_beat);
    char said[1024] = "", line[1200];
    if (is_noise && s->is_calm)
        return;
    if (m != NULL)
        msg_print(m, said, sizeof said);
    snprintf(line, sizeof line, "%6u %10lld %-10s %-9s %s%s%.0llu", s->step,
             (long long)(s->now_us - SIM_START_US), who, what, said,
             m != NULL && m->corr != 0 ? " corr=" : "",
             (unsigned long long)(m != NULL ? m->corr : 0));
    line_add(s, line);
}

void
sim_note(struct sim *s, const char *who, uint32_t number, const char *what)
{
    char name[24];
    if (!s->is_verbose && s->tail == NULL)
        return;
    snprintf(name, sizeof name, "%s %u", who, number);
    sim_trace(s, name, what, NULL);
}

/* ---- Wires ---------------------------------------------------------------------------------- */

static struct packet *
packet_new(const struct sim *s, const uint8_t *data, size_t length, int64_t due_us)
{
    struct packet *p = malloc(sizeof *p + length);
    CHECK(p != NULL);
    *p = (struct packet){.due_us = due_us, .sent_us = s->now_us, .length = length};
    memcpy(p->data, data, length);
    return p;
}

void
wire_send(struct sim *s, struct wire *w, const uint8_t *data, size_t length)
{
    s->counts.sent++;
    bool is_lost = sim_fault(s, w->is_split && w->lost > 0 ? 100 : w->lost);
    w->is_split = false;
    if (is_lost) {
        s->counts.lost++;
        return;
    }
    int64_t delay = (int64_t)sim_draw(s, (uint64_t)w->delay_us + 1);
    if (sim_fault(s, 10))
        delay += (int64_t)sim_draw(s, 300000);
    int64_t due = s->now_us + delay;
    if (w->last != NULL && due < w->last->due_us)
        due = w->last->due_us;
    struct packet *p = packet_new(s, data, length, due);
    /* No message is complete without its last byte. */
    if (sim_fault(s, w->damaged))
        p->length--;
    if (w->last == NULL)
        w->first = p;
    else
        w->last->next = p;
    w->last = p;
    if (sim_fault(s, w->doubled)) {
        struct packet *copy = packet_new(s, data, length, due + (int64_t)sim_draw(s, 700000));
        copy->next = w->strays;
        w->strays = copy;
    }
}

struct packet *
wire_take(struct sim *s, struct wire *w)
{
    for (struct packet **at = &w->strays; *at != NULL; at = &(*at)->next)
        if ((*at)->due_us <= s->now_us) {
            struct packet *p = *at;
            *at = p->next;
            return p;
        }
    struct packet *p = w->first;
    if (p == NULL || p->due_us > s->now_us)
        return NULL;
    w->first = p->next;
    if (w->first == NULL)
        w->last = NULL;
    return p;
}

bool
wire_is_empty(const struct wire *w)
{
    return w->first == NULL && w->strays == NULL;
}

void
wire_clear(struct wire *w)
{
    struct packet *lists[2] = {w->first, w->strays};
    for (int i = 0; i < 2; i++)
        while (lists[i] != NULL) {
            struct packet *p = lists[i];
            lists[i] = p->next;
            free(p);
        }
    w->first = w->last = w->strays = NULL;
}

void
wire_break(struct sim *s, struct wire *w)
{
    uint64_t kept = sim_chance(s, 500) ? 0 : sim_draw(s, 20);
    struct packet **at = &w->first;
    w->last = NULL;
    for (; *at != NULL && kept > 0; kept--) {
        w->last = *at;
        at = &(*at)->next;
    }
    while (*at != NULL) {
        struct packet *p = *at;
        *at = p->next;
        if (sim_chance(s, 100)) {
            /* A frozen process, or a box on the way, speaks when others have taken over. */
            p->due_us = s->now_us + (int64_t)sim_draw(s, 2000000);
            p->next = w->strays;
            w->strays = p;
        } else {
            free(p);
        }
    }
}
