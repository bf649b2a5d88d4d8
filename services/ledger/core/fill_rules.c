/*
 * fill_rules.c - see fill_rules.h. Integers only.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/core/fill_rules.h"

#include "base/map.h"

/* ---- Presets ----------------------------------------------------------------------------------
 */

static const struct fill_rules presets[] = {
    [FILL_PRESET_NONE] = {.fill_preset = FILL_PRESET_NONE},
    [FILL_PRESET_optimistic] = {.fill_preset = FILL_PRESET_optimistic,
                                .fill_model = FILL_MODEL_touch},
    [FILL_PRESET_realistic] = {.fill_preset = FILL_PRESET_realistic,
                               .fill_model = FILL_MODEL_queue,
                               .latency_us = 15000,
                               .latency_spread_us = 10000},
    [FILL_PRESET_harsh] = {.fill_preset = FILL_PRESET_harsh,
                           .fill_model = FILL_MODEL_through,
                           .latency_us = 80000,
                           .latency_spread_us = 60000,
                           .slippage_bps = 2,
                           .reject_bps = 100},
    [FILL_PRESET_custom] = {.fill_preset = FILL_PRESET_custom},
};

struct fill_rules
fill_rules_of(enum fill_preset preset)
{
    CHECK((size_t)preset < sizeof(presets) / sizeof(presets[0]));
    return presets[preset];
}

/* ---- Settings ---------------------------------------------------------------------------------
 */

/* Bits of settings_set.fill_overrides: the fields' tags. */
enum { GAVE_MODEL = 10, GAVE_LATENCY, GAVE_SPREAD, GAVE_SLIPPAGE, GAVE_REJECT, GAVE_SEED };
#define GAVE_ALL_BUT_SEED                                                                          \
    (1u << GAVE_MODEL | 1u << GAVE_LATENCY | 1u << GAVE_SPREAD | 1u << GAVE_SLIPPAGE |             \
     1u << GAVE_REJECT)

static enum err
judge_limit(const char *field, uint32_t found, uint32_t limit, const char *unit,
            struct refused *why)
{
    if (found <= limit)
        return OK;
    *why = (struct refused){
        .error = ERR_NUMBER_RANGE,
        .field = code_of(field),
        .detail = text_of("at most %u%s, found %u", limit, unit, found),
    };
    return ERR_NUMBER_RANGE;
}

enum err
fill_rules_judge(const struct settings_set *cmd, struct refused *why)
{
    uint32_t latency_max = FILL_LATENCY_MAX_US;
    enum err e = judge_limit("latency_us", cmd->latency_us, latency_max, " microseconds", why);
    if (e == OK)
        e = judge_limit("latency_spread_us", cmd->latency_spread_us, latency_max, " microseconds",
                        why);
    if (e == OK)
        e = judge_limit("slippage_bps", cmd->slippage_bps, FILL_SLIPPAGE_MAX, " basis points", why);
    if (e == OK)
        e = judge_limit("reject_bps", cmd->reject_bps, FILL_REJECT_MAX, " of ten thousand", why);
    if (e != OK || cmd->fill_preset != FILL_PRESET_custom)
        return e;
    *why = (struct refused){
        .error = ERR_CHOICE_UNKNOWN,
        .field = code_of("fill_preset"),
        .detail = text_of("optimistic, realistic or harsh; single fields make it custom"),
    };
    return ERR_CHOICE_UNKNOWN;
}

/* A value that is not zero was given, whether or not somebody kept the bit. */
static uint32_t
given(const struct settings_set *cmd)
{
    return cmd->fill_overrides | (uint32_t)(cmd->fill_model != FILL_MODEL_NONE) << GAVE_MODEL |
           (uint32_t)(cmd->latency_us != 0) << GAVE_LATENCY |
           (uint32_t)(cmd->latency_spread_us != 0) << GAVE_SPREAD |
           (uint32_t)(cmd->slippage_bps != 0) << GAVE_SLIPPAGE |
           (uint32_t)(cmd->reject_bps != 0) << GAVE_REJECT |
           (uint32_t)(cmd->seed != 0) << GAVE_SEED;
}

static void
copy_given(struct fill_rules *rules, const struct settings_set *cmd)
{
    uint32_t bits = given(cmd);
    if ((bits & 1u << GAVE_MODEL) != 0)
        rules->fill_model = cmd->fill_model;
    if ((bits & 1u << GAVE_LATENCY) != 0)
        rules->latency_us = cmd->latency_us;
    if ((bits & 1u << GAVE_SPREAD) != 0)
        rules->latency_spread_us = cmd->latency_spread_us;
    if ((bits & 1u << GAVE_SLIPPAGE) != 0)
        rules->slippage_bps = cmd->slippage_bps;
    if ((bits & 1u << GAVE_REJECT) != 0)
        rules->reject_bps = cmd->reject_bps;
    if ((bits & 1u << GAVE_SEED) != 0)
        rules->seed = cmd->seed;
}

static bool
is_same_but_seed(const struct fill_rules *a, const struct fill_rules *b)
{
    return a->fill_model == b->fill_model && a->latency_us == b->latency_us &&
           a->latency_spread_us == b->latency_spread_us && a->slippage_bps == b->slippage_bps &&
           a->reject_bps == b->reject_bps;
}

