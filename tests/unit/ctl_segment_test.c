/*
 * ctl_segment_test.c - segment files and their manifest: what was written is read, and whatever was
 * changed is noticed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scripctl/manifest.h"
#include "scripctl/segment_parts.h"

#define RECORDS 300

static char folder[64], why[WHY_BYTES];
static struct journal_hasher *hasher;
static uint8_t payload[70000];
static struct segment segment;

static struct journal_record
record_make(uint16_t shard, uint64_t seq, const uint8_t before[HASH_BYTES])
{
    struct journal_record r = {
        .shard = shard,
        .kind = (uint32_t)(100 + seq % 7),
        .seq = seq,
        .time_us = 1700000000000000 + (int64_t)seq * 1000,
        .corr = seq * 0x9e3779b97f4a7c15u,
        .source = code_of("gateway-1"),
        .payload = payload + seq % 50,
        .payload_length = seq == 100 ? 65536 : (uint32_t)(seq * 7 % 300),
        .epoch = 1 + seq / 64,
    };
    journal_hash(hasher, before, &r, r.hash);
    return r;
}

static struct segment
segment_make(uint16_t shard, uint64_t first, uint64_t last, const uint8_t before[HASH_BYTES])
{
    struct segment s = {.shard = shard, .first = first, .last = last};
    memcpy(s.before, before, HASH_BYTES);
    struct segment_writer *w = segment_create(folder, &s, why);
    cr_assert_not_null(w, "%s", why);
    uint8_t hash[HASH_BYTES];
    memcpy(hash, before, HASH_BYTES);
    for (uint64_t seq = first; seq <= last; seq++) {
        struct journal_record r = record_make(shard, seq, hash);
        memcpy(hash, r.hash, HASH_BYTES);
        cr_assert(segment_write(w, &r), "%s", why);
    }
    cr_assert(segment_keep(w, &s), "%s", why);
    segment_writer_end(&w);
    return s;
}

static void
begin(void)
{
    snprintf(folder, sizeof folder, "/tmp/scrip-segment-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    hasher = journal_hasher_new();
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)(i * i >> 3);
    segment = segment_make(7, 1, RECORDS, (uint8_t[HASH_BYTES]){0});
}

static int
take_away(const char *path, const struct stat *s, int type, struct FTW *place)
{
    (void)s;
    (void)type;
    (void)place;
    return remove(path);
}

static void
end(void)
{
    journal_hasher_destroy(&hasher);
    nftw(folder, take_away, 8, FTW_DEPTH | FTW_PHYS);
}

TestSuite(segment, .init = begin, .fini = end);

/* How many records a reader gives, and how that ends. */
static enum records_result
drain(struct segment_reader *r, uint32_t *count)
{
    struct journal_record got;
    enum records_result result;
    *count = 0;
    uint8_t hash[HASH_BYTES] = {0};
    while ((result = segment_next(r, &got)) == RECORDS_ONE) {
        struct journal_record made = record_make(7, ++*count, hash);
        cr_assert_eq(got.shard, made.shard);
        cr_assert_eq(got.seq, made.seq);
        cr_assert_eq(got.time_us, made.time_us);
        cr_assert_eq(got.kind, made.kind);
        cr_assert_eq(got.corr, made.corr);
        cr_assert_eq(got.epoch, made.epoch);
        cr_assert_arr_eq(got.source.text, made.source.text, CODE_BYTES);
        cr_assert_eq(got.payload_length, made.payload_length);
        cr_assert_arr_eq(got.payload, made.payload, made.payload_length);
        cr_assert_arr_eq(got.hash, made.hash, HASH_BYTES);
        memcpy(hash, made.hash, HASH_BYTES);
    }
    return result;
}

static void
path_of(char path[256])
{
    char name[SEGMENT_NAME_BYTES];
    segment_name(&segment, name);
    snprintf(path, 256, "%s/%s", folder, name);
}

static uint8_t *
file_load(size_t *length)
{
    char path[256];
    path_of(path);
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f);
    static uint8_t bytes[1 << 20];
    *length = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    return bytes;
}

static void
file_store(const uint8_t *bytes, size_t length)
{
    char path[256];
    path_of(path);
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    cr_assert_eq(fwrite(bytes, 1, length, f), length);
    fclose(f);
}

static void
is_refused(const char *because)
{
    struct segment_reader *r = segment_open(folder, &segment, why);
    cr_assert_null(r, "%s", because);
    cr_assert_not_null(strstr(why, "0007/000000000001-000000000300.seg.zst: "), "%s", why);
}

Test(segment, gives_back_what_was_written)
{
    uint32_t count;
    struct segment_reader *r = segment_open(folder, &segment, why);
    cr_assert_not_null(r, "%s", why);
    cr_assert_eq(drain(r, &count), RECORDS_END, "%s", why);
    cr_assert_eq(count, RECORDS);
    segment_reader_end(&r);
}

Test(segment, notices_each_byte_that_was_changed)
{
    size_t length;
    const uint8_t *bytes = file_load(&length);
    char path[256];
    path_of(path);
    int fd = open(path, O_WRONLY);
    cr_assert_geq(fd, 0);
    for (size_t i = 0; i < length; i++) {
        uint8_t changed = (uint8_t)(bytes[i] ^ 1 << i % 8);
        cr_assert_eq(pwrite(fd, &changed, 1, (off_t)i), 1);
        is_refused("a byte was changed");
        cr_assert_not_null(strstr(why, "SHA-256"), "%s", why);
        cr_assert_eq(pwrite(fd, &bytes[i], 1, (off_t)i), 1);
    }
    close(fd);
}

