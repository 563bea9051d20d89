/* SPDX-License-Identifier: MPL-2.0 */
/* spinel-sim: the simulator's command line. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "model/hash.h"
#include "tests/sim/crash.h"
#include "tests/sim/invariants.h"
#include "tests/sim/run.h"
#include "tests/sim/table.h"

static const char usage[] =
    "usage: spinel-sim run [--seeds N] [--from S] [--minutes M] [--jobs J] [--no-minimise]\n"
    "       spinel-sim replay SEED [--trace] [--without FAULT,...] [--seconds N]\n"
    "       spinel-sim minimise SEED\n"
    "       spinel-sim crash [--sample N] [--jobs J] [--scenario NAME [--at CALL --loss 0..4\n"
    "                         --second CALL | --storm DEATHS --trace]]\n"
    "       spinel-sim past FILE [--no-minimise]  seeds that found something once\n"
    "       spinel-sim determinism [--seeds N] [--from S]\n";

struct arguments {
    uint64_t seed, seeds, from;
    double minutes;
    unsigned jobs;
    bool is_shown, is_left_whole;
    const char *file, *scenario;
    uint64_t at, second, storm, sample;
    int loss;
    const char *without;
    int64_t active_s;
};

static struct arguments arguments_read(int argc, char **argv)
{
    struct arguments arguments = {.from = 1, .jobs = 1, .sample = 1, .loss = -1};
    for (int i = 0; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "0";
        if (strcmp(argv[i], "--trace") == 0)
            arguments.is_shown = true;
        else if (strcmp(argv[i], "--no-minimise") == 0)
            arguments.is_left_whole = true;
        else if (strcmp(argv[i], "--seeds") == 0)
            arguments.seeds = strtoull(value, NULL, 10), i++;
        else if (strcmp(argv[i], "--from") == 0)
            arguments.from = strtoull(value, NULL, 10), i++;
        else if (strcmp(argv[i], "--minutes") == 0)
            arguments.minutes = strtod(value, NULL), i++;
        else if (strcmp(argv[i], "--jobs") == 0)
            arguments.jobs = (unsigned)strtoul(value, NULL, 10), i++;
        else if (strcmp(argv[i], "--scenario") == 0)
            arguments.scenario = value, i++;
        else if (strcmp(argv[i], "--at") == 0)
            arguments.at = strtoull(value, NULL, 10), i++;
        else if (strcmp(argv[i], "--second") == 0)
            arguments.second = strtoull(value, NULL, 10), i++;
        else if (strcmp(argv[i], "--storm") == 0)
            arguments.storm = strtoull(value, NULL, 10), i++;
        else if (strcmp(argv[i], "--sample") == 0)
            arguments.sample = strtoull(value, NULL, 10), i++;
        else if (strcmp(argv[i], "--without") == 0)
            arguments.without = value, i++;
        else if (strcmp(argv[i], "--seconds") == 0)
            arguments.active_s = strtoll(value, NULL, 10), i++;
        else if (strcmp(argv[i], "--loss") == 0)
            arguments.loss = atoi(value), i++;
        else
            arguments.file = argv[i], arguments.seed = strtoull(argv[i], NULL, 10);
    }
    return arguments;
}

static void outcome_print(const struct outcome *outcome)
{
    if (outcome->has_died)
        printf("seed %" PRIu64 ": %s\n", outcome->seed, outcome->verdict.message);
    else if (outcome->verdict.violated >= 0)
        printf("seed %" PRIu64 ": %s broken (%s): %s\n", outcome->seed,
               invariants[outcome->verdict.violated].id,
               invariants[outcome->verdict.violated].sentence, outcome->verdict.message);
    else
        return;
    printf("  replay:   build/tests/sim/spinel-sim replay %" PRIu64 " --trace\n"
           "  minimise: build/tests/sim/spinel-sim minimise %" PRIu64 "\n",
           outcome->seed, outcome->seed);
    fflush(stdout);
}

static bool has_failed(const struct outcome *outcome)
{
    return outcome->has_died || outcome->verdict.violated >= 0;
}

/* ---- minimise ----------------------------------------------------------------------- */

enum { MINIMISE_S = 60 }; /* of a seed that nobody asked to be minimised */

