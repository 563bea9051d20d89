/* SPDX-License-Identifier: MPL-2.0 */
/* Steps of one group: what waits while it is busy is carried out together, each with an outcome
 * of its own, and nobody is hurt twice by another's crash. This program is the driver, too: it
 * notes each process of a call as a line of its steps' names. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>
#include "drivers/spinel-driver.h"
#include "tests/driver/rack.h"

enum { HERE_MAX = 512 };

static const char is_driver[] = "SPINEL_TEST_IS_DRIVER";

/* ---- the driver --------------------------------------------------------------------- */

static void own_path(struct spinel_host *host, const char *name, char out[HERE_MAX])
{
    snprintf(out, HERE_MAX, "%s/%s", spinel_own_dir(host), name);
}

static void note(struct spinel_host *host, const char *how, const struct spinel_op *const *ops,
                 size_t count)
{
    char path[HERE_MAX], line[1024];
    int len = snprintf(line, sizeof line, "%s", how);
    for (size_t i = 0; i < count; i++)
        len += snprintf(line + len, sizeof line - (size_t)len, " %s", ops[i]->op);
    own_path(host, "log", path);
    FILE *log = fopen(path, "a");
    fprintf(log, "%s\n", line);
    fclose(log);
}

static int touch_fds[2];

/* Of the first object. */
static void touched(struct spinel_host *host, int fd)
{
    char path[HERE_MAX], byte;
    own_path(host, "log", path);
    if (read(fd, &byte, 1) != 1)
        return;
    FILE *log = fopen(path, "a");
    fprintf(log, "watched, %s\n",
            spinel_is_applying(host, "00000000000000000000000000000001") ? "under way" : "over");
    fclose(log);
}

static int fake_start(struct spinel_host *host, const struct value *settings, struct value *reply,
                      struct error *err)
{
    (void)settings, (void)reply;
    if (pipe2(touch_fds, O_CLOEXEC | O_NONBLOCK) < 0)
        return error_sys(err, "no pipe");
    spinel_watch(host, touch_fds[0], touched);
    spinel_watch_rests(host, touch_fds[0], true);
    return 0;
}

static void step(struct spinel_host *host, const struct spinel_op *op, struct error *err)
{
    char go[HERE_MAX];
    const char *what = value_get_text(op->spec, "what", "");
    own_path(host, "go", go);
    while (strcmp(what, "wait") == 0 && access(go, F_OK) != 0)
        poll(NULL, 0, 5);
    if (strcmp(what, "wait") == 0)
        note(host, "waited", &op, 1);
    bool spoils = strcmp(what, "spoil") == 0;
    if ((spoils || strcmp(what, "touch") == 0) && write(touch_fds[1], "", 1) != 1)
        error_set(err, ERR_SYSTEM, "nothing was touched");
    if (spoils)
        error_set(err, ERR_INVALID, "spoilt");
    if (strcmp(what, "stall") == 0)
        pause();
    if (strcmp(what, "crash") == 0)
        raise(SIGKILL);
    if (strcmp(what, "fail") == 0)
        error_set(err, ERR_CONFLICT, "%s is not wanted", op->op);
}

static int fake_apply(struct spinel_host *host, const struct spinel_op *op, struct error *err)
{
    note(host, "alone", &op, 1);
    step(host, op, err);
    return err->code;
}

static void fake_apply_all(struct spinel_host *host, const struct spinel_op *const *ops,
                           size_t count, struct error *outcomes)
{
    note(host, "together", ops, count);
    for (size_t i = 0; i < count; i++)
        step(host, ops[i], &outcomes[i]);
}

static const char *fake_group(struct spinel_host *host, const struct spinel_op *op)
{
    (void)host;
    return value_get_text(op->spec, "group", NULL);
}

static int fake_list(struct spinel_host *host, struct spinel_list *list, struct error *err)
{
    (void)host, (void)list, (void)err;
    return 0;
}

static int fake_look(struct spinel_host *host, struct spinel_object *object, struct error *err)
{
    (void)host, (void)err;
    object->absent = true;
    return 0;
}

static const struct spinel_driver fake = {
    .name = "fake",
    .version = "1",
    .kinds = "NIC",
    .start = fake_start,
    .list = fake_list,
    .look = fake_look,
    .apply = fake_apply,
    .group = fake_group,
    .apply_all = fake_apply_all,
};

/* ---- what is seen of it -------------------------------------------------------------- */

