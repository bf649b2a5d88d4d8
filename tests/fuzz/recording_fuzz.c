/*
 * recording_fuzz.c - bytes as a segment of a recording: refused, or whole lines, in the order and
 * from every place that an index names.
 *
 * The checksums would keep nearly all inputs out, so that index and frames are also tried apart:
 * what is no segment is put behind a head of our own.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "base/check.h"
#include "fuzz.h"
#include "market/recording.h"
#include "market/recording_form.h"

#define INPUT_MAX (64u << 10)

/* Everything a reader may do with it. */
static void
read_all(const uint8_t *data, size_t size)
{
    char why[RECORDING_WHY_BYTES] = "";
    struct recording *r = recording_open_bytes(data, size, why);
    if (r == NULL) {
        CHECK(why[0] != '\0');
        return;
    }
    struct recording_sum sum;
    uint32_t count;
    const struct recording_frame *frames = recording_frames(r, &count);
    CHECK(recording_is_whole(r) || count == 0);
    (void)recording_survey(r, &sum, why);
    bool is_right = recording_check(r, &sum, why);
    CHECK(!is_right || sum.frames >= count);
    for (uint32_t i = 0; i < count && i < 4; i++) {
        uint32_t at = recording_frame_for(r, frames[i].first_us);
        CHECK(at < count);
        const char *lines;
        size_t length;
        struct recording_frame f;
        recording_seek(r, at);
        if (recording_next(r, &lines, &length, &f, why) == RECORDING_FRAME)
            CHECK(length > 0 && length <= RECORDING_PLAIN_MAX && lines[length - 1] == '\n');
    }
    recording_close(&r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t whole[FORM_HEAD_BYTES + INPUT_MAX];
    struct recording_mark mark;
    struct recording_trade trade;
    struct recording_frame f = {0};
    if (size > INPUT_MAX)
        return 0;
    read_all(data, size);
    form_put_skip(whole, FORM_SKIP_MAGIC, FORM_HEAD_PAYLOAD);
    memcpy(whole + FORM_SKIP_BYTES, FORM_HEAD_TEXT, 8);
    form_put(whole + FORM_SKIP_BYTES + 8, RECORDING_VERSION);
    form_put(whole + FORM_SKIP_BYTES + 16, TRADING_TYPE_spot);
    form_put(whole + FORM_SKIP_BYTES + 24, 1);
    memcpy(whole + FORM_HEAD_BYTES, data, size);
    read_all(whole, FORM_HEAD_BYTES + size);
    /* As a line. */
    recording_line(&f, (const char *)data, size);
    (void)recording_mark_read((const char *)data, size, &mark);
    (void)recording_trade_read((const char *)data, size, &trade);
    return 0;
}
