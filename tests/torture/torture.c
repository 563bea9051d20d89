/* SPDX-License-Identifier: MPL-2.0 */
/*
 * torture [--each all|some|first] [--sample N] [--distinct] [--brief] [--scene NAME]...
 * [--call NAME]...: each scene with each of its fallible calls failing, once and for good.
 *
 * --each says which of the calls from one place: all of them, if nothing is said; some (the first
 * three, the last, and those between at powers of two; of what SQLite allocates each seventh, of
 * what Jansson does each five hundredth); or the first. --sample N tries every Nth of those.
 * --distinct leaves out a place that an earlier scene of the same program had.
 *
 * A run is good if it ends as the undisturbed one did, with the same output; or says an
 * error and exits 1; or, without memory, says that and aborts. Not by another signal, not
 * after the time limit, not with what a sanitizer has to say, and not with "done" when it
 * is not. Then, with nothing failing any more, the database is sound, and one `apply` leads
 * to the same world and leaves nothing to do.
 *
 * --brief, for `make coverage`: of all scenes together each place fails once, at its first call.
 * What can only end the process is left out, and so are the daemon, which waits between its
 * tries, and the look at what comes afterwards.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "reconciler/cli/command.h"
#include "tests/torture/host.h"
#include "tests/torture/scenes.h"
#include "tests/torture/tally.h"
#include "tests/torture/viewer.h"

enum { LIMIT_S = 40, SANITIZER_EXIT = 99, OUTPUT_MAX = 1 << 18 };

static const struct command *const commands[] = {
    &init_command,   &serve_command, &check_command,    &explain_command, &schema_command,
    &plan_command,   &apply_command, &approve_command,  &freeze_command,  &purge_command,
    &status_command, &get_command,   &describe_command, &drift_command,   &history_command,
    &events_command, &trace_command, &hook_command,     &version_command, &help_command,
    &viewer_command, NULL,
};

struct outcome {
    int code; /* exit status, or -signal; -SIGALRM: it did not end */
    char out[OUTPUT_MAX], err[OUTPUT_MAX];
};

/* Names that were chosen on the command line; none: all. */
struct choice {
    const char *names[96];
    unsigned count;
};

static bool is_wanted(const struct choice *choice, const char *name)
{
    for (unsigned i = 0; i < choice->count; i++)
        if (strcmp(choice->names[i], name) == 0)
            return true;
    return choice->count == 0;
}

static void choice_add(struct choice *choice, const char *name)
{
    if (choice->count < sizeof(choice->names) / sizeof(*choice->names))
        choice->names[choice->count++] = name;
}

/* Which of the calls from one place fail. */
enum each {
    EACH_ALL,
    EACH_SOME,
    EACH_FIRST,
};

static struct {
    char dir[64], root[256], build[512], page[96];
    enum each each;
    unsigned sample, turn; /* every nth failure is tried */
    bool is_brief, is_distinct;
    struct choice scenes, calls;
    struct torture *recorded;
    struct outcome reference, now;
    char world[OUTPUT_MAX];
} t;

/* ---- running ------------------------------------------------------------------------ */

static void shell(const char *command)
{
    torture->mode = TORTURE_OFF;
    int status = system(command);
    if (status != 0) {
        fprintf(stderr, "torture: %s: status %d\n", command, status);
        exit(2);
    }
}

static void redirect(int to, const char *path, int flags)
{
    int fd = open(path, flags, 0600);
    if (fd < 0 || dup2(fd, to) < 0)
        _exit(98);
    close(fd);
}

/* "@hold@" gives way to the first line of the file `hold` that site.sh wrote. */
static void placeholder_fill(const char **argument)
{
    static char line[256];
    size_t len = strlen(*argument);
    char name[32] = "";
    if (len > 2 && len < sizeof(name) && **argument == '@' && (*argument)[len - 1] == '@')
        memcpy(name, *argument + 1, len - 2);
    FILE *in = name[0] ? fopen(name, "r") : NULL;
    if (!in)
        return;
    if (!fgets(line, sizeof(line), in))
        line[0] = '\0';
    fclose(in);
    line[strcspn(line, "\n")] = '\0';
    *argument = line;
}

