/* SPDX-License-Identifier: MPL-2.0 */
/* The client's end of the control socket, against a daemon that says what a test wrote down. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "reconciler/server/address.h"
#include "reconciler/server/control.h"

struct scene {
    struct arena *arena;
    struct site site;
    struct control *control;
    struct error err;
    char dir[32];
    int listening, daemon;
};

static int scene_setup(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);
    assert_non_null(scene);
    strcpy(scene->dir, "/tmp/spinel-XXXXXX");
    assert_non_null(mkdtemp(scene->dir));
    scene->arena = arena_new();
    scene->site.state_dir = scene->dir;
    assert_int_equal(control_listen(scene->dir, &scene->listening, &scene->err), 0);
    assert_int_equal(control_open(&scene->site, &scene->control, &scene->err), 0);
    /* it may not block, and the connection is there */
    scene->daemon = accept(scene->listening, NULL, NULL);
    assert_true(scene->daemon >= 0);
    *state = scene;
    return 0;
}

static void daemon_ends(struct scene *scene)
{
    if (scene->daemon >= 0)
        close(scene->daemon);
    scene->daemon = -1;
}

static int scene_teardown(void **state)
{
    struct scene *scene = *state;
    char command[64];
    control_close(scene->control);
    daemon_ends(scene);
    close(scene->listening);
    snprintf(command, sizeof command, "rm -rf %s", scene->dir);
    assert_int_equal(system(command), 0);
    arena_free(scene->arena);
    free(scene);
    return 0;
}

static void daemon_says(struct scene *scene, const char *lines)
{
    assert_int_equal(send(scene->daemon, lines, strlen(lines), 0), (ssize_t)strlen(lines));
}

static int call(struct scene *scene, struct value **result, const struct value **data)
{
    scene->err = (struct error)ERROR_INIT;
    return control_call(scene->control, scene->arena, "status", NULL, 200, result, data,
                        &scene->err);
}

static void notices_that_come_before_the_answer_are_kept_in_their_order(void **state)
{
    struct scene *scene = *state;
    struct value *result = NULL, *event = NULL;
    daemon_says(scene, "{\"method\":\"event\",\"params\":{\"seq\":1}}\n"
                       "{\"method\":\"other\",\"params\":{}}\n"
                       "{\"id\":77,\"result\":{\"of\":\"another\"}}\n"
                       "{\"method\":\"event\",\"params\":{\"seq\":2}}\n"
                       "{\"id\":1,\"result\":{\"fine\":true}}\n");
    assert_int_equal(call(scene, &result, NULL), 0);
    assert_true(value_get_bool(result, "fine", false));
    for (int seq = 1; seq <= 2; seq++) {
        int got;
        while ((got = control_next(scene->control, scene->arena, 100, &event, &scene->err)) == 0)
            continue;
        assert_int_equal(got, 1);
        assert_int_equal(value_get_int(event, "seq", 0), seq);
    }
    assert_int_equal(control_next(scene->control, scene->arena, 20, &event, &scene->err), 0);
}

static void an_answer_may_come_in_pieces(void **state)
{
    struct scene *scene = *state;
    struct value *event = NULL;
    daemon_says(scene, "{\"method\":\"event\",");
    assert_int_equal(control_next(scene->control, scene->arena, 20, &event, &scene->err), 0);
    daemon_says(scene, "\"params\":{\"seq\":7}}\n{\"method\":");
    assert_int_equal(control_next(scene->control, scene->arena, 500, &event, &scene->err), 1);
    assert_int_equal(value_get_int(event, "seq", 0), 7);
    assert_int_equal(control_next(scene->control, scene->arena, 20, &event, &scene->err), 0);
}

static void a_long_notice_in_many_pieces_comes_whole_and_so_does_the_next(void **state)
{
    enum { PIECE = 50000, PIECES = 7 };
    static char piece[PIECE + 1];
    struct scene *scene = *state;
    struct value *event = NULL;
    memset(piece, 'x', PIECE);
    daemon_says(scene, "{\"method\":\"event\",\"params\":{\"seq\":7,\"text\":\"");
    for (int i = 0; i < PIECES; i++) {
        daemon_says(scene, piece);
        assert_int_equal(control_next(scene->control, scene->arena, 5, &event, &scene->err), 0);
    }
    daemon_says(scene, "\"}}\n{\"method\":\"event\",\"params\":{\"seq\":8}}\n{\"method\"");
    assert_int_equal(control_next(scene->control, scene->arena, 500, &event, &scene->err), 1);
    assert_int_equal(strlen(value_get_text(event, "text", "")), PIECE * PIECES);
    assert_int_equal(control_next(scene->control, scene->arena, 500, &event, &scene->err), 1);
    assert_int_equal(value_get_int(event, "seq", 0), 8);
    daemon_says(scene, ":\"event\",\"params\":{\"seq\":9}}\n");
    assert_int_equal(control_next(scene->control, scene->arena, 500, &event, &scene->err), 1);
    assert_int_equal(value_get_int(event, "seq", 0), 9);
}

