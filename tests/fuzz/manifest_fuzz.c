/*
 * manifest_fuzz.c - manifests of strangers: refused, or written again as what reads the same.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "fuzz.h"
#include "scripctl/manifest.h"

/* The text without its last two lines, the checksum. */
static size_t
without_checksum(const char *text, size_t length)
{
    for (int lines = 0; length > 0 && lines < 2; lines += text[length - 1] == '\n')
        length--;
    return length + 1;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct manifest read, again;
    char why[WHY_BYTES] = "";
    if (!manifest_parse((const char *)data, size, &read, why)) {
        CHECK(why[0] != '\0' && read.files == NULL);
        return 0;
    }
    size_t length, again_length;
    char *text = manifest_text(&read, &length);
    CHECK(manifest_parse(text, without_checksum(text, length), &again, why));
    char *again_text = manifest_text(&again, &again_length);
    CHECK(length == again_length && memcmp(text, again_text, length) == 0);
    for (uint32_t i = 1; i < read.count; i++) {
        const struct segment *a = &read.files[i - 1], *b = &read.files[i];
        CHECK(a->shard < b->shard || (a->shard == b->shard && a->last + 1 == b->first));
    }
    free(text);
    free(again_text);
    manifest_free(&read);
    manifest_free(&again);
    return 0;
}