static _Noreturn void child_run(const struct scene *scene, const char *const *argv,
                                const char *where, enum torture_mode mode)
{
    const char *all[16] = {t.build};
    int argc = 1;
    host_signals(SIG_DFL);
    setpgid(0, 0);
    torture_role = ROLE_CORE;
    if (chdir(where) != 0)
        _exit(98);
    redirect(0, scene->input ? scene->input : "/dev/null", O_RDONLY);
    redirect(1, "../out", O_WRONLY | O_CREAT | O_TRUNC);
    redirect(2, "../err", O_WRONLY | O_CREAT | O_TRUNC);
    for (; argv[argc - 1]; argc++) {
        all[argc] = argv[argc - 1];
        placeholder_fill(&all[argc]);
    }
    torture_floor = __builtin_frame_address(0);
    torture->mode = mode;
    exit(command_main(argc, all, commands));
}

static int wait_for(pid_t pid)
{
    struct timespec pause = {0, 2000000};
    int status = 0;
    for (int i = 0; i < LIMIT_S * 500; i++) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
        nanosleep(&pause, NULL);
    }
    kill(-pid, SIGKILL);
    waitpid(pid, &status, 0);
    return -SIGALRM;
}

/* Whether the daemon says that the rack is as declared, within some seconds. */
static bool is_converged(pid_t pid, const char *where)
{
    char command[1024];
    snprintf(
        command, sizeof(command),
        "cd %s && %s/spinel status --json 2>/dev/null | jq -e '.daemon != null and .converged' "
        ">/dev/null && { [ ! -S lab/web.sock ] || curl -sfm 5 --unix-socket lab/web.sock "
        "http://localhost/api/v1/status >/dev/null; }",
        where, t.build);
    for (int i = 0; i < 60; i++) {
        struct timespec pause = {0, 250000000};
        if (kill(pid, 0) != 0 ||
            waitid(P_PID, (id_t)pid, &(siginfo_t){0}, WEXITED | WNOHANG | WNOWAIT) != 0)
            return false;
        if (system(command) == 0)
            return true;
        nanosleep(&pause, NULL);
    }
    return false;
}

static void file_load(const char *name, char text[OUTPUT_MAX])
{
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", t.dir, name);
    int fd = open(path, O_RDONLY);
    ssize_t len = fd < 0 ? 0 : read(fd, text, OUTPUT_MAX - 1);
    text[len > 0 ? len : 0] = '\0';
    if (fd >= 0)
        close(fd);
}

/* Times, ids and digests differ from run to run: words of digits and hex become '#', and what
 * lines the columns up one space. An age is an age. */
static void text_mask(char *text)
{
    static const char now[] = "just now", ago[] = " ago";
    char *to = text;
    for (char *from = text; *from;) {
        if (strncmp(from, now, sizeof(now) - 1) == 0) {
            *to++ = '#';
            from += sizeof(now) - 1;
            continue;
        }
        if (to > text && to[-1] == '#' && strchr("smhd", *from) &&
            strncmp(from + 1, ago, sizeof(ago) - 1) == 0) {
            from += sizeof(ago);
            continue;
        }
        size_t hex = strspn(from, "0123456789abcdef:"), digits = strspn(from, "0123456789");
        size_t spaces = strspn(from, " ");
        size_t len = spaces ? spaces : hex >= 8 ? hex : digits;
        if (len > 0)
            *to++ = spaces ? ' ' : '#';
        else
            *to++ = *from;
        from += len > 0 ? len : 1;
    }
    *to = '\0';
}

static void run(const struct scene *scene, const char *const *argv, const char *where,
                enum torture_mode mode, struct outcome *outcome)
{
    char full[128];
    snprintf(full, sizeof(full), "%s/%s", t.dir, where);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        child_run(scene, argv, full, mode);
    bool serves = scene->serves && argv == scene->argv;
    bool gets_there = serves && is_converged(pid, full);
    if (serves)
        kill(pid, SIGTERM);
    outcome->code = wait_for(pid);
    torture->mode = TORTURE_OFF;
    kill(-pid, SIGKILL);
    file_load("out", outcome->out);
    file_load("err", outcome->err);
    text_mask(outcome->out);
    if (serves)
        strcpy(outcome->out, gets_there ? "converged\n" : "not converged\n");
}

