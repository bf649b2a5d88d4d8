/*
 * asks.h - requests that are answered in a later turn, each copy of them.
 *
 * Whoever asks sends again every half second with the same correlation id: copies join the one that
 * is worked on, each is answered, and for a while also those that come after the answer. So nothing
 * is done twice for one request, and nobody is left without an answer.
 *
 * A process that stood still for a second may have been given up by who asked, and another bridge
 * asked, also for something newer. So what would overwrite that and was asked for before is not
 * begun: who still wants it of this one sends it again.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BRIDGE_SHELL_ASKS_H
#define SCRIP_BRIDGE_SHELL_ASKS_H

#include "wire/bus.h"

struct asks;
struct ask;

struct asks *asks_open(struct loop *loop, uint32_t asks_max);
void asks_close(struct asks **a);
/* Where they are answered; once, before the first. */
void asks_answer_on(struct asks *a, struct bus *bus);
/* A new request; NULL when it was one that is known, or there is no room: it is answered. */
struct ask *asks_take(struct asks *a, uint32_t peer, const struct msg *m);
uint64_t ask_corr(const struct ask *k);
/* Whether this process stood still since it was taken. */
bool ask_is_late(const struct ask *k);
/* Forgets it: the next copy is a new request. */
void ask_drop(struct ask *k);
/* Both end it. */
void ask_answer(struct ask *k, enum msg_type type, const void *body);
void ask_refuse(struct ask *k, const struct refused *why);
void ask_refuse_plain(struct ask *k, enum err e);

#endif
