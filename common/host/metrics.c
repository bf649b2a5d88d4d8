/*
 * metrics.c - the registry of a process: a fixed array, written out on a scrape.
 *
 * Process-wide by nature, like the log. Metrics of one name are chained, because the text format
 * wants them together, whatever the order of registration. The process's own figures (processor
 * time, memory, descriptors) are read when asked for.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "host/metrics.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "wire/codec.h"

#define METRICS_MAX    1024
#define BUCKET_FIRST   4  /* 2^4 = 16 us */
#define BUCKET_LAST    24 /* 2^24 = 16.8 s */
#define BUCKETS        (BUCKET_LAST - BUCKET_FIRST + 1)
#define NAME_BYTES     96
#define LABELS_BYTES   128
#define SENTENCE_BYTES 160

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric {
    enum metric_type type;
    char name[NAME_BYTES], labels[LABELS_BYTES], sentence[SENTENCE_BYTES];
    int64_t value;            /* a histogram's sum */
    int64_t count;            /* a histogram's observations */
    int64_t buckets[BUCKETS]; /* each on its own; written as running sums */
    struct metric *same_name; /* the next one of this name */
    bool leads;               /* the first of its name */
};

static struct metric registry[METRICS_MAX];
static unsigned registry_count;

static struct metric *
metric_register(enum metric_type type, const char *name, const char *labels, const char *sentence)
{
    struct metric *last = NULL;
    for (unsigned i = 0; i < registry_count; i++) {
        struct metric *m = &registry[i];
        if (strcmp(m->name, name) != 0)
            continue;
        CHECK(m->type == type);
        if (strcmp(m->labels, labels) == 0)
            return m;
        last = m;
    }
    CHECK(registry_count < METRICS_MAX);
    CHECK(strlen(name) < NAME_BYTES && strlen(labels) < LABELS_BYTES);
    struct metric *m = &registry[registry_count++];
    m->type = type;
    snprintf(m->name, NAME_BYTES, "%s", name);
    snprintf(m->labels, LABELS_BYTES, "%s", labels);
    snprintf(m->sentence, SENTENCE_BYTES, "%s", sentence);
    m->leads = last == NULL;
    if (last != NULL)
        last->same_name = m;
    return m;
}

struct metric *
metric_counter(const char *name, const char *labels, const char *sentence)
{
    return metric_register(METRIC_COUNTER, name, labels, sentence);
}

struct metric *
metric_gauge(const char *name, const char *labels, const char *sentence)
{
    return metric_register(METRIC_GAUGE, name, labels, sentence);
}

struct metric *
metric_histogram(const char *name, const char *labels, const char *sentence)
{
    return metric_register(METRIC_HISTOGRAM, name, labels, sentence);
}

void
metric_add(struct metric *m, int64_t n)
{
    m->value += n;
}

void
metric_set(struct metric *m, int64_t value)
{
    m->value = value;
}

void
metric_observe_us(struct metric *m, int64_t us)
{
    m->value += us;
    m->count++;
    /* The bucket of the least power of two that is not below us. */
    int power = us <= 1 ? 0 : 64 - __builtin_clzll((uint64_t)us - 1);
    if (power < BUCKET_FIRST)
        power = BUCKET_FIRST;
    if (power <= BUCKET_LAST)
        m->buckets[power - BUCKET_FIRST]++;
}

int64_t
metric_value(const struct metric *m)
{
    return m->type == METRIC_HISTOGRAM ? m->count : m->value;
}

static void text_add(struct bytes *out, const char *format, ...) PRINTF(2, 3);

static void
text_add(struct bytes *out, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    CHECK(length >= 0 && length < (int)sizeof text);
    bytes_add(out, text, (size_t)length);
}

static void
head_write(struct bytes *out, const char *name, const char *sentence, const char *type)
{
    text_add(out, "# HELP %s %s\n# TYPE %s %s\n", name, sentence, name, type);
}

static void
histogram_write(struct bytes *out, const struct metric *m)
{
    const char *comma = m->labels[0] != '\0' ? "," : "";
    int64_t below = 0;
    for (int i = 0; i < BUCKETS; i++) {
        below += m->buckets[i];
        text_add(out, "%s_bucket{%s%sle=\"%" PRId64 "\"} %" PRId64 "\n", m->name, m->labels, comma,
                 INT64_C(1) << (i + BUCKET_FIRST), below);
    }
    text_add(out, "%s_bucket{%s%sle=\"+Inf\"} %" PRId64 "\n", m->name, m->labels, comma, m->count);
    const char *open = m->labels[0] != '\0' ? "{" : "", *close = m->labels[0] != '\0' ? "}" : "";
    text_add(out, "%s_sum%s%s%s %" PRId64 "\n", m->name, open, m->labels, close, m->value);
    text_add(out, "%s_count%s%s%s %" PRId64 "\n", m->name, open, m->labels, close, m->count);
}

static void
metric_write(struct bytes *out, const struct metric *m)
{
    if (m->type == METRIC_HISTOGRAM)
        histogram_write(out, m);
    else if (m->labels[0] != '\0')
        text_add(out, "%s{%s} %" PRId64 "\n", m->name, m->labels, m->value);
    else
        text_add(out, "%s %" PRId64 "\n", m->name, m->value);
}

static long
resident_bytes(void)
{
    long pages_all = 0, pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f == NULL)
        return 0;
    if (fscanf(f, "%ld %ld", &pages_all, &pages) != 2)
        pages = 0;
    fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}

static long
open_fds(void)
{
    long count = 0;
    DIR *d = opendir("/proc/self/fd");
    if (d == NULL)
        return 0;
    while (readdir(d) != NULL)
        count++;
    closedir(d);
    return count - 3; /* ".", ".." and the directory itself */
}

static void
process_write(struct bytes *out)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    int64_t us = ((int64_t)use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000 +
                 use.ru_utime.tv_usec + use.ru_stime.tv_usec;
    head_write(out, "process_cpu_seconds_total", "Processor time, user and system.", "counter");
    text_add(out, "process_cpu_seconds_total %" PRId64 ".%06" PRId64 "\n", us / 1000000,
             us % 1000000);
    head_write(out, "process_resident_memory_bytes", "Memory in use.", "gauge");
    text_add(out, "process_resident_memory_bytes %ld\n", resident_bytes());
    head_write(out, "process_open_fds", "Open descriptors.", "gauge");
    text_add(out, "process_open_fds %ld\n", open_fds());
}

void
metrics_write(struct bytes *out)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    for (unsigned i = 0; i < registry_count; i++) {
        const struct metric *first = &registry[i];
        if (!first->leads)
            continue;
        head_write(out, first->name, first->sentence, types[first->type]);
        for (const struct metric *m = first; m != NULL; m = m->same_name)
            metric_write(out, m);
    }
    process_write(out);
}
