/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A scenario is brought to where it begins in a process of its own; each crash point is
 * a fork of that, so that the way there is gone once. What a fork shares with the others
 * by accident, the drivers' files, it copies first.
 */
#include "tests/sim/crash.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "model/json.h"
#include "tests/sim/invariants.h"
#include "tests/sim/prng.h"
#include "tests/sim/scenarios.h"
#include "tests/sim/sim.h"

enum { KINDS = 1 + SIM_LOSSES, START_CALLS = 60, STORM = 100, SETTLED_AFTER_MS = 60000 };

struct point {
    uint64_t at, second; /* calls after the beginning, and after the restart */
    int kind;            /* 0: kill -9; else 1 + enum sim_loss */
    unsigned storm;      /* deaths after the first, each amid the recovery from the last */
};

/* ---- the drivers' files ------------------------------------------------------------- */

static void descriptors_follow(const char *old)
{
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *entry;
    size_t len = strlen(old);
    while (dir && (entry = readdir(dir))) {
        char link[64], path[256];
        int fd = atoi(entry->d_name);
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t got = readlink(link, path, sizeof path - 1);
        path[got > 0 ? got : 0] = '\0';
        if (got <= 0 || strncmp(path, old, len) != 0 || path[len] != '/')
            continue;
        int ours = open(path + len + 1, O_RDWR | O_APPEND | O_CLOEXEC);
        if (ours < 0 || dup2(ours, fd) < 0)
            abort();
        close(ours);
    }
    closedir(dir);
}

static void files_copy(struct sim *sim)
{
    char old[64], command[256];
    snprintf(old, sizeof old, "%s", sim->host.dir);
    char *suffix = strrchr(sim->host.dir, '-');
    snprintf(suffix, sizeof sim->host.dir - (size_t)(suffix - sim->host.dir), "-XXXXXX");
    if (!mkdtemp(sim->host.dir))
        abort();
    snprintf(command, sizeof command, "cp -r '%s/.' '%s'", old, sim->host.dir);
    if (system(command) != 0 || chdir(sim->host.dir) < 0)
        abort();
    descriptors_follow(old);
}

/* ---- one run ------------------------------------------------------------------------ */

static int by_identity(const void *left, const void *right)
{
    const struct thing *a = *(const struct thing *const *)left;
    const struct thing *b = *(const struct thing *const *)right;
    int order = strcmp(a->kind, b->kind);
    order = order ? order : strcmp(a->project, b->project);
    order = order ? order : strcmp(a->name, b->name);
    return order ? order : strcmp(a->uid, b->uid);
}

/* A running machine may know a volume by an old name: it is the volume that counts. */
static const struct value *spec_by_uid(struct arena *arena, const struct thing *thing)
{
    struct value *spec = value_copy(arena, thing->spec);
    const struct value *disks = value_get(spec, "disks");
    for (size_t i = 0; value_is_list(disks) && i < disks->count; i++)
        value_set_text(arena, disks->items[i], "volume", truth_disk_uid(thing, disks->items[i]));
    return spec;
}

/* What exists, but for how often it was made, at which epoch, and (a replacement may go on
 * with the old one) under which uid. */
static void world_digest(struct sim *sim, char out[17])
{
    crypto_generichash_state hash;
    unsigned char bytes[32];
    struct arena *arena = arena_new();
    const struct thing **things = arena_array(arena, sim->truth.count + 1, sizeof *things);
    size_t count = 0;
    for (size_t i = 0; i < sim->truth.count; i++)
        if (sim->truth.things[i].exists)
            things[count++] = &sim->truth.things[i];
    qsort(things, count, sizeof *things, by_identity);
    crypto_generichash_init(&hash, NULL, 0, sizeof bytes);
    for (size_t i = 0; i < count; i++) {
        const char *line =
            arena_printf(arena, "%s %s %s %s %d %d %" PRIu64, things[i]->kind, things[i]->project,
                         things[i]->name, json_text(arena, spec_by_uid(arena, things[i])),
                         things[i]->booted != NULL, things[i]->is_released, things[i]->writes);
        if (sim->trace.is_shown)
            printf("# %s\n", line);
        crypto_generichash_update(&hash, (const unsigned char *)line, strlen(line) + 1);
    }
    crypto_generichash_final(&hash, bytes, sizeof bytes);
    sodium_bin2hex(out, 17, bytes, 8);
    arena_free(arena);
}

