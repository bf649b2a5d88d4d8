/*
 * gen_docs_protocol.c - docs/protocol.md and docs/errors.md, from messages.def and errors.def.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>

#include "gen_docs.h"

/* ---- protocol.md ------------------------------------------------------------------------ */

static const char protocol_opening[] =
    "Services talk in ZeroMQ messages. Each is one frame: a sequence of msgpack arrays\n"
    "`[number, correlation id, body]`, the first of which is always a `frame`. On PUB sockets the\n"
    "topic is a part of its own in front. A body is a map of field tag to value: records are "
    "maps,\n"
    "lists are arrays of maps, enums and errors their numbers, amounts integers of 10^-8. A field\n"
    "that is zero, false or empty is not sent. Unknown tags are skipped and unknown messages are\n"
    "passed over, so that adjacent versions talk; everything else that is not as described here "
    "is\n"
    "refused, the whole frame. A frame has at most 4 MiB.\n\n"
    "`MUTATES` marks requests that change the receiver's state and are journaled, `READS` "
    "requests\n"
    "that do not, `SAYS` answers and events.\n\n";

static const char protocol_kinds[] =
    "## Kinds of fields\n\n"
    "| kind | on the wire | in JSON |\n| --- | --- | --- |\n"
    "| BOOL | true (false is not sent) | true or false |\n"
    "| TRI | 1 false, 2 true | true or false; left out when absent |\n"
    "| U32, U64, I64 | integer | number |\n"
    "| ID | integer, 1 to 2^53 - 1 | number |\n"
    "| TIME | integer, microseconds UTC | number |\n"
    "| MONEY, PRICE, QTY, RATE | integer of 10^-8 | string with 8 decimals; a number is read too "
    "|\n"
    "| CODE, CID, TEXT | text of at most 23, 36, 127 bytes | string |\n"
    "| ERR | number of [errors.md](errors.md) | its name |\n"
    "| an enum | its number | its name; left out when absent |\n"
    "| a record | map | object |\n"
    "| list of a record | array of maps | array of objects |\n\n"
    "Flags: REQ refused when absent; POS refused when below 1 of its unit; IN a client may set "
    "it;\n"
    "OPT left out of JSON when empty; HID never in JSON; SEC printed as `***`; ZEROS: bit n is set "
    "when a client gave field n as 0.\n\n";

static const char *
kind_name(const struct msg_field *f, char room[64])
{
    static const char *const names[] = {
        [KIND_BOOL] = "BOOL", [KIND_U32] = "U32",   [KIND_U64] = "U64",     [KIND_I64] = "I64",
        [KIND_ID] = "ID",     [KIND_TIME] = "TIME", [KIND_MONEY] = "MONEY", [KIND_PRICE] = "PRICE",
        [KIND_QTY] = "QTY",   [KIND_RATE] = "RATE", [KIND_CODE] = "CODE",   [KIND_CID] = "CID",
        [KIND_TEXT] = "TEXT", [KIND_ERR] = "ERR",   [KIND_TRI] = "TRI",
    };
    if (f->kind == KIND_ENUM)
        return msg_enum_type((enum msg_enum)f->enum_id);
    if (f->kind == KIND_RECORD)
        return f->items->name;
    if (f->kind == KIND_LIST) {
        snprintf(room, 64, "list of %s, at most %u", f->items->name, f->max);
        return room;
    }
    return names[f->kind];
}

static void
write_flags(struct bytes *out, unsigned flags)
{
    static const struct {
        unsigned bit;
        const char *name;
    } names[] = {
        {MSG_FLAG_REQ, "REQ"},     {MSG_FLAG_POS, "POS"}, {MSG_FLAG_IN, "IN"},
        {MSG_FLAG_OPT, "OPT"},     {MSG_FLAG_HID, "HID"}, {MSG_FLAG_SEC, "SEC"},
        {MSG_FLAG_ZEROS, "ZEROS"},
    };
    const char *before = "";
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if ((flags & names[i].bit) != 0) {
            doc_add(out, "%s%s", before, names[i].name);
            before = " ";
        }
}

