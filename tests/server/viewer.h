/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_SERVER_VIEWER_H
#define TESTS_SERVER_VIEWER_H

/*
 * The viewer in a process of its own, behind a socket, over a store that the test fills: what it
 * answers to bytes that a browser, or somebody who is none, sends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "model/json.h"
#include "model/report.h"
#include "model/text.h"
#include "reconciler/server/web.h"
#include "tests/waiting.h"

enum { ANSWER_MS = 60000 };

struct scene {
    char dir[64], state[80], socket[96];
    struct arena *arena;
    struct site *site;
    struct meter meter;
    struct error err;
    pid_t viewer; /* 0: none */
};

#define SCENE_FN static inline __attribute__((unused))

SCENE_FN void file_put(const struct scene *scene, const char *name, const char *text, mode_t mode)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", scene->dir, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

SCENE_FN void shell(const struct scene *scene, const char *script)
{
    char *whole = arena_printf(scene->arena, "cd %s && set -e\n%s", scene->dir, script);
    assert_int_equal(system(whole), 0);
}

/* `listen` as spec.web has it, with %s for the directory. */
SCENE_FN void site_make(struct scene *scene, const char *listen)
{
    static const char site_file[] =
        "apiVersion: spinel/v1\nkind: Site\nmetadata: {name: lab}\n"
        "spec:\n  repository: {path: ./manifests.git, branch: main}\n  stateDir: ./state\n"
        "  drivers: {default: sim}\n  driverDirs: [./drivers]\n"
        "  web: {listen: \"%s\", tokenFile: ./token}\n";
    struct report report;
    char *file = arena_printf(scene->arena, "%s/spinel.yaml", scene->dir);
    char *text = arena_printf(scene->arena, site_file, listen);
    report_init(&report, scene->arena);
    if (site_read(scene->arena, file, NULL, text, strlen(text), &scene->site, &report) != 0)
        fail_msg("%s", report.problems[0].message);
}

SCENE_FN int scene_set_up(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);
    assert_non_null(scene);
    strcpy(scene->dir, "/tmp/spinel-web-XXXXXX");
    assert_non_null(mkdtemp(scene->dir));
    snprintf(scene->state, sizeof scene->state, "%s/state", scene->dir);
    snprintf(scene->socket, sizeof scene->socket, "%s/web", scene->dir);
    scene->arena = arena_new();
    shell(scene, "mkdir state drivers && git init -q --bare -b main manifests.git\n"
                 "printf '#!/bin/false\\n' >drivers/sim && chmod 755 drivers/sim\n");
    file_put(scene, "token", "a-token-that-nobody-guesses\n", 0600);
    site_make(scene, arena_printf(scene->arena, "unix:%s", scene->socket));
    *state = scene;
    return 0;
}

SCENE_FN struct store *store_of(struct scene *scene)
{
    struct store *store = NULL;
    if (store_open(scene->state, STORE_WRITE, &store, &scene->err) != 0)
        fail_msg("%s", scene->err.message);
    return store;
}

/* Its exit status; -1: a signal ended it. */
SCENE_FN int viewer_end(struct scene *scene)
{
    pid_t viewer = scene->viewer;
    if (!viewer)
        return 0;
    scene->viewer = 0;
    kill(viewer, SIGTERM);
    return child_end(viewer);
}

SCENE_FN int scene_tear_down(void **state)
{
    struct scene *scene = *state;
    char script[128];
    assert_int_equal(viewer_end(scene), 0);
    snprintf(script, sizeof script, "rm -rf %s", scene->dir);
    assert_int_equal(system(script), 0);
    arena_free(scene->arena);
    free(scene);
    return 0;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, scene_set_up, scene_tear_down)

/* What it logs is in the file "log". */
SCENE_FN pid_t viewer_fork(struct scene *scene)
{
    pid_t pid = child_fork();
    if (pid > 0)
        return pid;
    char path[128];
    snprintf(path, sizeof path, "%s/log", scene->dir);
    if (!freopen(path, "w", stderr))
        _exit(98);
    int status = web_run(scene->site, "spinel", &scene->meter);
    fflush(NULL);
    _exit(status);
}

SCENE_FN int viewer_connect(const struct scene *scene)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", scene->socket);
    for (int i = 0; i < ANSWER_MS / 5; i++) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(fd >= 0);
        if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
            return fd;
        close(fd);
        usleep(5000);
    }
    fail_msg("nobody listens on %s", scene->socket);
    return -1;
}

SCENE_FN void viewer_start(struct scene *scene)
{
    scene->viewer = viewer_fork(scene);
    close(viewer_connect(scene));
}

/* Sends the bytes and reads until the viewer has closed. */
SCENE_FN char *exchange(struct scene *scene, const char *bytes)
{
    int fd = viewer_connect(scene);
    struct text said = TEXT_INIT;
    char chunk[16384];
    ssize_t got;
    assert_int_equal(send(fd, bytes, strlen(bytes), MSG_NOSIGNAL), (ssize_t)strlen(bytes));
    while ((got = recv(fd, chunk, sizeof chunk, 0)) > 0)
        text_add_n(&said, chunk, (size_t)got);
    close(fd);
    char *copy = arena_text_n(scene->arena, said.data ? said.data : "", said.len);
    text_free(&said);
    return copy;
}

SCENE_FN char *get(struct scene *scene, const char *path)
{
    return exchange(scene,
                    arena_printf(scene->arena,
                                 "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                                 path));
}

/* A decision of one who has the token; `headers` in addition. */
SCENE_FN char *post(struct scene *scene, const char *path, const char *headers, const char *body)
{
    return exchange(scene,
                    arena_printf(scene->arena,
                                 "POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                                 "Content-Type: application/json\r\nContent-Length: %zu\r\n"
                                 "Authorization: Bearer a-token-that-nobody-guesses\r\n"
                                 "%s\r\n%s",
                                 path, strlen(body), headers, body));
}

SCENE_FN void assert_status(const char *answer, int status)
{
    char wanted[32];
    snprintf(wanted, sizeof wanted, "HTTP/1.1 %d ", status);
    if (strncmp(answer, wanted, strlen(wanted)) != 0)
        fail_msg("not %d:\n%.600s", status, answer);
}

SCENE_FN void assert_says(const char *said, const char *wanted)
{
    if (!strstr(said, wanted))
        fail_msg("no \"%s\" in:\n%s", wanted, said);
}

/* The document in an answer of 200. */
SCENE_FN const struct value *document_of(struct scene *scene, const char *answer)
{
    struct value *document = NULL;
    const char *body = strstr(answer, "\r\n\r\n");
    assert_status(answer, 200);
    assert_non_null(body);
    if (json_read(scene->arena, body + 4, strlen(body + 4), &document, &scene->err) != 0)
        fail_msg("%s", scene->err.message);
    return document;
}

#endif
