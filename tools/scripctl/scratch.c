/*
 * scratch.c - files that are not whole yet, and the end of the program by a signal.
 *
 * A handler may not lock or allocate, so the paths stand in a fixed table, each with a flag that is
 * set last and cleared first. The signal is raised again, so that the shell that started us knows.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/scratch.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char paths[SCRATCH_FILES_MAX][SCRATCH_PATH_BYTES];
static volatile sig_atomic_t is_used[SCRATCH_FILES_MAX];
static volatile sig_atomic_t has_line;

static void
remove_all(void)
{
    for (int i = 0; i < SCRATCH_FILES_MAX; i++) {
        if (is_used[i])
            (void)unlink(paths[i]);
        is_used[i] = 0;
    }
}

static void
on_signal(int number)
{
    static const char clear[] = "\r\033[K";
    if (has_line && write(STDERR_FILENO, clear, sizeof(clear) - 1) < 0) {
        /* there is nobody to tell */
    }
    remove_all();
    signal(number, SIG_DFL);
    raise(number);
}

void
scratch_init(void)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        struct sigaction before, action = {.sa_handler = on_signal};
        if (sigaction(ends[i], NULL, &before) == 0 && before.sa_handler == SIG_IGN)
            continue; /* as nohup wants it */
        sigaction(ends[i], &action, NULL);
    }
    atexit(remove_all);
}

bool
scratch_add(const char *path)
{
    size_t length = strlen(path);
    if (length >= SCRATCH_PATH_BYTES)
        return false;
    for (int i = 0; i < SCRATCH_FILES_MAX; i++) {
        if (is_used[i])
            continue;
        memcpy(paths[i], path, length + 1);
        is_used[i] = 1;
        return true;
    }
    return false;
}

void
scratch_keep(const char *path)
{
    for (int i = 0; i < SCRATCH_FILES_MAX; i++)
        if (is_used[i] && strcmp(paths[i], path) == 0)
            is_used[i] = 0;
}

void
scratch_line(bool is_there)
{
    has_line = is_there;
}
