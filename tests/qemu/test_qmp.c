/* SPDX-License-Identifier: MPL-2.0 */
/* The QMP client against servers that behave, and ones that do not. A server here is
 * a script: what it says at once, and what it says after each line that it hears. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "drivers/qemu/qmp.c"

#define GREETING "{\"QMP\":{\"version\":{\"qemu\":{\"major\":7}},\"capabilities\":[\"oob\"]}}\r\n"
#define READY GREETING, "{\"return\":{},\"id\":1}\r\n"

enum { PATIENCE_MS = 10000, IMPATIENCE_MS = 50 };

struct scene {
    struct arena *arena;
    struct qmp *qmp;
    struct error err;
    pid_t server;
    int started;
};

static void serve(int fd, const char *const script[])
{
    FILE *in = fdopen(dup(fd), "r");
    char line[4096];
    for (size_t i = 0; script[i]; i++) {
        if (i > 0 && !fgets(line, sizeof line, in))
            _exit(0);
        if (send(fd, script[i], strlen(script[i]), MSG_NOSIGNAL) < 0)
            _exit(0);
    }
    shutdown(fd, SHUT_WR);
    while (fgets(line, sizeof line, in))
        continue;
    _exit(0);
}

/* A script that ends with SILENT keeps the connection open and says no more. */
static const char SILENT[] = "";

static struct scene scene_open(const char *const script[], int64_t timeout_ms)
{
    struct scene scene = {.arena = arena_new(), .err = ERROR_INIT};
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    scene.server = fork();
    if (scene.server == 0) {
        close(ends[0]);
        serve(ends[1], script);
    }
    close(ends[1]);
    scene.started = qmp_start(scene.arena, ends[0], timeout_ms, &scene.qmp, &scene.err);
    return scene;
}

static void scene_close(struct scene *scene)
{
    qmp_close(scene->qmp);
    waitpid(scene->server, NULL, 0);
    arena_free(scene->arena);
}

static void reply_is_found_by_its_id_among_events(void **state)
{
    (void)state;
    const char *const script[] = {
        READY,
        "{\"event\":\"RESUME\",\"timestamp\":{\"seconds\":1,\"microseconds\":2}}\r\n"
        "{\"return\":{\"status\":\"stale\"},\"id\":1}\r\n"
        "{\"event\":\"DEVICE_DELETED\",\"data\":{\"device\":\"disk1\"}}\r\n"
        "{\"return\":{\"status\":\"running\"},\"id\":2}\r\n",
        NULL};
    struct scene scene = scene_open(script, PATIENCE_MS);
    const struct value *result;
    assert_int_equal(qmp_call(scene.qmp, "query-status", NULL, &result, &scene.err), 0);
    assert_string_equal(value_get_text(result, "status", ""), "running");
    assert_int_equal(qmp_wait(scene.qmp, "DEVICE_DELETED", "device", "disk1", 0, NULL, &scene.err),
                     0);
    scene_close(&scene);
}

static void event_of_another_device_does_not_count(void **state)
{
    static const char other[] = "{\"event\":\"DEVICE_DELETED\",\"data\":{\"device\":\"disk2\"}}"
                                "\r\n{\"return\":{},\"id\":2}\r\n";
    (void)state;
    const char *const script[] = {READY, other, SILENT, NULL};
    struct scene scene = scene_open(script, PATIENCE_MS);
    assert_int_equal(qmp_call(scene.qmp, "device_del", NULL, NULL, &scene.err), 0);
    assert_true(qmp_wait(scene.qmp, "DEVICE_DELETED", "device", "disk1", IMPATIENCE_MS, NULL,
                         &scene.err) < 0);
    scene_close(&scene);
}

static void refusal_carries_the_words_of_qemu(void **state)
{
    (void)state;
    const char *const script[] = {
        READY,
        "{\"id\":2,\"error\":{\"class\":\"DeviceNotFound\",\"desc\":\"Device 'x' not found\"}}\r\n",
        NULL};
    struct scene scene = scene_open(script, PATIENCE_MS);
    assert_int_equal(qmp_call(scene.qmp, "device_del", NULL, NULL, &scene.err), ERR_NOT_FOUND);
    assert_string_equal(scene.err.message, "QEMU refuses device_del: Device 'x' not found");
    scene_close(&scene);
}

static void silence_is_busy_and_not_for_ever(void **state)
{
    (void)state;
    const char *const script[] = {READY, SILENT, SILENT, NULL};
    struct scene scene = scene_open(script, PATIENCE_MS);
    scene.qmp->timeout_ms = IMPATIENCE_MS;
    assert_int_equal(qmp_call(scene.qmp, "query-status", NULL, NULL, &scene.err), ERR_BUSY);
    scene_close(&scene);
}

