/*
 * md_reader_test.c - lines of plain, gzip and xz files, joined, damaged, without end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <archive.h>
#include <archive_entry.h>
#include <criterion/criterion.h>
#include <glob.h>
#include <lzma.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "market/recording.h"
#include "marketdata/shell/reader.h"
#include "marketdata/shell/source.h"

static char folder[64];

static void
begin(void)
{
    snprintf(folder, sizeof(folder), "/tmp/md_reader_XXXXXX");
    cr_assert(mkdtemp(folder) != NULL);
}

static void
end(void)
{
    glob_t found;
    char pattern[80];
    snprintf(pattern, sizeof(pattern), "%s/*", folder);
    if (glob(pattern, 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++)
            unlink(found.gl_pathv[i]);
        globfree(&found);
    }
    cr_assert_eq(rmdir(folder), 0);
}

TestSuite(reader, .init = begin, .fini = end);

static const char *
path_of(const char *name)
{
    static char path[4][160];
    static int n;
    char *p = path[n++ % 4];
    snprintf(p, sizeof(path[0]), "%s/%s", folder, name);
    return p;
}

static void
write_file(const char *name, const void *data, size_t length)
{
    FILE *f = fopen(path_of(name), "wb");
    cr_assert(f != NULL);
    cr_assert_eq(fwrite(data, 1, length, f), length);
    fclose(f);
}

static void
write_gzip(const char *name, const char *text, const char *mode)
{
    gzFile f = gzopen(path_of(name), mode);
    cr_assert(f != NULL);
    cr_assert_eq(gzwrite(f, text, (unsigned)strlen(text)), (int)strlen(text));
    gzclose(f);
}

static size_t
pack_xz(const char *text, uint8_t *out, size_t room)
{
    size_t at = 0;
    cr_assert_eq(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC32, NULL, (const uint8_t *)text,
                                         strlen(text), out, &at, room),
                 LZMA_OK);
    return at;
}

/* All lines joined by '|'; '!' for a file that is bad, '~' for a line that is too long. */
static char *
read_all(const char *files)
{
    static char text[65536];
    char why[READER_WHY_BYTES];
    struct reader *r;
    const char *line;
    size_t length, at = 0;
    cr_assert(reader_open(files, 0, &r, why) == OK, "%s", why);
    for (;;) {
        enum reader_step step = reader_next(r, &line, &length);
        if (step == READER_END)
            break;
        if (step == READER_LINE)
            at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%.*s|",
                                   reader_is_first_line(r) ? "^" : "", (int)length, line);
        else if (step == READER_BAD)
            at += (size_t)snprintf(text + at, sizeof(text) - at, "!");
        else if (step == READER_LONG)
            at += (size_t)snprintf(text + at, sizeof(text) - at, "~");
    }
    text[at] = '\0';
    reader_close(&r);
    return text;
}

Test(reader, plain_gzip_and_xz_give_the_same_lines)
{
    static const char TEXT[] = "one\ntwo\n\nlast without newline";
    uint8_t packed[512];
    size_t length = pack_xz(TEXT, packed, sizeof(packed));
    write_file("a.txt", TEXT, strlen(TEXT));
    write_gzip("a.gz", TEXT, "wb");
    write_file("a.xz", packed, length);
    cr_assert_str_eq(read_all(path_of("a.txt")), "^one|two||last without newline|");
    cr_assert_str_eq(read_all(path_of("a.gz")), "^one|two||last without newline|");
    cr_assert_str_eq(read_all(path_of("a.xz")), "^one|two||last without newline|");
}

/* A zip with two members; any other filter packs `first` alone. */
static void
write_archive(const char *name, const char *filter, const char *first, const char *second)
{
    struct archive *a = archive_write_new();
    bool is_zip = strcmp(filter, "zip") == 0;
    cr_assert((is_zip ? archive_write_set_format_zip(a) : archive_write_set_format_raw(a)) == 0);
    cr_assert(is_zip || archive_write_add_filter_by_name(a, filter) == ARCHIVE_OK);
    cr_assert(archive_write_open_filename(a, path_of(name)) == ARCHIVE_OK);
    for (int i = 0; i < (is_zip ? 2 : 1); i++) {
        const char *text = i == 0 ? first : second;
        struct archive_entry *e = archive_entry_new();
        archive_entry_set_pathname(e, i == 0 ? "z-first.csv" : "a-second.csv");
        archive_entry_set_filetype(e, AE_IFREG);
        archive_entry_set_size(e, (int64_t)strlen(text));
        cr_assert(archive_write_header(a, e) == ARCHIVE_OK);
        cr_assert(archive_write_data(a, text, strlen(text)) == (ssize_t)strlen(text));
        archive_entry_free(e);
    }
    cr_assert(archive_write_close(a) == ARCHIVE_OK);
    archive_write_free(a);
}

