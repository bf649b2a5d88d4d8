/*
 * sim.c - the seeded simulation as a program: many seeds side by side, and how they went.
 *
 *   sim [--seed N] [--runs R] [--steps M] [--jobs J] [--mutation NAME] [--expect-failure]
 *       [--mutations] [--quiet] [--verbose]
 *
 * One run is one seed; R runs take the seeds N, N + 1, ... in J processes. After M steps the faults
 * stop, the clients get their answers, and the judge compares everything. A run that fails prints
 * the command that tells its story again, and the end of that story. With a mutation the simulation
 * does something wrong on purpose; --expect-failure then ends well only when that was seen.
 * --mutations looks for the first of R seeds that sees each of them, and prints a table.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "sim/sim.h"

#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host/log.h"

#define JOBS_MAX     64
#define FAILURES_MAX 3 /* then it is enough */

struct arguments {
    uint64_t seed;
    uint32_t runs, steps, jobs;
    enum sim_mutation mutation;
    bool expect_failure, is_verbose, is_quiet, all_mutations;
};

/* A job is a run of seeds that ends with its first failure. Without --mutations all of them share
 * the seeds. */
struct worker {
    pid_t pid;
    enum sim_mutation mutation;
    _Atomic uint64_t seed; /* at work */
    uint32_t done;
    bool has_failed;
    uint64_t failed_seed;
    uint32_t failed_step;
    char failure[512];
    struct sim_counts counts;
};

/* What parent and workers share. */
struct shared {
    _Atomic uint64_t next; /* seed */
    _Atomic uint32_t done, failures;
    struct worker workers[JOBS_MAX];
    char tail[SIM_TAIL_LINES * SIM_TAIL_BYTES];
};

static struct shared *shared;
static struct sim sim;

/* ---- One seed -------------------------------------------------------------------------------- */

/* Whether all was well. */
static bool
run(const struct arguments *a, uint64_t seed, enum sim_mutation mutation, char *tail)
{
    memset(&sim, 0, sizeof sim);
    sim.seed = seed;
    sim.steps = a->steps;
    sim.mutation = mutation;
    sim.is_verbose = a->is_verbose;
    sim.tail = tail;
    sim_run(&sim);
    return sim.failure[0] == '\0';
}

static void
add_counts(struct sim_counts *to, const struct sim_counts *from)
{
#define SIM_ADD(name) to->name += from->name;
    SIM_COUNTS(SIM_ADD)
#undef SIM_ADD
}

static void
tell_counts(const struct sim_counts *c)
{
    const char *comma = "  ";
#define SIM_TELL(name) printf("%s%s %" PRIu64, comma, #name, c->name), comma = ", ";
    SIM_COUNTS(SIM_TELL)
#undef SIM_TELL
    printf("\n");
}

/* The failing seed once more, in a process of its own, with the end of its story noted. */
static void
tell_tail(const struct arguments *a, uint64_t seed, enum sim_mutation mutation)
{
    memset(shared->tail, 0, sizeof shared->tail);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        (void)run(a, seed, mutation, shared->tail);
        fflush(stdout);
        _exit(0);
    }
    (void)waitpid(pid, NULL, 0);
    printf("its last steps:\n");
    for (int i = 0; i < SIM_TAIL_LINES; i++)
        if (shared->tail[i * SIM_TAIL_BYTES] != '\0')
            printf("  %s\n", shared->tail + i * SIM_TAIL_BYTES);
}

static void
tell_failure(const struct arguments *a, const struct worker *w)
{
    if (a->expect_failure) {
        printf("seen at seed %" PRIu64 ", step %u: %s\n", w->failed_seed, w->failed_step,
               w->failure);
        return;
    }
    printf("FAILED at step %u: %s\nseed %" PRIu64 ": again with sim --seed %" PRIu64
           " --steps %u%s%s\n",
           w->failed_step, w->failure, w->failed_seed, w->failed_seed, a->steps,
           w->mutation != SIM_none ? " --mutation " : "",
           w->mutation != SIM_none ? sim_mutation_names[w->mutation] : "");
    tell_tail(a, w->failed_seed, w->mutation);
}

/* ---- Workers --------------------------------------------------------------------------------- */

