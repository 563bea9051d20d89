/* SPDX-License-Identifier: MPL-2.0 */
/* Requests to a daemon that nobody's command sends: wrong, too many, never read, of strangers. */
#include "tests/cli/rack.h"

#include <errno.h>
#include "reconciler/server/control.h"

enum { ANSWER_MS = 20000 };

/* Serves the scene's site, and is up when this returns. */
static void daemon_start(struct scene *scene)
{
    static const char *const words[] = {"serve", NULL};
    const char *build = getenv("BUILD");
    char *real = realpath(build ? build : "build", NULL);
    int fd = -1;
    assert_non_null(real);
    file_put(scene, "spinel.yaml",
             arena_printf(scene->arena,
                          "apiVersion: spinel/v1\nkind: Site\nmetadata: {name: lab}\n"
                          "spec:\n  repository: {path: ./manifests.git, branch: main}\n"
                          "  stateDir: ./state\n  drivers: {default: sim}\n"
                          "  driverDirs: [\"%s/drivers\"]\n",
                          real));
    free(real);
    scene->daemon = child_fork();
    if (scene->daemon == 0) {
        char path[128];
        snprintf(path, sizeof path, "%s/log", scene->dir);
        if (!freopen(path, "w", stderr))
            _exit(98);
        command_do(scene, words);
    }
    for (int i = 0; control_connect(scene->state, &fd, &scene->err) < 0; i++, usleep(10000))
        assert_true(i < ANSWER_MS / 10);
    close(fd);
}

static int client_new(struct scene *scene)
{
    int fd = -1;
    if (control_connect(scene->state, &fd, &scene->err) < 0)
        fail_msg("%s", scene->err.message);
    return fd;
}

/* The next line; NULL: the daemon has closed. */
static char *line_read(struct scene *scene, int fd)
{
    struct text line = TEXT_INIT;
    struct pollfd io = {.fd = fd, .events = POLLIN};
    char byte = 0;
    text_add(&line, "");
    while (byte != '\n') {
        if (poll(&io, 1, ANSWER_MS) <= 0 || recv(fd, &byte, 1, 0) <= 0) {
            text_free(&line);
            return NULL;
        }
        text_add_char(&line, byte);
    }
    char *copy = arena_text_n(scene->arena, line.data, line.len);
    text_free(&line);
    return copy;
}

static char *ask(struct scene *scene, int fd, const char *request)
{
    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
    char *line = line_read(scene, fd);
    if (!line)
        fail_msg("no answer to %s", request);
    return line;
}

#define METHOD(name, params) "{\"id\":1,\"method\":\"" name "\",\"params\":{" params "}}\n"
#define GOOD \
    DOC("Project", "name: shop", "{}") DOC("Volume", "project: shop, name: v", "{size: 1MiB}")

static void a_daemon_without_a_commit_has_no_plan(void **state)
{
    struct scene *scene = *state;
    shell(scene, "git init -q --bare -b main manifests.git");
    daemon_start(scene);
    int fd = client_new(scene);
    assert_says(ask(scene, fd, METHOD("plan", "")), "\"error\":");
    assert_says(ask(scene, fd, METHOD("plan", "\"cached\":true")), "\"error\":");
    assert_says(ask(scene, fd, METHOD("apply", "")), "\"error\":");
    assert_says(ask(scene, fd, METHOD("pushed", "")), "\"error\":");
    assert_says(ask(scene, fd, METHOD("status", "\"marks\":true")), "\"commit\":null");
    assert_says(ask(scene, fd, METHOD("follow", "\"seq\":null")), "\"seq\":");
    close(fd);
}

