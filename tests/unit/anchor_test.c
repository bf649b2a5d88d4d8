/*
 * anchor_test.c - anchors: one text for one content, signatures, key files, and sets of anchors.
 *
 * The pair of keys here was made, and `golden` signed, by the openssl command.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "host/anchor.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char private_pem[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEINto0hAiK+4sKn1a9r8HoYVpgD6XkWuBcA5+AArsrWCb\n"
    "-----END PRIVATE KEY-----\n";
static const char public_pem[] = "-----BEGIN PUBLIC KEY-----\n"
                                 "MCowBQYDK2VwAyEAOr7p0dI41CzI/nSuNjrZ4AYham+nWNN/9bp5eu4hPC0=\n"
                                 "-----END PUBLIC KEY-----\n";
static const char golden[] =
    "scrip-anchor 1\n"
    "number 2\n"
    "time 2026-11-21T12:00:00.000001Z\n"
    "group 0\n"
    "epoch 3\n"
    "previous abababababababababababababababababababababababababababababababab\n"
    "key 3e44c1f699ee701e\n"
    "shard 0 1234 0101010101010101010101010101010101010101010101010101010101010101\n"
    "shard 63 9223372036854775807 "
    "fefefefefefefefefefefefefefefefefefefefefefefefefefefefefefefefe\n"
    "signature 0a8d8632cd53046dfb892950a06a6cfddf3013736c5da0d6b83a30ca2831c10c"
    "4bb6319e61a94df9ebf4a08b4488038830d3f6c61fa78725344d9f0aa2a3bd0b\n";
/* Of all lines; by sha256sum. */
static const uint8_t golden_digest[] = {
    0x5b, 0xbf, 0xa6, 0x74, 0xb8, 0xd2, 0xec, 0xc9, 0x9a, 0x05, 0x6c, 0x4c, 0xe4, 0xb7, 0x4a, 0xc3,
    0x6e, 0xf3, 0xc5, 0x4c, 0xbc, 0x87, 0x45, 0xdc, 0xac, 0x4c, 0x52, 0x47, 0x86, 0x7b, 0x20, 0x57};

static char folder[] = "/tmp/scrip-anchor-test-XXXXXX";
static char path[128], public_path[128];
static char why[ANCHOR_WHY_BYTES];
static struct anchor_signer *signer;
static struct anchor_keys *keys;

static void
file_write(const char *name, const char *text, mode_t mode)
{
    FILE *file = fopen(name, "w");
    cr_assert_not_null(file);
    fputs(text, file);
    fclose(file);
    cr_assert_eq(chmod(name, mode), 0);
}

static void
begin(void)
{
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/key.pem", folder);
    snprintf(public_path, sizeof public_path, "%s/key.pub.pem", folder);
    file_write(path, private_pem, 0600);
    file_write(public_path, public_pem, 0644);
    signer = anchor_signer_open(path, why);
    cr_assert_not_null(signer, "%s", why);
    keys = anchor_keys_new();
    cr_assert(anchor_keys_add(keys, public_path, why), "%s", why);
}

static void
end(void)
{
    anchor_signer_close(&signer);
    anchor_keys_destroy(&keys);
    unlink(path);
    unlink(public_path);
    rmdir(folder);
}

TestSuite(anchor, .init = begin, .fini = end);

static struct anchor
golden_read(void)
{
    struct anchor a;
    size_t used;
    cr_assert(anchor_read(golden, strlen(golden), &a, &used));
    cr_assert_eq(used, strlen(golden));
    return a;
}

/* An anchor of two shards, after `previous`, NULL = the first. */
static struct anchor
follow(const struct anchor *previous, uint64_t seq_0, uint64_t seq_9)
{
    struct anchor a = {.number = 1, .epoch = 1, .time_us = 1000000, .heads_count = 2};
    if (previous != NULL) {
        a.number = previous->number + 1;
        a.time_us = previous->time_us + 1000000;
        memcpy(a.previous, previous->digest, HASH_BYTES);
    }
    a.heads[0] = (struct anchor_point){.shard = 0, .seq = seq_0};
    a.heads[1] = (struct anchor_point){.shard = 9, .seq = seq_9};
    memset(a.heads[0].hash, (int)seq_0, HASH_BYTES);
    memset(a.heads[1].hash, (int)seq_9 + 100, HASH_BYTES);
    return a;
}

