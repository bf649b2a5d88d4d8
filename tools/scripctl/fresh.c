/*
 * fresh.c - see fresh.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/fresh.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
fail(const char *what, const char *path, char why[WHY_BYTES])
{
    int error = errno;
    snprintf(why, WHY_BYTES, "%s %.300s: %s", what, path, strerror(error));
    return false;
}

static void
folder_of(const char *path, char out[FRESH_PATH_BYTES])
{
    char copy[FRESH_PATH_BYTES];
    snprintf(copy, sizeof copy, "%s", path);
    snprintf(out, FRESH_PATH_BYTES, "%s", dirname(copy));
}

/* Makes what is missing of a folder's path. */
static bool
folder_make(const char *path, char why[WHY_BYTES])
{
    struct stat there;
    if (stat(path, &there) == 0 && S_ISDIR(there.st_mode))
        return true;
    char above[FRESH_PATH_BYTES];
    folder_of(path, above);
    if (strcmp(above, path) != 0 && !folder_make(above, why))
        return false;
    return mkdir(path, 0777) == 0 || errno == EEXIST || fail("cannot make the folder", path, why);
}

bool
fresh_open(struct fresh *f, const char *folder, const char *name, char why[WHY_BYTES])
{
    char parent[FRESH_PATH_BYTES];
    f->fd = -1;
    int length = snprintf(f->path, sizeof f->path, "%s/%s", folder, name);
    if (length < 0 || (size_t)length >= sizeof f->path - 4) {
        snprintf(why, WHY_BYTES, "the folder's name is too long");
        return false;
    }
    memcpy(f->path_new, f->path, (size_t)length);
    memcpy(f->path_new + length, ".new", sizeof ".new");
    folder_of(f->path, parent);
    if (!folder_make(parent, why))
        return false;
    if (!scratch_add(f->path_new)) {
        snprintf(why, WHY_BYTES, "the folder's name is too long");
        return false;
    }
    f->fd = open(f->path_new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (f->fd >= 0)
        return true;
    (void)fail("cannot write", f->path_new, why);
    scratch_keep(f->path_new);
    return false;
}

bool
fresh_write(struct fresh *f, const void *bytes, size_t length, char why[WHY_BYTES])
{
    const char *at = bytes;
    while (length > 0) {
        ssize_t written = write(f->fd, at, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return fail("cannot write", f->path_new, why);
        at += written;
        length -= (size_t)written;
    }
    return true;
}

static bool
folder_sync(const char *path, char why[WHY_BYTES])
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail("cannot open the folder", path, why);
    bool is_synced = fsync(fd) == 0 || fail("cannot make durable", path, why);
    close(fd);
    return is_synced;
}

bool
fresh_keep(struct fresh *f, char why[WHY_BYTES])
{
    char parent[FRESH_PATH_BYTES], above[FRESH_PATH_BYTES];
    bool is_well = fsync(f->fd) == 0 || fail("cannot make durable", f->path_new, why);
    is_well = close(f->fd) == 0 && is_well;
    f->fd = -1;
    if (is_well && rename(f->path_new, f->path) != 0)
        is_well = fail("cannot rename to", f->path, why);
    if (!is_well)
        unlink(f->path_new);
    scratch_keep(f->path_new);
    if (!is_well)
        return false;
    folder_of(f->path, parent);
    folder_of(parent, above);
    return folder_sync(parent, why) && folder_sync(above, why);
}

void
fresh_drop(struct fresh *f)
{
    if (f->fd < 0)
        return;
    close(f->fd);
    f->fd = -1;
    unlink(f->path_new);
    scratch_keep(f->path_new);
}
