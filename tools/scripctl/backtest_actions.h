/*
 * backtest_actions.h - the order file of a backtest: what is to be done, by whom, and when.
 *
 * JSON lines: the body of a request as the REST API takes it, and beside it
 *
 *   at       when: "+1.5s" (after the market's beginning; us, ms, s, m, h, d),
 * "2024-08-08T23:54:10Z" or a whole number of microseconds UTC, on the recording's clock account
 * whose: any name; "main" when absent action   place (the default), cancel, cancel_all, amend,
 * replace, list, settings, balance
 *
 * Orders are named by their client_order_id: ids of the ledger are not known before. Or CSV: the
 * first line names the columns, which are these three and the fields of the request; an empty cell
 * is an absent field; there are no quotes, and no lists. Empty lines and lines that begin with #
 * are passed over. All is read and judged before anything runs: `complaints` has a line for
 * everything that is wrong, "orders.jsonl:12: price: ...".
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_BACKTEST_ACTIONS_H
#define SCRIPCTL_BACKTEST_ACTIONS_H

#include <stdio.h>

#include "base/msg.h"
#include "wire/codec.h"

#define ACTIONS_COMPLAINTS_MAX 20 /* told one by one; of the others their number */
#define ACTIONS_LINE_MAX       (1u << 20)

struct action {
    uint32_t line;
    uint32_t account; /* index of its name; its id is one more */
    bool is_offset;   /* at_us counts from the market's beginning */
    int64_t at_us;
    const char *name; /* of the action */
    enum msg_type type;
    void *body; /* of the message, account_id set; its list stands in memory of its own */
    void *list; /* NULL = none */
};

struct actions {
    struct action *actions; /* in the order of the file */
    uint32_t count, max;
    cid_t *accounts;
    uint32_t accounts_count, accounts_max;
    uint32_t orders; /* that they can lead to, at most */
    uint32_t wrong;  /* lines, or things, that are wrong */
    struct bytes complaints;
    const char *file;
    /* of the reader */
    struct arena lists;
    char *columns; /* CSV: the first line, cut */
    uint32_t columns_count;
    bool has_format, is_csv;
};

/* Reads a whole file; `file` names it in complaints and is lent. Nothing fails but by complaint. */
void actions_read(struct actions *a, FILE *from, const char *file);
void actions_fini(struct actions *a);
/* The same of one line (without its newline); for tests, and what actions_read() is made of. */
void actions_begin(struct actions *a, const char *file);
void actions_line(struct actions *a, uint32_t line, const char *text, size_t length);

/* Adds a complaint about a line; `field` may be "". */
void actions_complain(struct actions *a, uint32_t line, const char *field, const char *format, ...)
    PRINTF(4, 5);
/* The symbol that an action names; NULL when it is of none. */
const code_t *action_symbol(const struct action *a);
/* "1.5s" in microseconds: us, ms, s, m, h, d. */
bool actions_duration(const char *text, int64_t *out);
/* Makes offsets times, and puts the actions in the order of their times; those of one time stay in
 * the order of the file. */
void actions_settle(struct actions *a, int64_t begin_us);

#endif
