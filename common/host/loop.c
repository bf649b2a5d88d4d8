/*
 * loop.c - one libev loop, cut into turns.
 *
 * A turn begins when libev comes back from waiting (a check watcher of the highest priority reads
 * the clocks), runs what is ready, and ends in a prepare watcher of the lowest priority, just
 * before libev waits again: there the turn hooks run, then the flush hooks.
 *
 * ZeroMQ's descriptor is edge-triggered and tells only that ZMQ_EVENTS may have changed, so the
 * io watcher only notes it. ZMQ_EVENTS is read twice a turn: in the check stage, to call the
 * handlers, and as the very last act before waiting, when a socket that is still readable (or
 * became so while it was sent to) makes the loop not wait at all. Each reading costs two system
 * calls, so it is left out for a socket whose last reading told that nothing is there, whose
 * descriptor has been silent since and that nobody has used since.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "host/loop.h"

#include <ev.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>
#include <zmq.h>

#include "base/check.h"
#include "host/metrics.h"

#define HOOKS_MAX 64

struct hook {
    void (*call)(void *arg); /* NULL = removed during a turn */
    void *arg;
};

struct hooks {
    struct hook at[HOOKS_MAX];
    unsigned count;
};

struct loop_watch {
    ev_io io; /* first: libev hands it back */
    struct loop *loop;
    void *socket; /* ZeroMQ; NULL for a descriptor */
    bool paused, ended;
    bool is_stale; /* ZMQ_EVENTS may have changed since it was read */
    unsigned events;
    void (*on_event)(void *arg, unsigned events);
    void (*on_readable)(void *arg);
    void *arg;
    struct loop_watch *next; /* among the ZeroMQ sockets */
};

struct loop_timer {
    ev_timer timer;
    struct loop *loop;
    int64_t every_ms;
    void (*on_time)(void *arg);
    void *arg;
};

struct loop_wake {
    ev_async async;
    struct loop *loop;
    void (*on_wake)(void *arg);
    void *arg;
};

struct loop {
    struct ev_loop *ev;
    ev_check turn_begin, turn_sockets;
    ev_prepare turn_end;
    ev_idle no_wait; /* active = the next turn comes at once */
    struct hooks turn, flush;
    struct loop_watch *sockets;
    bool soon, running, stopped;
    bool settled; /* stopped, and the hooks have run since */
    int64_t now_us, steady_us;
    struct metric *turn_us;
};

