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
#include "tests/sim/scenarios.h"
#include "tests/sim/sim.h"

enum { KINDS = 1 + SIM_LOSSES, SECOND_MAX = 100, SETTLED_AFTER_MS = 60000 };

struct point {
    uint64_t at, second; /* calls after the beginning, and after the restart */
    int kind;            /* 0: kill -9; else 1 + enum sim_loss */
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
    for (size_t i = 0; value_is_list(disks) && thing->open && i < disks->count; i++)
        for (size_t n = 0; n < thing->open->count; n++)
            if (strcmp(value_get_text(disks->items[i], "volume", ""),
                       thing->open->items[n]->items[0]->text) == 0) {
                value_set_text(arena, disks->items[i], "volume",
                               thing->open->items[n]->items[1]->text);
                break;
            }
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

static void point_arm(struct sim *sim, uint64_t calls, int kind)
{
    sim->host.has_no_power = kind > 0;
    sim->host.loss = kind > 0 ? (enum sim_loss)(kind - 1) : SIM_LOSS_ALL;
    sim->host.crash_at = sim->host.calls + calls;
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

static bool is_again_up(struct sim *sim, uint64_t life)
{
    while (sim->violated < 0 && !(daemon_is_up(sim) && sim->host.life > life))
        if (!sim_step(sim, sim->now_ms + 3600000))
            return false;
    return true;
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

/* True if it crashed at all: else there is no such call. */
static bool point_go(struct sim *sim, const struct scenario *scenario, const struct point *point,
                     char why[MESSAGE_MAX], char digest[17])
{
    uint64_t life = sim->host.life;
    point_arm(sim, point->at, point->kind);
    scenario_go(sim, scenario);
    bool is_at_rest = comes_to_rest(sim);
    bool has_crashed = sim->host.crash_at == 0;
    if (has_crashed && point->second && sim->violated < 0 && is_again_up(sim, life)) {
        point_arm(sim, point->second, point->kind);
        core_look(sim->host.core);
        daemon_pump(sim);
        is_at_rest = comes_to_rest(sim);
    }
    sim->host.crash_at = 0;
    world_digest(sim, digest);
    if (sim->violated >= 0)
        snprintf(why, MESSAGE_MAX, "%s: %.400s", invariants[sim->violated].id, sim->message);
    else if (!is_at_rest)
        snprintf(why, MESSAGE_MAX, "it found no rest");
    return has_crashed;
}

/* ---- all points of a scenario ------------------------------------------------------- */

struct enumeration {
    const struct crash_options *options;
    const struct scenario *scenario;
    struct sim *sim;
    char digest[17];  /* of the undisturbed end */
    char stopped[17]; /* of that end after a loss of power: what waited for a stop is done */
    uint64_t calls;
    unsigned running;
    uint64_t failures;
};

static _Noreturn void point_main(struct enumeration *all, const struct point *point)
{
    char why[MESSAGE_MAX] = "", digest[17];
    struct sim *sim = all->sim;
    files_copy(sim);
    sim->trace.is_shown = all->options->is_shown;
    bool has_crashed = point_go(sim, all->scenario, point, why, digest);
    bool is_right =
        strcmp(digest, all->digest) == 0 || (point->kind > 0 && strcmp(digest, all->stopped) == 0);
    if (!why[0] && !is_right)
        snprintf(why, sizeof why, "the end is another than undisturbed");
    tally_add(&sim->tally->crash_points, has_crashed);
    tally_add(&sim->tally->double_crashes, has_crashed && point->second);
    if (why[0])
        printf("%s: %s\n  replay: build/tests/sim/spinel-sim crash --scenario %s --at %" PRIu64
               " --loss %d --second %" PRIu64 " --trace\n",
               all->scenario->name, why, all->scenario->name, point->at, point->kind,
               point->second);
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

/* The number of calls and the end of a run that nothing disturbs, seen in a fork. */
static void undisturbed(struct enumeration *all)
{
    struct {
        uint64_t calls;
        char digest[17], stopped[17];
        char why[MESSAGE_MAX];
    } end = {.calls = 0};
    int ends[2];
    if (pipe(ends) < 0)
        abort();
    fflush(stdout);
    if (fork() == 0) {
        struct point never = {.at = UINT32_MAX};
        uint64_t before = all->sim->host.calls;
        files_copy(all->sim);
        point_go(all->sim, all->scenario, &never, end.why, end.digest);
        end.calls = all->sim->host.calls - before;
        daemon_crash(all->sim, true);
        if (!end.why[0] && !comes_to_rest(all->sim))
            snprintf(end.why, sizeof end.why, "it found no rest after a loss of power");
        world_digest(all->sim, end.stopped);
        if (write(ends[1], &end, sizeof end) != sizeof end)
            abort();
        daemon_close(all->sim);
        _exit(0);
    }
    close(ends[1]);
    bool is_told = read(ends[0], &end, sizeof end) == sizeof end;
    close(ends[0]);
    wait(NULL);
    if (!is_told || end.why[0]) {
        printf("%s: fails undisturbed: %s\n", all->scenario->name, is_told ? end.why : "it died");
        all->failures++;
    }
    all->calls = end.calls;
    memcpy(all->digest, end.digest, sizeof all->digest);
    memcpy(all->stopped, end.stopped, sizeof all->stopped);
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
    uint64_t number = 0;
    for (uint64_t at = options->at ? options->at : 1; at <= all->calls; at++) {
        for (int kind = 0; kind < KINDS; kind++) {
            if ((options->loss >= 0 && kind != options->loss) ||
                is_left_out(number++, options->sample))
                continue;
            struct point point = {.at = at, .kind = kind};
            if (!options->at || !options->second)
                point_fork(all, &point);
            point.second =
                options->second ? options->second : 1 + (at * 7 + (uint64_t)kind * 31) % SECOND_MAX;
            if (!options->at || options->second)
                point_fork(all, &point);
        }
        if (options->at)
            break;
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
    struct wish wish = scenario_base();
    if (scenario->from)
        scenario->from(&wish);
    bool is_ready = sim_begin_calm(&sim, &wish, false, tally);
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
        points_fork(&all);
    } else {
        printf("%s: does not begin: %s\n", scenario->name, sim.message);
        all.failures++;
    }
    printf("%-26s %5" PRIu64 " calls, %" PRIu64 " failures\n", scenario->name, all.calls,
           all.failures);
    daemon_close(&sim);
    return all.failures;
}

uint64_t crash_run(const struct crash_options *options, struct tally *tally)
{
    uint64_t failed = 0;
    for (size_t i = 0; i < scenario_count; i++) {
        int status = 0;
        if (options->only && strcmp(options->only, scenarios[i].name) != 0)
            continue;
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
    return failed;
}