struct search {
    const struct outcome *first;
    struct options options; /* the least that fails so far */
    struct tally *tally;
    int64_t until_s; /* INT64_MAX: until nothing more can go */
    bool is_cut;     /* it had no time for the rest */
};

static int64_t monotonic_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

/* Whether less than this breaks the same invariant, sooner or at the same time; if so, it is kept.
 * One that runs out of time has shown nothing. */
static bool fails_too(struct search *search, struct options less)
{
    const struct outcome *first = search->first;
    int64_t left_s = search->until_s - monotonic_s();
    search->is_cut |= left_s <= 0;
    if (search->is_cut)
        return false;
    less.cpu_s = search->until_s == INT64_MAX ? 0 : (unsigned)left_s;
    struct outcome outcome = run_one(first->seed, &less, search->tally);
    if (!has_failed(&outcome) || outcome.has_died != first->has_died ||
        outcome.verdict.violated != first->verdict.violated ||
        outcome.is_too_long != first->is_too_long)
        return false;
    search->options = less;
    return true;
}

/* What would come after the failure: a run that does not fail is then no longer than this. */
static void end_leave_out(struct search *search)
{
    struct options less = search->options;
    less.active_ms = (search->first->verdict.now_ms / 1000 + 1) * 1000;
    if (!search->first->has_died && less.active_ms < sim_swarm(search->first->seed).active_ms)
        fails_too(search, less);
}

/* Leaving a fault out leads elsewhere, and what did not help before may help then. */
static void faults_leave_out(struct search *search)
{
    const struct swarm swarm = sim_swarm(search->first->seed);
    for (bool has_left = true; has_left;) {
        has_left = false;
        for (int i = 0; i < FAULT_COUNT; i++) {
            struct options less = search->options;
            less.without[0] |= UINT64_C(1) << i;
            has_left |=
                swarm.rates[i] && !(search->options.without[0] >> i & 1) && fails_too(search, less);
        }
    }
}

/* By halves, then towards the shortest that still fails. */
static void time_cut(struct search *search)
{
    int64_t low = 0, active_ms = search->options.active_ms;
    int64_t high = (active_ms ? active_ms : sim_swarm(search->first->seed).active_ms) / 1000 + 1;
    while (low + 1 < high) {
        struct options less = search->options;
        int64_t middle = low + (high - low) / 2;
        less.active_ms = middle * 1000;
        if (fails_too(search, less))
            high = middle;
        else
            low = middle;
    }
}

static void command_print(const struct outcome *last, const struct options *options)
{
    const struct swarm swarm = sim_swarm(last->seed);
    const char *comma = " --without ";
    printf("needs:");
    for (int i = 0; i < FAULT_COUNT; i++)
        if (last->has_died ? swarm.rates[i] && !(options->without[0] >> i & 1)
                           : last->verdict.faults[i] > 0)
            printf(" %s", fault_names[i]);
    printf("\nreplay: build/tests/sim/spinel-sim replay %" PRIu64 " --trace", last->seed);
    for (int i = 0; i < FAULT_COUNT; i++)
        if (options->without[0] >> i & 1) {
            printf("%s%s", comma, fault_names[i]);
            comma = ",";
        }
    if (options->active_ms)
        printf(" --seconds %lld", (long long)options->active_ms / 1000);
    printf("\n");
}

/* Leaves out whatever the failure does not need: kinds of faults, then time. */
static void outcome_minimise(const struct outcome *first, int64_t until_s)
{
    struct search search = {.first = first, .tally = tally_share(), .until_s = until_s};
    end_leave_out(&search);
    faults_leave_out(&search);
    time_cut(&search);
    search.options.cpu_s = 0;
    struct outcome last = run_one(first->seed, &search.options, search.tally);
    if (!last.has_died)
        printf(
            "%" PRIu64 " events and %" PRIu64 " lines of trace; of %" PRIu64 " and %" PRIu64 "\n",
            last.verdict.events, last.verdict.lines, first->verdict.events, first->verdict.lines);
    printf("seed %" PRIu64 ": %s\n", last.seed, last.verdict.message);
    command_print(&last, &search.options);
    if (search.is_cut)
        printf("it was given %d s; build/tests/sim/spinel-sim minimise %" PRIu64
               " looks for less until there is none\n",
               MINIMISE_S, first->seed);
}