static void work_renew(const struct scene *scene)
{
    char command[512];
    if (scene->lives) {
        torture->mode = TORTURE_OFF;
        host_renew();
        snprintf(command, sizeof(command),
                 "rm -rf %s/work; cp -a %s/base %s/work; sh tests/torture/site.sh %s %s/work",
                 t.dir, t.dir, t.dir, scene->prepare, t.dir);
    } else {
        snprintf(command, sizeof(command), "rm -rf %s/work; cp -a %s/site %s/work", t.dir, t.dir,
                 t.dir);
    }
    shell(command);
}

/* ---- judging ------------------------------------------------------------------------ */

static bool is_sanitizer(const struct outcome *outcome)
{
    return outcome->code == SANITIZER_EXIT || strstr(outcome->err, "Sanitizer") ||
           strstr(outcome->err, "runtime error:");
}

/* Without these there is no memory, and the process ends. */
static bool is_memory(const char *name)
{
    static const char *const names[] = {"strdup", "strndup", "regcomp", "asprintf", "vasprintf"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return strstr(name, "alloc") || strncmp(name, "yaml_", 5) == 0 ||
           strncmp(name, "MHD_create_", 11) == 0 || strcmp(name, "poptGetContext") == 0;
}

/* The two ends that are documented: no memory; and libsodium, which refuses only what would be
 * a bug of ours. */
static bool may_abort(const char *name, const char *said)
{
    if (strncmp(name, "crypto_", 7) == 0)
        return strstr(said, ": bug: ") != NULL;
    return is_memory(name) && strstr(said, "out of memory");
}

/* NULL: good. */
static const char *run_judge(const struct scene *scene, const struct torture_site *site,
                             enum torture_mode mode)
{
    const struct outcome *now = &t.now, *was = &t.reference;
    bool is_driver = scene->role == ROLE_DRIVER;
    if (is_sanitizer(now))
        return "a sanitizer speaks";
    if (now->code == -SIGALRM)
        return "it did not end";
    if (now->code == -SIGABRT)
        return may_abort(site->name, now->err) ? NULL : "it aborted, and not for want of memory";
    if (now->code < 0)
        return "it died of a signal";
    if (now->code == was->code && strcmp(now->out, was->out) == 0)
        return NULL;
    if (scene->driver && now->code == was->code)
        return NULL; /* what was mended on the way may be other steps; the world decides */
    if (now->code == EXIT_ERROR && now->err[0] == '\0' && now->out[0] == '\0')
        return "it failed and said nothing";
    if (now->code == EXIT_ERROR || (is_driver && now->code == EXIT_OPEN) ||
        (scene->heals && scene->argv[0][0] == 'a' && now->code == EXIT_OPEN))
        return NULL;
    if (scene->says && now->code == was->code && strstr(now->out, scene->says))
        return NULL;
    if (scene->serves && now->code == was->code && mode == TORTURE_LASTING)
        return NULL;
    return now->code == was->code ? "it ended well, with another result"
                                  : "it ended with a status that is not an error's";
}

static void world_list(const char *where, char text[OUTPUT_MAX])
{
    char command[1024];
    snprintf(command, sizeof(command), "cd %s/%s && sh %s/tests/torture/world.sh >%s/list", t.dir,
             where, t.root, t.dir);
    shell(command);
    file_load("list", text);
    text_mask(text);
}

static bool is_sound(const char *where)
{
    char command[512];
    snprintf(command, sizeof(command),
             "cd %s/%s; [ ! -s lab/state/spinel.db ] || [ \"$(sqlite3 lab/state/spinel.db "
             "'PRAGMA integrity_check')\" = ok ]",
             t.dir, where);
    return system(command) == 0;
}

static void difference_print(const char *was, const char *now)
{
    while (*was && *was == *now)
        was++, now++;
    printf("  was: %.*s\n  now: %.*s\n", (int)strcspn(was, "\n"), was, (int)strcspn(now, "\n"),
           now);
}

static void file_save(const char *name, const char *text)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", t.dir, name);
    FILE *out = fopen(path, "w");
    if (!out || fputs(text, out) < 0 || fclose(out) != 0)
        exit(2);
}

