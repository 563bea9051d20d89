/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Finding and starting driver programs. A driver leads a session of its own and
 * dies with whoever started it; what a former one left in its session is dead
 * before the next one begins (session.h).
 */
#include "reconciler/engine/launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "model/invariant.h"
#include "model/json.h"
#include "model/text.h"
#include "reconciler/engine/session.h"

static const char *const installed_dirs[] = {"/usr/local/libexec/spinel/drivers",
                                             "/usr/libexec/spinel/drivers"};

/* ---- finding ------------------------------------------------------------------------ */

/* The directory that this program is in, or NULL. */
static const char *program_dir(struct arena *arena, const char *argv0)
{
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (len < 0) {
        if (!argv0 || !realpath(argv0, self))
            return NULL;
        len = (ssize_t)strlen(self);
    }
    self[len] = '\0';
    char *slash = strrchr(self, '/');
    if (!slash)
        return NULL;
    *slash = '\0';
    return arena_text(arena, self);
}

static const char **dirs_list(struct arena *arena, const struct site *site, const char *argv0,
                              size_t *count)
{
    const char **dirs = arena_array(arena, site->driver_dir_count + 5, sizeof *dirs);
    size_t n = 0;
    for (size_t i = 0; i < site->driver_dir_count; i++)
        dirs[n++] = site->driver_dirs[i];
    const char *dir = program_dir(arena, argv0);
    if (dir) {
        dirs[n++] = arena_printf(arena, "%s/drivers", dir);                   /* build tree */
        dirs[n++] = arena_printf(arena, "%s/../libexec/spinel/drivers", dir); /* any PREFIX */
    }
    for (size_t i = 0; i < sizeof installed_dirs / sizeof *installed_dirs; i++)
        dirs[n++] = installed_dirs[i];
    *count = n;
    return dirs;
}

static const char *program_find(struct arena *arena, const char *name, const char **dirs,
                                size_t count, struct error *err)
{
    struct text places = TEXT_INIT;
    for (size_t i = 0; i < count; i++) {
        const char *path = arena_printf(arena, "%s/%s", dirs[i], name);
        if (access(path, X_OK) == 0) {
            text_free(&places);
            return path;
        }
        text_printf(&places, "%s%s", i ? ", " : "", dirs[i]);
    }
    error_set(err, ERR_NOT_FOUND, "driver %s was not found in %s", name, places.data);
    error_hint(err, "Check spec.drivers of the site file, or name the directory that holds it "
                    "in spec.driverDirs.");
    text_free(&places);
    return NULL;
}

/* Each driver once, in the order of the classes that name it. */
static size_t names_list(const struct site *site, const char *names[3])
{
    static const char *const classes[] = {"instance", "volume", "network"};
    size_t count = 0;
    for (size_t i = 0; i < 3; i++) {
        const char *name = site_driver(site, classes[i]);
        size_t same = 0;
        while (name && same < count && strcmp(names[same], name))
            same++;
        if (name && same == count)
            names[count++] = name;
    }
    return count;
}

/* As core_driver.c sends it. */
static const char *given_text(struct arena *arena, const struct site *site, const char *name)
{
    struct value *given = value_map(arena);
    const struct value *settings = site_settings(site, name);
    value_set_text(arena, given, "stateDir", site->state_dir);
    value_set_text(arena, given, "keyFile", site->key_file);
    value_set(arena, given, "settings", settings ? value_copy(arena, settings) : value_map(arena));
    return arena_printf(arena, "SPINEL_GIVEN=%s", json_text(arena, given));
}

int programs_find(struct arena *arena, const struct site *site, const char *argv0,
                  struct program **out, size_t *count, struct error *err)
{
    size_t dir_count;
    const char **dirs = dirs_list(arena, site, argv0, &dir_count);
    const char *names[3];
    size_t name_count = names_list(site, names);
    struct program *programs = arena_array(arena, name_count + 1, sizeof *programs);
    for (size_t i = 0; i < name_count; i++) {
        programs[i].name = names[i];
        programs[i].path = program_find(arena, names[i], dirs, dir_count, err);
        if (!programs[i].path)
            return err->code;
        programs[i].given = given_text(arena, site, names[i]);
    }
    *out = programs;
    *count = name_count;
    return 0;
}

