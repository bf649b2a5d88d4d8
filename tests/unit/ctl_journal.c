/*
 * ctl_journal.c - see ctl_journal.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ctl_journal.h"

#include <stdlib.h>
#include <string.h>

#include "wire/codec.h"

void
ctl_journal_init(struct ctl_journal *j)
{
    memset(j, 0, sizeof *j);
    j->hasher = journal_hasher_new();
    j->epoch = 1;
}

void
ctl_journal_fini(struct ctl_journal *j)
{
    for (uint32_t i = 0; i < j->count; i++)
        free((void *)(uintptr_t)j->records[i].payload);
    free(j->records);
    journal_hasher_destroy(&j->hasher);
}

/* Numbers and hashes a record behind the last one of its shard. */
static void
chain(struct ctl_journal *j, struct journal_record *r)
{
    r->seq = ++j->heads[r->shard].seq;
    journal_hash(j->hasher, j->heads[r->shard].hash, r, r->hash);
    memcpy(j->heads[r->shard].hash, r->hash, HASH_BYTES);
}

static void
payload_set(struct journal_record *r, const struct msg *cmd)
{
    struct bytes packed = {.data = NULL};
    msg_pack_payload(&packed, cmd->type, &cmd->frame);
    r->kind = cmd->type;
    r->payload = packed.data;
    r->payload_length = (uint32_t)packed.length;
}

void
ctl_journal_add(struct ctl_journal *j, const struct msg *cmd, int64_t now_us)
{
    if (j->count == j->max) {
        j->max = j->max == 0 ? 1024 : 2 * j->max;
        j->records = realloc(j->records, j->max * sizeof *j->records);
        CHECK(j->records != NULL);
    }
    struct journal_record *r = &j->records[j->count++];
    *r = (struct journal_record){.shard = (uint16_t)ledger_shard_of_cmd(cmd),
                                 .time_us = now_us,
                                 .corr = cmd->corr,
                                 .source = code_of("gateway-0"),
                                 .epoch = j->epoch};
    payload_set(r, cmd);
    chain(j, r);
}

static void
add(void *arg, const struct msg *cmd, int64_t now_us)
{
    ctl_journal_add(arg, cmd, now_us);
}

void
ctl_journal_make(struct ctl_journal *j, uint64_t seed, uint32_t accounts, uint32_t steps)
{
    struct cores *w = cores_new(&(struct cores_options){
        .seed = seed, .accounts = accounts, .orders_max = 20000, .arg = j, .on_changed = add});
    while (w->step < steps)
        cores_step(w);
    CHECK(w->wrong.text[0] == '\0');
    cores_destroy(&w);
}

void
ctl_journal_change(struct ctl_journal *j, uint32_t i, const struct msg *cmd)
{
    const uint8_t *old = j->records[i].payload;
    payload_set(&j->records[i], cmd);
    free((void *)(uintptr_t)old);
}

void
ctl_journal_remove(struct ctl_journal *j, uint32_t i)
{
    free((void *)(uintptr_t)j->records[i].payload);
    memmove(&j->records[i], &j->records[i + 1], (j->count - i - 1) * sizeof *j->records);
    j->count--;
}

void
ctl_journal_rehash(struct ctl_journal *j)
{
    memset(j->heads, 0, sizeof j->heads);
    for (uint32_t i = 0; i < j->count; i++)
        chain(j, &j->records[i]);
}

struct msg
ctl_journal_read(const struct ctl_journal *j, uint32_t i, struct arena *lists)
{
    const struct journal_record *r = &j->records[i];
    struct msg cmd;
    CHECK(msg_unpack_payload(r->payload, r->payload_length, (enum msg_type)r->kind, lists, &cmd) ==
          OK);
    return cmd;
}