static void
add(struct anchors *set, struct anchor *a)
{
    char text[ANCHOR_TEXT_MAX];
    size_t length = anchor_sign(signer, a, text);
    cr_assert(anchors_add(set, "test", text, length, why), "%s", why);
}

Test(anchor, is_read_and_written_as_openssl_signs_it)
{
    struct anchor a = golden_read();
    cr_assert_eq(a.number, 2);
    cr_assert_eq(a.time_us, 1795262400000001);
    cr_assert_eq(a.group, 0);
    cr_assert_eq(a.epoch, 3);
    cr_assert_eq(a.heads_count, 2);
    cr_assert_eq(a.heads[0].seq, 1234);
    cr_assert_eq(a.heads[1].shard, 63);
    cr_assert_eq(a.heads[1].seq, (uint64_t)INT64_MAX);
    cr_assert_eq(a.heads[1].hash[31], 0xfe);
    cr_assert_eq(a.heads[1].time_us, a.time_us);
    cr_assert_arr_eq(a.digest, golden_digest, HASH_BYTES);
    cr_assert_eq(anchor_check(keys, golden, strlen(golden), &a), ANCHOR_HOLDS);

    char text[ANCHOR_TEXT_MAX];
    struct anchor b = a;
    memset(b.digest, 0, HASH_BYTES);
    memset(b.key, 0, ANCHOR_KEY_BYTES);
    cr_assert_eq(anchor_sign(signer, &b, text), strlen(golden));
    cr_assert_str_eq(text, golden);
    cr_assert_arr_eq(b.digest, golden_digest, HASH_BYTES);
    cr_assert_arr_eq(b.key, a.key, ANCHOR_KEY_BYTES);
    cr_assert_arr_eq(anchor_keys_id(keys, 0), a.key, ANCHOR_KEY_BYTES);
    cr_assert_null(anchor_keys_id(keys, 1));
}

Test(anchor, has_room_for_all_shards_and_the_largest_numbers)
{
    struct anchor a = {.number = INT64_MAX, .epoch = INT64_MAX, .group = INT32_MAX};
    a.time_us = 253402300799999999; /* the end of the year 9999 */
    a.heads_count = ANCHOR_SHARDS_MAX;
    for (uint16_t i = 0; i < ANCHOR_SHARDS_MAX; i++)
        a.heads[i] = (struct anchor_point){.shard = i, .seq = INT64_MAX, .time_us = a.time_us};
    char text[ANCHOR_TEXT_MAX];
    struct anchor b;
    size_t length = anchor_sign(signer, &a, text), used;
    cr_assert(anchor_read(text, length, &b, &used));
    cr_assert_eq(used, length);
    cr_assert_eq(memcmp(&a, &b, sizeof a), 0);
}

Test(anchor, every_changed_byte_is_found)
{
    size_t length = strlen(golden), used;
    for (size_t i = 0; i < length; i++) {
        char text[sizeof golden];
        struct anchor a;
        memcpy(text, golden, sizeof golden);
        text[i] ^= 1;
        bool is_fine = anchor_read(text, length, &a, &used) && used == length &&
                       anchor_check(keys, text, used, &a) == ANCHOR_HOLDS;
        cr_assert(!is_fine, "byte %zu", i);
    }
    for (size_t i = 0; i < length; i++) {
        struct anchor a;
        cr_assert(!anchor_read(golden, i, &a, &used), "cut at %zu", i);
    }
}

