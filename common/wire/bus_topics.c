/*
 * bus_topics.c - the topics somebody follows.
 *
 * A topic is heard when a followed one is its prefix. Followed topics come in a handful of
 * lengths, so a lookup hashes only the prefixes of those lengths. Hashes carry counts: should two
 * topics ever share one, the worst is a message sent to nobody.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "wire/bus_parts.h"

void
topics_init(struct topics *t)
{
    void *map = malloc(map_bytes(TOPICS_MAX));
    CHECK(map != NULL);
    map_init(&t->count_by_hash, TOPICS_MAX, map);
}

void
topics_fini(struct topics *t)
{
    free(t->count_by_hash.slots);
    t->count_by_hash.slots = NULL;
}

void
topics_add(struct topics *t, const char *topic)
{
    size_t length = strlen(topic);
    if (length >= TOPIC_BYTES)
        return; /* longer than anything that is published */
    t->asked[0] = 0;
    uint64_t hash = map_hash(topic, length);
    uint32_t count = map_get(&t->count_by_hash, hash);
    if (count == MAP_NONE && t->count_by_hash.count == t->count_by_hash.max) {
        t->overflowed = true;
        return;
    }
    map_set(&t->count_by_hash, hash, count == MAP_NONE ? 1 : count + 1);
    t->count_by_length[length]++;
    t->count++;
}

void
topics_remove(struct topics *t, const char *topic)
{
    size_t length = strlen(topic);
    if (length >= TOPIC_BYTES)
        return;
    t->asked[0] = 0;
    uint64_t hash = map_hash(topic, length);
    uint32_t count = map_get(&t->count_by_hash, hash);
    if (count == MAP_NONE)
        return; /* it came after the overflow */
    if (count == 1)
        map_remove(&t->count_by_hash, hash);
    else
        map_set(&t->count_by_hash, hash, count - 1);
    t->count_by_length[length]--;
    t->count--;
}

static bool
is_heard(const struct topics *t, const char *topic, size_t length)
{
    for (size_t prefix = 0; prefix <= length; prefix++)
        if (t->count_by_length[prefix] != 0 &&
            map_get(&t->count_by_hash, map_hash(topic, prefix)) != MAP_NONE)
            return true;
    return false;
}

bool
topics_heard(struct topics *t, const char *topic)
{
    if (t->overflowed)
        return true;
    if (t->count == 0)
        return false;
    if (strcmp(t->asked, topic) != 0) {
        size_t length = strlen(topic);
        t->was_heard = is_heard(t, topic, length);
        memcpy(t->asked, topic, length + 1);
    }
    return t->was_heard;
}
