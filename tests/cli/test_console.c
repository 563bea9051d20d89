/* SPDX-License-Identifier: MPL-2.0 */
/* `spinel console`: keys to a machine's serial port, and the ways out. */
#include "tests/cli/rack.h"

#include <sys/un.h>

/* A port that repeats what it is told, and hangs up at "x". */
static void port_open(struct scene *scene)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct store *store = store_of(scene);
    char data[256];
    rack_put(scene, store);
    store_close(store);
    shell(scene, "mkdir -p state/instances/" UID_WEB);
    const char *path =
        arena_printf(scene->arena, "%s/instances/" UID_WEB "/serial.sock", scene->state);
    assert_true(strlen(path) < sizeof address.sun_path);
    memcpy(address.sun_path, path, strlen(path));
    int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listening, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listening, 4), 0);
    fflush(NULL);
    scene->daemon = fork();
    assert_true(scene->daemon >= 0);
    if (scene->daemon > 0) {
        close(listening);
        return;
    }
    for (int fd; (fd = accept(listening, NULL, NULL)) >= 0; close(fd)) {
        send(fd, "login: ", 7, MSG_NOSIGNAL);
        for (ssize_t got;
             (got = recv(fd, data, sizeof data, 0)) > 0 && !memchr(data, 'x', (size_t)got);)
            if (send(fd, data, (size_t)got, MSG_NOSIGNAL) < 0)
                break;
    }
    _exit(1);
}

static void keys_go_to_the_machine_until_the_way_out(void **state)
{
    struct scene *scene = *state;
    port_open(scene);
    struct ran ran = RUN_ON_TERMINAL(scene, 80, "ab~\035", "console", "shop/web-1");
    assert_int_equal(ran.status, 0);
    assert_says(ran.out, "Leave with Ctrl-] or ~.");
    assert_says(ran.out, "login: ab~");
    assert_says(ran.out, "Disconnected; the machine goes on.");
    ran = RUN_ON_TERMINAL(scene, 80, "~q\r~.", "console", "web-1");
    assert_int_equal(ran.status, 0);
    assert_says(ran.out, "~q\r~");
    assert_says(ran.out, "Disconnected");
    ran = RUN_ON_TERMINAL(scene, 80, "q~.\n~.", "console", "web-1"); /* not at a line's start */
    assert_says(ran.out, "q~.\n");
    ran = RUN_ON_TERMINAL(scene, 80, "x", "console", "web-1"); /* the machine hangs up */
    assert_says(ran.out, "Disconnected");
}

static void off_a_terminal_it_ends_when_the_machine_is_silent(void **state)
{
    struct scene *scene = *state;
    port_open(scene);
    struct ran ran = RUN(scene, "console", "shop/web-1");
    assert_int_equal(ran.status, 0);
    assert_string_equal(ran.out, "login: ");
    scene->out = "/dev/full";
    RUN(scene, "console", "shop/web-1"); /* nowhere to put what it says */
    scene->out = NULL;
    file_put(scene, "state/instances/" UID_WEB "/serial.log", "booted\n");
    ran = RUN(scene, "console", "--log", "shop/web-1");
    assert_string_equal(ran.out, "booted\n");
}

static void a_machine_that_cannot_be_reached_is_said_to_be_so(void **state)
{
    struct scene *scene = *state;
    struct ran ran = RUN(scene, "console", "shop/web-1");
    assert_int_equal(ran.status, 1);
    assert_says(ran.err, "there is no Instance shop/web-1");
    struct store *store = store_of(scene);
    rack_put(scene, store);
    store_close(store);
    ran = RUN(scene, "console", "shop/web-1");
    assert_int_equal(ran.status, 1);
    assert_says(ran.err, "cannot reach the console of shop/web-1");
    assert_says(ran.err, "shows what it printed");
    ran = RUN(scene, "console", "--log", "shop/web-1");
    assert_int_equal(ran.status, 1);
    assert_says(ran.err, "serial.log");
    shell(scene, "rm spinel.yaml");
    assert_int_equal(RUN(scene, "console", "shop/web-1").status, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(keys_go_to_the_machine_until_the_way_out),
        CASE(off_a_terminal_it_ends_when_the_machine_is_silent),
        CASE(a_machine_that_cannot_be_reached_is_said_to_be_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