/* Prints which lines of the undisturbed world are gone, and which are new. */
static void world_compare(const char *now)
{
    char command[512];
    file_save("was", t.world);
    file_save("now", now);
    fflush(stdout);
    snprintf(command, sizeof(command), "diff %s/was %s/now | grep '^[<>]'", t.dir, t.dir);
    shell(command);
}

static const char *aftermath_judge(const struct scene *scene)
{
    static const char *const apply[] = {"apply", "--yes", "--wait=20s", NULL};
    static const char *const plan[] = {"plan", NULL};
    static struct outcome after;
    static char world[OUTPUT_MAX];
    if (!is_sound("work"))
        return "the database is damaged";
    if (!scene->heals)
        return NULL;
    run(scene, apply, "work", TORTURE_OFF, &after);
    if (after.code != 0) {
        t.now = after;
        return "the next apply does not end well";
    }
    run(scene, plan, "work", TORTURE_OFF, &after);
    if (after.code != 0) {
        t.now = after;
        return "after the next apply there is something left to do";
    }
    world_list("work", world);
    if (strcmp(world, t.world) == 0)
        return NULL;
    world_compare(world);
    return "the world is another one";
}

/* ---- one failure -------------------------------------------------------------------- */

static void failure_print(const struct scene *scene, const struct torture_site *site, uint32_t nth,
                          enum torture_mode mode, const char *why)
{
    printf("not ok: %s: %s fails %s (call %u of %u there): %s; code %d\n  ", scene->name,
           site->name, mode == TORTURE_ONCE ? "once" : "for good", nth, site->count, why,
           t.now.code);
    for (int i = 0; i < TORTURE_FRAMES && site->frames[i]; i++)
        printf(" 0x%x", site->frames[i]);
    printf("\n%.2500s\n", t.now.err);
    if (t.now.code == t.reference.code && strcmp(t.now.out, t.reference.out) != 0)
        difference_print(t.reference.out, t.now.out);
    fflush(stdout);
}

static void failure_try(const struct scene *scene, const struct torture_site *site, uint32_t nth,
                        enum torture_mode mode)
{
    while (waitpid(-1, NULL, WNOHANG) > 0)
        continue; /* whose parents have ended */
    if (scene->changes)
        work_renew(scene);
    torture->role = scene->role;
    memcpy(torture->name, site->name, sizeof(torture->name));
    torture->stack = site->stack;
    torture->nth = nth;
    torture->seen = torture->fired = 0;
    run(scene, scene->argv, scene->changes ? "work" : "site", mode, &t.now);
    bool has_fired = torture->fired > 0;
    const char *why = run_judge(scene, site, mode);
    bool is_same = t.now.code == t.reference.code, is_abort = t.now.code == -SIGABRT;
    if (!why && scene->changes && has_fired && !t.is_brief)
        why = aftermath_judge(scene);
    tally_add(site->name, !has_fired ? TALLY_MISSED
                          : why      ? TALLY_BAD
                          : is_abort ? TALLY_ABORT
                          : is_same  ? TALLY_SAME
                                     : TALLY_ERROR);
    if (why && has_fired)
        failure_print(scene, site, nth, mode, why);
}

/* The process ends at it, so one that fails for good is one that fails once. */
static bool is_last(const struct torture_site *site)
{
    return (is_memory(site->name) && !strchr(site->name, ' ')) ||
           strncmp(site->name, "crypto_", 7) == 0;
}