void
fill_rules_enrich(struct settings_set *cmd)
{
    cmd->fill_overrides = given(cmd) & (GAVE_ALL_BUT_SEED | 1u << GAVE_SEED);
    if (cmd->fill_preset == FILL_PRESET_NONE)
        return;
    const struct fill_rules preset = fill_rules_of(cmd->fill_preset);
    struct fill_rules rules = preset;
    copy_given(&rules, cmd);
    cmd->fill_preset = is_same_but_seed(&rules, &preset) ? preset.fill_preset : FILL_PRESET_custom;
    cmd->fill_model = rules.fill_model;
    cmd->latency_us = rules.latency_us;
    cmd->latency_spread_us = rules.latency_spread_us;
    cmd->slippage_bps = rules.slippage_bps;
    cmd->reject_bps = rules.reject_bps;
    cmd->fill_overrides |= GAVE_ALL_BUT_SEED;
}

void
fill_rules_merge(struct fill_rules *rules, const struct settings_set *cmd)
{
    const struct fill_rules before = *rules;
    copy_given(rules, cmd);
    if (cmd->fill_preset != FILL_PRESET_NONE)
        rules->fill_preset = cmd->fill_preset;
    else if (!is_same_but_seed(rules, &before))
        rules->fill_preset = FILL_PRESET_custom;
}

/* ---- Draws ------------------------------------------------------------------------------------
 */

#define EXPONENTIAL_STRATA 256
#define EXPONENTIAL_ONE    65536

/*
 * E in 1/65536. Row i stands for u in [i, i + 1) / 256, and is the mean of -ln(1 - u) there:
 * 256 (g(1 - i / 256) - g(1 - (i + 1) / 256)) with g(s) = s - s ln(s), g(0) = 0, rounded; 8 were
 * taken off the last one, so that the mean of all rows is 1 exactly.
 */
static const uint32_t exponential[EXPONENTIAL_STRATA] = {
    128,    385,    643,    902,    1162,   1423,   1686,   1949,   2213,   2478,   2745,   3012,
    3281,   3551,   3821,   4093,   4366,   4641,   4916,   5192,   5470,   5749,   6029,   6310,
    6593,   6877,   7161,   7448,   7735,   8024,   8314,   8605,   8898,   9192,   9487,   9783,
    10081,  10380,  10681,  10983,  11286,  11591,  11898,  12205,  12514,  12825,  13137,  13451,
    13766,  14082,  14400,  14720,  15041,  15364,  15689,  16015,  16342,  16672,  17003,  17335,
    17670,  18006,  18344,  18683,  19024,  19368,  19713,  20059,  20408,  20758,  21111,  21465,
    21821,  22179,  22539,  22901,  23266,  23632,  24000,  24370,  24742,  25117,  25494,  25872,
    26253,  26637,  27022,  27410,  27800,  28193,  28587,  28985,  29384,  29786,  30191,  30598,
    31007,  31420,  31834,  32252,  32672,  33095,  33520,  33949,  34380,  34814,  35251,  35691,
    36133,  36579,  37028,  37480,  37935,  38393,  38855,  39320,  39788,  40259,  40734,  41213,
    41695,  42180,  42669,  43162,  43658,  44159,  44663,  45171,  45683,  46199,  46719,  47243,
    47772,  48305,  48842,  49383,  49930,  50480,  51036,  51596,  52161,  52731,  53306,  53886,
    54471,  55061,  55657,  56258,  56865,  57477,  58096,  58720,  59350,  59986,  60629,  61278,
    61933,  62595,  63264,  63939,  64622,  65312,  66009,  66714,  67426,  68146,  68875,  69611,
    70356,  71109,  71871,  72642,  73422,  74212,  75011,  75820,  76640,  77469,  78309,  79161,
    80023,  80897,  81782,  82680,  83590,  84513,  85450,  86400,  87363,  88342,  89335,  90343,
    91367,  92407,  93464,  94539,  95631,  96742,  97872,  99022,  100192, 101384, 102597, 103834,
    105094, 106379, 107690, 109028, 110393, 111788, 113212, 114669, 116159, 117683, 119243, 120842,
    122480, 124161, 125886, 127657, 129478, 131351, 133279, 135265, 137313, 139428, 141612, 143873,
    146214, 148642, 151163, 153785, 156517, 159367, 162347, 165469, 168747, 172198, 175840, 179698,
    183796, 188169, 192854, 197900, 203368, 209334, 215898, 223195, 231409, 240803, 251777, 264973,
    281532, 303801, 338093, 428937,
};

/* What sets the draws of one order apart: odd numbers out of a hat. */
#define SALT_LATENCY UINT64_C(0x8d5f3b1c6e94a727)
#define SALT_CANCEL  UINT64_C(0x3c6ef1a54b08d963)
#define SALT_REJECT  UINT64_C(0xe19b7c02d84f5a3d)

static uint64_t
draw(uint64_t seed, uint64_t order_id, uint64_t salt)
{
    return map_mix(seed ^ map_mix(order_id) ^ salt);
}

static uint32_t
draw_latency(const struct fill_rules *rules, uint64_t random)
{
    uint64_t more = (uint64_t)rules->latency_spread_us * exponential[random >> 56];
    return rules->latency_us + (uint32_t)(more / EXPONENTIAL_ONE);
}

struct fill_draw
fill_rules_draw(const struct fill_rules *rules, uint64_t order_id)
{
    uint64_t below = (draw(rules->seed, order_id, SALT_REJECT) >> 32) * FILL_REJECT_MAX >> 32;
    return (struct fill_draw){
        .latency_us = draw_latency(rules, draw(rules->seed, order_id, SALT_LATENCY)),
        .cancel_latency_us = draw_latency(rules, draw(rules->seed, order_id, SALT_CANCEL)),
        .is_refused = below < rules->reject_bps,
    };
}
