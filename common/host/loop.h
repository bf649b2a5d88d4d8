/*
 * loop.h - the one loop of a process, over libev: descriptors, ZeroMQ sockets, timers, turns.
 *
 * The clock is read once per turn: loop_now_us() is the same for everything a turn handles.
 * A turn: wait, read the clock, run the handlers of ready descriptors and due timers, then run
 * the turn hooks in the order they were added (apply, journal, flush).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_HOST_LOOP_H
#define SCRIP_HOST_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct ev_loop;
struct loop_watch; /* a descriptor or ZeroMQ socket being watched */
struct loop_timer;
struct loop_wake;

enum loop_event { LOOP_READ = 1, LOOP_WRITE = 2 };

struct loop *loop_new(void);
void loop_destroy(struct loop **l);
/* For libraries that bring their own integration (libwebsockets). */
struct ev_loop *loop_ev(struct loop *l);
/* Runs until loop_stop(). */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);

/* Microseconds UTC; and a clock that never jumps, for intervals. Both as of this turn. */
int64_t loop_now_us(const struct loop *l);
int64_t loop_steady_us(const struct loop *l);
/* The steady clock read now: for measuring, and for work that must end, within one turn. */
int64_t loop_measure_us(void);

struct loop_watch *loop_watch_fd(struct loop *l, int fd, unsigned events,
                                 void (*on_event)(void *arg, unsigned events), void *arg);
void loop_watch_set(struct loop_watch *w, unsigned events); /* 0 = pause */
/* Must be told of every use of a watched ZeroMQ socket outside its own on_readable: sending, say,
 * may take in what its descriptor would have told. */
void loop_watch_used(struct loop_watch *w);
/* Calls on_readable while ZMQ_EVENTS shows ZMQ_POLLIN, in every turn; never misses an edge. The
 * handler may leave messages unread: it is called again in the next turn. */
struct loop_watch *loop_watch_zmq(struct loop *l, void *socket, void (*on_readable)(void *arg),
                                  void *arg);
void loop_watch_end(struct loop_watch **w);

/* Fires after `after_ms`, then every `every_ms` (0 = once). */
struct loop_timer *loop_timer_new(struct loop *l, int64_t after_ms, int64_t every_ms,
                                  void (*on_time)(void *arg), void *arg);
void loop_timer_again(struct loop_timer *t, int64_t after_ms);
void loop_timer_stop(struct loop_timer *t);
void loop_timer_end(struct loop_timer **t);

/* Runs at the end of every turn, in the order of the calls. */
void loop_on_turn(struct loop *l, void (*hook)(void *arg), void *arg);
/* Runs after all turn hooks of the same turn: for those who send what the turn queued. */
void loop_on_flush(struct loop *l, void (*hook)(void *arg), void *arg);
/* Removes a hook of either kind; also from within a hook. */
void loop_off_turn(struct loop *l, void (*hook)(void *arg), void *arg);
/* Makes the next turn come without waiting. */
void loop_soon(struct loop *l);

/* loop_wake_send may be called from any thread; on_wake runs on the loop. */
struct loop_wake *loop_wake_new(struct loop *l, void (*on_wake)(void *arg), void *arg);
void loop_wake_send(struct loop_wake *w);
void loop_wake_end(struct loop_wake **w);

#endif
