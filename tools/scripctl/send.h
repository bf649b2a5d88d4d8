/*
 * send.h - replay --to: the journal's commands into another deployment, and how far it agrees.
 *
 * The other one should be a fresh paper deployment. It is looked at first: where it has an account
 * or an order of the record already, nothing is sent without --yes; it may be the deployment that
 * the journal is of. An account in mode REAL is never sent anything. Accounts that it lacks are
 * opened, with the cash and the fill rules that they had. Then the commands go out by the times of
 * the record, --speed times as fast, and at the end every order is asked for and compared.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_SEND_H
#define SCRIPCTL_SEND_H

#include "scripctl/command.h"

/* What the command `replay` does with --to. Exit status 1 when something differs. */
enum status replay_into(const struct call *c);
/* Whether something was said that only --to makes sense of. */
bool send_is_meant(const struct call *c);

#endif
