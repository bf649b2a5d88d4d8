/*
 * fresh.h - files that are there whole or not at all: written as NAME.new, made durable, renamed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_FRESH_H
#define SCRIPCTL_FRESH_H

#include <stdbool.h>
#include <stddef.h>

#include "scripctl/records.h"
#include "scripctl/scratch.h"

#define FRESH_PATH_BYTES SCRATCH_PATH_BYTES

struct fresh {
    int fd; /* -1 = none */
    char path[FRESH_PATH_BYTES], path_new[FRESH_PATH_BYTES];
};

/* FOLDER/NAME; makes the folder of it where there is none. What an earlier try left is written
 * over. False, and why. */
bool fresh_open(struct fresh *f, const char *folder, const char *name, char why[WHY_BYTES]);
bool fresh_write(struct fresh *f, const void *bytes, size_t length, char why[WHY_BYTES]);
/* The file is there, under its name, and stays. */
bool fresh_keep(struct fresh *f, char why[WHY_BYTES]);
/* Takes it away when it was not kept. */
void fresh_drop(struct fresh *f);

#endif