/* The next seed of a worker; false when there is none. */
static bool
next_seed(const struct arguments *a, struct worker *w, uint64_t *seed)
{
    uint64_t at = a->all_mutations ? w->done : atomic_fetch_add(&shared->next, 1);
    *seed = a->seed + at;
    bool is_enough =
        !a->all_mutations && shared->failures >= (a->expect_failure ? 1 : FAILURES_MAX);
    return at < a->runs && !is_enough;
}

static void
work(const struct arguments *a, struct worker *w)
{
    uint64_t seed;
    while (!w->has_failed && next_seed(a, w, &seed)) {
        w->seed = seed;
        bool is_well = run(a, seed, w->mutation, NULL);
        w->done++;
        shared->done++;
        add_counts(&w->counts, &sim.counts);
        if (is_well)
            continue;
        w->has_failed = true;
        w->failed_seed = seed;
        w->failed_step = sim.step;
        memcpy(w->failure, sim.failure, sizeof w->failure);
        shared->failures++;
    }
}

static void
worker_start(const struct arguments *a, struct worker *w, enum sim_mutation mutation)
{
    memset(w, 0, sizeof *w);
    w->mutation = mutation;
    fflush(stdout);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid > 0) {
        w->pid = pid; /* shared: not for the child to set */
        return;
    }
    /* What dies by a CHECK or a sanitizer tells why by itself; the parent tells of the seed. */
    if (a->expect_failure || a->all_mutations)
        (void)freopen("/dev/null", "w", stderr);
    work(a, w);
    fflush(stdout);
    _exit(0);
}

/* A worker that died instead of coming to its end has failed too. */
static struct worker *
worker_wait(void)
{
    int status;
    pid_t pid = waitpid(-1, &status, WNOHANG);
    for (int i = 0; i < JOBS_MAX && pid > 0; i++) {
        struct worker *w = &shared->workers[i];
        if (w->pid != pid)
            continue;
        w->pid = 0;
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            w->has_failed = true;
            w->failed_seed = w->seed;
            w->done++;
            shared->failures++;
            snprintf(w->failure, sizeof w->failure, "the process died: %s %d",
                     WIFSIGNALED(status) ? "signal" : "status",
                     WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        }
        return w;
    }
    return NULL;
}

static double
seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Until a worker has ended, or some seconds have passed; then how far they are. */
static void
wait_or_tell(const struct arguments *a, double began, const char *what, uint32_t of)
{
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    const struct timespec most = {.tv_sec = isatty(STDERR_FILENO) ? 1 : 10};
    if (sigtimedwait(&child, NULL, &most) > 0 || a->is_quiet)
        return;
    uint32_t done = shared->done;
    fprintf(stderr, "%u of %u %s, %.0f a second%s", done, of, what, done / (seconds() - began),
            isatty(STDERR_FILENO) ? "   \r" : "\n");
}

static uint32_t
jobs_of(const struct arguments *a, uint32_t most)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t jobs = a->jobs > 0 ? a->jobs : processors > 0 ? (uint32_t)processors : 1;
    jobs = jobs < most ? jobs : most;
    return jobs < JOBS_MAX ? jobs : JOBS_MAX;
}

/* ---- Many seeds ------------------------------------------------------------------------------ */

static int
run_seeds(const struct arguments *a)
{
    uint32_t jobs = jobs_of(a, a->runs), alive = jobs, failures = 0;
    struct sim_counts counts = {.turns = 0};
    double began = seconds();
    for (uint32_t i = 0; i < jobs; i++)
        worker_start(a, &shared->workers[i], a->mutation);
    while (alive > 0) {
        wait_or_tell(a, began, "seeds", a->runs);
        for (struct worker *w; alive > 0 && (w = worker_wait()) != NULL; alive--) {
            add_counts(&counts, &w->counts);
            failures += w->has_failed;
            if (w->has_failed && (!a->expect_failure || failures == 1))
                tell_failure(a, w);
        }
    }
    double took = seconds() - began;
    uint32_t done = shared->done;
    if (!a->is_quiet && !a->expect_failure)
        tell_counts(&counts);
    if (!a->expect_failure && failures == 0)
        printf("%u seeds of %u steps, all is well: %.0f seeds a second, %u processes\n", done,
               a->steps, done / took, jobs);
    if (a->expect_failure && failures == 0)
        printf("NOT SEEN: %s in %u seeds\n", sim_mutation_names[a->mutation], done);
    return (failures > 0) != a->expect_failure;
}

/* ---- All mutations --------------------------------------------------------------------------- */