static void a_refusal_keeps_its_code_its_hint_and_its_data(void **state)
{
    struct scene *scene = *state;
    const struct value *data = NULL;
    struct value *result = NULL;
    daemon_says(scene,
                "{\"id\":1,\"error\":{\"code\":-32000,\"message\":\"it is busy\",\"data\":"
                "{\"kind\":\"busy\",\"hint\":\"Wait.\",\"more\":5}}}\n"
                "{\"id\":2,\"error\":{\"code\":-32000,\"message\":\"odd\",\"data\":{\"kind\":"
                "\"unheard of\"}}}\n"
                "{\"id\":3,\"error\":{\"code\":-32601,\"message\":\"no such method\"}}\n");
    assert_int_equal(call(scene, &result, &data), ERR_BUSY);
    assert_non_null(strstr(scene->err.message, "it is busy"));
    assert_string_equal(scene->err.hint, "Wait.");
    assert_int_equal(value_get_int(data, "more", 0), 5);
    assert_int_equal(call(scene, &result, NULL), ERR_SYSTEM);
    assert_true(call(scene, NULL, &data) < 0);
    assert_non_null(strstr(scene->err.message, "no such method"));
}

static void what_is_no_answer_is_an_error_and_no_crash(void **state)
{
    struct scene *scene = *state;
    struct value *result = NULL, *event = NULL;
    daemon_says(scene, "this is no JSON\n");
    assert_true(call(scene, &result, NULL) < 0);
    assert_non_null(strstr(scene->err.message, "the daemon's answer"));
    daemon_says(scene, "nor this\n");
    assert_true(control_next(scene->control, scene->arena, 200, &event, &scene->err) < 0);
    assert_non_null(strstr(scene->err.message, "the daemon's notice"));
}

static void a_daemon_that_says_nothing_is_waited_for_as_long_as_asked(void **state)
{
    struct scene *scene = *state;
    struct value *result = NULL;
    assert_true(call(scene, &result, NULL) < 0);
    assert_non_null(strstr(scene->err.message, "answer"));
}

static void a_daemon_that_ends_is_told_from_one_that_is_slow(void **state)
{
    struct scene *scene = *state;
    struct value *result = NULL, *event = NULL;
    daemon_says(scene, "{\"method\":\"event\",\"params\":{\"seq\":3}}\n");
    daemon_ends(scene);
    assert_int_equal(control_next(scene->control, scene->arena, -1, &event, &scene->err), 1);
    assert_int_equal(control_next(scene->control, scene->arena, -1, &event, &scene->err),
                     ERR_NOT_FOUND);
    assert_non_null(strstr(scene->err.message, "closed the connection"));
    assert_true(call(scene, &result, NULL) < 0);
}

