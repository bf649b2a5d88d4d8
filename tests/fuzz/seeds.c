/*
 * seeds.c - writes the first inputs of the fuzz targets of wire/: seeds DIR.
 *
 * Two random messages of each type, as bytes, as a line and as JSON, so that a run begins behind
 * the first checks instead of in front of them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "random_msg.h"
#include "wire/json.h"

#define EACH      2
#define ITEMS_MAX 2

static _Alignas(16) uint8_t list_bytes[1 << 20];
static char line[1 << 20];

static void
write_seed(const char *dir, const char *target, const char *name, int number, const void *data,
           size_t length)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", dir, target);
    mkdir(path, 0777);
    snprintf(path, sizeof(path), "%s/%s/%s-%d", dir, target, name, number);
    FILE *f = fopen(path, "wb");
    if (f == NULL || fwrite(data, 1, length, f) != length || fclose(f) != 0) {
        perror(path);
        exit(1);
    }
}

/* The IN fields as a client would write them: as the message prints in JSON, without the rest. */
static void
write_body(struct bytes *out, const struct msg_layout *l, uint32_t index, const struct msg *m)
{
    bytes_clear(out);
    bytes_add(out, &(uint8_t){(uint8_t)index}, 1);
    struct msg_field kept[64];
    struct msg_layout part = *l;
    part.fields = kept;
    part.field_count = 0;
    for (uint32_t i = 0; i < l->field_count; i++)
        if ((l->fields[i].flags & MSG_FLAG_IN) != 0 &&
            !msg_field_zero(&l->fields[i], msg_body_const(m)))
            kept[part.field_count++] = l->fields[i];
    json_write_body(out, &part, msg_body_const(m));
}

int
main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: seeds DIR\n");
        return 2;
    }
    mkdir(argv[1], 0777);
    struct random r = {1};
    struct bytes out = {NULL, 0, 0};
    const struct msg_layout *l;
    for (uint32_t i = 0; (l = msg_layout_at(i)) != NULL; i++)
        for (int k = 0; k < EACH; k++) {
            struct arena lists;
            struct msg m;
            arena_init(&lists, list_bytes, sizeof(list_bytes));
            random_msg(&r, l, ITEMS_MAX, &lists, &m);
            bytes_clear(&out);
            msg_pack(&out, &m);
            write_seed(argv[1], "unpack_fuzz", l->name, k, out.data, out.length);
            write_seed(argv[1], "text_fuzz", l->name, k, line, msg_print(&m, line, sizeof(line)));
            write_body(&out, l, i, &m);
            write_seed(argv[1], "json_fuzz", l->name, k, out.data, out.length);
        }
    bytes_free(&out);
    return 0;
}
