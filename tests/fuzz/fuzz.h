/*
 * fuzz.h - what libFuzzer calls.
 *
 * A target returns 0; what it finds shows as a failed CHECK, a sanitizer's report or a time-out.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TESTS_FUZZ_H
#define SCRIP_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
