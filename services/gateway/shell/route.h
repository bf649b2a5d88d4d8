/*
 * route.h - the table of routes.def in memory, and the way from a request's text to a message.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_GATEWAY_SHELL_ROUTE_H
#define SCRIP_GATEWAY_SHELL_ROUTE_H

#include "base/arena.h"
#include "base/msg.h"
#include "gateway/shell/http.h"

#define ROUTE_PARTS_MAX 6

struct shell;
struct request;

enum route_to { TO_OWN, TO_LEDGER, TO_MARKET, TO_BRIDGE };
enum route_who { WHO_PUBLIC, WHO_USER, WHO_AUDITOR, WHO_ADMIN };
enum route_rate { RATE_PUBLIC_RATE, RATE_LOGIN_RATE, RATE_ACCOUNT_RATE };

/* One stretch between slashes: a word, or the name of a parameter. */
struct route_part {
    const char *text;
    size_t length;
    bool is_name;
};

/* Where the gateway fills in what a client may not. NO_FIELD when the message has none. */
#define NO_FIELD UINT32_MAX
struct route_fill {
    uint32_t account_id, changed_by, user_id, command_id, client_order_id, id_was_made;
    uint32_t symbol; /* not filled in: a list's filter, known or refused */
    /* Orders within the message, and where they stand in one of them; NULL when it has none. */
    const struct msg_field *orders;
    uint32_t order_symbol, order_client_order_id, order_id_was_made;
};

struct route {
    enum http1_method method;
    const char *method_name, *path, *sentence;
    enum route_to to;
    enum route_who who;
    enum route_rate rate;
    int status;
    uint32_t body_max; /* bytes */
    /* TO_OWN: */
    void (*own)(struct shell *s, struct request *r, const struct http_request *h);
    const char *own_name;
    /* the others: */
    enum msg_type request, answer;
    bool mutates;       /* its outcome matters: see call_send() */
    uint32_t was_known; /* of the answer: nothing new came of it; NO_FIELD when it has no such */
    bool needs_body;    /* of a POST or PUT: its message has more than the path gives */
    const struct msg_layout *layout;
    struct route_fill fill;

    struct route_part parts[ROUTE_PARTS_MAX];
    uint32_t part_count;
};

struct routes;

struct routes *routes_new(void);
void routes_destroy(struct routes **r);
/* By table order; NULL past the end. */
const struct route *route_at(const struct routes *r, uint32_t index);
/* ROUTE_UNKNOWN, or METHOD_NOT_ALLOWED with the Allow header's text. */
MUST_USE enum err route_find(const struct routes *r, enum http1_method method,
                             struct http1_text path, const struct route **out, char *allow,
                             size_t allow_size);
/* Whether a body may be sent at all. */
bool route_takes_body(const struct route *r);
/* Whether the path names a field: {order_id}. */
bool route_in_path(const struct route *r, const char *name);
/* Whether a client sets a field at all, a list of records included. Where the path names an order
 * by one of its ids, the other is not asked. */
bool route_takes(const struct route *r, const struct msg_field *f);
/* Whether it is taken from the query: not what the path gives, and not where there is a body. */
bool route_takes_query(const struct route *r, const struct msg_field *f);
/* Fills a message's body (zeroed here) from path, query and JSON. The orders of a list that name no
 * symbol get the list's. Lists go into `lists`. On refusal names the field. */
MUST_USE enum err route_read(const struct route *route, const struct http_request *h,
                             struct arena *lists, void *body, code_t *field);
/* What a client may put in place of a refused value; "" when there is nothing to say. */
text_t route_hint(const struct msg_layout *l, enum err e, code_t field);

#endif