/* Whether no earlier scene let the same call of the program fail, as seen by four callers. */
static bool is_new_place(const struct scene *scene, const struct torture_site *site)
{
    static struct {
        const char *program;
        struct torture_site site;
    } tried[TORTURE_SITES];
    static unsigned count;
    const char *program = scene->driver ? scene->driver : "";
    unsigned i = 0;
    while (i < count &&
           (strcmp(tried[i].program, program) != 0 || strcmp(tried[i].site.name, site->name) != 0 ||
            memcmp(tried[i].site.frames, site->frames, 4 * sizeof(*site->frames)) != 0))
        i++;
    if (i < count)
        return false;
    if (count == TORTURE_SITES) {
        fprintf(stderr, "torture: more places than there is room for\n");
        exit(2);
    }
    tried[count].program = program;
    tried[count++].site = *site;
    return true;
}

/* Of those that end the process each ends it in the same way. */
static bool is_one_of_some(const struct torture_site *site, uint32_t nth)
{
    if (is_last(site))
        return nth == 1;
    if (strcmp(site->name, "jansson alloc") == 0)
        return nth == 1 || nth % 500 == 0;
    if (strchr(site->name, ' '))
        return nth == 1 || nth % 7 == 0;
    return nth <= 3 || nth == site->count || (nth & (nth - 1)) == 0;
}

/* What was tried by then is told. */
static volatile sig_atomic_t is_over;

static void stop_trying(int signal)
{
    (void)signal;
    is_over = true;
}

static bool is_chosen(const struct torture_site *site, uint32_t nth)
{
    return t.each == EACH_ALL || (t.each == EACH_FIRST ? nth == 1 : is_one_of_some(site, nth));
}

static void site_try(const struct scene *scene, const struct torture_site *site)
{
    if (!is_wanted(&t.calls, site->name))
        return;
    if (t.is_brief && is_last(site))
        return;
    if ((t.is_brief || t.is_distinct) && !is_new_place(scene, site))
        return;
    if (t.is_brief) {
        failure_try(scene, site, 1, TORTURE_ONCE);
        return;
    }
    for (uint32_t nth = 1; nth <= site->count && !is_over; nth++) {
        if (!is_chosen(site, nth))
            continue;
        for (int mode = TORTURE_ONCE; mode <= TORTURE_LASTING; mode++) {
            if (mode == TORTURE_LASTING && is_last(site))
                continue;
            if (t.turn++ % t.sample == 0)
                failure_try(scene, site, nth, (enum torture_mode)mode);
        }
    }
}

/* ---- one scene ---------------------------------------------------------------------- */

/* The site of a scene that lives is begun once, and led on in each copy. */
static void site_make(const struct scene *scene)
{
    char command[512], begun[32];
    snprintf(begun, sizeof(begun), "%.*s:new", (int)strcspn(scene->prepare, ":"), scene->prepare);
    snprintf(command, sizeof(command),
             "cd %s && rm -rf site base work && sh %s/tests/torture/site.sh %s work && "
             "cp -a work %s",
             t.dir, t.root, scene->lives ? begun : scene->prepare, scene->lives ? "base" : "site");
    if (scene->host)
        host_renew();
    shell(command);
    if (scene->lives)
        work_renew(scene);
}

static bool scene_prepare(const struct scene *scene)
{
    static const char *const apply[] = {"apply", "--yes", "--wait=20s", NULL};
    site_make(scene);
    memset(torture, 0, sizeof(*torture));
    torture->role = scene->role;
    if (scene->driver)
        strcpy(torture->program, scene->driver);
    run(scene, scene->argv, "work", TORTURE_RECORD, &t.reference);
    memcpy(t.recorded, torture, sizeof(*torture));
    if (t.reference.code < 0 || is_sanitizer(&t.reference)) {
        printf("not ok: %s: undisturbed it ends with %d\n%s\n", scene->name, t.reference.code,
               t.reference.err);
        return false;
    }
    if (!scene->heals)
        return true;
    run(scene, apply, "work", TORTURE_OFF, &t.now);
    world_list("work", t.world);
    return true;
}