static void server_that_does_not_greet_is_busy(void **state)
{
    (void)state;
    const char *const script[] = {SILENT, SILENT, NULL};
    struct scene scene = scene_open(script, IMPATIENCE_MS);
    assert_int_equal(scene.started, ERR_BUSY);
    scene_close(&scene);
}

static void garbage_is_refused(void **state)
{
    (void)state;
    const char *const script[] = {"220 smtp ready\r\n", NULL};
    struct scene scene = scene_open(script, PATIENCE_MS);
    assert_int_equal(scene.started, ERR_INVALID);
    scene_close(&scene);
}

static void reply_without_id_is_refused(void **state)
{
    (void)state;
    const char *const script[] = {READY, "{\"return\":{}}\r\n", NULL};
    struct scene scene = scene_open(script, PATIENCE_MS);
    assert_int_equal(qmp_call(scene.qmp, "query-status", NULL, NULL, &scene.err), ERR_INVALID);
    scene_close(&scene);
}

static void line_in_pieces_is_one_message(void **state)
{
    (void)state;
    const char *const script[] = {GREETING, "{\"return\":{},", NULL};
    int ends[2];
    struct error err = ERROR_INIT;
    struct arena *arena = arena_new();
    struct qmp *qmp = NULL;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    for (size_t i = 0; script[i]; i++)
        assert_true(send(ends[1], script[i], strlen(script[i]), 0) > 0);
    pid_t server = fork();
    if (server == 0) {
        char heard;
        close(ends[0]);
        bool asked = read(ends[1], &heard, 1) == 1; /* the rest only after the question */
        _exit(asked && send(ends[1], "\"id\":1}\r\n", 9, 0) == 9 ? 0 : 1);
    }
    close(ends[1]);
    assert_int_equal(qmp_start(arena, ends[0], PATIENCE_MS, &qmp, &err), 0);
    qmp_close(qmp);
    waitpid(server, NULL, 0);
    arena_free(arena);
}

static void end_of_connection_is_success_for_quit(void **state)
{
    (void)state;
    const char *const script[] = {READY, "{\"event\":\"SHUTDOWN\",\"data\":{\"guest\":false}}\r\n",
                                  NULL};
    struct scene scene = scene_open(script, PATIENCE_MS);
    assert_int_equal(qmp_quit(scene.qmp, &scene.err), 0);
    scene_close(&scene);
}

static void end_of_connection_is_failure_for_anything_else(void **state)
{
    (void)state;
    const char *const script[] = {READY, NULL};
    struct scene scene = scene_open(script, PATIENCE_MS);
    assert_int_equal(qmp_call(scene.qmp, "cont", NULL, NULL, &scene.err), ERR_NOT_FOUND);
    scene_close(&scene);
}

static void descriptor_is_handed_over(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    struct error err = ERROR_INIT;
    int ends[2], pair[2], received = -1;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(pipe(pair), 0);
    struct qmp qmp = {.arena = arena,
                      .fd = ends[0],
                      .lock_fd = -1,
                      .timeout_ms = PATIENCE_MS,
                      .input = TEXT_INIT,
                      .events = value_list(arena)};
    static const char reply[] = "{\"return\":{},\"id\":1}\r\n";
    assert_true(send(ends[1], reply, sizeof reply - 1, 0) > 0);
    assert_int_equal(qmp_call_with_fd(&qmp, "getfd", NULL, pair[1], NULL, &err), 0);

    char line[256];
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = {.iov_base = line, .iov_len = sizeof line};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    assert_true(recvmsg(ends[1], &message, 0) > 0);
    assert_non_null(CMSG_FIRSTHDR(&message));
    memcpy(&received, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof received);
    assert_int_equal(write(received, "x", 1), 1);
    assert_int_equal(read(pair[0], line, 1), 1);
    close(received), close(pair[0]), close(pair[1]), close(ends[1]);
    qmp_close(&qmp);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reply_is_found_by_its_id_among_events),
        cmocka_unit_test(event_of_another_device_does_not_count),
        cmocka_unit_test(refusal_carries_the_words_of_qemu),
        cmocka_unit_test(silence_is_busy_and_not_for_ever),
        cmocka_unit_test(server_that_does_not_greet_is_busy),
        cmocka_unit_test(garbage_is_refused),
        cmocka_unit_test(reply_without_id_is_refused),
        cmocka_unit_test(line_in_pieces_is_one_message),
        cmocka_unit_test(end_of_connection_is_success_for_quit),
        cmocka_unit_test(end_of_connection_is_failure_for_anything_else),
        cmocka_unit_test(descriptor_is_handed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