static void point_arm(struct sim *sim, const struct point *point, uint64_t span)
{
    struct host *host = &sim->host;
    host->has_no_power = host->again_has_no_power = point->kind > 0;
    host->loss = point->kind > 0 ? (enum sim_loss)(point->kind - 1) : SIM_LOSS_ALL;
    host->crash_at = host->calls + point->at;
    host->again_at = point->second;
    host->storm_left = point->storm;
    host->storm_span = span ? span : 1;
    host->storm_state = point->at;
    host->deaths = 0;
}

static void scenario_go(struct sim *sim, const struct scenario *scenario)
{
    if (scenario->to) {
        struct wish wish = scenario_base();
        scenario->to(&wish);
        git_push_wish(sim, &wish);
        daemon_head(sim);
    }
    if (scenario->act)
        scenario->act(sim);
    if (sim->host.is_dead)
        daemon_pump(sim);
}

/* Settled, and a minute later still. */
static bool comes_to_rest(struct sim *sim)
{
    if (!quiet_settle(sim))
        return false;
    for (int64_t until = sim->now_ms + SETTLED_AFTER_MS; sim->violated < 0 && sim_step(sim, until);)
        continue;
    if (daemon_is_up(sim))
        core_look(sim->host.core);
    daemon_pump(sim);
    return quiet_settle(sim) && sim->violated < 0;
}

/* How often it crashed: a call that it never came to cannot be its last. */
static uint64_t point_go(struct sim *sim, const struct scenario *scenario,
                         const struct point *point, uint64_t span, char why[MESSAGE_MAX],
                         char digest[17])
{
    point_arm(sim, point, span);
    scenario_go(sim, scenario);
    const struct moment rest = {.when = AT_REST};
    bool is_at_rest = comes_to_rest(sim);
    sim->host.crash_at = sim->host.again_at = sim->host.storm_left = 0;
    if (is_at_rest) /* as declared: that it is as undisturbed says little if both are wrong */
        invariants_check(sim, &rest);
    world_digest(sim, digest);
    if (sim->violated >= 0)
        snprintf(why, MESSAGE_MAX, "%s: %.400s", invariants[sim->violated].id, sim->message);
    else if (!is_at_rest)
        snprintf(why, MESSAGE_MAX, "it found no rest");
    else if (sim->host.deaths < point->storm)
        snprintf(why, MESSAGE_MAX, "it died only %" PRIu64 " times", sim->host.deaths);
    return sim->host.deaths;
}

/* ---- all points of a scenario ------------------------------------------------------- */

struct enumeration {
    const struct crash_options *options;
    const struct scenario *scenario;
    struct sim *sim;
    char digest[17];  /* of the undisturbed end */
    char stopped[17]; /* of that end after a loss of power: what waited for a stop is done */
    uint64_t calls, recovery; /* of all of it, and of a restart amid it */
    unsigned running;
    uint64_t failures;
};

