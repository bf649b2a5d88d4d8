/*
 * anchor.h - signed checkpoints of chain heads: their text, their signature, and sets of them.
 *
 * Somebody who can write the journal can write it anew with hashes that fit. An anchor is a text
 * that says which record each shard ended with at a moment, signed with Ed25519; whoever has kept
 * one finds out. Each names the digest of the one before it, so anchors are a chain of their own.
 *
 *   scrip-anchor 1
 *   number 17                             from 1, without gaps, per group
 *   time 2026-11-21T12:00:00.000000Z
 *   group 0
 *   epoch 3
 *   previous HASH                         SHA-256 of anchor 16, all its lines; zeros before 1
 *   key 0123456789abcdef                  first 8 bytes of the public key's SHA-256
 *   shard 0 1234 HASH                     last committed record of each shard that has any,
 *   shard 7 99 HASH                       by shard
 *   signature SIGNATURE                   of all lines before this one
 *
 * One text for one content: what would not be written like that is refused. Texts may stand one
 * after the other in a file.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_HOST_ANCHOR_H
#define SCRIP_HOST_ANCHOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/store.h"

#define ANCHOR_SHARDS_MAX 64
#define ANCHOR_TEXT_MAX   8192 /* of one, with its end */
#define ANCHOR_KEY_BYTES  8
#define ANCHOR_KEYS_MAX   32
#define ANCHOR_WHY_BYTES  512

/* A record that was vouched for. */
struct anchor_point {
    uint16_t shard;
    uint64_t seq;
    uint8_t hash[HASH_BYTES];
    int64_t time_us; /* of the anchor */
};

struct anchor {
    uint64_t number, epoch;
    int64_t time_us;
    uint32_t group;
    uint8_t previous[HASH_BYTES];
    uint8_t key[ANCHOR_KEY_BYTES];
    uint32_t heads_count;
    struct anchor_point heads[ANCHOR_SHARDS_MAX]; /* rising shards */
    uint8_t digest[HASH_BYTES];                   /* of its text */
};

/* ---- One ---------------------------------------------------------------------------------- */

/* Reads the anchor at the beginning of `text`; *used is its length. False when it is malformed.
 * The signature is not looked at. */
bool anchor_read(const char *text, size_t length, struct anchor *out, size_t *used);

/* ---- Keys --------------------------------------------------------------------------------- */

/* A private key. It never leaves this struct, and its memory is wiped. */
struct anchor_signer;

/* From a PEM file that nobody but its owner may read. NULL, and why. */
struct anchor_signer *anchor_signer_open(const char *path, char why[ANCHOR_WHY_BYTES]);
void anchor_signer_close(struct anchor_signer **s);
/* Writes an anchor's signed text and ends it with a NUL; sets its `key` and `digest`. Returns its
 * length. */
size_t anchor_sign(const struct anchor_signer *s, struct anchor *a, char text[ANCHOR_TEXT_MAX]);
/* Makes a key pair: PATH, readable by its owner alone, and its public half. Never over a file that
 * is there. False, and why. */
bool anchor_keys_make(const char *path, const char *public_path, char why[ANCHOR_WHY_BYTES]);

/* Public keys, each of its time. */
struct anchor_keys;

struct anchor_keys *anchor_keys_new(void);
void anchor_keys_destroy(struct anchor_keys **k);
/* Adds all public keys of a PEM file. False, and why. */
bool anchor_keys_add(struct anchor_keys *k, const char *path, char why[ANCHOR_WHY_BYTES]);
/* What anchors call the key that was added as the i-th, from 0; NULL past the end. */
const uint8_t *anchor_keys_id(const struct anchor_keys *k, uint32_t i);

enum anchor_verdict { ANCHOR_HOLDS, ANCHOR_KEY_UNKNOWN, ANCHOR_FORGED };
/* Of the whole text of an anchor, as anchor_read() took it into `a`. */
enum anchor_verdict anchor_check(const struct anchor_keys *k, const char *text, size_t length,
                                 const struct anchor *a);

/* ---- Sets --------------------------------------------------------------------------------- */

/* Anchors whose signatures hold, and the records they vouch for. */
struct anchors;

/* The keys are lent. */
struct anchors *anchors_new(const struct anchor_keys *keys);
void anchors_destroy(struct anchors **a);
/* Adds the anchors of a text, or of a file. False, and why, at the first that is malformed or
 * whose signature does not hold; `name` is where they are from. */
bool anchors_add(struct anchors *a, const char *name, const char *text, size_t length,
                 char why[ANCHOR_WHY_BYTES]);
bool anchors_add_file(struct anchors *a, const char *path, char why[ANCHOR_WHY_BYTES]);
/* Once all are added, and before anything below: sorts them, and holds them against each other.
 * False, and why, when two contradict each other: neighbours whose digests do not fit, a shard that
 * went back, two hashes for one record, one number twice. Missing numbers are no contradiction. */
bool anchors_judge(struct anchors *a, char why[ANCHOR_WHY_BYTES]);

uint32_t anchors_count(const struct anchors *a);
/* By (group, number). */
const struct anchor *anchors_at(const struct anchors *a, uint32_t i);
/* How many anchors are missing between those that are there. */
uint64_t anchors_missing(const struct anchors *a);
/* By (shard, seq), each once, with the time of the oldest anchor that has it. */
const struct anchor_point *anchors_points(const struct anchors *a, uint32_t *count);
/* NULL when that record is in no anchor. */
const struct anchor_point *anchors_find(const struct anchors *a, uint16_t shard, uint64_t seq);
/* The last record of a shard that is in an anchor; NULL when there is none. */
const struct anchor_point *anchors_last(const struct anchors *a, uint16_t shard);

#endif
