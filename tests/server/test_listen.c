/* SPDX-License-Identifier: MPL-2.0 */
/* Where the viewer listens, and those that listen to it: addresses that are none, sockets of a run
 * before, streams of events that are read late, never or to the end of the viewer. */
#include "tests/server/viewer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>

/* It ends by itself, with a word on why. */
static void assert_no_listening(struct scene *scene, const char *listen, const char *why)
{
    int status;
    struct text log = TEXT_INIT;
    char path[128], chunk[4096];
    site_make(scene, listen);
    pid_t pid = viewer_fork(scene);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    snprintf(path, sizeof path, "%s/log", scene->dir);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    text_add_n(&log, chunk, fread(chunk, 1, sizeof chunk, file));
    fclose(file);
    assert_says(log.data, "web.failed");
    assert_says(log.data, why);
    text_free(&log);
}

static void an_address_that_is_none_is_refused_with_an_example(void **state)
{
    static const char *const none[] = {
        "8420",
        "127.0.0.1:",
        "127.0.0.1:http",
        "127.0.0.1:8x",
        "127.0.0.1:99999",
        "127.0.0.1:123456",
        "example.org:80",
        "[::1:80",
        "]:80",
        "[]:80",
        "[:80",
    };
    struct scene *scene = *state;
    store_close(store_of(scene));
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_no_listening(scene, none[i], "is no address and port");
}

static void an_address_that_others_have_is_left_to_them(void **state)
{
    struct scene *scene = *state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    store_close(store_of(scene));
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    assert_no_listening(scene,
                        arena_printf(scene->arena, "127.0.0.1:%d", (int)ntohs(address.sin_port)),
                        "Name another port");
    close(fd);
    file_put(scene, "file", "of somebody's\n", 0600);
    assert_no_listening(scene, arena_printf(scene->arena, "unix:%s/file", scene->dir),
                        "cannot listen on");
    shell(scene, "grep -q somebody file");
    assert_no_listening(scene, arena_printf(scene->arena, "unix:%s/missing/web", scene->dir),
                        "cannot listen on");
    assert_no_listening(scene, arena_printf(scene->arena, "unix:%s/%0100d", scene->dir, 7),
                        "is too long for a socket");
}

static void without_a_store_or_a_driver_there_is_nothing_to_view(void **state)
{
    struct scene *scene = *state;
    const char *listen = arena_printf(scene->arena, "unix:%s", scene->socket);
    file_put(scene, "state/spinel.db", "this is no database, and never was one of ours.....\n",
             0600);
    assert_no_listening(scene, listen, "spinel.db");
    shell(scene, "rm state/spinel.db drivers/sim");
    store_close(store_of(scene));
    assert_no_listening(scene, listen, "sim");
}

static void a_socket_of_a_run_before_is_taken_over(void **state)
{
    struct scene *scene = *state;
    store_close(store_of(scene));
    viewer_start(scene);
    kill(scene->viewer, SIGKILL);
    waitpid(scene->viewer, NULL, 0);
    viewer_start(scene);
    assert_status(get(scene, "/api/v1/status"), 200);
}

/* By an address or as localhost; a name of another page's is not ours. */
static void on_a_port_a_request_says_which_host_it_is_for(void **state)
{
    static const struct {
        const char *host;
        int status;
    } hosts[] = {
        {"localhost", 200},   {"localhost:8420", 200},
        {"127.0.0.2", 200},   {"127.0.0.1:1", 200},
        {"[::1]:8420", 200},  {"[::1]", 200},
        {"::1", 200},         {"[]", 421},
        {"example.org", 421}, {"example.org:8420", 421},
    };
    struct scene *scene = *state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    char said[16384];
    store_close(store_of(scene));
    int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    socklen_t size = sizeof address;
    setsockopt(probe, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on); /* the viewer has it, too */
    assert_int_equal(bind(probe, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(probe, (struct sockaddr *)&address, &size), 0);
    site_make(scene, arena_printf(scene->arena, "127.0.0.1:%d", (int)ntohs(address.sin_port)));
    scene->viewer = viewer_fork(scene);
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        for (int t = 0; connect(fd, (struct sockaddr *)&address, size) != 0; t++, usleep(5000))
            assert_true(t < ANSWER_MS / 5);
        dprintf(fd, "GET /api/v1/status HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
                hosts[i].host);
        ssize_t got = recv(fd, said, sizeof said - 1, 0);
        said[got > 0 ? got : 0] = '\0';
        close(fd);
        assert_status(said, hosts[i].status);
    }
}

