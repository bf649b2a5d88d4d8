/*
 * audit.h - GET /api/audit/...: the life of any order and any account, for auditors.
 *
 * What is told is what scripctl tells, which runs beside the gateway and reads the journal by
 * itself: one format, one proof, and nothing of it touches the ledger (docs/decisions/0013).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_GATEWAY_SHELL_AUDIT_H
#define SCRIP_GATEWAY_SHELL_AUDIT_H

#include "gateway/shell/shell.h"

struct audit;

struct audit *audit_open(struct shell *s);
/* Kills those that run; their requests stay unanswered. */
void audit_close(struct audit **a);
/* Ends what nobody waits for any more, and at the end of the process all. */
void audit_tick(struct audit *a);

#endif
