/*
 * members.c - see members.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/members.h"

#include <string.h>

/* Behind a string that begins here; `end` when it does not end. */
static const char *
string_end(const char *at, const char *end)
{
    for (at++; at < end; at++) {
        if (*at == '\\')
            at++;
        else if (*at == '"')
            return at + 1;
    }
    return end;
}

/* Behind the value that begins here: at the comma or brace that follows it. */
static const char *
value_end(const char *at, const char *end)
{
    int depth = 0;
    while (at < end) {
        if (*at == '"') {
            at = string_end(at, end);
            continue;
        }
        if (depth == 0 && (*at == ',' || *at == '}'))
            return at;
        depth += *at == '{' || *at == '[';
        depth -= *at == '}' || *at == ']';
        at++;
    }
    return end;
}

const char *
members_blanks_end(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\r'))
        at++;
    return at;
}

/* Copies a member's value as text: without the quotes of a string. What does not fit is cut, and
 * is then no value that anything has. */
static void
copy_value(char *to, size_t room, const char *at, const char *end)
{
    while (end > at && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
        end--;
    if (end - at >= 2 && *at == '"' && end[-1] == '"') {
        at++;
        end--;
    }
    size_t length = (size_t)(end - at) < room ? (size_t)(end - at) : room - 1;
    memcpy(to, at, length);
    to[length] = '\0';
}

/* The member that a key (with its quotes) names; NULL for one that stays. */
static struct member *
member_of(struct member *members, uint32_t count, const char *key, const char *end)
{
    for (uint32_t i = 0; i < count; i++)
        if ((size_t)(end - key) == strlen(members[i].name) + 2 &&
            memcmp(key + 1, members[i].name, strlen(members[i].name)) == 0)
            return &members[i];
    return NULL;
}

bool
members_cut(const char *text, size_t length, struct member *members, uint32_t count,
            struct bytes *rest)
{
    const char *end = text + length, *at = members_blanks_end(text, end), *comma = "{";
    if (at < end && *at == '{')
        at++;
    while ((at = members_blanks_end(at, end)) < end && *at == '"') {
        const char *key = at, *colon = string_end(at, end);
        struct member *m = member_of(members, count, key, colon);
        const char *value = members_blanks_end(colon, end);
        value = value < end && *value == ':' ? members_blanks_end(value + 1, end) : value;
        const char *behind = value_end(value, end);
        if (m == NULL) {
            bytes_add(rest, comma, 1);
            bytes_add(rest, key, (size_t)(behind - key));
            comma = ",";
        } else if (m->is_taken) {
            return false;
        } else {
            m->is_taken = true;
            copy_value(m->to, m->room, value, behind);
        }
        at = behind;
        if (behind == end || *behind != ',')
            break;
        at = behind + 1;
    }
    if (*comma == '{')
        bytes_add(rest, "{", 1);
    bytes_add(rest, at, (size_t)(end - at));
    return true;
}