static int setup(void **state)
{
    struct rack *rack = rack_new("fake");
    rack->argv[0] = "/proc/self/exe";
    setenv(is_driver, "1", 1);
    rack_start(rack, NULL);
    unsetenv(is_driver);
    *state = rack;
    return 0;
}

static int teardown(void **state)
{
    rack_free(*state);
    return 0;
}

static int step_send(struct rack *rack, unsigned n, int epoch, const char *group, const char *what)
{
    return rack_send(
        rack, n, epoch, "create", "NIC",
        arena_printf(rack->arena, "{\"spec\":{\"group\":\"%s\",\"what\":\"%s\"}}", group, what));
}

static const char *own_file(struct rack *rack, const char *name)
{
    return arena_printf(rack->arena, "%s/state/drivers/fake/%s", rack->dir, name);
}

/* The driver's log once it has `lines` of them. */
static const char *log_await(struct rack *rack, int lines)
{
    char text[2048];
    int found = 0;
    while (found < lines) {
        FILE *file = fopen(own_file(rack, "log"), "r");
        size_t len = file ? fread(text, 1, sizeof text - 1, file) : 0;
        text[len] = '\0';
        if (file)
            fclose(file);
        found = 0;
        for (const char *c = text; *c; c++)
            found += *c == '\n';
        if (found < lines)
            poll(NULL, 0, 5);
    }
    return arena_text(rack->arena, text);
}

static const struct value *received(struct rack *rack, int id)
{
    return subject_receive(&rack->subject, id);
}

/* Occupies the group, sends the others, lets all go. */
static int group_occupy(struct rack *rack)
{
    int first = step_send(rack, 1, 1, "g", "wait");
    log_await(rack, 1);
    return first;
}

static void group_release(struct rack *rack)
{
    /* An answer shows that all that was sent before has been read; who does not wait for the
     * group has begun by then. */
    rack_look(rack, 9);
    poll(NULL, 0, 50);
    file_write(own_file(rack, "go"), "", 0, 0644);
}

static void what_waits_meanwhile_is_carried_out_together(void **state)
{
    struct rack *rack = *state;
    int ids[4] = {group_occupy(rack)};
    for (unsigned i = 1; i < 4; i++)
        ids[i] = step_send(rack, i + 1, 1, "g", "");
    group_release(rack);
    for (unsigned i = 0; i < 4; i++)
        assert_applied(rack, received(rack, ids[i]));
    assert_string_equal(
        log_await(rack, 3),
        "alone 1-1-create\nwaited 1-1-create\ntogether 2-1-create 3-1-create 4-1-create\n");
}

static void what_does_not_fit_into_the_pipe_at_once_goes_together(void **state)
{
    enum { STEPS = 6, PAD_BYTES = 40000 };
    struct rack *rack = *state;
    struct text lines = TEXT_INIT;
    int first = rack->subject.next_id + 1;
    for (int i = 0; i < STEPS; i++)
        text_printf(
            &lines,
            "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"apply\",\"params\":{\"op\":\"%d\","
            "\"uid\":\"%032x\",\"epoch\":1,\"verb\":\"create\",\"kind\":\"NIC\",\"project\":"
            "\"shop\",\"name\":\"x\",\"generation\":1,\"labels\":{},\"refs\":{},\"deadline\":30,"
            "\"spec\":{\"group\":\"g\",\"pad\":\"%0*d\"}}}\n",
            ++rack->subject.next_id, i, i, PAD_BYTES, 0);
    assert_true(subject_write(&rack->subject, lines.data, lines.len));
    text_free(&lines);
    for (int i = 0; i < STEPS; i++)
        assert_applied(rack, received(rack, first + i));
    assert_string_equal(log_await(rack, 1), "together 0 1 2 3 4 5\n");
}

static void each_has_its_own_outcome(void **state)
{
    struct rack *rack = *state;
    group_occupy(rack);
    int before = step_send(rack, 2, 1, "g", ""), failed = step_send(rack, 3, 1, "g", "fail"),
        after = step_send(rack, 4, 7, "g", "");
    group_release(rack);
    assert_int_equal(value_at_int(received(rack, before), "result.epoch", 0), 1);
    assert_refused(rack, received(rack, failed), "conflict", "3-1-create is not wanted");
    assert_int_equal(value_at_int(received(rack, after), "result.epoch", 0), 7);
    assert_int_equal(value_get_int(rack_look(rack, 3), "epoch", -1), 0);
    assert_int_equal(value_get_int(rack_look(rack, 4), "epoch", -1), 7);
}

