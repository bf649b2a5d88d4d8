/*
 * ctl_insider_test.c - an insider changes any field of any record and all hashes behind it: verify
 * never breaks over it, and names it unless the field moves no money.
 *
 * SCRIP_SEED picks other changes, SCRIP_CHANGES how many; with SCRIP_SAY each is told.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl_journal.h"
#include "scripctl/twin.h"

#define CHANGES 600

static struct ctl_journal journal;
static struct arena lists;
static struct random_orders dice;
static char what[128]; /* the field that was changed */

/* ---- Changing any field ------------------------------------------------------------------- */

static int64_t
changed(int64_t value)
{
    switch (random_draw(&dice, 6)) {
    case 0:
        return value + 1;
    case 1:
        return value - 1;
    case 2:
        return value * 2 + 1;
    case 3:
        return 0;
    case 4:
        return value / 3 + 1;
    default:
        return (int64_t)random_draw(&dice, INT64_MAX);
    }
}

static void
change_number(const struct msg_field *f, uint8_t *body)
{
    uint8_t *at = body + f->offset;
    int64_t value = 0;
    if (f->kind == KIND_BOOL) {
        *at ^= 1;
    } else if (f->kind == KIND_ENUM || f->kind == KIND_U32) {
        memcpy(&value, at, 4);
        uint32_t other = (uint32_t)changed(value);
        memcpy(at, &other, 4);
    } else if (f->kind != KIND_CODE && f->kind != KIND_CID && f->kind != KIND_TEXT) {
        memcpy(&value, at, 8);
        value = changed(value);
        memcpy(at, &value, 8);
    }
}

/* A field of the body, or of a record or list in it. */
static void
change_any(const struct msg_layout *l, uint8_t *body)
{
    const struct msg_field *f = &l->fields[random_draw(&dice, l->field_count)];
    size_t length = strlen(what);
    snprintf(what + length, sizeof what - length, " %s", f->name);
    if (f->kind == KIND_RECORD) {
        change_any(f->items, body + f->offset);
    } else if (f->kind == KIND_LIST) {
        uint32_t count = msg_list_count(f, body);
        uint8_t *items = (uint8_t *)(uintptr_t)msg_list(f, body);
        if (count > 0)
            change_any(f->items, items + random_draw(&dice, count) * f->items->size);
    } else {
        change_number(f, body);
    }
}

/* Whether a replay of it all finds something. */
static bool
is_named(void)
{
    struct twin *t = twin_new(&(struct twin_options){.is_trusting = false});
    bool is_right = true;
    for (uint32_t i = 0; i < journal.count && is_right; i++)
        is_right = twin_apply(t, &journal.records[i]);
    cr_assert(is_right || twin_why(t)[0] != '\0');
    twin_destroy(&t);
    return !is_right;
}

/* Fields that set amounts, and that nothing but the record's own kind of proof gives: a change of
 * these is always named. Others are the word of a client or of the matcher, such as a rank. */
static bool
sets_amounts(void)
{
    static const char *const always[] = {" fills price", " fills is_maker", " hold"};
    for (size_t i = 0; i < sizeof always / sizeof always[0]; i++)
        if (strstr(what, always[i]) != NULL)
            return true;
    return false;
}

/* ---- The test ----------------------------------------------------------------------------- */

/* Puts the record back afterwards. */
static bool
change_and_look(uint32_t i)
{
    struct journal_record *r = &journal.records[i];
    const uint8_t *payload = r->payload;
    uint32_t length = r->payload_length;
    uint8_t *kept = malloc(length + 1);
    cr_assert_not_null(kept);
    memcpy(kept, payload, length);
    arena_reset(&lists);
    struct msg cmd = ctl_journal_read(&journal, i, &lists);
    const struct msg_layout *l = msg_layout(cmd.type);
    snprintf(what, sizeof what, "%s", l->name);
    change_any(l, msg_body(&cmd));
    ctl_journal_change(&journal, i, &cmd);
    if (getenv("SCRIP_SAY") != NULL)
        fprintf(stderr, "shard %u record %llu: %s\n", r->shard, (unsigned long long)r->seq, what);
    bool is_same = r->payload_length == length && memcmp(r->payload, kept, length) == 0;
    ctl_journal_rehash(&journal);
    bool is_found = is_same || is_named();
    free((void *)(uintptr_t)r->payload);
    r->payload = kept;
    r->payload_length = length;
    return is_found;
}

Test(ctl_insider, whatever_is_written_is_named_or_moves_no_money, .timeout = 110)
{
    const char *seed = getenv("SCRIP_SEED"), *more = getenv("SCRIP_CHANGES");
    uint32_t changes = more == NULL ? CHANGES : (uint32_t)strtoul(more, NULL, 10), found = 0;
    dice.random = seed == NULL ? 1 : strtoull(seed, NULL, 10);
    arena_init(&lists, aligned_alloc(16, 1 << 20), 1 << 20);
    ctl_journal_init(&journal);
    ctl_journal_make(&journal, 5, 5, 1200);
    cr_assert(!is_named());
    for (uint32_t n = 0; n < changes; n++) {
        uint32_t i = (uint32_t)random_draw(&dice, journal.count);
        bool is_found = change_and_look(i);
        found += is_found;
        cr_expect(is_found || !sets_amounts(), "record %u: %s", i, what);
        if (!is_found && getenv("SCRIP_SAY") != NULL)
            fprintf(stderr, "not named: %s\n", what);
    }
    printf("%u of %u changes were named or changed nothing\n", found, changes);
    cr_expect_gt(found, changes / 2);
    ctl_journal_fini(&journal);
    free(lists.bytes);
}