Test(segment, notices_a_cut_a_longer_and_a_missing_file)
{
    size_t length;
    uint8_t *bytes = file_load(&length);
    for (size_t cut = 1; cut < length; cut = cut * 2 + 1) {
        file_store(bytes, length - cut);
        is_refused("it was cut");
        cr_assert_not_null(strstr(why, "size"), "%s", why);
    }
    bytes[length] = 0;
    file_store(bytes, length + 1);
    is_refused("it is longer");
    char path[256];
    path_of(path);
    cr_assert_eq(unlink(path), 0);
    is_refused("it is not there");
    cr_assert_not_null(strstr(why, "No such file"), "%s", why);
}

/* Even with a manifest made to fit. */
Test(segment, is_not_taken_for_another_one)
{
    struct segment other = segment;
    other.before[3]++;
    cr_assert_null(segment_open(folder, &other, why));
    cr_assert_not_null(strstr(why, "its head is not what the manifest says"), "%s", why);
    uint32_t count;
    other = segment;
    other.hash[0]++;
    struct segment_reader *r = segment_open(folder, &other, why);
    cr_assert_not_null(r);
    cr_assert_eq(drain(r, &count), RECORDS_FAILED);
    cr_assert_eq(count, RECORDS);
    cr_assert_not_null(strstr(why, "its last record"), "%s", why);
    segment_reader_end(&r);
}

Test(segment, refuses_records_out_of_order)
{
    struct segment s = {.shard = 3, .first = 5, .last = 6};
    struct segment_writer *w = segment_create(folder, &s, why);
    cr_assert_not_null(w, "%s", why);
    struct journal_record r = record_make(3, 5, s.before);
    cr_assert(segment_write(w, &r));
    r.seq = 7;
    cr_assert_not(segment_write(w, &r));
    cr_assert_str_eq(why, "shard 3 record 6: is missing");
    cr_assert_not(segment_keep(w, &s));
    segment_writer_end(&w);
    char path[256];
    snprintf(path, sizeof path, "%s/0003/000000000005-000000000006.seg.zst.new", folder);
    cr_assert_neq(access(path, F_OK), 0, "nothing is left of it");
}

/* ---- The manifest ------------------------------------------------------------------------- */

static struct manifest
three_files(void)
{
    struct manifest m = {0};
    struct segment next = segment_make(7, RECORDS + 1, RECORDS + 9, segment.hash);
    struct segment first = segment_make(2, 11, 12, (uint8_t[HASH_BYTES]){9});
    cr_assert(manifest_add(&m, &segment, why), "%s", why);
    cr_assert(manifest_add(&m, &next, why), "%s", why);
    cr_assert(manifest_add(&m, &first, why), "%s", why);
    return m;
}

Test(segment, manifest_is_read_as_it_was_written)
{
    struct manifest m = three_files(), read;
    cr_assert_eq(manifest_read(folder, &read, why), MANIFEST_ABSENT);
    cr_assert(manifest_write(folder, &m, why), "%s", why);
    cr_assert_eq(manifest_read(folder, &read, why), MANIFEST_READ, "%s", why);
    cr_assert_eq(read.count, 3);
    cr_assert_eq(read.records, RECORDS + 11);
    size_t length, again_length;
    char *text = manifest_text(&m, &length), *again = manifest_text(&read, &again_length);
    cr_assert_eq(length, again_length);
    cr_assert_arr_eq(text, again, length);
    uint32_t count;
    const struct segment *files = manifest_shard(&read, 7, &count);
    cr_assert_eq(count, 2);
    cr_assert_eq(files[1].first, RECORDS + 1);
    free(text);
    free(again);
    manifest_free(&m);
    manifest_free(&read);
}

Test(segment, manifest_with_a_changed_byte_is_refused)
{
    struct manifest m = three_files(), read;
    size_t length;
    char *text = manifest_text(&m, &length), path[256];
    snprintf(path, sizeof path, "%s/" MANIFEST_NAME, folder);
    for (size_t i = 0; i <= length; i++) {
        if (i < length)
            text[i] ^= 1;
        FILE *f = fopen(path, "w");
        cr_assert_not_null(f);
        fwrite(text, 1, i < length ? length : length - 1, f);
        fclose(f);
        cr_assert_eq(manifest_read(folder, &read, why), MANIFEST_BAD, "byte %zu", i);
        if (i < length)
            text[i] ^= 1;
    }
    free(text);
    manifest_free(&m);
}

Test(segment, manifest_takes_only_what_follows)
{
    struct manifest m = three_files();
    struct segment s = {.shard = 7, .first = RECORDS + 11, .last = RECORDS + 12};
    cr_assert_not(manifest_add(&m, &s, why));
    cr_assert_not_null(strstr(why, "shard 7: record 311 does not follow record 309"), "%s", why);
    s.first = RECORDS + 10;
    cr_assert_not(manifest_add(&m, &s, why));
    cr_assert_not_null(strstr(why, "the hash before record 310"), "%s", why);
    cr_assert_eq(m.count, 3);
    manifest_free(&m);
}