static void events_put(struct scene *scene, struct store *store, int count)
{
    int64_t seq;
    assert_int_equal(store_begin(store, &scene->err), 0);
    for (int i = 0; i < count; i++) {
        const struct event event = {
            .at_ms = 1700000000000, .type = "op.confirmed", .text = "a text of some length......"};
        assert_int_equal(store_event_add(store, &event, &seq, &scene->err), 0);
    }
    assert_int_equal(store_commit(store, &scene->err), 0);
}

static int stream_open(struct scene *scene, const char *headers)
{
    int fd = viewer_connect(scene);
    dprintf(fd, "GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n%s\r\n", headers);
    return fd;
}

/* What comes until `wanted` was in it, or the end. */
static char *stream_read_until(struct scene *scene, int fd, const char *wanted)
{
    struct text said = TEXT_INIT;
    struct pollfd io = {.fd = fd, .events = POLLIN};
    char chunk[16384];
    text_add(&said, "");
    while (!(wanted && strstr(said.data, wanted)) && poll(&io, 1, ANSWER_MS) > 0) {
        ssize_t got = recv(fd, chunk, sizeof chunk, 0);
        if (got <= 0)
            break;
        text_add_n(&said, chunk, (size_t)got);
    }
    char *copy = arena_text_n(scene->arena, said.data, said.len);
    text_free(&said);
    return copy;
}

static void who_comes_back_is_told_what_was_missed(void **state)
{
    struct scene *scene = *state;
    struct store *store = store_of(scene);
    events_put(scene, store, 450);
    viewer_start(scene);
    int fd = stream_open(scene, "Last-Event-ID: 3\r\n");
    char *said = stream_read_until(scene, fd, "id: 450\n");
    assert_says(said, "id: 4\n");
    assert_null(strstr(said, "id: 3\n"));
    assert_says(said, "id: 450\n"); /* more than are read at once */
    events_put(scene, store, 1);
    assert_says(stream_read_until(scene, fd, "id: 451\n"), "id: 451\n");
    close(fd);
    fd = stream_open(scene, "Last-Event-ID: 9999\r\n"); /* of a store that was lost */
    events_put(scene, store, 1);
    assert_says(stream_read_until(scene, fd, "id: 452\n"), "id: 452\n");
    close(fd);
    store_close(store);
}

static void who_does_not_read_is_let_go(void **state)
{
    struct scene *scene = *state;
    struct store *store = store_of(scene);
    viewer_start(scene);
    int fd = stream_open(scene, "");
    assert_says(stream_read_until(scene, fd, "retry: 1000"), "retry: 1000");
    for (int i = 0; i < 20; i++) {
        events_put(scene, store, 1000);
        assert_status(get(scene, "/api/v1/events?limit=1"), 200); /* nobody else waits */
    }
    struct pollfd closed = {.fd = fd, .events = POLLRDHUP};
    assert_int_equal(poll(&closed, 1, ANSWER_MS), 1);
    char *said = stream_read_until(scene, fd, NULL);
    assert_null(strstr(said, "id: 20000\n"));
    close(fd);
    store_close(store);
}

static void a_viewer_that_ends_ends_its_streams(void **state)
{
    struct scene *scene = *state;
    struct store *store = store_of(scene);
    viewer_start(scene);
    int fd = stream_open(scene, "");
    assert_says(stream_read_until(scene, fd, "retry: 1000"), "retry: 1000");
    assert_int_equal(viewer_end(scene), 0);
    char byte;
    while (recv(fd, &byte, 1, 0) > 0)
        continue; /* it has closed */
    close(fd);
    store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(an_address_that_is_none_is_refused_with_an_example),
        CASE(an_address_that_others_have_is_left_to_them),
        CASE(without_a_store_or_a_driver_there_is_nothing_to_view),
        CASE(a_socket_of_a_run_before_is_taken_over),
        CASE(on_a_port_a_request_says_which_host_it_is_for),
        CASE(who_comes_back_is_told_what_was_missed),
        CASE(who_does_not_read_is_let_go),
        CASE(a_viewer_that_ends_ends_its_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