/* Texts that mean the same or nothing, with one thing other than in the golden one. */
Test(anchor, only_one_text_is_one)
{
    static const char *const changes[][2] = {
        {"anchor 1", "anchor 2"},
        {"number 2", "number 02"},
        {"number 2", "number 0"},
        {"number 2", "number 9223372036854775808"},
        {"number 2\n", "number 2 \n"},
        {"11-21", "02-30"},
        {"T12:", "T24:"},
        {"000001Z", "000001z"},
        {"2026-11-21T", "1969-11-21T"},
        {"group 0", "group 4294967296"},
        {"group 0", "group -0"},
        {"epoch 3", "epoch +3"},
        {"abab", "ABab"},
        {"shard 0 1234", "shard 00 1234"},
        {"shard 0 1234", "shard 63 1234"},
        {"shard 0 1234", "shard 64 1234"},
        {"shard 0 1234", "shard 0 0"},
        {"shard 0 1234", "shard  0 1234"},
        {"key ", "key: "},
        {"signature ", "\nsignature "},
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        char text[sizeof golden + 64];
        const char *at = strstr(golden, changes[i][0]);
        struct anchor a;
        size_t used;
        cr_assert_not_null(at);
        snprintf(text, sizeof text, "%.*s%s%s", (int)(at - golden), golden, changes[i][1],
                 at + strlen(changes[i][0]));
        cr_assert(!anchor_read(text, strlen(text), &a, &used), "%s", changes[i][1]);
    }
}

Test(anchor, a_private_key_must_be_its_owners_alone)
{
    cr_assert_eq(chmod(path, 0640), 0);
    cr_assert_null(anchor_signer_open(path, why));
    cr_assert_not_null(strstr(why, "0600"), "%s", why);
    cr_assert_eq(chmod(path, 0604), 0);
    cr_assert_null(anchor_signer_open(path, why));
    cr_assert_eq(chmod(path, 0400), 0);
    struct anchor_signer *s = anchor_signer_open(path, why);
    cr_assert_not_null(s, "%s", why);
    anchor_signer_close(&s);
}

Test(anchor, a_key_file_of_another_kind_is_refused)
{
    static const char *const files[] = {
        "", "no key\n", public_pem,
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIN\n-----END PRIVATE KEY-----\n",
        /* X25519 */
        "-----BEGIN PRIVATE KEY-----\n"
        "MC4CAQAwBQYDK2VuBCIEINto0hAiK+4sKn1a9r8HoYVpgD6XkWuBcA5+AArsrWCb\n"
        "-----END PRIVATE KEY-----\n"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        file_write(path, files[i], 0600);
        cr_assert_null(anchor_signer_open(path, why), "%zu", i);
        cr_assert_null(strstr(why, "MC4C"));
    }
    cr_assert_null(anchor_signer_open(folder, why));
    cr_assert(!anchor_keys_add(keys, path, why));
    file_write(public_path, "", 0644);
    cr_assert(!anchor_keys_add(keys, public_path, why));
}

Test(anchor, a_new_pair_fits_and_is_never_written_over_another)
{
    cr_assert(!anchor_keys_make(path, public_path, why));
    unlink(path);
    cr_assert(!anchor_keys_make(path, public_path, why));
    cr_assert_neq(access(path, F_OK), 0);
    unlink(public_path);
    cr_assert(anchor_keys_make(path, public_path, why), "%s", why);
    struct stat st;
    cr_assert(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);

    struct anchor_signer *fresh = anchor_signer_open(path, why);
    cr_assert_not_null(fresh, "%s", why);
    struct anchor a = golden_read();
    char text[ANCHOR_TEXT_MAX];
    size_t length = anchor_sign(fresh, &a, text);
    cr_assert_eq(anchor_check(keys, text, length, &a), ANCHOR_KEY_UNKNOWN);
    cr_assert(anchor_keys_add(keys, public_path, why), "%s", why);
    cr_assert_eq(anchor_check(keys, text, length, &a), ANCHOR_HOLDS);
    cr_assert_eq(anchor_check(keys, golden, strlen(golden), &a), ANCHOR_FORGED);
    anchor_signer_close(&fresh);
}

Test(anchor, a_set_gives_its_points)
{
    struct anchors *set = anchors_new(keys);
    struct anchor one = follow(NULL, 5, 7), two, three;
    add(set, &one);
    two = follow(&one, 8, 7);
    add(set, &two);
    three = follow(&two, 8, 20);
    add(set, &three);
    add(set, &two); /* again, from another file, and out of order */
    cr_assert(anchors_judge(set, why), "%s", why);
    cr_assert_eq(anchors_count(set), 3);
    cr_assert_eq(anchors_at(set, 1)->number, 2);
    cr_assert_eq(anchors_missing(set), 0);
    uint32_t count;
    const struct anchor_point *points = anchors_points(set, &count);
    cr_assert_eq(count, 4);
    cr_assert(points[0].seq == 5 && points[1].seq == 8 && points[2].shard == 9);
    cr_assert_eq(anchors_find(set, 0, 8)->time_us, two.time_us);
    cr_assert_eq(anchors_find(set, 9, 7)->time_us, one.time_us);
    cr_assert_null(anchors_find(set, 0, 6));
    cr_assert_null(anchors_find(set, 1, 5));
    cr_assert_eq(anchors_last(set, 0)->seq, 8);
    cr_assert_eq(anchors_last(set, 9)->seq, 20);
    cr_assert_null(anchors_last(set, 10));
    cr_assert_null(anchors_last(set, 1));
    anchors_destroy(&set);
}