Test(reader, archives_give_their_members_in_order)
{
    write_archive("a.zip", "zip", "1\n2", "3\n");
    write_archive("b.zst", "zstd", "4\n", "");
    write_archive("c.bz2", "bzip2", "5\n", "");
    write_archive("d.gz", "gzip", "", "");
    cr_assert_str_eq(read_all(folder), "^1|2|^3|^4|^5|");
    /* The member names the symbol of a CSV. */
    char why[READER_WHY_BYTES];
    struct reader *r;
    const char *line;
    size_t length;
    cr_assert(reader_open(path_of("a.zip"), 0, &r, why) == OK);
    while (reader_next(r, &line, &length) != READER_LINE)
        ;
    cr_assert(strstr(reader_path(r), "/a.zip/z-first.csv") != NULL, "%s", reader_path(r));
    reader_close(&r);
}

/* As Binance publishes it: the sum, two blanks, the name. */
static void
write_checksum(const char *name)
{
    static unsigned char bytes[65536];
    unsigned char sha256[32];
    char text[160] = "", beside[80];
    FILE *f = fopen(path_of(name), "rb");
    size_t length = fread(bytes, 1, sizeof(bytes), f);
    fclose(f);
    cr_assert(EVP_Digest(bytes, length, sha256, NULL, EVP_sha256(), NULL) == 1);
    for (int i = 0; i < 32; i++)
        snprintf(text + 2 * i, sizeof(text) - 2 * (size_t)i, "%02x", sha256[i]);
    snprintf(text + 64, sizeof(text) - 64, "  %s\n", name);
    snprintf(beside, sizeof(beside), "%s.CHECKSUM", name);
    write_file(beside, text, strlen(text));
}

Test(reader, a_file_with_a_wrong_checksum_beside_it_gives_nothing)
{
    char why[READER_WHY_BYTES];
    struct reader *r;
    const char *line;
    size_t length;
    write_archive("a.zip", "zip", "1\n", "2\n");
    write_file("b.txt", "3\n", 2);
    write_checksum("a.zip");
    write_checksum("b.txt");
    cr_assert_str_eq(read_all(folder), "^1|^2|^3|");
    write_file("b.txt", "4\n", 2);
    cr_assert_str_eq(read_all(folder), "^1|^2|!");
    write_file("a.zip.CHECKSUM", "no sum", 6);
    cr_assert_str_eq(read_all(path_of("a.zip")), "!");
    cr_assert(reader_open(path_of("b.txt"), 0, &r, why) == OK);
    while (reader_next(r, &line, &length) != READER_BAD)
        ;
    cr_assert(strstr(reader_why(r), "CHECKSUM") != NULL && strstr(reader_why(r), "b.txt") != NULL,
              "%s", reader_why(r));
    reader_close(&r);
}

/* A segment of ours with one line. */
static void
write_segment(enum trading_type market, int64_t start_us, const char *text)
{
    char why[RECORDING_WHY_BYTES];
    struct recording_frame f = {0};
    struct recording_writer *w = recording_create(folder, market, start_us, why);
    cr_assert(w != NULL, "%s", why);
    recording_line(&f, text, strlen(text) - 1);
    cr_assert(recording_put(w, text, strlen(text), &f, why), "%s", why);
    cr_assert(recording_end(&w, why), "%s", why);
}

Test(reader, a_folder_of_segments_is_one_market_in_order_of_time)
{
    char why[READER_WHY_BYTES];
    struct reader *r;
    write_segment(TRADING_TYPE_spot, INT64_C(1795280500000000), "1795280500000000000 {2}\n");
    write_segment(TRADING_TYPE_spot, INT64_C(1795280400000000), "1795280400000000000 {1}\n");
    write_file("notes.txt", "not of the recording\n", 21);
    cr_assert_str_eq(read_all(folder), "^1795280400000000000 {1}|^1795280500000000000 {2}|");
    write_segment(TRADING_TYPE_futures, INT64_C(1795280450000000), "1795280450000000000 {3}\n");
    cr_assert(reader_open(folder, 0, &r, why) == ERR_FILE_UNREADABLE);
    cr_assert(strstr(why, "market=usdm") != NULL, "%s", why);
    cr_assert(reader_open(folder, TRADING_TYPE_futures, &r, why) == OK);
    const char *line;
    size_t length;
    while (reader_next(r, &line, &length) != READER_LINE)
        ;
    cr_assert(strncmp(line, "1795280450000000000 {3}", length) == 0);
    cr_assert(reader_market(r) == TRADING_TYPE_futures);
    reader_close(&r);
}

Test(reader, files_and_patterns_are_joined_in_order)
{
    write_file("b2.txt", "3\n4\n", 4);
    write_file("b1.txt", "1\n2\n", 4);
    write_gzip("c.gz", "5\n", "wb");
    write_gzip("c.gz", "6\n", "ab"); /* a second member */
    write_file("empty.txt", "", 0);
    char files[512];
    snprintf(files, sizeof(files), "%s,%s,%s", path_of("b*.txt"), path_of("empty.txt"),
             path_of("c.gz"));
    cr_assert_str_eq(read_all(files), "^1|2|^3|4|^5|6|");
}

