/*
 * scratch.h - files that are not whole yet: gone when scripctl ends before they are.
 *
 * Whoever writes a file names it here first and takes it back once it is whole (usually by
 * renaming it). Signals that end the program, and exit(), remove what is still named.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_SCRATCH_H
#define SCRIPCTL_SCRATCH_H

#include <stdbool.h>

#define SCRATCH_FILES_MAX  16
#define SCRATCH_PATH_BYTES 1024

/* Handles SIGINT, SIGTERM and SIGHUP, and exit(). */
void scratch_init(void);
/* False when the path is too long or too many files are named. */
bool scratch_add(const char *path);
void scratch_keep(const char *path);
/* Whether an unfinished line stands on the terminal, which is to be taken away. */
void scratch_line(bool is_there);

#endif