static void what_is_no_request_is_refused_and_the_next_one_served(void **state)
{
    struct scene *scene = *state;
    commit_put(scene, GOOD);
    daemon_start(scene);
    int fd = client_new(scene);
    assert_says(ask(scene, fd, "this is none\n"), "\"error\":");
    assert_says(ask(scene, fd, "[]\n"), "a request is a map");
    assert_says(ask(scene, fd, "{\"id\":\"1\",\"method\":\"status\"}\n"),
                "an id is a whole number");
    assert_says(ask(scene, fd, "{\"id\":1,\"method\":\"status\",\"params\":[]}\n"),
                "params is a map, and not a list");
    assert_says(ask(scene, fd, METHOD("apply", "\"saved\":5")), "saved is a map, and not a whole");
    assert_says(ask(scene, fd, METHOD("plan", "\"commit\":5")), "commit is a text");
    assert_says(ask(scene, fd, METHOD("freeze", "\"what\":\"changes\"")), "says why");
    assert_says(ask(scene, fd, METHOD("freeze", "\"what\":\"changes\",\"why\":\"x\",\"until\":1")),
                "has ended before it begins");
    assert_says(ask(scene, fd, "\n"), "\"error\":");
    assert_says(ask(scene, fd, METHOD("colour", "")), "the daemon has no method colour");
    assert_says(ask(scene, fd, METHOD("approve", "\"hold\":\"none\"")), "\"error\":");
    assert_says(ask(scene, fd, METHOD("freeze", "\"what\":\"time\"")), "changes, healing or");
    assert_says(ask(scene, fd, METHOD("lift", "\"what\":\"changes\"")), "\"error\":");
    assert_says(ask(scene, fd, METHOD("purge", "\"uid\":\"none\"")), "\"error\":");
    assert_says(ask(scene, fd, METHOD("apply", "\"saved\":{\"plan\":7}")), "\"error\":");
    assert_says(ask(scene, fd, METHOD("check", "\"changes\":[{}]")), "\"error\":");
    assert_says(ask(scene, fd, METHOD("status", "")), "\"result\":");
    close(fd);
}

/* Types and sizes that nobody sends: each has an answer, and the daemon is there afterwards. */
static void odd_values_are_answered(void **state)
{
    static const char *const params[] = {
        "7",
        "[]",
        "null",
        "{}",
        "{\"commit\":7,\"hold\":7,\"what\":7,\"uid\":[],\"seq\":\"x\",\"since\":{},\"who\":9}",
        "{\"commit\":\"../../x\",\"hold\":\"\",\"what\":\"changes\",\"why\":\"\",\"until\":-1,"
        "\"seq\":-5,\"since\":-1,\"uid\":\"\"}",
        "{\"commit\":\"abcd\",\"what\":\"healing\",\"why\":\"\\u0000\\u001b\",\"until\":"
        "9223372036854775807,\"seq\":9223372036854775807,\"since\":9223372036854775807,"
        "\"saved\":{},\"changes\":[7,{\"path\":7},{\"path\":\"a.yaml\",\"data\":9}]}",
    };
    static const char *const methods[] = {"status",  "plan",    "check", "pushed", "apply",
                                          "drift",   "approve", "lift",  "freeze", "purge",
                                          "observe", "refused", "follow"};
    struct scene *scene = *state;
    commit_put(scene, GOOD);
    daemon_start(scene);
    for (size_t m = 0; m < sizeof methods / sizeof *methods; m++) {
        int fd = client_new(scene);
        for (size_t i = 0; i < sizeof params / sizeof *params; i++)
            assert_says(
                ask(scene, fd,
                    arena_printf(scene->arena, "{\"id\":1,\"method\":\"%s\",\"params\":%s}\n",
                                 methods[m], params[i])),
                "\"jsonrpc\":\"2.0\"");
        close(fd);
    }
    int fd = client_new(scene);
    assert_says(ask(scene, fd, METHOD("status", "")), "\"result\":");
    close(fd);
}

static void a_plan_can_be_asked_for_of_any_commit(void **state)
{
    struct scene *scene = *state;
    char *other = commit_put(scene, GOOD DOC("Volume", "project: shop, name: w", "{size: 1MiB}"));
    char *broken = commit_put(scene, DOC("Volume", "project: shop, name: w", "{sise: 1MiB}"));
    commit_put(scene, GOOD);
    daemon_start(scene);
    int fd = client_new(scene);
    char *said = ask(scene, fd, METHOD("plan", ""));
    assert_says(said, "\"result\":");
    said = ask(scene, fd, arena_printf(scene->arena, METHOD("plan", "\"commit\":\"%s\""), other));
    assert_says(said, "\"name\":\"w\"");
    said = ask(scene, fd, arena_printf(scene->arena, METHOD("plan", "\"commit\":\"%s\""), broken));
    assert_says(said, "is not valid");
    said = ask(
        scene, fd,
        METHOD("plan", "\"cached\":true,\"commit\":\"0123456789012345678901234567890123456789\""));
    assert_says(said, "\"error\":");
    close(fd);
}