static void
write_fields(struct bytes *out, const struct msg_layout *l)
{
    doc_add(out, "| tag | field | kind | flags | |\n| --: | --- | --- | --- | --- |\n");
    for (uint32_t i = 0; i < l->field_count; i++) {
        const struct msg_field *f = &l->fields[i];
        char room[64];
        doc_add(out, "| %u | %s | %s | ", f->tag, f->name, kind_name(f, room));
        write_flags(out, f->flags);
        doc_add(out, " | ");
        doc_cell(out, f->sentence);
        doc_add(out, " |\n");
    }
    doc_add(out, "\n");
}

static void
write_enums(struct bytes *out)
{
    doc_add(out, "## Enums\n\n| enum | values |\n| --- | --- |\n");
    for (enum msg_enum id = 0; id < MSG_ENUM_COUNT; id++) {
        doc_add(out, "| %s | ", msg_enum_type(id));
        const char *name;
        for (uint32_t i = 0; (name = msg_enum_value_at(id, i)) != NULL; i++)
            doc_add(out, "%s%u %s", i == 0 ? "" : ", ", msg_enum_by_name(id, name), name);
        doc_add(out, " |\n");
    }
    doc_add(out, "\n");
}

static void
write_index(struct bytes *out)
{
    doc_add(out, "## Messages\n\n| number | message | from | to | | |\n");
    doc_add(out, "| --: | --- | --- | --- | --- | --- |\n");
    const struct msg_layout *l;
    for (uint32_t i = 0; (l = msg_layout_at(i)) != NULL; i++) {
        doc_add(out, "| %u | [%s](#%s) | %s | %s | %s | ", (unsigned)l->type, l->name, l->name,
                l->from, l->to, l->effect);
        doc_cell(out, l->sentence);
        doc_add(out, " |\n");
    }
    doc_add(out, "\n");
}

void
doc_protocol(struct bytes *out)
{
    doc_head(out, "Messages between the services", "common/tbl/messages.def");
    doc_add(out, "%s%s", protocol_opening, protocol_kinds);
    write_enums(out);
    write_index(out);
    const struct msg_layout *l;
    for (uint32_t i = 0; (l = msg_layout_at(i)) != NULL; i++) {
        doc_add(out, "### %s\n\n%s Number %u, %s to %s, %s.\n\n", l->name, l->sentence,
                (unsigned)l->type, l->from, l->to, l->effect);
        write_fields(out, l);
    }
    doc_add(out, "## Records\n\n");
    for (uint32_t i = 0; (l = msg_record_at(i)) != NULL; i++) {
        doc_add(out, "### record %s\n\n%s\n\n", l->name, l->sentence);
        write_fields(out, l);
    }
    out->length--; /* one line end at the end */
}

/* ---- errors.md -------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int number, http;
    bool again;
    int binance;
    const char *sentence;
} errors[] = {
#define ERROR(name, number, http, again, binance, sentence)                                        \
    {#name, number, http, again, binance, sentence},
#include "tbl/errors.def"
#undef ERROR
};

static const char *const groups[] = {
    [1] = "The request itself",
    [2] = "Who is asking",
    [3] = "Accounts, settings and balances",
    [4] = "Orders",
    [5] = "Events and streams",
    [6] = "Messages between services",
    [7] = "The system",
    [8] = "Files",
};

void
doc_errors(struct bytes *out)
{
    doc_head(out, "Errors", "common/tbl/errors.def");
    doc_add(out,
            "Every refusal of every service. Where a request breaks several rules, the first row "
            "is the answer.\n*again* means that the same request may succeed later unchanged. The "
            "Binance code is what the\ncompatible API answers; messages between services and "
            "files are never seen by clients.\n");
    int group = 0;
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        if (errors[i].number / 100 != group) {
            group = errors[i].number / 100;
            CHECK((size_t)group < sizeof(groups) / sizeof(groups[0]) && groups[group] != NULL);
            doc_add(out, "\n## %s\n\n| number | error | HTTP | | Binance | |\n", groups[group]);
            doc_add(out, "| --: | --- | --: | --- | --: | --- |\n");
        }
        doc_add(out, "| %d | %s | %d | %s | ", errors[i].number, errors[i].name, errors[i].http,
                errors[i].again ? "again" : "final");
        if (errors[i].binance != 0)
            doc_add(out, "%d", errors[i].binance);
        doc_add(out, " | ");
        doc_cell(out, errors[i].sentence);
        doc_add(out, " |\n");
    }
}