/* ---- starting ----------------------------------------------------------------------- */

static void pipes_close(int pipes[4][2])
{
    for (int i = 0; i < 4; i++)
        for (int end = 0; end < 2; end++)
            if (pipes[i][end] >= 0)
                close(pipes[i][end]);
}

/* Ours, what the program is given, and the mark of its session, which it alone can fill in; of one
 * thread, so that nobody changes it meanwhile. */
static char **environment_for(const struct program *program, char *mark)
{
    size_t count = 0, n = 0;
    while (environ[count])
        count++;
    char **list = memory_need(calloc(count + 3, sizeof *list));
    for (size_t i = 0; i < count; i++)
        if (strncmp(environ[i], "SPINEL_GIVEN=", 13) != 0 &&
            strncmp(environ[i], "SPINEL_SESSION=", 15) != 0)
            list[n++] = environ[i];
    list[n++] = mark;
    if (program->given)
        list[n] = (char *)(size_t)program->given;
    return list;
}

enum { PIPE_IN, PIPE_OUT, PIPE_ERR, PIPE_EXEC };

static _Noreturn void child_exec(const struct program *program, char **environment,
                                 char mark[SESSION_MARK], int pipes[4][2], pid_t parent)
{
    sigset_t none;
    if (setsid() < 0) /* before exec, which the parent waits for */
        setpgid(0, 0);
    session_mark(mark, parent, getpid());
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127); /* it died before the line above */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGXFSZ, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    dup2(pipes[PIPE_IN][0], STDIN_FILENO);
    dup2(pipes[PIPE_OUT][1], STDOUT_FILENO);
    dup2(pipes[PIPE_ERR][1], STDERR_FILENO);
    char *const argv[] = {(char *)(size_t)program->path, NULL};
    execve(program->path, argv, environment);
    int error = errno;
    ssize_t put = write(pipes[PIPE_EXEC][1], &error, sizeof error);
    _exit(put == (ssize_t)sizeof error ? 127 : 126);
}

/* The pipe closes at exec; what comes through it is why there was none. */
static int exec_result(const struct program *program, int fd, struct error *err)
{
    int error = 0;
    ssize_t got;
    do
        got = read(fd, &error, sizeof error);
    while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof error)
        return 0;
    errno = error;
    return error_sys(err, "cannot run driver %s (%s)", program->name, program->path);
}

int program_launch(const struct program *program, struct launched *out, struct error *err)
{
    int pipes[4][2] = {{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}};
    int result = 0;
    pid_t parent = getpid(), pid = -1;
    char mark[SESSION_MARK];
    if (program->given && sessions_clear(program->given, err) < 0)
        return error_wrap(err, "cannot start driver %s", program->name);
    char **environment = environment_for(program, mark); /* before the fork: it allocates */
    for (int i = 0; i < 4 && result == 0; i++)
        if (pipe2(pipes[i], O_CLOEXEC) < 0)
            result = error_sys(err, "cannot make pipes for driver %s", program->name);
    if (result == 0 && (pid = fork()) < 0)
        result = error_sys(err, "cannot start driver %s", program->name);
    if (result < 0)
        goto out;
    if (pid == 0)
        child_exec(program, environment, mark, pipes, parent);
    close(pipes[PIPE_EXEC][1]);
    pipes[PIPE_EXEC][1] = -1;
    result = exec_result(program, pipes[PIPE_EXEC][0], err);
    if (result < 0) {
        waitpid(pid, NULL, 0);
        goto out;
    }
    *out = (struct launched){.pid = pid,
                             .to_in = pipes[PIPE_IN][1],
                             .from_out = pipes[PIPE_OUT][0],
                             .from_err = pipes[PIPE_ERR][0]};
    pipes[PIPE_IN][1] = pipes[PIPE_OUT][0] = pipes[PIPE_ERR][0] = -1;
out:
    free(environment);
    pipes_close(pipes);
    return result;
}

const char *exit_text(int status, char *buf, size_t size)
{
    if (WIFSIGNALED(status))
        snprintf(buf, size, "signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(buf, size, "exit status %d", WEXITSTATUS(status));
    return buf;
}