static _Noreturn void point_main(struct enumeration *all, const struct point *point)
{
    char why[MESSAGE_MAX] = "", digest[17];
    struct sim *sim = all->sim;
    files_copy(sim);
    sim->trace.is_shown = all->options->is_shown;
    uint64_t deaths = point_go(sim, all->scenario, point, all->recovery / 2, why, digest);
    bool is_right =
        strcmp(digest, all->digest) == 0 || (point->kind > 0 && strcmp(digest, all->stopped) == 0);
    if (!why[0] && !deaths)
        snprintf(why, sizeof why, "it made fewer calls than undisturbed, and did not die");
    if (!why[0] && !is_right)
        snprintf(why, sizeof why, "the end is another than undisturbed");
    tally_add(&sim->tally->crash_points, deaths > 0 && !point->storm);
    tally_add(&sim->tally->double_crashes, deaths > 1 && !point->storm);
    tally_add(&sim->tally->seconds_unmet, deaths == 1 && point->second && !point->storm);
    tally_add(&sim->tally->storm_deaths, point->storm ? deaths : 0);
    if (why[0])
        printf("%s: %s\n  replay: build/tests/sim/spinel-sim crash --scenario %s --at %" PRIu64
               " --loss %d --%s %" PRIu64 " --trace\n",
               all->scenario->name, why, all->scenario->name, point->at, point->kind,
               point->storm ? "storm" : "second", point->storm ? point->storm : point->second);
    fflush(stdout);
    daemon_close(sim);
    _exit(why[0] != '\0');
}

static void point_wait(struct enumeration *all)
{
    int status;
    if (wait(&status) > 0) {
        all->running--;
        if (WIFSIGNALED(status))
            printf("%s: a point ended by signal %d\n", all->scenario->name, WTERMSIG(status));
        all->failures += status != 0;
    }
}

static void point_fork(struct enumeration *all, const struct point *point)
{
    while (all->running >= all->options->jobs)
        point_wait(all);
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0)
        abort();
    if (pid == 0)
        point_main(all, point);
    all->running++;
}

/* What a fork saw of one run. */
struct seen {
    uint64_t calls, recovery; /* until the end, and from the last start on */
    char digest[17], stopped[17];
    char why[MESSAGE_MAX];
};

static void run_watch(struct enumeration *all, const struct point *point, struct seen *seen)
{
    struct sim *sim = all->sim;
    uint64_t before = sim->host.calls;
    files_copy(sim);
    uint64_t deaths = point_go(sim, all->scenario, point, 1, seen->why, seen->digest);
    seen->calls = sim->host.calls - before;
    seen->recovery = deaths ? sim->host.calls - sim->host.swept_calls : 0;
    if (deaths)
        return;
    daemon_crash(sim, true);
    if (!seen->why[0] && !comes_to_rest(sim))
        snprintf(seen->why, sizeof seen->why, "it found no rest after a loss of power");
    world_digest(sim, seen->stopped);
}

static struct seen run_see(struct enumeration *all, const struct point *point)
{
    struct seen seen = {.calls = 0};
    int ends[2];
    if (pipe(ends) < 0)
        abort();
    fflush(stdout);
    if (fork() == 0) {
        run_watch(all, point, &seen);
        if (write(ends[1], &seen, sizeof seen) != sizeof seen)
            abort();
        daemon_close(all->sim);
        _exit(0);
    }
    close(ends[1]);
    if (read(ends[0], &seen, sizeof seen) != sizeof seen)
        snprintf(seen.why, sizeof seen.why, "it died");
    close(ends[0]);
    wait(NULL);
    return seen;
}

/* The number of calls and the end of a run that nothing disturbs. */
static void undisturbed(struct enumeration *all)
{
    const struct point never = {.at = UINT32_MAX};
    struct seen seen = run_see(all, &never);
    if (seen.why[0]) {
        printf("%s: fails undisturbed: %s\n", all->scenario->name, seen.why);
        all->failures++;
    }
    all->calls = seen.calls;
    memcpy(all->digest, seen.digest, sizeof all->digest);
    memcpy(all->stopped, seen.stopped, sizeof all->stopped);
}

/* How many calls a recovery makes, from the first of the restart until all is at rest: the most of
 * three, so that second crashes are spread over all of it. */
static void recoveries_measure(struct enumeration *all)
{
    for (uint64_t i = 1; i <= 3; i++) {
        const struct point point = {.at = 1 + all->calls * i / 4};
        uint64_t recovery = run_see(all, &point).recovery;
        all->recovery = recovery > all->recovery ? recovery : all->recovery;
    }
}

/* Any call of a recovery, and half the time one of the start itself, where little else comes. */
static uint64_t second_choose(const struct enumeration *all, uint64_t number)
{
    uint64_t state = number + 1, bits = splitmix64(&state);
    uint64_t room = bits & 1 ? all->recovery : START_CALLS;
    return 1 + (bits >> 1) % (room ? room : 1);
}

