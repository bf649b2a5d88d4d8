/*
 * filter.h - which records of the journal are wanted: by shard, number, time, kind, account, order,
 * symbol and correlation id.
 *
 * Reports of the matcher name their order only. An order's id is its shard and its place among the
 * orders of that shard, so whose it is, and in which symbol, is known by counting orders from the
 * shard's first record on; filters that need it walk from there.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_FILTER_H
#define SCRIPCTL_FILTER_H

#include "base/arena.h"
#include "base/msg.h"
#include "scripctl/command.h"
#include "scripctl/places.h"
#include "scripctl/walk.h"

/* A record that is wanted. */
struct filter_hit {
    const struct journal_record *record;
    const struct msg *cmd; /* NULL: its payload cannot be read */
    uint64_t account_id;   /* 0: not known */
    uint64_t order_id; /* the first that it placed, or the one it is about; 0: none, or unknown */
};

struct filter {
    const struct options *o;
    struct walk_range ranges[RECORDS_SHARDS]; /* that have to be walked */
    uint64_t after[RECORDS_SHARDS];           /* what is before is walked and not shown */
    bool is_wanted[RECORDS_SHARDS];           /* shards that may have such records */
    uint32_t kind;                            /* 0: any */
    uint64_t corr;                            /* 0: any */
    bool counts;                              /* orders, from each shard's first record on */
    uint64_t orders[RECORDS_SHARDS];          /* counted so far */
    struct places mine;                       /* orders of the account and symbol that are asked */
    uint64_t owner; /* account of the order that is asked; 0: not seen yet */
    struct arena lists;
    void *memory;
    struct msg cmd;
};

/* Refuses options that make no sense, and a journal whose beginning is needed and not there. What
 * the database can tell cheaply narrows the ranges. */
enum status filter_open(struct filter *f, const struct call *c, struct records *r);
void filter_close(struct filter *f);
/* Records of each shard are given in order, without gaps. The hit is lent until the next call. */
bool filter_take(struct filter *f, const struct journal_record *record, struct filter_hit *hit);
/* Reads a record's payload into f->cmd; false when it cannot be read. */
bool filter_unpack(struct filter *f, const struct journal_record *record);

#endif
