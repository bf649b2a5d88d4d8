/*
 * spec.h - the configuration line that names the sources of market data.
 *
 *     sources = SOURCE[;SOURCE...]
 *     SOURCE  = synthetic[:OPTION...] | playback:FILES[:OPTION...] | binance:MARKET[:OPTION...]
 *     FILES   = paths or patterns (*, ?), joined by commas, played one after the other
 *     OPTION  = name=value; a list of symbols is joined by commas
 *
 *     synthetic   seed=N (7)    symbols=A,B (needed)    rate=N updates a second and symbol (20)
 *                 levels=N a side (20)
 *     playback    speed=N or max (1)    clock=now or kept (now)    loop=1 or 0 (0)
 *                 follow=1 or 0 (0): the last file is still being written, its end is waited for
 *                 symbols=A (the symbol of CSV files; of a raw recording, which symbols to take)
 *                 market=spot or usdm (spot): whose names a raw recording has, and which segments
 *                 of a folder with both are played; BTCUSDT of usdm is BTCUSDT_PERP here
 *     binance     live, MARKET is spot or usdm    symbols=A,B (needed)
 *
 *     playback:/data/btcusdt_*.txt.xz:speed=10:loop=1;synthetic:seed=3:symbols=ETHUSDT
 *     binance:spot:symbols=BTCUSDT,ETHUSDT;binance:usdm:symbols=BTCUSDT_PERP
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_SPEC_H
#define SCRIP_MARKETDATA_SPEC_H

#include "base/msg.h"

#define SPEC_SYMBOLS_MAX 1024u
#define SPEC_FILES_BYTES 2048u
#define SPEC_SOURCES_MAX 16u
#define SPEC_WHY_BYTES   256u
#define SPEC_SPEED_MAX   (INT64_C(1000000) * DECIMAL_ONE)

enum spec_kind { SPEC_SYNTHETIC, SPEC_PLAYBACK, SPEC_BINANCE };

struct spec {
    enum spec_kind kind;
    code_t symbols[SPEC_SYMBOLS_MAX];
    uint32_t symbol_count;
    char files[SPEC_FILES_BYTES]; /* playback: as written */
    rate_t speed;                 /* playback: 0 = as fast as it goes */
    bool clock_now;               /* playback: times are shifted so that it begins now */
    bool loop;                    /* playback */
    bool follow;                  /* playback: more may be written to the last file */
    enum trading_type market;     /* binance, playback */
    uint64_t seed;                /* synthetic */
    uint32_t rate;                /* synthetic: updates a second and symbol */
    uint32_t levels;              /* synthetic: a side */
};

/* Reads the whole line. Refuses with CONFIG_BAD_VALUE and says why in one sentence. */
MUST_USE enum err spec_read(const char *text, struct spec out[SPEC_SOURCES_MAX], uint32_t *count,
                            char why[SPEC_WHY_BYTES]);
/* Whether the source gives this symbol: named, or any where none are named. */
bool spec_takes(const struct spec *s, code_t symbol);

#endif