/* Which are taken has nothing to do with how many kinds there are. */
static bool is_left_out(uint64_t number, unsigned sample)
{
    uint64_t state = number;
    return splitmix64(&state) % sample != 0;
}

static void points_fork(struct enumeration *all)
{
    const struct crash_options *options = all->options;
    for (uint64_t at = options->at ? options->at : 1; at <= all->calls; at++) {
        for (int kind = 0; kind < KINDS; kind++) {
            uint64_t number = (at - 1) * KINDS + (uint64_t)kind;
            if ((options->loss >= 0 && kind != options->loss) ||
                is_left_out(number, options->sample))
                continue;
            struct point point = {.at = at, .kind = kind};
            if (!options->at || !options->second)
                point_fork(all, &point);
            point.second = options->second ? options->second : second_choose(all, number);
            if (!options->at || options->second)
                point_fork(all, &point);
        }
        if (options->at)
            break;
    }
    while (all->running)
        point_wait(all);
}

/* A hundred deaths in a row, of each kind, begun amid the change: the end is that of one clean run.
 */
static void storms_fork(struct enumeration *all)
{
    const struct crash_options *options = all->options;
    for (int kind = 0; kind < KINDS; kind++) {
        const struct point point = {.at = options->at ? options->at : 1 + all->calls / 2,
                                    .kind = kind,
                                    .storm = options->storm ? options->storm : STORM};
        if (options->loss < 0 || kind == options->loss)
            point_fork(all, &point);
    }
    while (all->running)
        point_wait(all);
}

/* The scenario's own process: its exit status says whether it has failed. */
static uint64_t scenario_run(const struct scenario *scenario, const struct crash_options *options,
                             struct tally *tally)
{
    static struct sim sim;
    struct enumeration all = {.options = options, .scenario = scenario, .sim = &sim};
    const uint64_t met = tally->double_crashes, unmet = tally->seconds_unmet;
    struct wish wish = scenario_base();
    if (scenario->from)
        scenario->from(&wish);
    bool is_ready = sim_begin_calm(&sim, &wish, &scenario->able, false, tally);
    if (is_ready && scenario->middle) {
        wish = scenario_base();
        scenario->middle(&wish);
        git_push_wish(&sim, &wish);
        daemon_head(&sim);
        is_ready = quiet_settle(&sim) && sim.violated < 0;
    }
    truth_write(&sim.truth);
    if (is_ready) {
        undisturbed(&all);
        recoveries_measure(&all);
        if (!options->at || options->storm)
            storms_fork(&all);
        if (!options->storm)
            points_fork(&all);
    } else {
        printf("%s: does not begin: %s\n", scenario->name, sim.message);
        all.failures++;
    }
    printf("%-26s %5" PRIu64 " calls, %4" PRIu64 " of a recovery, %4" PRIu64
           " second crashes, %3" PRIu64 " that never came, %" PRIu64 " failures\n",
           scenario->name, all.calls, all.recovery, tally->double_crashes - met,
           tally->seconds_unmet - unmet, all.failures);
    daemon_close(&sim);
    return all.failures;
}

uint64_t crash_run(const struct crash_options *options, struct tally *tally)
{
    uint64_t failed = 0;
    bool is_any = false;
    for (size_t i = 0; i < scenario_count; i++) {
        int status = 0;
        if (options->only && strcmp(options->only, scenarios[i].name) != 0)
            continue;
        is_any = true;
        fflush(stdout);
        pid_t pid = fork();
        if (pid < 0)
            abort();
        if (pid == 0) {
            bool is_bad = scenario_run(&scenarios[i], options, tally) > 0;
            fflush(stdout);
            _exit(is_bad);
        }
        waitpid(pid, &status, 0);
        failed += status != 0;
    }
    if (!is_any)
        printf("there is no scenario %s\n", options->only);
    return failed + !is_any;
}