static int64_t
clock_us(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void
clocks_read(struct loop *l)
{
    l->now_us = clock_us(CLOCK_REALTIME);
    l->steady_us = clock_us(CLOCK_MONOTONIC);
}

static void
hooks_add(struct hooks *h, void (*call)(void *arg), void *arg)
{
    CHECK(h->count < HOOKS_MAX);
    h->at[h->count++] = (struct hook){call, arg};
}

static void
hooks_remove(struct hooks *h, void (*call)(void *arg), void *arg)
{
    for (unsigned i = 0; i < h->count; i++)
        if (h->at[i].call == call && h->at[i].arg == arg)
            h->at[i].call = NULL;
}

/* A hook may add or remove hooks, so removed ones are only swept afterwards. */
static void
hooks_run(struct hooks *h)
{
    for (unsigned i = 0; i < h->count; i++)
        if (h->at[i].call != NULL)
            h->at[i].call(h->at[i].arg);
    unsigned kept = 0;
    for (unsigned i = 0; i < h->count; i++)
        if (h->at[i].call != NULL)
            h->at[kept++] = h->at[i];
    h->count = kept;
}

static bool
socket_readable(struct loop_watch *w)
{
    int events = 0;
    size_t size = sizeof events;
    if (!w->is_stale)
        return false;
    w->is_stale = false;
    if (zmq_getsockopt(w->socket, ZMQ_EVENTS, &events, &size) != 0)
        return false; /* the context is ending */
    w->is_stale = (events & ZMQ_POLLIN) != 0;
    return w->is_stale;
}

static void
sockets_sweep(struct loop *l)
{
    struct loop_watch **at = &l->sockets;
    while (*at != NULL) {
        struct loop_watch *w = *at;
        if (w->ended) {
            *at = w->next;
            free(w);
        } else {
            at = &w->next;
        }
    }
}

static void
on_turn_begin(struct ev_loop *ev, ev_check *w, int events)
{
    (void)ev, (void)events;
    struct loop *l = w->data;
    clocks_read(l);
}

static void
on_turn_sockets(struct ev_loop *ev, ev_check *w, int events)
{
    (void)ev, (void)events;
    struct loop *l = w->data;
    for (struct loop_watch *s = l->sockets; s != NULL; s = s->next)
        if (!s->ended && !s->paused && socket_readable(s))
            s->on_readable(s->arg);
    sockets_sweep(l);
}

static void
turn_finish(struct loop *l)
{
    hooks_run(&l->turn);
    hooks_run(&l->flush);
    l->settled = l->stopped;
    bool wait = !l->soon;
    l->soon = false;
    for (struct loop_watch *s = l->sockets; wait && s != NULL; s = s->next)
        wait = s->ended || s->paused || !socket_readable(s);
    if (wait)
        ev_idle_stop(l->ev, &l->no_wait);
    else
        ev_idle_start(l->ev, &l->no_wait);
    metric_observe_us(l->turn_us, clock_us(CLOCK_MONOTONIC) - l->steady_us);
}

static void
on_turn_end(struct ev_loop *ev, ev_prepare *w, int events)
{
    (void)ev, (void)events;
    turn_finish(w->data);
}

static void
on_no_wait(struct ev_loop *ev, ev_idle *w, int events)
{
    (void)ev, (void)w, (void)events; /* its being active is all that matters */
}

struct loop *
loop_new(void)
{
    struct loop *l = calloc(1, sizeof *l);
    CHECK(l != NULL);
    l->ev = ev_loop_new(EVFLAG_AUTO);
    CHECK(l->ev != NULL);
    clocks_read(l);
    l->turn_us = metric_histogram("scrip_loop_turn_us", "", "Work of one turn of the loop.");

    ev_check_init(&l->turn_begin, on_turn_begin);
    ev_set_priority(&l->turn_begin, EV_MAXPRI);
    ev_check_init(&l->turn_sockets, on_turn_sockets);
    ev_prepare_init(&l->turn_end, on_turn_end);
    ev_set_priority(&l->turn_end, EV_MINPRI);
    ev_idle_init(&l->no_wait, on_no_wait);
    l->turn_begin.data = l->turn_sockets.data = l->turn_end.data = l;
    ev_check_start(l->ev, &l->turn_begin);
    ev_check_start(l->ev, &l->turn_sockets);
    ev_prepare_start(l->ev, &l->turn_end);
    return l;
}

void
loop_destroy(struct loop **l)
{
    struct loop *old = *l;
    if (old == NULL)
        return;
    *l = NULL;
    sockets_sweep(old);
    CHECK(old->sockets == NULL); /* whoever watched a socket has ended its watch */
    ev_loop_destroy(old->ev);
    free(old);
}

struct ev_loop *
loop_ev(struct loop *l)
{
    return l->ev;
}

void
loop_run(struct loop *l)
{
    l->running = true;
    clocks_read(l);
    while (!l->stopped)
        ev_run(l->ev, 0);
    /* The turn that stopped the loop ends like every other: what it queued goes out. */
    if (!l->settled)
        turn_finish(l);
    l->running = l->stopped = l->settled = false;
}

void
loop_stop(struct loop *l)
{
    l->stopped = true;
    ev_break(l->ev, EVBREAK_ALL);
}

int64_t
loop_now_us(const struct loop *l)
{
    return l->now_us;
}

int64_t
loop_steady_us(const struct loop *l)
{
    return l->steady_us;
}

int64_t
loop_measure_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

static int
events_to_ev(unsigned events)
{
    return (events & LOOP_READ ? EV_READ : 0) | (events & LOOP_WRITE ? EV_WRITE : 0);
}

static void
on_fd(struct ev_loop *ev, ev_io *io, int events)
{
    (void)ev;
    struct loop_watch *w = (struct loop_watch *)io;
    unsigned ready = (events & EV_READ ? LOOP_READ : 0u) | (events & EV_WRITE ? LOOP_WRITE : 0u);
    w->on_event(w->arg, ready); /* may end the watch: nothing follows */
}

struct loop_watch *
loop_watch_fd(struct loop *l, int fd, unsigned events, void (*on_event)(void *arg, unsigned events),
              void *arg)
{
    struct loop_watch *w = calloc(1, sizeof *w);
    CHECK(w != NULL);
    w->loop = l;
    w->on_event = on_event;
    w->arg = arg;
    w->events = events;
    ev_io_init(&w->io, on_fd, fd, events_to_ev(events));
    if (events != 0)
        ev_io_start(l->ev, &w->io);
    return w;
}

static void
on_socket_edge(struct ev_loop *ev, ev_io *io, int events)
{
    (void)ev, (void)events;
    ((struct loop_watch *)io)->is_stale = true; /* the check stage, which is next, reads */
}

struct loop_watch *
loop_watch_zmq(struct loop *l, void *socket, void (*on_readable)(void *arg), void *arg)
{
    int fd = -1;
    size_t size = sizeof fd;
    CHECK(zmq_getsockopt(socket, ZMQ_FD, &fd, &size) == 0);
    struct loop_watch *w = calloc(1, sizeof *w);
    CHECK(w != NULL);
    w->loop = l;
    w->socket = socket;
    w->on_readable = on_readable;
    w->arg = arg;
    /* At the end of the list: sockets are served in the order they were opened. */
    struct loop_watch **at = &l->sockets;
    while (*at != NULL)
        at = &(*at)->next;
    *at = w;
    w->is_stale = true;
    ev_io_init(&w->io, on_socket_edge, fd, EV_READ);
    ev_set_priority(&w->io, EV_MAXPRI); /* before the check stage */
    ev_io_start(l->ev, &w->io);
    l->soon = true; /* an edge may have come before the watch */
    return w;
}

void
loop_watch_used(struct loop_watch *w)
{
    w->is_stale = true;
}

void
loop_watch_set(struct loop_watch *w, unsigned events)
{
    if (w->socket != NULL) {
        w->paused = (events & LOOP_READ) == 0;
        w->is_stale = true;
        /* While nobody reads ZMQ_EVENTS its descriptor stays readable: watched, it would make the
         * loop spin. */
        if (w->paused) {
            ev_io_stop(w->loop->ev, &w->io);
        } else {
            ev_io_start(w->loop->ev, &w->io);
            w->loop->soon = true;
        }
        return;
    }
    if (events == w->events)
        return;
    w->events = events;
    ev_io_stop(w->loop->ev, &w->io);
    ev_io_set(&w->io, w->io.fd, events_to_ev(events));
    if (events != 0)
        ev_io_start(w->loop->ev, &w->io);
}

void
loop_watch_end(struct loop_watch **w)
{
    struct loop_watch *old = *w;
    if (old == NULL)
        return;
    *w = NULL;
    ev_io_stop(old->loop->ev, &old->io);
    if (old->socket == NULL)
        free(old);
    else
        old->ended = true; /* the list may be under way: swept behind it */
}

static double
seconds_of(int64_t ms)
{
    return (double)ms / 1000.0;
}

static void
on_timer(struct ev_loop *ev, ev_timer *timer, int events)
{
    (void)events;
    struct loop_timer *t = (struct loop_timer *)timer;
    if (t->every_ms > 0) {
        ev_timer_set(timer, seconds_of(t->every_ms), 0.);
        ev_timer_start(ev, timer);
    }
    t->on_time(t->arg); /* may end the timer: nothing follows */
}

static void
timer_start(struct loop_timer *t, int64_t after_ms)
{
    /* Before the loop runs, libev's idea of now is as old as the loop. */
    if (!t->loop->running)
        ev_now_update(t->loop->ev);
    ev_timer_stop(t->loop->ev, &t->timer);
    ev_timer_set(&t->timer, seconds_of(after_ms), 0.);
    ev_timer_start(t->loop->ev, &t->timer);
}

struct loop_timer *
loop_timer_new(struct loop *l, int64_t after_ms, int64_t every_ms, void (*on_time)(void *arg),
               void *arg)
{
    struct loop_timer *t = calloc(1, sizeof *t);
    CHECK(t != NULL);
    t->loop = l;
    t->every_ms = every_ms;
    t->on_time = on_time;
    t->arg = arg;
    ev_timer_init(&t->timer, on_timer, 0., 0.);
    timer_start(t, after_ms);
    return t;
}

void
loop_timer_again(struct loop_timer *t, int64_t after_ms)
{
    timer_start(t, after_ms);
}

void
loop_timer_stop(struct loop_timer *t)
{
    ev_timer_stop(t->loop->ev, &t->timer);
}

void
loop_timer_end(struct loop_timer **t)
{
    struct loop_timer *old = *t;
    if (old == NULL)
        return;
    *t = NULL;
    ev_timer_stop(old->loop->ev, &old->timer);
    free(old);
}

void
loop_on_turn(struct loop *l, void (*hook)(void *arg), void *arg)
{
    hooks_add(&l->turn, hook, arg);
}

void
loop_on_flush(struct loop *l, void (*hook)(void *arg), void *arg)
{
    hooks_add(&l->flush, hook, arg);
}

void
loop_off_turn(struct loop *l, void (*hook)(void *arg), void *arg)
{
    hooks_remove(&l->turn, hook, arg);
    hooks_remove(&l->flush, hook, arg);
}

void
loop_soon(struct loop *l)
{
    l->soon = true;
}

static void
on_async(struct ev_loop *ev, ev_async *async, int events)
{
    (void)ev, (void)events;
    struct loop_wake *w = (struct loop_wake *)async;
    w->on_wake(w->arg); /* may end the wake: nothing follows */
}

struct loop_wake *
loop_wake_new(struct loop *l, void (*on_wake)(void *arg), void *arg)
{
    struct loop_wake *w = calloc(1, sizeof *w);
    CHECK(w != NULL);
    w->loop = l;
    w->on_wake = on_wake;
    w->arg = arg;
    ev_async_init(&w->async, on_async);
    ev_async_start(l->ev, &w->async);
    return w;
}

void
loop_wake_send(struct loop_wake *w)
{
    ev_async_send(w->loop->ev, &w->async);
}

void
loop_wake_end(struct loop_wake **w)
{
    struct loop_wake *old = *w;
    if (old == NULL)
        return;
    *w = NULL;
    ev_async_stop(old->loop->ev, &old->async);
    free(old);
}
