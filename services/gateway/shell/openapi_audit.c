/*
 * openapi_audit.c - the part of the OpenAPI description that scripctl answers: see docs/audit.md.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>

#include "gateway/shell/openapi.h"

#define AMOUNT "{\"type\":\"string\",\"pattern\":\"^-?[0-9]+[.][0-9]{8}$\"}"
#define NUMBER "{\"type\":\"integer\",\"format\":\"int64\"}"
#define TIME   "{\"type\":\"string\",\"format\":\"date-time\"}"
#define TEXT   "{\"type\":\"string\"}"
#define HASH   "{\"type\":\"string\",\"pattern\":\"^[0-9a-f]{64}$\"}"
#define LIST_OF(schema)                                                                            \
    "{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/" schema "\"}}"
#define NEXT                                                                                       \
    "\"next\":{\"type\":\"integer\",\"format\":\"int64\",\"nullable\":true,\"description\":"       \
    "\"The `after` of the next page; null on the last.\"}"

const char openapi_audit_schemas[] =
    "\"audit_posting\":{\"type\":\"object\",\"description\":\"One change of a balance, and what it "
    "was then.\",\"properties\":{\"what\":{\"type\":\"string\",\"enum\":[\"opening\",\"set\","
    "\"paid\",\"received\",\"fee\",\"held\",\"released\",\"moved\"]},\"wallet\":" TEXT
    ",\"asset\":" TEXT ",\"free_change\":" AMOUNT ",\"held_change\":" AMOUNT ",\"free\":" AMOUNT
    ",\"held\":" AMOUNT ",\"trade_id\":{\"type\":\"integer\",\"format\":\"int64\","
    "\"nullable\":true}}},"
    "\"audit_entry\":{\"type\":\"object\",\"description\":\"One record of the journal and what it "
    "did.\",\"properties\":{\"shard\":" NUMBER ",\"seq\":" NUMBER ",\"time\":" TIME
    ",\"kind\":" TEXT ",\"source\":" TEXT
    ",\"corr\":{\"type\":\"string\",\"nullable\":true},\"hash\":" HASH
    ",\"words\":{\"type\":\"array\",\"description\":\"The same in sentences.\",\"items\":" TEXT
    "},\"command\":{\"type\":\"object\",\"nullable\":true,\"description\":\"The record's message, "
    "with what the ledger filled in.\"},\"orders\":{\"type\":\"array\",\"description\":\"Orders it "
    "changed, as they were then.\",\"items\":{\"type\":\"object\"}},\"fills\":{\"type\":\"array\","
    "\"description\":\"Each with its fee and evidence.\",\"items\":{\"type\":\"object\"}},"
    "\"postings\":" LIST_OF(
        "audit_posting") "}},"
                         "\"audit_order\":{\"type\":\"object\",\"properties\":{\"order_id\":" NUMBER
                         ",\"account_id\":" NUMBER ",\"shard\":" NUMBER
                         ",\"order\":{\"type\":\"object\",\"description\":\"As of the last entry "
                         "told.\"},"
                         "\"entries\":" LIST_OF(
                             "audit_entry") "," NEXT "}},"
                                            "\"audit_account\":{\"type\":\"object\",\"properties\":"
                                            "{\"account_id\":" NUMBER ",\"shard\":" NUMBER
                                            ",\"account\":{\"type\":\"object\",\"description\":"
                                            "\"Balances and open "
                                            "orders as of the last entry "
                                            "told.\"},\"entries\":" LIST_OF("audit_entry") "," NEXT
                                                                                           "}},";

void
openapi_audit_parameters(const struct route *r, struct bytes *out)
{
    static const char query[] =
        ",{\"name\":\"after\",\"in\":\"query\",\"description\":\"Entries behind this record "
        "number.\",\"schema\":{\"type\":\"integer\",\"minimum\":0}},"
        "{\"name\":\"limit\",\"in\":\"query\",\"description\":\"Entries at most.\",\"schema\":{"
        "\"type\":\"integer\",\"minimum\":1,\"maximum\":1000,\"default\":100}}";
    char text[256];
    const struct route_part *p = &r->parts[r->part_count - 1];
    int length = snprintf(text, sizeof text,
                          "{\"name\":\"%.*s\",\"in\":\"path\",\"required\":true,\"schema\":{"
                          "\"type\":\"integer\",\"format\":\"int64\",\"minimum\":1}}",
                          (int)p->length, p->text);
    bytes_add(out, text, (size_t)length);
    bytes_add(out, query, strlen(query));
}
