/*
 * question.h - one question to a service, over ZeroMQ, and its answer.
 *
 * The questions may be repeated, so what is not answered is sent again until its time is over.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_QUESTION_H
#define SCRIPCTL_QUESTION_H

#include "base/msg.h"
#include "scripctl/command.h"
#include "scripctl/records.h"

struct question;

/* `endpoint` is the service's serve_endpoint. NULL, and why. */
struct question *question_open(const char *endpoint, char why[WHY_BYTES]);
void question_close(struct question **q);
/* Gives the answer, lent until the next question; NULL when there is none, and why. A refusal is an
 * answer: MSG_refused. */
const struct msg *question_ask(struct question *q, const struct msg *m, char why[WHY_BYTES]);

#endif
