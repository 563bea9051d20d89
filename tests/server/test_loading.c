/* SPDX-License-Identifier: MPL-2.0 */
/* What is asked while the daemon reads what is declared: from a source that is as slow as a test
 * wants it. */
#include "tests/cli/rack.h"

#include <semaphore.h>
#include "reconciler/server/meter.h"
#include "reconciler/server/server.h"

enum { TURNS_MAX = 20000 };

struct rig {
    struct scene *scene;
    struct shell *shell;
    struct server server;
    sem_t go;
    int status; /* what the work comes to */
    bool is_done;
    int64_t revision;
    char *commit;
    unsigned starts; /* of drivers */
};
static struct rig rig;

static int work_slow(struct server *server, struct error *err)
{
    (void)server;
    while (sem_wait(&rig.go) != 0)
        ;
    if (rig.status < 0)
        return error_set(err, rig.status, "the disk fell out");
    return core_start(server->shell->core, err);
}

static void work_done(struct server *server, int status, struct error *err)
{
    assert_int_equal(status, rig.status);
    assert_null(server->loading);
    assert_true(status == 0 || strstr(err->message, "fell out"));
    rig.is_done = true;
    if (status == 0)
        server_kept_serve(server);
}

static void driver_count(void *context, const char *driver)
{
    (void)context, (void)driver;
    rig.starts++;
}

static const struct site *site_of(struct scene *scene)
{
    struct site *site = NULL;
    struct report report;
    report_init(&report, scene->arena);
    char *path = arena_printf(scene->arena, "%s/spinel.yaml", scene->dir);
    assert_int_equal(
        site_read(scene->arena, path, NULL, SITE_FILE, sizeof SITE_FILE - 1, &site, &report), 0);
    return site;
}

/* A daemon that has just opened its socket, on a rack that was applied before. */
static int rig_set_up(void **state)
{
    assert_int_equal(scene_set_up(state), 0);
    struct scene *scene = *state;
    struct error err = ERROR_INIT;
    rig = (struct rig){.scene = scene};
    sem_init(&rig.go, 0, 0);
    rig.commit = commit_put(scene, MANIFESTS);
    struct store *store = store_of(scene);
    rack_put(scene, store);
    rig.revision = revision_put(scene, store, rig.commit, "applied", 1700000000);
    store_close(store);
    assert_int_equal(shell_open(site_of(scene), SHELL_WRITE, NULL, &rig.shell, &err), 0);
    rig.shell->is_serving = true;
    rig.shell->follow = server_event;
    rig.shell->follow_context = &rig.server;
    rig.shell->after_pump = server_after_pump;
    rig.shell->meter = arena_alloc(scene->arena, sizeof *rig.shell->meter);
    rig.server = (struct server){.shell = rig.shell, .fd = -1, .channel = -1, .supervisor = 77};
    assert_int_equal(shell_prepare(rig.shell, true, false, &err), 0);
    rig.shell->env.driver_start = driver_count;
    assert_int_equal(server_open(&rig.server, &err), 0);
    assert_int_equal(loading_begin(&rig.server, work_slow, work_done, &err), 0);
    return 0;
}

static int rig_tear_down(void **state)
{
    assert_true(rig.is_done);
    server_close(&rig.server);
    shell_end(rig.shell);
    shell_close(rig.shell);
    sem_destroy(&rig.go);
    return scene_tear_down(state);
}

#define LOADING(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

static void loop_turn(void)
{
    ev_run(rig.shell->loop, EVRUN_NOWAIT);
    usleep(500);
}

static void work_let_end(void)
{
    sem_post(&rig.go);
    for (int i = 0; !rig.is_done; i++) {
        assert_true(i < TURNS_MAX);
        loop_turn();
    }
}

static int client_new(void)
{
    int fd = -1;
    if (control_connect(rig.scene->state, &fd, &rig.scene->err) < 0)
        fail_msg("%s", rig.scene->err.message);
    return fd;
}

#define METHOD(id, name, params) \
    "{\"id\":" #id ",\"method\":\"" name "\",\"params\":{" params "}}\n"

static void asks(int fd, const char *request)
{
    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
}

/* What was said until nothing more comes within some turns of the loop. */
static char *said(int fd)
{
    enum { SILENT = 60 };
    struct text text = TEXT_INIT;
    char chunk[4096];
    for (int silent = 0; silent < SILENT; silent++) {
        ssize_t got = recv(fd, chunk, sizeof chunk, MSG_DONTWAIT);
        if (got > 0) {
            text_add_n(&text, chunk, (size_t)got);
            silent = 0;
        }
        loop_turn();
    }
    char *copy = arena_text(rig.scene->arena, text.data ? text.data : "");
    text_free(&text);
    return copy;
}

static const char *before(const char *text, const char *first, const char *second)
{
    const char *one = strstr(text, first), *two = strstr(text, second);
    if (!one || !two || one > two)
        fail_msg("%s is not before %s in:\n%s", first, second, text);
    return two;
}

static void status_is_answered_from_what_the_store_knows(void **state)
{
    (void)state;
    int fd = client_new();
    asks(fd, METHOD(1, "status", "\"marks\":true"));
    const char *answer = said(fd);
    assert_says(answer, "\"loading\":true");
    assert_says(answer, rig.commit);
    assert_says(answer, "\"total\":5");
    assert_says(answer, "\"converged\":false");
    assert_says(answer, "\"pid\":77");
    work_let_end();
    asks(fd, METHOD(2, "status", ""));
    answer = said(fd);
    assert_says(answer, "\"loading\":false");
    assert_says(answer, rig.commit);
    close(fd);
}

