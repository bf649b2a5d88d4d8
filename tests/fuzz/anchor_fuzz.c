/*
 * anchor_fuzz.c - anchors from strangers: refused, or read to what has this text and no other.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "base/check.h"
#include "fuzz.h"
#include "host/anchor.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct anchor one, again;
    size_t used = 0, used_again = 0;
    if (!anchor_read(text, size, &one, &used))
        return 0;
    CHECK(used > 0 && used <= size && used < ANCHOR_TEXT_MAX);
    CHECK(one.number > 0 && one.heads_count > 0 && one.heads_count <= ANCHOR_SHARDS_MAX);
    CHECK(anchor_read(text, used, &again, &used_again) && used_again == used);
    CHECK(memcmp(one.digest, again.digest, HASH_BYTES) == 0);
    CHECK(!anchor_read(text, used - 1, &again, &used_again));

    /* No key is given, so nothing of it may count. */
    char why[ANCHOR_WHY_BYTES];
    struct anchor_keys *keys = anchor_keys_new();
    struct anchors *set = anchors_new(keys);
    CHECK(!anchors_add(set, "fuzz", text, size, why) && anchors_count(set) == 0);
    CHECK(strlen(why) > 0 && strlen(why) < ANCHOR_WHY_BYTES);
    anchors_destroy(&set);
    anchor_keys_destroy(&keys);
    return 0;
}