static int minimise(const struct arguments *arguments)
{
    const struct options options = {.is_shown = false};
    struct outcome first = run_one(arguments->seed, &options, tally_share());
    if (!has_failed(&first)) {
        printf("seed %" PRIu64 " fails nothing\n", arguments->seed);
        return 0;
    }
    outcome_minimise(&first, INT64_MAX);
    return 1;
}

/* ---- run ---------------------------------------------------------------------------- */

struct failures {
    uint64_t count;
    struct outcome lowest; /* of the lowest seed that fails */
};

static void failure_count(void *context, const struct outcome *outcome)
{
    struct failures *failures = context;
    outcome_print(outcome);
    if (!has_failed(outcome))
        return;
    if (!failures->count || outcome->seed < failures->lowest.seed)
        failures->lowest = *outcome;
    failures->count++;
}

/* One that ran out of time would do so again, and again. */
static void failures_minimise(const struct arguments *arguments, const struct failures *failures)
{
    if (!failures->count || failures->lowest.is_too_long || arguments->is_left_whole)
        return;
    printf("minimised, for at most %d s:\n", MINIMISE_S);
    fflush(stdout);
    outcome_minimise(&failures->lowest, monotonic_s() + MINIMISE_S);
}

static int run(const struct arguments *arguments)
{
    const struct options options = {.is_shown = false};
    struct tally *tally = tally_share();
    struct timespec began, ended;
    struct failures failures = {.count = 0};
    uint64_t count = arguments->seeds ? arguments->seeds : UINT64_MAX / 2;
    int64_t seconds = (int64_t)(arguments->minutes * 60);
    if (!arguments->seeds && !seconds)
        seconds = 60;
    clock_gettime(CLOCK_MONOTONIC, &began);
    run_seeds(arguments->from, count, seconds, arguments->jobs ? arguments->jobs : 1, &options,
              tally, failure_count, &failures);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    table_print(tally, (double)(ended.tv_sec - began.tv_sec) +
                           (double)(ended.tv_nsec - began.tv_nsec) / 1e9);
    printf("%" PRIu64 " failing seeds\n", failures.count);
    failures_minimise(arguments, &failures);
    return failures.count > 0;
}

/* False: there is no fault of such a name. */
static bool faults_read(const char *names, uint64_t *bits)
{
    while (names && *names) {
        size_t len = strcspn(names, ",");
        int fault = 0;
        while (fault < FAULT_COUNT &&
               (strlen(fault_names[fault]) != len || strncmp(fault_names[fault], names, len) != 0))
            fault++;
        if (fault == FAULT_COUNT) {
            fprintf(stderr, "spinel-sim: there is no fault %.*s\n", (int)len, names);
            return false;
        }
        *bits |= UINT64_C(1) << fault;
        names += names[len] ? len + 1 : len;
    }
    return true;
}

static int replay(const struct arguments *arguments)
{
    struct options options = {.is_shown = arguments->is_shown,
                              .active_ms = arguments->active_s * 1000};
    if (!faults_read(arguments->without, &options.without[0]))
        return 64;
    struct outcome outcome = run_one(arguments->seed, &options, tally_share());
    outcome_print(&outcome);
    printf("seed %" PRIu64 ": trace %s\n", outcome.seed, outcome.verdict.hash);
    return has_failed(&outcome);
}

static int past(const struct arguments *arguments)
{
    const struct options options = {.is_shown = false};
    struct tally *tally = tally_share();
    FILE *file = fopen(arguments->file ? arguments->file : "", "r");
    char line[512];
    struct failures failures = {.count = 0};
    int count = 0;
    if (!file) {
        fprintf(stderr, "spinel-sim: cannot read %s\n", arguments->file);
        return 64;
    }
    while (fgets(line, sizeof line, file)) {
        if (line[0] < '0' || line[0] > '9')
            continue;
        struct outcome outcome = run_one(strtoull(line, NULL, 10), &options, tally);
        failure_count(&failures, &outcome);
        count++;
    }
    fclose(file);
    printf("%d past seeds, %" PRIu64 " fail\n", count, failures.count);
    failures_minimise(arguments, &failures);
    return failures.count > 0;
}

/* ---- determinism -------------------------------------------------------------------- */

/* What no run may follow: the locale, the zone, how large the environment is, where the heap has
 * what (in this one, what is freed is not given out again first, and large blocks lie below each
 * other), what freed memory holds, and the order in tables. Addresses differ by themselves in
 * another process. */