static void a_head_that_is_not_valid_is_refused_and_on_record(void **state)
{
    struct scene *scene = *state;
    char *good = commit_put(scene, GOOD);
    daemon_start(scene);
    int fd = client_new(scene);
    ask(scene, fd, METHOD("observe", ""));
    char *broken = commit_put(scene, DOC("Volume", "project: shop, name: w", "{sise: 1MiB}"));
    assert_says(ask(scene, fd, METHOD("pushed", "\"who\":\"ann\"")), "\"problems\":[{");
    assert_says(ask(scene, fd, METHOD("apply", "")), "\"problems\":[{");
    assert_says(ask(scene, fd, METHOD("status", "")), good); /* the last good one is in force */
    char *history = RUN(scene, "history").out;
    assert_says(history, arena_printf(scene->arena, "%.10s", broken));
    assert_says(history, "refused");
    close(fd);
}

#define COMMIT "0123456789abcdef0123456789abcdef01234567"

static void a_refusal_names_a_commit_and_its_first_problems(void **state)
{
    struct scene *scene = *state;
    struct text many = TEXT_INIT;
    commit_put(scene, GOOD);
    daemon_start(scene);
    int fd = client_new(scene);
    assert_says(ask(scene, fd, METHOD("refused", "\"commit\":\"abc\"")), "is no commit");
    assert_says(ask(scene, fd, METHOD("refused", "\"commit\":\"" COMMIT COMMIT "\"")),
                "is no commit");
    assert_says(ask(scene, fd, METHOD("refused", "\"commit\":\"X" COMMIT "\"")), "is no commit");
    assert_says(ask(scene, fd, METHOD("refused", "\"commit\":\"" COMMIT "\"")), "does not say why");
    assert_says(ask(scene, fd,
                    METHOD("refused", "\"commit\":\"" COMMIT "\",\"why\":\"so\",\"problems\":[7]")),
                "\"result\":");
    for (int i = 0; i < 25; i++)
        text_printf(&many, "%s{\"message\":\"problem %02d\"}", i ? "," : "", i);
    assert_says(ask(scene, fd,
                    arena_printf(
                        scene->arena,
                        METHOD("refused", "\"commit\":\"%.39s8\",\"why\":\"so\",\"problems\":[%s]"),
                        COMMIT, many.data)),
                "\"result\":");
    text_free(&many);
    char *events = RUN(scene, "events", "--json").out;
    assert_says(events, "problem 19");
    assert_not_says(events, "problem 20");
    close(fd);
}

static void who_lags_behind_gets_every_event_in_its_order(void **state)
{
    struct scene *scene = *state;
    char why[2000];
    memset(why, 'x', sizeof why - 1);
    why[sizeof why - 1] = '\0';
    commit_put(scene, GOOD);
    daemon_start(scene);
    int follower = client_new(scene), fd = client_new(scene);
    const struct value *answer = json(scene, ask(scene, follower, METHOD("follow", "\"seq\":0")));
    int64_t next = 1;
    (void)answer;
    for (int i = 0; i < 600; i++)
        assert_says(ask(scene, fd,
                        arena_printf(scene->arena,
                                     METHOD("refused", "\"commit\":\"%.37s%03x\",\"why\":\"%s\""),
                                     COMMIT, i, why)),
                    "\"result\":");
    ask(scene, fd, METHOD("freeze", "\"what\":\"changes\",\"why\":\"the end\""));
    for (bool is_last = false; !is_last;) {
        char *line = line_read(scene, follower);
        if (!line)
            fail_msg("the daemon let go of a follower after %lld events", (long long)next);
        const struct value *event = json(scene, line);
        assert_int_equal(value_at_int(event, "params.seq", 0), next++);
        is_last = strcmp(value_at_text(event, "params.type", ""), "freeze.set") == 0;
    }
    assert_true(next > 600);
    close(follower);
    close(fd);
}

static void who_asks_and_never_reads_is_let_go(void **state)
{
    struct scene *scene = *state;
    struct text requests = TEXT_INIT;
    commit_put(scene, GOOD);
    daemon_start(scene);
    int fd = client_new(scene), other = client_new(scene);
    for (int i = 0; i < 200; i++)
        text_add(&requests, METHOD("status", ""));
    ssize_t put = 0;
    for (int i = 0; i < 500 && put >= 0; i++)
        put = send(fd, requests.data, requests.len, MSG_NOSIGNAL);
    text_free(&requests);
    assert_true(put < 0 && (errno == EPIPE || errno == ECONNRESET));
    assert_says(ask(scene, other, METHOD("status", "")), "\"result\":");
    close(fd);
    close(other);
}