struct seen {
    bool is_seen;
    uint64_t seed;
    uint32_t seeds;
    char how[512];
};

static void
note_seen(struct seen *seen, const struct arguments *a, const struct worker *w)
{
    struct seen *m = &seen[w->mutation];
    *m = (struct seen){.is_seen = w->has_failed, .seed = w->failed_seed, .seeds = a->runs};
    memcpy(m->how, w->failure, sizeof m->how);
}

static int
run_mutations(const struct arguments *a)
{
    static struct seen seen[SIM_MUTATION_COUNT];
    uint32_t jobs = jobs_of(a, SIM_MUTATION_COUNT - 1), alive = 0, next = SIM_none + 1, unseen = 0;
    double began = seconds();
    for (; alive < jobs; alive++)
        worker_start(a, &shared->workers[alive], (enum sim_mutation)next++);
    while (alive > 0) {
        wait_or_tell(a, began, "seeds", (SIM_MUTATION_COUNT - 1) * a->runs);
        for (struct worker *w; (w = worker_wait()) != NULL;) {
            note_seen(seen, a, w);
            if (next < SIM_MUTATION_COUNT)
                worker_start(a, w, (enum sim_mutation)next++);
            else
                alive--;
            if (alive == 0)
                break;
        }
    }
    for (uint32_t i = SIM_none + 1; i < SIM_MUTATION_COUNT; i++) {
        unseen += !seen[i].is_seen;
        if (seen[i].is_seen)
            printf("%-20s seed %4" PRIu64 " of %u  %s: \"%s\"\n", sim_mutation_names[i],
                   seen[i].seed, seen[i].seeds, sim_mutation_sentences[i], seen[i].how);
        else
            printf("%-20s NOT SEEN of %u  %s\n", sim_mutation_names[i], seen[i].seeds,
                   sim_mutation_sentences[i]);
    }
    printf("%u mutations, %u seen, with %u seeds of %u steps each at most\n",
           SIM_MUTATION_COUNT - 1, SIM_MUTATION_COUNT - 1 - unseen, a->runs, a->steps);
    return unseen > 0;
}

/* ---- The program ----------------------------------------------------------------------------- */

static enum sim_mutation
mutation_by_name(const char *name)
{
    for (int i = 0; i < SIM_MUTATION_COUNT; i++)
        if (strcmp(name, sim_mutation_names[i]) == 0)
            return (enum sim_mutation)i;
    fprintf(stderr, "sim: there is no mutation %s\n", name);
    exit(2);
}

static bool
flag_read(struct arguments *a, const char *name)
{
    const struct {
        const char *name;
        bool *flag;
    } flags[] = {{"--verbose", &a->is_verbose},
                 {"--quiet", &a->is_quiet},
                 {"--expect-failure", &a->expect_failure},
                 {"--mutations", &a->all_mutations}};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (strcmp(name, flags[i].name) == 0)
            return *flags[i].flag = true;
    return false;
}

static void
arguments_read(struct arguments *a, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (flag_read(a, argv[i]))
            continue;
        if (strcmp(argv[i], "--seed") == 0)
            a->seed = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--runs") == 0)
            a->runs = (uint32_t)strtoul(value, NULL, 10);
        else if (strcmp(argv[i], "--steps") == 0)
            a->steps = (uint32_t)strtoul(value, NULL, 10);
        else if (strcmp(argv[i], "--jobs") == 0)
            a->jobs = (uint32_t)strtoul(value, NULL, 10);
        else if (strcmp(argv[i], "--mutation") == 0)
            a->mutation = mutation_by_name(value);
        else {
            fprintf(stderr, "sim: %s is not known; see the head of sim.c\n", argv[i]);
            exit(2);
        }
        i++;
    }
}

int
main(int argc, char **argv)
{
    struct arguments a = {.seed = 1, .runs = 1, .steps = 400};
    sigset_t child;
    arguments_read(&a, argc, argv);
    setvbuf(stdout, NULL, _IOLBF, 0);
    log_open("sim", a.is_verbose ? LOG_DEBUG : LOG_ERROR + 1);
    /* What one run has freed the next one takes, but for the largest, of which little is used. */
    (void)mallopt(M_MMAP_THRESHOLD, 2 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 256 << 20);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    return a.all_mutations ? run_mutations(&a) : run_seeds(&a);
}