static _Noreturn void replay_elsewhere(uint64_t seed, int out)
{
    static const char *const surroundings[][2] = {
        {"LC_ALL", "de_DE.UTF-8"},
        {"TZ", "Pacific/Chatham"},
        {"SIM_HASH_KEY", "in another order"},
        {"MALLOC_PERTURB_", "165"},
        {"GLIBC_TUNABLES", "glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0"
                           ":glibc.malloc.mmap_threshold=4096"},
    };
    char text[24], padding[4096];
    snprintf(text, sizeof text, "%" PRIu64, seed);
    memset(padding, 'x', sizeof padding - 1);
    padding[sizeof padding - 1] = '\0';
    setenv("PADDING", padding, 1);
    for (size_t i = 0; i < sizeof surroundings / sizeof *surroundings; i++)
        setenv(surroundings[i][0], surroundings[i][1], 1);
    dup2(out, STDOUT_FILENO);
    execl("/proc/self/exe", "spinel-sim", "replay", text, (char *)NULL);
    perror("spinel-sim: cannot run itself");
    _exit(127);
}

/* The trace's hash of a run in a process that shares nothing with this one. "": it gave none. */
static void hash_elsewhere(uint64_t seed, char hash[17])
{
    int ends[2];
    char line[1024];
    fflush(NULL);
    if (pipe(ends) < 0)
        abort();
    pid_t pid = fork();
    if (pid < 0)
        abort();
    if (pid == 0)
        replay_elsewhere(seed, ends[1]);
    close(ends[1]);
    FILE *said = fdopen(ends[0], "r");
    hash[0] = '\0';
    while (said && fgets(line, sizeof line, said))
        sscanf(line, "seed %*u: trace %16[0-9a-f]", hash);
    if (said)
        fclose(said);
    waitpid(pid, NULL, 0);
}

static int determinism(const struct arguments *arguments)
{
    const struct options options = {.is_shown = false};
    struct tally *tally = tally_share();
    uint64_t count = arguments->seeds ? arguments->seeds : 20, differ = 0;
    for (uint64_t seed = arguments->from; seed < arguments->from + count; seed++) {
        char hash[17];
        struct outcome one = run_one(seed, &options, tally);
        hash_elsewhere(seed, hash);
        if (strcmp(one.verdict.hash, hash) == 0)
            continue;
        printf("seed %" PRIu64 ": trace %s, elsewhere %s\n", seed, one.verdict.hash, hash);
        differ++;
    }
    printf("%" PRIu64 " seeds run twice, %" PRIu64 " differ\n", count, differ);
    return differ > 0;
}

static int crash(const struct arguments *arguments)
{
    const struct crash_options options = {.only = arguments->scenario,
                                          .at = arguments->at,
                                          .loss = arguments->loss,
                                          .second = arguments->second,
                                          .storm = (unsigned)arguments->storm,
                                          .sample =
                                              arguments->sample ? (unsigned)arguments->sample : 1,
                                          .jobs = arguments->jobs ? arguments->jobs : 1,
                                          .is_shown = arguments->is_shown};
    struct tally *tally = tally_share();
    uint64_t failed = crash_run(&options, tally);
    printf("crash points %" PRIu64 ", with a second crash %" PRIu64
           ", with one that never came %" PRIu64 ", deaths in storms %" PRIu64
           ", scenarios that fail %" PRIu64 "\n",
           tally->crash_points, tally->double_crashes, tally->seconds_unmet, tally->storm_deaths,
           failed);
    return failed > 0;
}

static const struct {
    const char *name;
    int (*run)(const struct arguments *arguments);
} commands[] = {
    {"run", run},     {"replay", replay}, {"minimise", minimise},
    {"crash", crash}, {"past", past},     {"determinism", determinism},
};

int main(int argc, char **argv)
{
    const char *key = getenv("SIM_HASH_KEY");
    if (key && strlen(key) == HASH_KEY_BYTES)
        hash_key_set((const unsigned char *)key);
    for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(argv[1], commands[i].name) != 0)
            continue;
        struct arguments arguments = arguments_read(argc - 2, argv + 2);
        return commands[i].run(&arguments);
    }
    fputs(usage, stderr);
    return 64;
}
