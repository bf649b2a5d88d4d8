/*
 * http1_fuzz.c - heads of HTTP requests: refused with a sentence, or parts that lie in the head.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "fuzz.h"
#include "gateway/core/http1.h"

#define DECODED_BYTES 256

static void
lies_in(struct http1_text part, const char *data, size_t length)
{
    CHECK(part.length == 0 || (part.at >= data && part.at + part.length <= data + length));
}

static void
decode(struct http1_text text, bool is_query)
{
    char out[DECODED_BYTES];
    if (http1_decode(text, is_query, out, sizeof(out)))
        CHECK(strnlen(out, sizeof(out)) < sizeof(out));
}

static void
query(struct http1_text rest)
{
    struct http1_text name, value;
    for (size_t pairs = rest.length + 1; http1_next_pair(&rest, &name, &value); pairs--) {
        CHECK(pairs > 0);
        decode(name, true);
        decode(value, true);
    }
}

/* The end is the same whether the head arrives at once or byte by byte. */
static size_t
head_end(const char *data, size_t size)
{
    size_t scanned = 0, at_once = http1_head_end(data, size, &scanned);
    size_t slowly = 0;
    scanned = 0;
    for (size_t have = 1; have <= size && slowly == 0; have++)
        slowly = http1_head_end(data, have, &scanned);
    CHECK(slowly == at_once && at_once <= size);
    return at_once;
}

/* Nor does it matter for a head that can be none any more, and no good one is taken for that. */
static void
broken(const char *data, size_t size, bool is_good)
{
    bool slowly = false;
    for (size_t have = 1; have <= size; have++)
        slowly = slowly || http1_head_broken(data, have, have - 1);
    CHECK(slowly == http1_head_broken(data, size, 0) && !(slowly && is_good));
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const char *data = (const char *)bytes;
    size_t length = head_end(data, size);
    if (length == 0) {
        broken(data, size, false);
        return 0;
    }
    struct http1_head head;
    const char *why = NULL;
    if (http1_read(data, length, &head, &why) != OK) {
        CHECK(why != NULL && why[0] != 0);
        return 0;
    }
    CHECK(head.bytes == length);
    broken(data, length, true);
    lies_in(head.path, data, length);
    lies_in(head.query, data, length);
    lies_in(head.authorization, data, length);
    decode(head.path, false);
    query(head.query);
    return 0;
}