Test(reader, a_file_that_was_cut_off_gives_what_it_has)
{
    static char text[40000];
    for (size_t i = 0; i < 4000; i++)
        snprintf(text + 9 * i, sizeof(text) - 9 * i, "%08d\n", (int)i * 7919 % 99991);
    static uint8_t packed[65536];
    size_t length = pack_xz(text, packed, sizeof(packed));
    write_file("cut.xz", packed, length / 2);
    write_file("next.txt", "next\n", 5);
    char files[512];
    snprintf(files, sizeof(files), "%s,%s", path_of("cut.xz"), path_of("next.txt"));
    char *all = read_all(files);
    cr_assert(strstr(all, "!^next|") != NULL, "%s", all);

    write_gzip("cut.gz", text, "wb");
    cr_assert_eq(truncate(path_of("cut.gz"), 900), 0);
    all = read_all(path_of("cut.gz"));
    cr_assert_eq(all[strlen(all) - 1], '!');
}

/* What comes next of a followed file: its line, or "..." when there is nothing yet. */
static const char *
next_of(struct reader *r)
{
    static char text[64];
    const char *line;
    size_t length;
    enum reader_step step;
    while ((step = reader_next(r, &line, &length)) == READER_MORE)
        ;
    cr_assert(step == READER_LINE || step == READER_WAIT);
    snprintf(text, sizeof(text), "%.*s", step == READER_LINE ? (int)length : 3,
             step == READER_LINE ? line : "...");
    return text;
}

Test(reader, a_file_that_is_followed_has_no_end)
{
    char why[READER_WHY_BYTES], files[512];
    struct reader *r;
    write_file("done.txt", "1\n2", 3);
    write_file("grows.txt", "", 0);
    snprintf(files, sizeof(files), "%s,%s", path_of("done.txt"), path_of("grows.txt"));
    cr_assert(reader_open(files, 0, &r, why) == OK, "%s", why);
    reader_follow(r);
    cr_assert_str_eq(next_of(r), "1");
    cr_assert_str_eq(next_of(r), "2", "a file before the last one has its end");
    cr_assert_str_eq(next_of(r), "...");
    FILE *f = fopen(path_of("grows.txt"), "a");
    cr_assert(f != NULL);
    setbuf(f, NULL);
    fputs("3\nfo", f);
    cr_assert_str_eq(next_of(r), "3");
    cr_assert_str_eq(next_of(r), "...", "half a line is none");
    cr_assert_str_eq(next_of(r), "...");
    fputs("ur\n5\n", f);
    cr_assert_str_eq(next_of(r), "four");
    cr_assert_str_eq(next_of(r), "5");
    cr_assert_str_eq(next_of(r), "...");
    fclose(f);
    reader_close(&r);
}

Test(reader, a_line_without_end_is_passed_over)
{
    size_t length = 3 * READER_LINE_MAX;
    char *text = malloc(length);
    memset(text, 'x', length);
    memcpy(text, "first\n", 6);
    memcpy(text + length - 6, "\nlast\n", 6);
    write_file("long.txt", text, length);
    free(text);
    cr_assert_str_eq(read_all(path_of("long.txt")), "^first|~last|");
}

Test(reader, what_is_not_there_is_refused_with_its_name)
{
    char why[READER_WHY_BYTES];
    struct reader *r;
    cr_assert(reader_open("/nowhere/a.txt", 0, &r, why) == ERR_FILE_UNREADABLE);
    cr_assert(strstr(why, "/nowhere/a.txt") != NULL);
    cr_assert(reader_open("/nowhere/*.txt", 0, &r, why) == ERR_FILE_UNREADABLE);
    cr_assert(reader_open("", 0, &r, why) == ERR_FILE_UNREADABLE);
}

Test(reader, a_folder_is_its_files)
{
    char why[READER_WHY_BYTES];
    struct reader *r;
    cr_assert(reader_open(folder, 0, &r, why) == ERR_FILE_UNREADABLE, "there is none in it");
    write_file("b.txt", "2\n", 2);
    write_gzip("a.gz", "1\n", "wb");
    write_file("c.txt.CHECKSUM", "not a file of its own", 10);
    cr_assert_str_eq(read_all(folder), "^1|^2|");
}

Test(reader, a_source_tells_of_a_file_that_cannot_be_unpacked)
{
    uint8_t packed[512];
    size_t length = pack_xz("1724457600000000000 {}\n", packed, sizeof(packed));
    write_file("cut.xz", packed, length / 2);
    char line[SPEC_FILES_BYTES], why[SOURCE_WHY_BYTES] = "";
    snprintf(line, sizeof(line), "playback:%s", path_of("cut.xz"));
    struct spec specs[SPEC_SOURCES_MAX];
    uint32_t count;
    cr_assert(spec_read(line, specs, &count, why) == OK, "%s", why);
    struct source_counts counts = {0};
    struct source_env env = {.counts = &counts};
    void *source = NULL;
    cr_assert(source_playback.open(&specs[0], &env, &source, why) == OK, "%s", why);
    struct md_event e;
    enum source_step step;
    do {
        step = source_playback.next(source, &e);
    } while (step == SOURCE_MORE);
    source_playback.close(&source);
    cr_assert(step == SOURCE_END);
    cr_assert_not_null(strstr(counts.why, "damaged or cut off"), "%s", counts.why);
}
