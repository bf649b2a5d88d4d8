/*
 * market_recordings.c - market recordings and market check: what segments there are, and whether
 * a recording is what it should be.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "market/recording.h"
#include "marketdata/shell/reader_files.h"
#include "scripctl/command.h"
#include "scripctl/market_chain.h"

/* Files of both markets: a folder is asked for each, and one that has only one gives it twice. */
static bool
files_find(const struct call *c, struct reader_files *f, enum status *status)
{
    char why[READER_WHY_BYTES];
    struct reader_files more = {0};
    if (reader_files_find(f, c->words[0], TRADING_TYPE_spot, why) != OK ||
        reader_files_find(&more, c->words[0], TRADING_TYPE_futures, why) != OK) {
        *status = refuse(c, STATUS_FAILED, "FILE_UNREADABLE", "%s", why);
        reader_files_free(&more);
        return false;
    }
    bool is_same = more.count == f->count && strcmp(more.list[0].path, f->list[0].path) == 0;
    for (uint32_t i = 0; i < more.count && !is_same; i++) {
        f->list = realloc(f->list, (f->count + 1) * sizeof(*f->list));
        CHECK(f->list != NULL);
        f->list[f->count++] = more.list[i];
        more.list[i].path = NULL;
    }
    reader_files_free(&more);
    return true;
}

/* Plain bytes for one byte of the file: "11.4". */
static void
put_ratio(struct out *o, uint64_t plain, uint64_t bytes)
{
    char text[32];
    uint64_t tenths = bytes == 0 ? 0 : plain * 10 / bytes;
    snprintf(text, sizeof(text), "%llu.%llu", (unsigned long long)(tenths / 10),
             (unsigned long long)(tenths % 10));
    out_text(o, text);
}

static const char *
state_of(const struct recording *r, bool is_right)
{
    if (!is_right)
        return "wrong";
    return recording_is_whole(r) ? "whole" : "torn";
}

static void
put_segment(struct out *o, const struct recording *r, const struct recording_sum *sum,
            bool is_right, const char *path)
{
    out_text(o, recording_market(recording_type(r)));
    out_time(o, sum->first_us);
    out_time(o, sum->last_us);
    out_uint(o, sum->lines);
    out_uint(o, sum->trades);
    out_uint(o, recording_bytes(r));
    put_ratio(o, sum->plain_bytes, recording_bytes(r));
    out_text(o, state_of(r, is_right));
    out_text(o, path);
    out_row_end(o);
}

enum status
market_recordings(const struct call *c)
{
    enum status status = STATUS_OK;
    struct reader_files files = {0};
    if (!files_find(c, &files, &status)) {
        reader_files_free(&files);
        return status;
    }
    out_table(c->out, "market from to lines> trades> bytes> ratio> state file");
    for (uint32_t i = 0; i < files.count; i++) {
        char why[RECORDING_WHY_BYTES];
        struct recording_sum sum;
        struct recording *r = recording_open(files.list[i].path, why);
        if (r == NULL) {
            complain("%s", why);
            status = STATUS_NO;
            continue;
        }
        bool is_right = recording_survey(r, &sum, why);
        put_segment(c->out, r, &sum, is_right, files.list[i].path);
        if (!is_right) {
            complain("%s: %s", files.list[i].path, why);
            status = STATUS_NO;
        }
        recording_close(&r);
    }
    reader_files_free(&files);
    return status;
}

/* ---- Checking --------------------------------------------------------------------------- */

/* A segment's own form; other files have none. False when it is wrong. */
static bool
form_check(const char *path, bool *is_torn, enum trading_type *market)
{
    char why[RECORDING_WHY_BYTES];
    struct recording_sum sum;
    struct recording *r = recording_open(path, why);
    *is_torn = false;
    *market = 0;
    if (r == NULL)
        return true;
    *market = recording_type(r);
    *is_torn = !recording_is_whole(r);
    bool is_right = recording_check(r, &sum, why);
    if (!is_right)
        complain("%s: %s", path, why);
    recording_close(&r);
    return is_right;
}

/* Every line of a file, one behind the other. */
static bool
lines_check(struct chains *chains, const char *path)
{
    char why[READER_WHY_BYTES];
    struct reader *r;
    const char *line;
    size_t length;
    enum reader_step step;
    if (reader_open(path, 0, &r, why) != OK) {
        complain("%s", why);
        return false;
    }
    bool is_right = true;
    while ((step = reader_next(r, &line, &length)) != READER_END) {
        if (step == READER_LINE) {
            chains_line(chains, line, length);
        } else if (step == READER_LONG) {
            chains->malformed++;
        } else if (step == READER_BAD) {
            complain("%s", reader_why(r));
            is_right = false;
        }
    }
    reader_close(&r);
    return is_right;
}

static void
put_chain(struct out *o, const struct chain *s)
{
    out_text(o, s->symbol.text);
    out_uint(o, s->trades);
    out_uint(o, s->missing);
    out_uint(o, s->doubled);
    out_uint(o, s->marked_missing);
    out_uint(o, s->diffs);
    out_uint(o, s->breaks);
    out_uint(o, s->marked_breaks);
    out_uint(o, s->books);
    out_uint(o, s->quotes);
    out_uint(o, s->marks);
    out_row_end(o);
}

/* The verdict; true when nothing is wrong. */
static bool
chains_say(const struct call *c, const struct chains *all, uint32_t files, uint32_t torn)
{
    bool is_right = all->malformed == 0 && all->backwards == 0;
    out_table(c->out, "symbol trades> missing> doubled> marked_missing> diffs> breaks> "
                      "marked_breaks> books> quotes> marks>");
    for (uint32_t i = 0; i < all->count; i++) {
        const struct chain *s = &all->list[i];
        is_right = is_right && s->missing == 0 && s->doubled == 0 && s->breaks == 0;
        put_chain(c->out, s);
    }
    out_table(c->out, "files> torn> lines> malformed> backwards> marks> missed_lines>");
    out_uint(c->out, files);
    out_uint(c->out, torn);
    out_uint(c->out, all->lines);
    out_uint(c->out, all->malformed);
    out_uint(c->out, all->backwards);
    out_uint(c->out, all->marks);
    out_uint(c->out, all->missed);
    out_row_end(c->out);
    return is_right;
}

enum status
market_check(const struct call *c)
{
    enum status status = STATUS_OK;
    struct reader_files files = {0};
    if (!files_find(c, &files, &status)) {
        reader_files_free(&files);
        return status;
    }
    struct chains *chains = chains_new();
    uint32_t torn = 0;
    bool is_right = true;
    for (uint32_t i = 0; i < files.count; i++) {
        bool is_torn;
        enum trading_type market;
        is_right = form_check(files.list[i].path, &is_torn, &market) && is_right;
        chains_file(chains, market);
        is_right = lines_check(chains, files.list[i].path) && is_right;
        torn += is_torn;
    }
    is_right = chains_say(c, chains, files.count, torn) && is_right;
    if (is_right)
        out_say(c->out, "The recording is right.");
    else
        out_say(c->out, "The recording is wrong, or has gaps that it does not tell of.");
    chains_free(&chains);
    reader_files_free(&files);
    return is_right ? STATUS_OK : STATUS_NO;
}