static void what_needs_the_set_waits_and_is_then_answered_in_its_order(void **state)
{
    (void)state;
    int fd = client_new(), other = client_new();
    asks(fd, METHOD(1, "plan", "\"cached\":true") METHOD(2, "approve", "\"hold\":\"none\"")
                 METHOD(3, "status", "") "{\"id\":4,\"met");
    assert_string_equal(said(fd), "");
    asks(other, METHOD(7, "status", ""));
    assert_says(said(other), "\"loading\":true");
    asks(fd, "hod\":\"status\"}\n");
    assert_string_equal(said(fd), "");
    work_let_end();
    const char *answers = said(fd);
    before(answers, "\"id\":1,", "\"id\":2,");
    before(answers, "\"id\":2,", "\"id\":3,");
    before(answers, "\"id\":3,", "\"id\":4,");
    assert_says(answers, "\"loading\":false");
    assert_not_says(answers, "\"loading\":true");
    close(fd);
    close(other);
}

static void every_method_that_changes_or_plans_waits(void **state)
{
    static const char *const requests[] = {
        METHOD(1, "plan", ""),    METHOD(1, "check", ""),   METHOD(1, "pushed", ""),
        METHOD(1, "apply", ""),   METHOD(1, "observe", ""), METHOD(1, "drift", ""),
        METHOD(1, "approve", ""), METHOD(1, "freeze", ""),  METHOD(1, "lift", ""),
        METHOD(1, "purge", ""),   METHOD(1, "refused", ""),
    };
    int fds[sizeof requests / sizeof *requests];
    (void)state;
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        fds[i] = client_new();
        asks(fds[i], requests[i]);
    }
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        assert_string_equal(said(fds[i]), "");
        close(fds[i]); /* and nobody waits any longer */
    }
    (void)said(client_new());
    work_let_end();
}

static void what_is_no_request_is_refused_at_once(void **state)
{
    (void)state;
    int fd = client_new();
    asks(fd, "this is none\n" METHOD(2, "colour", ""));
    const char *answers = said(fd);
    before(answers, "\"error\":", "the daemon has no method colour");
    work_let_end();
    close(fd);
}

static void events_are_followed_from_where_the_store_is(void **state)
{
    (void)state;
    int fd = client_new();
    asks(fd, METHOD(1, "follow", "\"seq\":0"));
    assert_says(said(fd), "\"seq\":");
    work_let_end();
    core_announce(rig.shell->core, "daemon.started", NULL, "the daemon has started");
    core_pump(rig.shell->core);
    assert_says(said(fd), "daemon.started");
    close(fd);
}

/* A client that asks for a freeze while it loads. */
static int freeze_asked(void)
{
    int fd = client_new();
    asks(fd, METHOD(1, "freeze", "\"what\":\"changes\",\"why\":\"wait\",\"until\":0"));
    assert_string_equal(said(fd), "");
    return fd;
}

static size_t freezes_count(void)
{
    struct error err = ERROR_INIT;
    struct freeze *freezes = NULL;
    size_t count = 0;
    assert_int_equal(store_freezes(rig.shell->store, rig.scene->arena, &freezes, &count, &err), 0);
    return count;
}

static void a_freeze_that_waited_is_in_force_before_anything_is_started(void **state)
{
    (void)state;
    int fd = freeze_asked();
    assert_int_equal(rig.starts, 0);
    work_let_end();
    assert_says(said(fd), "\"result\":");
    assert_int_equal(freezes_count(), 1);
    assert_int_equal(core_plan(rig.shell->core)->run, 0);
    close(fd);
}

static void who_left_meanwhile_has_asked_for_nothing(void **state)
{
    (void)state;
    int fd = freeze_asked();
    close(fd);
    (void)said(client_new());
    work_let_end();
    assert_int_equal(freezes_count(), 0);
}

static void it_can_be_told_to_stop(void **state)
{
    (void)state;
    int fd = client_new();
    asks(fd, METHOD(1, "stop", ""));
    assert_says(said(fd), "\"result\":");
    assert_true(rig.server.is_stopping);
    assert_non_null(rig.server.loading);
    work_let_end();
    close(fd);
}

static void work_that_fails_is_told_to_the_loop(void **state)
{
    (void)state;
    rig.status = ERR_SYSTEM;
    int fd = client_new();
    asks(fd, METHOD(1, "plan", ""));
    assert_string_equal(said(fd), "");
    work_let_end();
    assert_string_equal(said(fd), "");
    assert_int_equal(rig.starts, 0);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOADING(status_is_answered_from_what_the_store_knows),
        LOADING(what_needs_the_set_waits_and_is_then_answered_in_its_order),
        LOADING(every_method_that_changes_or_plans_waits),
        LOADING(what_is_no_request_is_refused_at_once),
        LOADING(events_are_followed_from_where_the_store_is),
        LOADING(a_freeze_that_waited_is_in_force_before_anything_is_started),
        LOADING(who_left_meanwhile_has_asked_for_nothing),
        LOADING(it_can_be_told_to_stop),
        LOADING(work_that_fails_is_told_to_the_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
