/*
 * realism.c - what the fill models make of real orders, beside what really became of them.
 *
 *   realism FILE [SAMPLE]
 *
 * FILE is a LOBSTER message file, plain or gzip. Each order that can be judged goes through the
 * matcher as a trial (trial.h), once by each model, with depth after every event and with depth
 * every 100 ms. Of every SAMPLE-th order (97) the trial is held against a whole one. Prints one
 * JSON object.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trial.h"

#define INTERVAL_NS INT64_C(100000000)
#define WHOLE_ROWS  1000

enum { VIEWS = 2, SETS = 2, MODELS = 4 };

static const char *const view_names[VIEWS] = {"event", "100ms"};
static const char *const set_names[SETS] = {"all", "hard"};
static const char *const model_names[MODELS] = {"absent", "touch", "through", "queue"};

/* Of one view, model and set of orders. */
struct score {
    uint32_t matrix[LOBSTER_CLASSES][LOBSTER_CLASSES]; /* real, paper */
    uint32_t full, exact, late, never;                 /* of really full orders */
    int64_t quantity, real, paper, both;               /* shares: wanted, filled by each, by both */
    double *errors;                                    /* of their times, in lives; never: huge */
    double *errors_ms;
};

#define NEVER 1e300

static bool
is_in(const struct lobster_order *o, int set)
{
    return set == 0 || (o->was_best && o->was_behind);
}

static int64_t
least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void
score_add(struct score *s, const struct lobster *l, const struct lobster_order *o,
          const struct trial_outcome *t)
{
    s->matrix[o->class][t->class]++;
    s->quantity += o->wanted;
    s->real += o->executed;
    s->paper += least(t->by_end, o->wanted);
    s->both += least(t->by_end, o->executed);
    if (o->class != LOBSTER_FULL)
        return;
    int64_t life_ns = o->full_ns - l->rows[o->first].time_ns, off_ns = t->full_ns - o->full_ns;
    double off = (double)(off_ns < 0 ? -off_ns : off_ns);
    bool is_never = t->full_ns == 0;
    s->errors[s->full] = is_never      ? NEVER
                         : off == 0    ? 0
                         : life_ns > 0 ? off / (double)life_ns
                                       : NEVER;
    s->errors_ms[s->full] = is_never ? NEVER : off / 1e6;
    s->full++;
    s->never += is_never;
    s->exact += !is_never && off_ns == 0;
    s->late += !is_never && off_ns > 0;
}

/* ---- Numbers --------------------------------------------------------------------------------- */

static int
compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* null for what is beyond all bounds. */
static void
print_quantile(const char *name, double *values, uint32_t count, double part)
{
    qsort(values, count, sizeof(*values), compare);
    double value = count > 0 ? values[(uint32_t)(part * (count - 1) + 0.5)] : NEVER;
    if (value >= NEVER)
        printf(",\"%s\":null", name);
    else
        printf(",\"%s\":%.6f", name, value);
}

static double
share(uint64_t part, uint64_t of)
{
    return of > 0 ? (double)part / (double)of : 0;
}

static void
score_print(struct score *s)
{
    uint32_t all = 0, right = 0, rows[LOBSTER_CLASSES] = {0}, columns[LOBSTER_CLASSES] = {0};
    printf("{\"matrix\":[");
    for (int i = 0; i < LOBSTER_CLASSES; i++)
        for (int j = 0; j < LOBSTER_CLASSES; j++) {
            uint32_t n = s->matrix[i][j];
            all += n;
            rows[i] += n;
            columns[j] += n;
            right += i == j ? n : 0;
            printf("%s%u%s", j == 0 ? (i > 0 ? ",[" : "[") : ",", n,
                   j + 1 == LOBSTER_CLASSES ? "]" : "");
        }
    uint32_t filled = all - rows[LOBSTER_UNFILLED], said = all - columns[LOBSTER_UNFILLED];
    uint32_t hit = filled - (s->matrix[LOBSTER_PART][0] + s->matrix[LOBSTER_FULL][0]);
    printf("],\"orders\":%u,\"right\":%.6f,\"base\":%.6f,\"precision\":%.6f,\"recall\":%.6f", all,
           share(right, all), share(rows[LOBSTER_UNFILLED], all), share(hit, said),
           share(hit, filled));
    printf(",\"quantity_precision\":%.6f,\"quantity_recall\":%.6f",
           share((uint64_t)s->both, (uint64_t)s->paper),
           share((uint64_t)s->both, (uint64_t)s->real));
    printf(",\"full\":%u,\"exact\":%.6f,\"late\":%.6f,\"never\":%u", s->full,
           share(s->exact, s->full), share(s->late, s->full), s->never);
    print_quantile("error_p50", s->errors, s->full, 0.5);
    print_quantile("error_p90", s->errors, s->full, 0.9);
    print_quantile("error_ms_p50", s->errors_ms, s->full, 0.5);
    print_quantile("error_ms_p90", s->errors_ms, s->full, 0.9);
    printf("}");
}