static void a_place_where_no_socket_can_be_is_an_error(void **state)
{
    struct scene *scene = *state;
    int fd = -1;
    assert_true(control_listen("/nonexistent", &fd, &scene->err) < 0);
    assert_non_null(strstr(scene->err.message, "cannot open the state directory"));
    assert_int_equal(control_connect("/nonexistent", &fd, &scene->err), ERR_NOT_FOUND);
    control_forget("/nonexistent");
    control_forget(scene->dir);
    assert_int_equal(control_connect(scene->dir, &fd, &scene->err), ERR_NOT_FOUND);
    char path[64];
    snprintf(path, sizeof path, "%s/control.sock", scene->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_true(control_listen(scene->dir, &fd, &scene->err) < 0);
    assert_non_null(strstr(scene->err.message, "cannot listen on"));
    assert_int_equal(fd, -1);
}

/* 0: it may be reached; else the error's code. */
static int connect_as(const struct scene *scene, uid_t user, struct error *err)
{
    int fd = -1;
    if (seteuid(user) < 0)
        return ERR_SYSTEM;
    int status = control_connect(scene->dir, &fd, err);
    if (fd >= 0)
        close(fd);
    return seteuid(0) < 0 ? ERR_SYSTEM : status;
}

static void who_may_not_reach_the_daemon_is_told_who_may(void **state)
{
    enum { NOBODY = 65534 };
    struct scene *scene = *state;
    char path[64];
    if (geteuid() != 0) {
        print_message("# SKIP needs root\n");
        skip();
    }
    snprintf(path, sizeof path, "%s/control.sock", scene->dir);
    assert_int_equal(chmod(scene->dir, 0755), 0);
    assert_int_equal(chmod(path, 0600), 0); /* root's groups are kept */
    assert_int_equal(connect_as(scene, NOBODY, &scene->err), ERR_DENIED);
    assert_non_null(strstr(scene->err.message, "cannot reach the daemon by "));
    assert_non_null(strstr(scene->err.hint, "member of the group 'spinel'"));
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(connect_as(scene, NOBODY, &scene->err), 0);
}

/* What is there and listens, but to other words. */
static void a_socket_of_another_kind_is_no_daemon_that_is_down(void **state)
{
    struct scene *scene = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = -1;
    control_forget(scene->dir);
    snprintf(address.sun_path, sizeof address.sun_path, "%s/control.sock", scene->dir);
    int other = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(other, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(control_connect(scene->dir, &fd, &scene->err), ERR_SYSTEM);
    assert_non_null(strstr(scene->err.message, "cannot reach the daemon by "));
    close(other);
}

/* Gives this process a machine of its own that has the group. */
static bool group_make(const struct scene *scene, gid_t gid)
{
    char path[64];
    snprintf(path, sizeof path, "%s/group", scene->dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    bool is_written = fd >= 0 && dprintf(fd, "root:x:0:\nspinel:x:%d:\n", (int)gid) > 0;
    close(fd);
    return is_written && unshare(CLONE_NEWNS) == 0 &&
           mount("none", "/", "none", MS_REC | MS_PRIVATE, "") == 0 &&
           mount(path, "/etc/group", "none", MS_BIND, "") == 0;
}

/* The mode and the group of the socket of a daemon that runs as that user. */
static bool listens_with(const struct scene *scene, uid_t user, gid_t group)
{
    struct error err = ERROR_INIT;
    struct stat st;
    char path[64];
    int fd = -1;
    snprintf(path, sizeof path, "%s/control.sock", scene->dir);
    if (seteuid(user) < 0)
        return false;
    bool is = control_listen(scene->dir, &fd, &err) == 0 && stat(path, &st) == 0 &&
              (st.st_mode & 0777) == 0660 && st.st_uid == user && st.st_gid == group;
    return seteuid(0) == 0 && is;
}

static void the_socket_is_the_groups_where_it_may_be_given(void **state)
{
    enum { GROUP = 54321, NOBODY = 65534 };
    struct scene *scene = *state;
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        if (geteuid() != 0 || !group_make(scene, GROUP))
            _exit(2);
        bool is_given = listens_with(scene, 0, GROUP);
        bool is_open = chmod(scene->dir, 0777) == 0;
        _exit(!is_given || !is_open || !listens_with(scene, NOBODY, getegid()));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 2) {
        print_message("# SKIP needs root, and mounts of its own\n");
        skip();
    }
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(test) cmocka_unit_test_setup_teardown(test, scene_setup, scene_teardown)
        CASE(notices_that_come_before_the_answer_are_kept_in_their_order),
        CASE(an_answer_may_come_in_pieces),
        CASE(a_long_notice_in_many_pieces_comes_whole_and_so_does_the_next),
        CASE(a_refusal_keeps_its_code_its_hint_and_its_data),
        CASE(what_is_no_answer_is_an_error_and_no_crash),
        CASE(a_daemon_that_says_nothing_is_waited_for_as_long_as_asked),
        CASE(a_place_where_no_socket_can_be_is_an_error),
        CASE(a_daemon_that_ends_is_told_from_one_that_is_slow),
        CASE(who_may_not_reach_the_daemon_is_told_who_may),
        CASE(a_socket_of_another_kind_is_no_daemon_that_is_down),
        CASE(the_socket_is_the_groups_where_it_may_be_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