Test(anchor, missing_ones_are_counted)
{
    struct anchors *set = anchors_new(keys);
    struct anchor one = follow(NULL, 5, 7), two, three;
    add(set, &one);
    char text[ANCHOR_TEXT_MAX];
    two = follow(&one, 8, 7);
    anchor_sign(signer, &two, text);
    three = follow(&two, 9, 9);
    add(set, &three);
    cr_assert(anchors_judge(set, why), "%s", why);
    cr_assert_eq(anchors_missing(set), 1);
    anchors_destroy(&set);
}

/* Adds what is said to follow an anchor at (5, 7), and expects the set to be refused. */
static void
refused(struct anchor (*make)(const struct anchor *one), const char *said)
{
    struct anchors *set = anchors_new(keys);
    struct anchor one = follow(NULL, 5, 7);
    add(set, &one);
    struct anchor other = make(&one);
    add(set, &other);
    cr_assert(!anchors_judge(set, why));
    cr_assert_not_null(strstr(why, said), "%s", why);
    anchors_destroy(&set);
}

static struct anchor
with_other_hash(const struct anchor *one)
{
    struct anchor a = follow(one, 5, 8);
    a.heads[0].hash[31] ^= 1;
    return a;
}

static struct anchor
gone_back(const struct anchor *one)
{
    return follow(one, 6, 6);
}

static struct anchor
of_same_number(const struct anchor *one)
{
    struct anchor a = follow(one, 8, 8);
    a.number = one->number;
    return a;
}

static struct anchor
after_another(const struct anchor *one)
{
    struct anchor a = follow(one, 8, 8);
    a.previous[0] ^= 1;
    return a;
}

static struct anchor
of_lower_epoch(const struct anchor *one)
{
    struct anchor a = follow(one, 8, 8);
    a.epoch = 0;
    return a;
}

Test(anchor, contradictions_are_found)
{
    refused(with_other_hash, "shard 0 record 5: two anchors have different hashes of it");
    refused(gone_back, "anchor 2 of group 0, shard 9: the shard's last record is before");
    refused(of_same_number, "anchor 1 of group 0: there is another one of this number");
    refused(after_another, "anchor 2 of group 0: it follows another anchor");
    refused(of_lower_epoch, "its epoch is lower");
}

Test(anchor, a_file_may_hold_many)
{
    enum { MANY = 300 };
    char name[160], text[ANCHOR_TEXT_MAX];
    snprintf(name, sizeof name, "%s/anchors", folder);
    FILE *file = fopen(name, "w");
    cr_assert_not_null(file);
    struct anchor last;
    for (uint64_t i = 0; i < MANY; i++) {
        struct anchor a = follow(i == 0 ? NULL : &last, i + 1, i + 1);
        fwrite(text, anchor_sign(signer, &a, text), 1, file);
        last = a;
    }
    cr_assert_eq(fclose(file), 0);
    struct anchors *set = anchors_new(keys);
    cr_assert(anchors_add_file(set, name, why), "%s", why);
    cr_assert(anchors_judge(set, why), "%s", why);
    cr_assert_eq(anchors_count(set), MANY);
    anchors_destroy(&set);

    /* The end of the last one is gone. */
    cr_assert_eq(truncate(name, MANY * 300), 0);
    set = anchors_new(keys);
    cr_assert(!anchors_add_file(set, name, why));
    cr_assert_not_null(strstr(why, "malformed"), "%s", why);
    file_write(name, "", 0644);
    cr_assert(!anchors_add_file(set, name, why));
    unlink(name);
    cr_assert(!anchors_add_file(set, name, why));
    anchors_destroy(&set);
}
