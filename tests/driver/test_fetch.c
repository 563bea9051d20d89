/* SPDX-License-Identifier: MPL-2.0 */
/* Images by URL: whoever may push says where root connects to, so most of what is here is refused.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "tests/driver/rack.h"

#define BYTES "bytes of an image"

/* A web server on loopback that gives one answer to all. */
struct server {
    pid_t pid;
    int port;
    int *asked; /* how often somebody connected */
};

static struct server *servers[2];

static _Noreturn void server_main(int fd, int *asked, const char *answer)
{
    for (;;) {
        char request[4096];
        int client = accept(fd, NULL, NULL);
        if (client < 0)
            _exit(1);
        ++*asked;
        ssize_t got = read(client, request, sizeof request);
        ssize_t put = got > 0 ? write(client, answer, strlen(answer)) : 0;
        (void)put;
        close(client);
    }
}

static struct server *server_start(struct rack *rack, size_t place, const char *answer)
{
    struct server *server = arena_alloc(rack->arena, sizeof *server);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    server->port = ntohs(at.sin_port);
    server->asked = mmap(NULL, sizeof *server->asked, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(server->asked != MAP_FAILED);
    server->pid = fork();
    if (server->pid == 0)
        server_main(fd, server->asked, answer);
    close(fd);
    servers[place] = server;
    return server;
}

static struct server *server_of_image(struct rack *rack)
{
    return server_start(rack, 0,
                        arena_printf(rack->arena,
                                     "HTTP/1.0 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
                                     strlen(BYTES), BYTES));
}

static int setup(void **state)
{
    /* Of whoever runs this: it would be asked in our place. */
    static const char *const proxies[] = {"http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY",
                                          "ALL_PROXY"};
    for (size_t i = 0; i < sizeof proxies / sizeof *proxies; i++)
        unsetenv(proxies[i]);
    *state = rack_new("file");
    return 0;
}

static int teardown(void **state)
{
    for (size_t i = 0; i < 2; i++) {
        if (!servers[i])
            continue;
        kill(servers[i]->pid, SIGKILL);
        waitpid(servers[i]->pid, NULL, 0);
        munmap(servers[i]->asked, sizeof *servers[i]->asked);
        servers[i] = NULL;
    }
    rack_free(*state);
    return 0;
}

static const char *digest_of_bytes(char hex[65])
{
    unsigned char hash[32];
    crypto_hash_sha256(hash, (const unsigned char *)BYTES, strlen(BYTES));
    sodium_bin2hex(hex, 65, hash, sizeof hash);
    return hex;
}

static const struct value *image_make(struct rack *rack, int epoch, const char *url,
                                      const char *hex)
{
    const char *json = arena_printf(
        rack->arena, "{\"spec\":{\"url\":\"%s\",\"digest\":\"sha256:%s\",\"format\":\"raw\"}}", url,
        hex);
    return rack_apply(rack, 1, epoch, "create", "Image", json);
}

static const char *url_of(struct rack *rack, const char *host, const struct server *server)
{
    return arena_printf(rack->arena, "http://%s:%d/os.raw", host, server->port);
}

static const char *hosts_allowed(struct rack *rack, const char *host, const struct server *server)
{
    return arena_printf(rack->arena, "{\"imageHosts\":[\"images.example\",\"%s:%d\"]}", host,
                        server->port);
}

/* ---- what is refused ---------------------------------------------------------------- */

static void this_host_and_its_link_are_refused_by_whatever_name(void **state)
{
    static const char *const hosts[] = {"127.0.0.1",
                                        "127.1",
                                        "2130706433",
                                        "0x7f000001",
                                        "localhost",
                                        "127.99.0.1",
                                        "0.0.0.0",
                                        "0",
                                        "169.254.169.254",
                                        "[::ffff:127.0.0.1]",
                                        "[64:ff9b::127.0.0.1]",
                                        "[::1]",
                                        "[::]",
                                        "[fe80::1]",
                                        "[::ffff:169.254.169.254]"};
    struct rack *rack = *state;
    char hex[65];
    const struct server *server = server_of_image(rack);
    digest_of_bytes(hex);
    rack_start(rack, "{\"imageHosts\":[\"images.example\",\"127.0.0.1:1\"]}");
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        assert_refused(rack, image_make(rack, (int)i + 1, url_of(rack, hosts[i], server), hex),
                       "denied", "an address of this host itself or of its link");
    assert_int_equal(*server->asked, 0);
}

static void a_redirect_to_what_is_not_allowed_is_refused(void **state)
{
    struct rack *rack = *state;
    char hex[65];
    const struct server *inner = server_of_image(rack);
    const struct server *outer =
        server_start(rack, 1,
                     arena_printf(rack->arena,
                                  "HTTP/1.0 302 Found\r\nLocation: http://127.0.0.1:%d/\r\n"
                                  "Content-Length: 0\r\n\r\n",
                                  inner->port));
    rack_start(rack, hosts_allowed(rack, "localhost", outer));
    assert_refused(rack,
                   image_make(rack, 1, url_of(rack, "localhost", outer), digest_of_bytes(hex)),
                   "denied", "an address of this host itself or of its link");
    assert_int_equal(*outer->asked, 1);
    assert_int_equal(*inner->asked, 0);
}

static void the_digest_of_what_a_url_gives_is_not_told(void **state)
{
    struct rack *rack = *state;
    char hex[65], wrong[65];
    const struct server *server = server_of_image(rack);
    digest_of_bytes(hex);
    memcpy(wrong, hex, sizeof wrong);
    wrong[0] = wrong[0] == '0' ? '1' : '0';
    rack_start(rack, hosts_allowed(rack, "127.0.0.1", server));
    const struct value *answer = image_make(rack, 1, url_of(rack, "127.0.0.1", server), wrong);
    assert_refused(rack, answer, "invalid", "has another digest than");
    assert_null(strstr(json_text(rack->arena, answer), hex));
}

static void hosts_that_are_no_list_are_refused_at_the_start(void **state)
{
    struct rack *rack = *state;
    static const char *const settings[] = {"{\"imageHosts\":\"127.0.0.1\"}", "{\"imageHosts\":[1]}",
                                           "{\"imageHosts\":[\"\"]}"};
    for (size_t i = 0; i < 3; i++) {
        rack->subject.settings = json_of(rack->arena, settings[i]);
        const struct value *answer = subject_start(&rack->subject);
        assert_non_null(strstr(value_at_text(answer, "error.message", ""), "imageHosts"));
        subject_kill(&rack->subject);
    }
}

/* ---- what is fetched ---------------------------------------------------------------- */

static void an_allowed_host_is_asked(void **state)
{
    static const char *const hosts[] = {"localhost", "127.0.0.1"};
    struct rack *rack = *state;
    char hex[65];
    const struct server *server = server_of_image(rack);
    digest_of_bytes(hex);
    for (int i = 0; i < 2; i++) {
        rack_start(rack, hosts_allowed(rack, hosts[i], server));
        assert_applied(rack, image_make(rack, 2 * i + 1, url_of(rack, hosts[i], server), hex));
        assert_int_equal(*server->asked, i + 1);
        assert_applied(rack, rack_apply(rack, 1, 2 * i + 2, "delete", "Image",
                                        "{\"spec\":{\"digest\":\"sha256:0\"}}"));
        subject_kill(&rack->subject);
    }
}

static void a_url_that_does_not_answer_is_tried_again(void **state)
{
    struct rack *rack = *state;
    static const char none[] = "0000000000000000000000000000000000000000000000000000000000000000";
    rack_start(rack, "{\"imageHosts\":[\"127.0.0.1\"]}");
    assert_refused(rack, image_make(rack, 1, "http://127.0.0.1:9/os.raw", none), "busy",
                   "cannot download http://127.0.0.1:9/os.raw");
}

/* It is not tried again, and nothing of it is fetched. */
static void an_image_that_is_said_to_be_too_large_is_refused_for_good(void **state)
{
    struct rack *rack = *state;
    char hex[65];
    struct server *server =
        server_start(rack, 0, "HTTP/1.0 200 OK\r\nContent-Length: 2199023255552\r\n\r\nx");
    rack_start(rack, hosts_allowed(rack, "127.0.0.1", server));
    assert_refused(rack,
                   image_make(rack, 1, url_of(rack, "127.0.0.1", server), digest_of_bytes(hex)),
                   "invalid", "larger than the limit");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(this_host_and_its_link_are_refused_by_whatever_name),
        TEST(a_redirect_to_what_is_not_allowed_is_refused),
        TEST(the_digest_of_what_a_url_gives_is_not_told),
        TEST(hosts_that_are_no_list_are_refused_at_the_start),
        TEST(an_allowed_host_is_asked),
        TEST(an_image_that_is_said_to_be_too_large_is_refused_for_good),
        TEST(a_url_that_does_not_answer_is_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
