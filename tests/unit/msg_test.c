/*
 * msg_test.c - the layouts of messages.def as data, held against the structs they describe.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <string.h>

#include "base/msg.h"

#define NESTING_MAX 4  /* what a reader of unknown fields is ready to skip */
#define FIELDS_MAX  64 /* bits of the codec's masks */

/* Every record and message. */
static const struct msg_layout *
layout_at(uint32_t index)
{
    uint32_t records = 0;
    while (msg_record_at(records) != NULL)
        records++;
    return index < records ? msg_record_at(index) : msg_layout_at(index - records);
}

static int
nesting(const struct msg_layout *l)
{
    int deepest = 0;
    for (uint32_t i = 0; i < l->field_count; i++) {
        const struct msg_field *f = &l->fields[i];
        if (f->items == NULL)
            continue;
        int below = nesting(f->items) + (f->kind == KIND_LIST);
        deepest = below > deepest ? below : deepest;
    }
    return deepest + 1;
}

Test(msg, tags_rise_within_the_codec_s_masks)
{
    const struct msg_layout *l;
    for (uint32_t i = 0; (l = layout_at(i)) != NULL; i++) {
        cr_assert(l->field_count >= 1 && l->field_count <= FIELDS_MAX, "%s", l->name);
        for (uint32_t k = 0; k < l->field_count; k++) {
            const struct msg_field *f = &l->fields[k];
            cr_assert(f->tag >= 1 && (k == 0 || f->tag > f[-1].tag), "%s.%s", l->name, f->name);
            cr_assert_lt(strlen(f->name), CODE_BYTES, "%s.%s", l->name, f->name);
            cr_assert_eq(msg_field_by_tag(l, f->tag), f);
            cr_assert_eq(msg_field_by_name(l, f->name), f);
        }
        cr_assert_null(msg_field_by_tag(l, 0));
        cr_assert_null(msg_field_by_tag(l, UINT64_MAX));
        cr_assert_null(msg_field_by_name(l, "no_such_field"));
        cr_assert_leq(nesting(l), NESTING_MAX + 1, "%s", l->name);
    }
}

Test(msg, flags_stand_where_they_mean_something)
{
    const struct msg_layout *l;
    for (uint32_t i = 0; (l = layout_at(i)) != NULL; i++)
        for (uint32_t k = 0; k < l->field_count; k++) {
            const struct msg_field *f = &l->fields[k];
            bool amount = f->kind == KIND_MONEY || f->kind == KIND_PRICE || f->kind == KIND_QTY ||
                          f->kind == KIND_RATE;
            bool positive = (f->flags & MSG_FLAG_POS) != 0;
            cr_assert(!positive || amount || f->kind == KIND_U32,
                      "%s.%s: POS is for amounts and counts", l->name, f->name);
            bool shown = (f->flags & MSG_FLAG_HID) == 0, set = (f->flags & MSG_FLAG_IN) != 0;
            cr_assert(shown || !set, "%s.%s: HID and IN", l->name, f->name);
            cr_assert(!set || f->items == NULL, "%s.%s: IN is for plain fields", l->name, f->name);
            bool bits = (f->flags & MSG_FLAG_ZEROS) != 0;
            cr_assert(!bits || (f->kind == KIND_U32 && !shown), "%s.%s: ZEROS", l->name, f->name);
        }
}

Test(msg, offsets_are_those_of_the_structs)
{
    const struct msg_layout *l = msg_layout(MSG_order_place);
    cr_assert_eq(l->size, sizeof(struct order_place));
    cr_assert_eq(msg_field_by_name(l, "account_id")->offset,
                 offsetof(struct order_place, account_id));
    cr_assert_eq(msg_field_by_name(l, "price")->offset, offsetof(struct order_place, price));
    cr_assert_eq(msg_field_by_name(l, "hold")->offset, offsetof(struct order_place, hold));
    l = msg_layout(MSG_order_report);
    cr_assert_eq(msg_field_by_name(l, "was_pulled")->offset,
                 offsetof(struct order_report, was_pulled));
}

/* The layouts know only where a list's pointer is. */
Test(msg, a_list_s_count_stands_behind_its_pointer)
{
    const struct msg_layout *l = msg_layout(MSG_order_report);
    const struct msg_field *f = msg_field_by_name(l, "fills");
    cr_assert_eq(offsetof(struct order_report, fills_count),
                 offsetof(struct order_report, fills) + sizeof(void *));
    struct match_fill fill = {.price = {1}};
    struct order_report report = {.order_id = 1};
    cr_assert(msg_field_zero(f, &report));
    msg_list_set(f, &report, &fill, 1);
    cr_assert_eq(report.fills, &fill);
    cr_assert_eq(report.fills_count, 1);
    cr_assert_eq(msg_list(f, &report), &fill);
    cr_assert_eq(msg_list_count(f, &report), 1);
    cr_assert(!msg_field_zero(f, &report));
}

Test(msg, every_message_is_found_by_number_and_name)
{
    const struct msg_layout *l;
    uint32_t count = 0;
    for (; (l = msg_layout_at(count)) != NULL; count++) {
        cr_assert_eq(msg_layout(l->type), l);
        cr_assert_eq(msg_layout_by_name(l->name), l);
        cr_assert(strcmp(l->effect, "MUTATES") == 0 || strcmp(l->effect, "READS") == 0 ||
                  strcmp(l->effect, "SAYS") == 0);
        cr_assert(count == 0 || l->type > msg_layout_at(count - 1)->type);
    }
    cr_assert_gt(count, 60);
    cr_assert_null(msg_layout(MSG_NONE));
    cr_assert_null(msg_layout(MSG_TYPE_END));
    cr_assert_null(msg_layout((enum msg_type)UINT32_MAX));
    cr_assert_null(msg_layout_by_name("no_such_message"));
    cr_assert_null(msg_record_at(1000));
}

Test(msg, every_enum_row_round_trips_by_name)
{
    for (enum msg_enum id = 0; id < MSG_ENUM_COUNT; id++) {
        cr_assert_str_eq(msg_enum_name(id, 0), "NONE");
        uint32_t count = 0;
        const char *name;
        for (; (name = msg_enum_value_at(id, count)) != NULL; count++) {
            uint32_t value = msg_enum_by_name(id, name);
            cr_assert_neq(value, 0, "%s %s", msg_enum_type(id), name);
            cr_assert_str_eq(msg_enum_name(id, value), name);
        }
        cr_assert_gt(count, 0);
        cr_assert_eq(msg_enum_by_name(id, "NONE"), 0);
        cr_assert_eq(msg_enum_by_name(id, "no_such_value"), 0);
        cr_assert_null(msg_enum_name(id, 1000));
        cr_assert_null(msg_enum_name(id, UINT32_MAX));
    }
    cr_assert_str_eq(msg_enum_type(MSG_ENUM_side), "side");
    cr_assert_eq(msg_enum_by_name(MSG_ENUM_side, "SELL"), SIDE_SELL);
    cr_assert_eq(msg_enum_by_name(MSG_ENUM_side, "sell"), 0);
    cr_assert_str_eq(msg_enum_name(MSG_ENUM_interval, INTERVAL_15m), "15m");
    cr_assert_eq(side_other(SIDE_BUY), SIDE_SELL);
}
