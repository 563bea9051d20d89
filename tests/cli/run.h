/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_CLI_RUN_H
#define TESTS_CLI_RUN_H

/*
 * A command in a process of its own, as main() would run it, on a site of one test's own: what
 * it said, and what it exited with. In place of a daemon stands a process that sends what the
 * test wrote down.
 */
#include "reconciler/cli/command.h" /* before cmocka, whose fail() is a macro */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "model/json.h"
#include "model/text.h"
#include "reconciler/server/address.h"
#include "reconciler/store/store.h"
#include "tests/waiting.h"

struct scene {
    char dir[64], state[80];
    struct arena *arena;
    struct error err;
    pid_t daemon;    /* 0: none */
    const char *out; /* where standard output goes; NULL: to be read; "": it is closed */
};

struct ran {
    int status; /* exit status; -1: it was ended by a signal */
    char *out, *err;
};

#define SCENE_FN static inline __attribute__((unused))

SCENE_FN void file_put(const struct scene *scene, const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", scene->dir, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

SCENE_FN char *file_get(const struct scene *scene, const char *name)
{
    char path[128], chunk[4096];
    struct text text = TEXT_INIT;
    size_t len;
    snprintf(path, sizeof path, "%s/%s", scene->dir, name);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    while ((len = fread(chunk, 1, sizeof chunk, file)) > 0)
        text_add_n(&text, chunk, len);
    fclose(file);
    char *copy = arena_text_n(scene->arena, text.data ? text.data : "", text.len);
    text_free(&text);
    return copy;
}

SCENE_FN void shell(const struct scene *scene, const char *script)
{
    char *whole = arena_printf(
        scene->arena,
        "cd %s && export HOME=%s GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=Ann GIT_COMMITTER_NAME=Ann "
        "GIT_AUTHOR_EMAIL=ann@example.org GIT_COMMITTER_EMAIL=ann@example.org && set -e\n%s",
        scene->dir, scene->dir, script);
    assert_int_equal(system(whole), 0);
}

#define SITE_FILE                                                  \
    "apiVersion: spinel/v1\nkind: Site\nmetadata: {name: lab}\n"   \
    "spec:\n  repository: {path: ./manifests.git, branch: main}\n" \
    "  stateDir: ./state\n  drivers: {default: sim}\n  driverDirs: [./drivers]\n"

/* The site's file and a state directory, no repository and no store. */
SCENE_FN int scene_set_up(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);
    assert_non_null(scene);
    strcpy(scene->dir, "/tmp/spinel-cli-XXXXXX");
    assert_non_null(mkdtemp(scene->dir));
    snprintf(scene->state, sizeof scene->state, "%s/state", scene->dir);
    assert_int_equal(mkdir(scene->state, 0700), 0);
    scene->arena = arena_new();
    file_put(scene, "spinel.yaml", SITE_FILE);
    *state = scene;
    return 0;
}

SCENE_FN void daemon_end(struct scene *scene)
{
    pid_t daemon = scene->daemon;
    if (!daemon)
        return;
    scene->daemon = 0;
    kill(daemon, SIGTERM);
    child_end(daemon);
}

SCENE_FN int scene_tear_down(void **state)
{
    struct scene *scene = *state;
    char script[128];
    daemon_end(scene);
    snprintf(script, sizeof script, "rm -rf %s", scene->dir);
    assert_int_equal(system(script), 0);
    arena_free(scene->arena);
    free(scene);
    return 0;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, scene_set_up, scene_tear_down)

SCENE_FN struct store *store_of(struct scene *scene)
{
    struct store *store = NULL;
    if (store_open(scene->state, STORE_WRITE, &store, &scene->err) != 0)
        fail_msg("%s", scene->err.message);
    return store;
}

SCENE_FN struct value *json(struct scene *scene, const char *text)
{
    struct value *value = NULL;
    if (json_read(scene->arena, text, strlen(text), &value, &scene->err) != 0)
        fail_msg("%s: %s", text, scene->err.message);
    return value;
}

/* ---- a daemon of the test's own ------------------------------------------------------- */

/* What `fd` has sent answers the next lines; false: there is no more, of it or for it. */
SCENE_FN bool client_serve(int fd, const char *const **answers)
{
    char chunk[4096];
    ssize_t got = recv(fd, chunk, sizeof chunk, 0);
    for (ssize_t i = 0; i < got; i++) {
        if (chunk[i] != '\n')
            continue;
        if (!**answers || send(fd, **answers, strlen(**answers), MSG_NOSIGNAL) < 0)
            return false;
        ++*answers;
    }
    return got > 0 && **answers;
}

/* Answers the nth line of all clients with the nth text, and closes after the last. */
SCENE_FN void daemon_says(struct scene *scene, const char *const *answers)
{
    enum { CLIENTS = 8 };
    struct pollfd polls[CLIENTS + 1] = {{.events = POLLIN}};
    assert_int_equal(control_listen(scene->state, &polls[0].fd, &scene->err), 0);
    scene->daemon = fork();
    assert_true(scene->daemon >= 0);
    if (scene->daemon > 0) {
        close(polls[0].fd);
        return;
    }
    signal(SIGTERM, SIG_DFL);
    for (nfds_t count = 1; poll(polls, count, -1) > 0;) {
        for (nfds_t i = 1; i < count; i++) {
            if (!polls[i].revents || client_serve(polls[i].fd, &answers))
                continue;
            close(polls[i].fd);
            polls[i--] = polls[--count];
        }
        if (polls[0].revents && count <= CLIENTS)
            polls[count++] =
                (struct pollfd){.fd = accept(polls[0].fd, NULL, NULL), .events = POLLIN};
    }
    _exit(1);
}