static void other_groups_do_not_wait(void **state)
{
    struct rack *rack = *state;
    int first = group_occupy(rack);
    assert_applied(rack, received(rack, step_send(rack, 2, 1, "h", "")));
    group_release(rack);
    assert_applied(rack, received(rack, first));
}

static void after_a_crash_each_goes_alone(void **state)
{
    struct rack *rack = *state;
    group_occupy(rack);
    int bad = step_send(rack, 2, 1, "g", "crash"), good = step_send(rack, 3, 1, "g", "");
    group_release(rack);
    assert_refused(rack, received(rack, bad), "system", "signal 9");
    assert_refused(rack, received(rack, good), "system", "signal 9");
    assert_int_equal(value_get_int(rack_look(rack, 3), "epoch", -1), 0);
    assert_int_equal(unlink(own_file(rack, "go")), 0);
    step_send(rack, 1, 2, "g", "wait");
    log_await(rack, 4);
    bad = step_send(rack, 2, 2, "g", "crash");
    good = step_send(rack, 3, 2, "g", "");
    group_release(rack);
    assert_refused(rack, received(rack, bad), "system", "signal 9");
    assert_applied(rack, received(rack, good));
    assert_non_null(strstr(log_await(rack, 7), "\nalone 2-2-create\nalone 3-2-create\n"));
}

static void who_went_with_one_that_is_cancelled_is_told(void **state)
{
    struct rack *rack = *state;
    group_occupy(rack);
    int done = step_send(rack, 2, 1, "g", ""), stalled = step_send(rack, 3, 1, "g", "stall");
    group_release(rack);
    log_await(rack, 3);
    const struct value *answer =
        subject_call(&rack->subject, "cancel", json_of(rack->arena, "{\"op\":\"3-1-create\"}"));
    assert_true(value_at_bool(answer, "result.killed", false));
    assert_refused(rack, received(rack, stalled), "busy", "cancelled");
    assert_refused(rack, received(rack, done), "busy", "which it was carried out with: cancelled");
    assert_applied(rack, received(rack, step_send(rack, 2, 2, "g", "")));
}

static void a_newer_epoch_of_one_ends_its_group(void **state)
{
    struct rack *rack = *state;
    group_occupy(rack);
    int with = step_send(rack, 2, 1, "g", "stall"), old = step_send(rack, 3, 1, "g", "");
    group_release(rack);
    log_await(rack, 3);
    int newer = step_send(rack, 3, 2, "g", "");
    assert_refused(rack, received(rack, old), "conflict", "superseded by epoch 2");
    assert_refused(rack, received(rack, with), "busy", "superseded by epoch 2");
    assert_applied(rack, received(rack, newer));
}

/* The watch rests: nothing else would serve it. */
static void what_a_step_did_is_watched_before_it_is_over(void **state)
{
    struct rack *rack = *state;
    assert_applied(rack, received(rack, step_send(rack, 1, 1, "g", "touch")));
    assert_string_equal(log_await(rack, 1), "alone 1-1-create\nwatched, under way\n");
}

/* Nobody looks at what was refused. */
static void what_happened_during_a_step_that_fails_is_told(void **state)
{
    struct rack *rack = *state;
    int id = step_send(rack, 1, 1, "g", "spoil");
    const struct value *notice = subject_receive(&rack->subject, SUBJECT_NOTICE);
    assert_refused(rack, received(rack, id), "invalid", "spoilt");
    assert_string_equal(value_at_text(notice, "params.uid", ""), uid_of(rack, 1));
    assert_string_equal(value_at_text(notice, "params.why", ""),
                        "it changed while a step for it failed");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(what_waits_meanwhile_is_carried_out_together),
        TEST(what_does_not_fit_into_the_pipe_at_once_goes_together),
        TEST(each_has_its_own_outcome),
        TEST(other_groups_do_not_wait),
        TEST(after_a_crash_each_goes_alone),
        TEST(who_went_with_one_that_is_cancelled_is_told),
        TEST(a_newer_epoch_of_one_ends_its_group),
        TEST(what_a_step_did_is_watched_before_it_is_over),
        TEST(what_happened_during_a_step_that_fails_is_told),
    };
    if (getenv(is_driver))
        return spinel_driver_main(&fake, argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