static void scene_run(const struct scene *scene)
{
    unsigned bad = tally_count(TALLY_BAD);
    const char *lack = scene->host ? host_open() : NULL;
    if (lack) {
        printf("ok %s # SKIP %s\n", scene->name, lack);
        return;
    }
    if (!scene_prepare(scene)) {
        tally_add("(undisturbed)", TALLY_BAD);
        return;
    }
    uint32_t calls = 0;
    for (uint32_t i = 0; i < t.recorded->site_count; i++)
        calls += t.recorded->sites[i].count;
    printf("# %s: exit %d, %u calls from %u places%s\n", scene->name, t.reference.code, calls,
           t.recorded->site_count, t.recorded->site_missed ? " (some not counted)" : "");
    fflush(stdout);
    uint32_t tried = 0;
    while (tried < t.recorded->site_count && !is_over)
        site_try(scene, &t.recorded->sites[tried++]);
    if (is_over)
        printf("# %s: ended by a signal at place %u of %u\n", scene->name, tried,
               t.recorded->site_count);
    printf("%sok %s\n", tally_count(TALLY_BAD) > bad ? "not " : "", scene->name);
    fflush(stdout);
}

static void page_make(void)
{
    snprintf(t.page, sizeof(t.page), "%s/page", t.dir);
    int fd = open(t.page, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(*torture)) != 0)
        exit(2);
    torture = mmap(NULL, sizeof(*torture), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    t.recorded = malloc(sizeof(*torture));
    if (torture == MAP_FAILED || !t.recorded)
        exit(2);
    setenv("TORTURE", t.page, 1);
}

static void setting_make(void)
{
    const struct rlimit no_core = {0, 0};
    char path[600];
    setrlimit(RLIMIT_CORE, &no_core);
    if (!getcwd(t.root, sizeof(t.root)))
        exit(2);
    snprintf(t.build, sizeof(t.build), "%s/%s", t.root,
             getenv("BUILD") ? getenv("BUILD") : "build");
    snprintf(path, sizeof(path), "%s/examples", t.root);
    setenv("EXAMPLES", path, 1);
    setenv("BUILD", t.build, 1);
    setenv("SPINEL_SITE", "lab/spinel.yaml", 1);
    setenv("NO_COLOR", "1", 1);
    strcpy(t.dir, access("/dev/shm", W_OK) == 0 ? "/dev/shm/spinel-torture-XXXXXX"
                                                : "/tmp/spinel-torture-XXXXXX");
    if (!mkdtemp(t.dir) || chmod(t.dir, 0755) != 0)
        exit(2);
    snprintf(path, sizeof(path), "%s/shared", t.dir);
    setenv("SHARED", path, 1);
}

static bool each_set(const char *text)
{
    static const char *const names[] = {"all", "some", "first"};
    for (int each = EACH_ALL; each <= EACH_FIRST; each++)
        if (strcmp(text, names[each]) == 0) {
            t.each = (enum each)each;
            return true;
        }
    return false;
}

int main(int argc, char **argv)
{
    t.sample = 1;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--sample") == 0 && i + 1 < argc)
            t.sample = (unsigned)atoi(argv[++i]);
        else if (strcmp(argv[i], "--each") == 0 && i + 1 < argc && each_set(argv[i + 1]))
            i++;
        else if (strcmp(argv[i], "--distinct") == 0)
            t.is_distinct = true;
        else if (strcmp(argv[i], "--brief") == 0)
            t.is_brief = true;
        else if (strcmp(argv[i], "--scene") == 0 && i + 1 < argc)
            choice_add(&t.scenes, argv[++i]);
        else if (strcmp(argv[i], "--call") == 0 && i + 1 < argc)
            choice_add(&t.calls, argv[++i]);
        else {
            fprintf(stderr, "usage: torture [--each all|some|first] [--sample N] [--distinct] "
                            "[--brief] [--scene NAME]... [--call NAME]...\n");
            return 2;
        }
    }
    host_enter();
    setting_make();
    page_make();
    torture_libraries();
    host_signals(stop_trying);
    for (unsigned i = 0; i < scene_count && !is_over; i++)
        if (is_wanted(&t.scenes, scenes[i].name) &&
            !(t.is_brief && (scenes[i].serves || scenes[i].driver)))
            scene_run(&scenes[i]);
    host_close();
    tally_print();
    snprintf(t.world, sizeof(t.world), "rm -rf %s", t.dir);
    shell(t.world);
    return is_over ? 2 : tally_count(TALLY_BAD) > 0;
}