#define ANSWERS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* ---- a command ------------------------------------------------------------------------ */

/* `words` begin with the command. */
SCENE_FN _Noreturn void command_do(const struct scene *scene, const char *const *words)
{
    static const struct command *const commands[] = {
        &init_command,
        &serve_command,
        &check_command,
        &explain_command,
        &schema_command,
        &plan_command,
        &apply_command,
        &approve_command,
        &freeze_command,
        &purge_command,
        &status_command,
        &get_command,
        &describe_command,
        &drift_command,
        &history_command,
        &events_command,
        &trace_command,
        &top_command,
        &console_command,
        &hook_command,
        &version_command,
        &help_command,
        NULL,
    };
    const char *argv[32] = {"spinel"};
    int argc = 1;
    while (*words && argc < 31)
        argv[argc++] = *words++;
    if (chdir(scene->dir) != 0)
        _exit(99);
    unsetenv("SPINEL_SITE");
    unsetenv("SUDO_USER");
    int status = command_main(argc, argv, commands);
    fflush(NULL);
    _exit(status);
}

/* Standard input is empty; standard output and error are files. */
SCENE_FN struct ran command_words(struct scene *scene, const char *const *words)
{
    struct ran ran = {.status = -1};
    int status;
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char path[128];
        snprintf(path, sizeof path, "%s/.out", scene->dir);
        bool is_good = freopen("/dev/null", "r", stdin) &&
                       freopen(scene->out && *scene->out ? scene->out : path, "w", stdout);
        snprintf(path, sizeof path, "%s/.err", scene->dir);
        if (!is_good || !freopen(path, "w", stderr))
            _exit(98);
        if (scene->out && !*scene->out)
            close(STDOUT_FILENO);
        command_do(scene, words);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status))
        ran.status = WEXITSTATUS(status);
    ran.out = scene->out ? "" : file_get(scene, ".out");
    ran.err = file_get(scene, ".err");
    return ran;
}

#define RUN(scene, ...) command_words(scene, (const char *const[]){__VA_ARGS__, NULL})

SCENE_FN void assert_says(const char *said, const char *wanted)
{
    if (!strstr(said, wanted))
        fail_msg("no \"%s\" in:\n%s", wanted, said);
}

SCENE_FN void assert_not_says(const char *said, const char *unwanted)
{
    if (strstr(said, unwanted))
        fail_msg("\"%s\" in:\n%s", unwanted, said);
}

/* What is shown until it is silent; false: it has ended. */
SCENE_FN bool screen_read(int fd, struct text *said, int first_ms)
{
    enum { SILENT_MS = 20 };
    struct pollfd screen = {.fd = fd, .events = POLLIN};
    char chunk[4096];
    for (int wait_ms = first_ms; poll(&screen, 1, wait_ms) > 0; wait_ms = SILENT_MS) {
        ssize_t got = read(fd, chunk, sizeof chunk);
        if (got <= 0)
            return false;
        text_add_n(said, chunk, (size_t)got);
    }
    return true;
}

/* On a terminal of so many columns, where the keys are typed one after the other, each once what
 * the last one led to is shown; what both streams said is in .out. */
SCENE_FN struct ran command_on_terminal(struct scene *scene, unsigned short columns,
                                        const char *keys, const char *const *words)
{
    enum { ANSWER_MS = 300 };
    struct winsize size = {.ws_col = columns, .ws_row = 24};
    struct ran ran = {.status = -1, .err = ""};
    struct text said = TEXT_INIT;
    int fd, status;
    fflush(NULL);
    pid_t pid = forkpty(&fd, NULL, NULL, &size);
    assert_true(pid >= 0);
    if (pid == 0) {
        setenv("TERM", "xterm", 1);
        unsetenv("NO_COLOR");
        command_do(scene, words);
    }
    bool is_there = screen_read(fd, &said, -1);
    while (is_there && *keys) {
        size_t len =
            *keys == '\033' && keys[1] && strchr("[O", keys[1]) ? 1 + strcspn(keys, "ABCDZ~") : 1;
        assert_int_equal(write(fd, keys, len), (ssize_t)len);
        keys += len;
        is_there = screen_read(fd, &said, ANSWER_MS);
    }
    while (is_there && screen_read(fd, &said, -1))
        continue;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(fd);
    if (WIFEXITED(status))
        ran.status = WEXITSTATUS(status);
    ran.out = arena_text_n(scene->arena, said.data ? said.data : "", said.len);
    text_free(&said);
    return ran;
}

#define RUN_ON_TERMINAL(scene, columns, keys, ...) \
    command_on_terminal(scene, columns, keys, (const char *const[]){__VA_ARGS__, NULL})

#endif