/* ---- Runs ------------------------------------------------------------------------------------ */

struct bench {
    struct lobster l;
    struct score scores[VIEWS][MODELS][SETS];
    uint32_t sample, compared, compared_filled, differing;
};

/* Whether the whole trial comes to the same. */
static void
hold_against_whole(struct bench *b, struct trial *t, uint32_t order, enum fill_model model,
                   const struct trial_outcome *found)
{
    struct trial_outcome whole = trial_run_whole(t, order, model, WHOLE_ROWS);
    b->compared++;
    b->compared_filled += found->filled > 0;
    if (whole.filled == found->filled && whole.by_end == found->by_end &&
        whole.first_ns == found->first_ns && whole.full_ns == found->full_ns)
        return;
    b->differing++;
    fprintf(stderr, "order %u by %s: %lld shares, whole %lld; full at %lld, whole %lld\n", order,
            model_names[model], (long long)found->filled, (long long)whole.filled,
            (long long)found->full_ns, (long long)whole.full_ns);
}

static void
run_view(struct bench *b, int view)
{
    lobster_prepare(&b->l, view == 0 ? 0 : INTERVAL_NS);
    struct trial *t = trial_new(&b->l);
    uint32_t judged = 0;
    for (uint32_t i = 0; i < b->l.orders_count; i++) {
        const struct lobster_order *o = &b->l.orders[i];
        if (!lobster_is_judged(o))
            continue;
        judged++;
        for (int model = 0; model < MODELS; model++) {
            struct trial_outcome found = trial_run(t, i, (enum fill_model)model);
            for (int set = 0; set < SETS; set++)
                if (is_in(o, set))
                    score_add(&b->scores[view][model][set], &b->l, o, &found);
            if (judged % b->sample == 0)
                hold_against_whole(b, t, i, (enum fill_model)model, &found);
        }
    }
    trial_free(&t);
}

static void
print_counts(const struct bench *b)
{
    uint32_t open = 0, late = 0, crossing = 0;
    for (uint32_t i = 0; i < b->l.orders_count; i++) {
        const struct lobster_order *o = &b->l.orders[i];
        late += o->is_late;
        open += !o->is_late && o->last == LOBSTER_NONE;
        crossing += !o->is_late && o->last != LOBSTER_NONE && o->entry.crosses;
    }
    printf("\"rows\":%u,\"orders\":%u,\"announced_late\":%u,\"open_at_end\":%u,"
           "\"crossing_100ms\":%u,\"sample\":%u,\"compared\":%u,\"compared_filled\":%u,"
           "\"differing\":%u",
           b->l.rows_count, b->l.orders_count, late, open, crossing, b->sample, b->compared,
           b->compared_filled, b->differing);
}

static void
print_all(struct bench *b)
{
    printf("{");
    print_counts(b);
    for (int v = 0; v < VIEWS; v++) {
        printf(",\"%s\":{", view_names[v]);
        for (int m = 0; m < MODELS; m++) {
            printf("%s\"%s\":{", m > 0 ? "," : "", model_names[m]);
            for (int s = 0; s < SETS; s++) {
                printf("%s\"%s\":", s > 0 ? "," : "", set_names[s]);
                score_print(&b->scores[v][m][s]);
            }
            printf("}");
        }
        printf("}");
    }
    printf("}\n");
}

static void
reserve(struct bench *b)
{
    for (int v = 0; v < VIEWS; v++)
        for (int m = 0; m < MODELS; m++)
            for (int s = 0; s < SETS; s++) {
                struct score *at = &b->scores[v][m][s];
                at->errors = malloc(b->l.orders_count * sizeof(double));
                at->errors_ms = malloc(b->l.orders_count * sizeof(double));
                CHECK(at->errors != NULL && at->errors_ms != NULL);
            }
}

static void
release(struct bench *b)
{
    for (int v = 0; v < VIEWS; v++)
        for (int m = 0; m < MODELS; m++)
            for (int s = 0; s < SETS; s++) {
                free(b->scores[v][m][s].errors);
                free(b->scores[v][m][s].errors_ms);
            }
    lobster_free(&b->l);
}

int
main(int argc, char **argv)
{
    static struct bench b;
    long sample = argc > 2 ? strtol(argv[2], NULL, 10) : 97;
    if (argc < 2 || sample < 1 || sample > 1000000) {
        fprintf(stderr, "usage: realism FILE [SAMPLE]\n");
        return 2;
    }
    b.sample = (uint32_t)sample;
    const char *wrong = lobster_read(&b.l, argv[1], UINT32_MAX);
    if (wrong != NULL) {
        fprintf(stderr, "%s is no LOBSTER message file: %s\n", argv[1], wrong);
        return 2;
    }
    reserve(&b);
    for (int v = 0; v < VIEWS; v++)
        run_view(&b, v);
    print_all(&b);
    release(&b);
    return 0;
}
