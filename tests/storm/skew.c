/*
 * skew.c - a wall clock that a test can set: preloaded into a service, read from a shared file.
 *
 * STORM_CLOCK names a file of eight bytes: microseconds to add to the time of day, as this machine
 * writes an int64. Whoever writes the file moves the clock of who has preloaded this, at once and
 * by a step. The steady clock is left alone, as a step of a real machine's clock leaves it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

typedef int (*clock_function)(clockid_t, struct timespec *);

static struct {
    clock_function real;
    const volatile int64_t *offset_us;
} skew;

__attribute__((constructor)) static void
skew_open(void)
{
    skew.real = (clock_function)dlsym(RTLD_NEXT, "clock_gettime");
    const char *path = getenv("STORM_CLOCK");
    int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return;
    void *page = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (page != MAP_FAILED)
        skew.offset_us = page;
}

int
clock_gettime(clockid_t clock, struct timespec *out)
{
    if (skew.real == NULL)
        skew_open();
    int result = skew.real(clock, out);
    if (result != 0 || skew.offset_us == NULL ||
        (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE))
        return result;
    int64_t us = out->tv_sec * 1000000 + out->tv_nsec / 1000 + *skew.offset_us;
    out->tv_sec = us / 1000000;
    out->tv_nsec = us % 1000000 * 1000;
    return 0;
}

int
gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    (void)zone;
    struct timespec now;
    int result = clock_gettime(CLOCK_REALTIME, &now);
    out->tv_sec = now.tv_sec;
    out->tv_usec = now.tv_nsec / 1000;
    return result;
}

time_t
time(time_t *out)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out != NULL)
        *out = now.tv_sec;
    return now.tv_sec;
}