static void who_leaves_while_it_waits_takes_nothing_along(void **state)
{
    struct scene *scene = *state;
    commit_put(scene, GOOD);
    daemon_start(scene);
    int gone = client_new(scene), stays = client_new(scene);
    static const char two[] = METHOD("observe", "") METHOD("drift", "\"since\":5");
    assert_int_equal(send(stays, two, sizeof two - 1, 0), (ssize_t)sizeof two - 1);
    assert_int_equal(send(gone, two, sizeof two - 1, 0), (ssize_t)sizeof two - 1);
    close(gone);
    assert_says(line_read(scene, stays), "\"at\":");
    assert_says(line_read(scene, stays), "\"schema\":\"spinel/drift/v1\"");
    assert_says(ask(scene, stays, METHOD("stop", "")), "\"result\":");
    assert_null(line_read(scene, stays));
    close(stays);
}

/* As somebody who is in no group of ours, what `act` returns. */
static int as_stranger(struct scene *scene, int (*act)(struct scene *scene))
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(setgid(54321) == 0 && setuid(54321) == 0 ? act(scene) : 99);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int is_denied(struct scene *scene)
{
    struct error err = ERROR_INIT;
    int fd;
    return control_connect(scene->state, &fd, &err) == ERR_DENIED &&
                   strstr(err.hint, "member of the group 'spinel'")
               ? 0
               : 1;
}

static int is_one_of_many(struct scene *scene)
{
    struct error err = ERROR_INIT;
    char said[4096];
    int fd = -1;
    for (int i = 0; i < 40; i++)
        if (control_connect(scene->state, &fd, &err) < 0)
            return 2;
    ssize_t got = recv(fd, said, sizeof said - 1, 0);
    said[got > 0 ? got : 0] = '\0';
    return strstr(said, "uid 54321 has too many connections") ? 0 : 1;
}

/* Its connections of before may not have been seen to be closed. */
static int cannot_speak_for_others(struct scene *scene)
{
    static const char request[] =
        METHOD("freeze", "\"what\":\"changes\",\"why\":\"x\",\"who\":\"root\"");
    struct error err = ERROR_INIT;
    char said[4096] = "";
    int fd = -1;
    for (int i = 0; i < ANSWER_MS / 10 && !strstr(said, "\"result\":"); i++, usleep(10000)) {
        if (control_connect(scene->state, &fd, &err) < 0)
            continue;
        send(fd, request, sizeof request - 1, MSG_NOSIGNAL);
        ssize_t got = recv(fd, said, sizeof said - 1, 0);
        said[got > 0 ? got : 0] = '\0';
        close(fd);
    }
    return strstr(said, "\"result\":") ? 0 : 1;
}

static void a_stranger_is_kept_out_and_one_of_the_group_in_bounds(void **state)
{
    struct scene *scene = *state;
    if (geteuid() != 0) {
        print_message("# SKIP only root takes another user's place\n");
        skip();
    }
    commit_put(scene, GOOD);
    daemon_start(scene);
    shell(scene, "chmod 755 . state");
    assert_int_equal(as_stranger(scene, is_denied), 0);
    shell(scene, "chmod 666 state/control.sock");
    assert_int_equal(as_stranger(scene, is_one_of_many), 0);
    assert_int_equal(as_stranger(scene, cannot_speak_for_others), 0);
    assert_says(RUN(scene, "freeze").out, "uid 54321");
}

/* A daemon that converges starts its own program once more, to note it in Git: that is this one,
 * which would begin all over again, with daemons of its own. */
int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--site") == 0)
        return 0;
    const struct CMUnitTest tests[] = {
        CASE(a_daemon_without_a_commit_has_no_plan),
        CASE(what_is_no_request_is_refused_and_the_next_one_served),
        CASE(odd_values_are_answered),
        CASE(a_plan_can_be_asked_for_of_any_commit),
        CASE(a_head_that_is_not_valid_is_refused_and_on_record),
        CASE(a_refusal_names_a_commit_and_its_first_problems),
        CASE(who_lags_behind_gets_every_event_in_its_order),
        CASE(who_asks_and_never_reads_is_let_go),
        CASE(who_leaves_while_it_waits_takes_nothing_along),
        CASE(a_stranger_is_kept_out_and_one_of_the_group_in_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
