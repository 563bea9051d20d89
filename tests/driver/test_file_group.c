/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Steps of volumes that go together: each has its own outcome, what takes long holds nobody up, and
 * whoever is killed in the middle, before any of the calls that change something
 * (tests/driver/crash_at.c), leaves what the same steps bring to the same end.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include "tests/driver/file_rack.h"

enum { MIB = 1 << 20, GATHERED_MS = 500 /* longer than changes are gathered */ };

struct step {
    unsigned n;
    int epoch;
    const char *verb, *rest;
};

#define RAW(bytes) "{\"spec\":{\"size\":" bytes ",\"format\":\"raw\"}}"
#define SMALL RAW("1048576")
#define LARGE RAW("2097152")

/* ---- the rack ------------------------------------------------------------------------ */

static const char *pool_of(struct rack *rack)
{
    return arena_printf(rack->arena, "%s/state/pools/default", rack->dir);
}

/* Hidden names, too. */
static int names_count(const char *path)
{
    DIR *dir = opendir(path);
    int count = -2;
    if (!dir)
        return 0;
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

/* Sends them at once, so that they go together; the answers are those of ids from the first on. */
static int steps_send(struct rack *rack, const struct step *steps, size_t count)
{
    struct text lines = TEXT_INIT;
    int first = rack->subject.next_id + 1;
    for (size_t i = 0; i < count; i++) {
        struct value *message = value_map(rack->arena);
        value_set_text(rack->arena, message, "jsonrpc", "2.0");
        value_set_int(rack->arena, message, "id", ++rack->subject.next_id);
        value_set_text(rack->arena, message, "method", "apply");
        value_set(
            rack->arena, message, "params",
            rack_params(rack, steps[i].n, steps[i].epoch, steps[i].verb, "Volume", steps[i].rest));
        json_write(&lines, message);
        text_add_char(&lines, '\n');
    }
    assert_true(subject_write(&rack->subject, lines.data, lines.len));
    text_free(&lines);
    return first;
}

static void steps_take(struct rack *rack, const struct step *steps, size_t count)
{
    int first = steps_send(rack, steps, count);
    for (size_t i = 0; i < count; i++)
        assert_applied(rack, subject_receive(&rack->subject, first + (int)i));
}

/* ---- each its own outcome ------------------------------------------------------------- */

static void many_volumes_go_together(void **state)
{
    enum { MANY = 300 }; /* more than one process takes, and than are open at once */
    struct rack *rack = *state;
    struct step steps[MANY];
    for (unsigned n = 0; n < MANY; n++)
        steps[n] = (struct step){n + 1, 1, "create", SMALL};
    steps_take(rack, steps, MANY);
    assert_int_equal(names_count(pool_of(rack)), MANY);
    for (unsigned n = 1; n <= MANY; n += 37)
        assert_int_equal(value_at_int(rack_look(rack, n), "spec.size", 0), MIB);
}

static void one_that_fails_fails_alone(void **state)
{
    struct rack *rack = *state;
    const struct step before[] = {{1, 1, "create", LARGE},
                                  {2, 1, "create",
                                   "{\"spec\":{\"size\":1048576,\"format\":\"raw\","
                                   "\"protect\":true}}"},
                                  {3, 1, "create", SMALL}};
    const struct step steps[] = {
        {4, 1, "create", SMALL}, {1, 2, "update", SMALL}, {2, 2, "delete", SMALL},
        {5, 1, "create", SMALL}, {3, 2, "update", LARGE}, {6, 1, "create", RAW("7")},
        {7, 1, "adopt", SMALL},  {8, 1, "create", SMALL},
    };
    steps_take(rack, before, 3);
    file_write(arena_printf(rack->arena, "%s/%s.raw", pool_of(rack), uid_of(rack, 5)), "his", 3,
               0644);
    int id = steps_send(rack, steps, sizeof steps / sizeof *steps);
    struct subject *subject = &rack->subject;
    assert_applied(rack, subject_receive(subject, id));
    assert_refused(rack, subject_receive(subject, id + 1), "invalid", "would shrink");
    assert_refused(rack, subject_receive(subject, id + 2), "denied", "is protected");
    assert_refused(rack, subject_receive(subject, id + 3), "denied", "does not verify");
    assert_applied(rack, subject_receive(subject, id + 4));
    assert_refused(rack, subject_receive(subject, id + 5), "invalid", "no size");
    assert_refused(rack, subject_receive(subject, id + 6), "not-found", "not there to adopt");
    assert_applied(rack, subject_receive(subject, id + 7));
    assert_int_equal(value_at_int(rack_look(rack, 3), "spec.size", 0), 2 * MIB);
    assert_int_equal(value_at_int(rack_look(rack, 8), "spec.size", 0), MIB);
    assert_int_equal(names_count(pool_of(rack)), 6);
}

/* Room for so many files; a directory and the pool's tag are among them. */
static void those_that_have_no_room_fail_and_the_others_do_not(void **state)
{
    enum { COUNT = 12 };
    struct rack *rack = *state;
    struct step steps[COUNT];
    int applied = 0;
    const char *dir = arena_printf(rack->arena, "%s/small", rack->dir);
    small_mount(rack, dir, "size=4m,nr_inodes=8");
    assert_applied(rack,
                   rack_apply(rack, 99, 1, "create", "Pool",
                              arena_printf(rack->arena, "{\"spec\":{\"path\":\"%s\"}}", dir)));
    int before = names_count(dir);
    const char *rest = arena_printf(rack->arena,
                                    "{\"spec\":{\"size\":65536,\"format\":\"raw\",\"pool\":\"x\"},"
                                    "\"refs\":{\"Pool\":{\"x\":{\"spec\":{\"path\":\"%s\"}}}}}",
                                    dir);
    for (unsigned n = 0; n < COUNT; n++)
        steps[n] = (struct step){n + 1, 1, "create", rest};
    int id = steps_send(rack, steps, COUNT);
    for (int i = 0; i < COUNT; i++) {
        const struct value *answer = subject_receive(&rack->subject, id + i);
        applied += value_get(answer, "result") != NULL;
        if (!value_get(answer, "result"))
            assert_refused(rack, answer, "no-space", dir);
    }
    assert_in_range(applied, 1, COUNT - 1);
    assert_int_equal(names_count(dir), before + applied);
}

/* ---- what takes long ------------------------------------------------------------------ */

/* A qemu-img that waits before it works, for those that are started from now on. */
static void qemu_img_waits(struct rack *rack)
{
    const char *bin = arena_printf(rack->arena, "%s/bin", rack->dir);
    const char *script = arena_printf(rack->arena,
                                      "#!/bin/sh\nwhile ! [ -e %s/go ]; do sleep 0.05; done\n"
                                      "PATH=%s exec qemu-img \"$@\"\n",
                                      rack->dir, getenv("PATH"));
    assert_int_equal(mkdir(bin, 0755), 0);
    file_write(arena_printf(rack->arena, "%s/qemu-img", bin), script, strlen(script), 0755);
    setenv("PATH", arena_printf(rack->arena, "%s:%s", bin, getenv("PATH")), 1);
    subject_kill(&rack->subject);
    rack_start(rack, NULL);
}

static void what_takes_long_holds_up_no_other(void **state)
{
    struct rack *rack = *state;
    const char *path = arena_text(rack->arena, getenv("PATH"));
    const struct step before[] = {
        {1, 1, "create", "{\"spec\":{\"size\":1048576,\"format\":\"qcow2\"}}"}};
    const struct step steps[] = {
        {1, 2, "update",
         "{\"spec\":{\"size\":2097152,\"format\":\"qcow2\"},\"changed\":[\"spec.size\"]}"},
        {2, 1, "create", SMALL},
        {3, 1, "create", SMALL},
    };
    steps_take(rack, before, 1);
    qemu_img_waits(rack);
    int id = steps_send(rack, steps, 3);
    assert_applied(rack, subject_receive(&rack->subject, id + 1));
    assert_applied(rack, subject_receive(&rack->subject, id + 2));
    assert_int_equal(value_at_int(rack_look(rack, 1), "spec.size", 0), MIB);
    file_write(arena_printf(rack->arena, "%s/go", rack->dir), "", 0, 0644);
    assert_applied(rack, subject_receive(&rack->subject, id));
    assert_int_equal(value_at_int(rack_look(rack, 1), "spec.size", 0), 2 * MIB);
    setenv("PATH", path, 1);
}

/* ---- what is told --------------------------------------------------------------------- */

/* The first notice is of what somebody else did. */
static void its_own_files_are_not_told(void **state)
{
    struct rack *rack = *state;
    const struct step steps[] = {{1, 1, "create", SMALL}, {2, 1, "create", SMALL}};
    const char *second = arena_printf(rack->arena, "%s/%s.raw", pool_of(rack), uid_of(rack, 2));
    assert_applied(rack, rack_apply(rack, 9, 1, "create", "Volume", SMALL));
    poll(NULL, 0, GATHERED_MS); /* the new pool is watched */
    steps_take(rack, steps, 2);
    poll(NULL, 0, GATHERED_MS);
    close(open(second, O_WRONLY | O_CLOEXEC));
    const struct value *notice = subject_receive(&rack->subject, SUBJECT_NOTICE);
    assert_string_equal(value_get_text(notice, "method", ""), "changed");
    assert_string_equal(value_at_text(notice, "params.uid", ""), uid_of(rack, 2));
    assert_string_equal(value_at_text(notice, "params.why", ""), "file was written");
}

static const char *listed_etag(struct rack *rack, unsigned n)
{
    const struct value *list =
        value_at(subject_call(&rack->subject, "observe", value_map(rack->arena)), "result.list");
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(value_item_text(list->items[i], 0), uid_of(rack, n)) == 0)
            return value_item_text(list->items[i], 2);
    return "not listed";
}

static void a_look_tells_the_etag_of_the_list(void **state)
{
    struct rack *rack = *state;
    const struct step steps[] = {{1, 1, "create", SMALL}, {2, 1, "create", SMALL}};
    assert_applied(
        rack, rack_apply(rack, 3, 1, "create", "Pool",
                         arena_printf(rack->arena, "{\"spec\":{\"path\":\"%s/p\"}}", rack->dir)));
    assert_applied(rack, rack_apply(rack, 4, 1, "create", "Seed",
                                    "{\"spec\":{\"instance\":\"web\",\"instanceId\":\"i\","
                                    "\"metaData\":\"x\",\"userData\":\"y\"}}"));
    steps_take(rack, steps, 2);
    assert_refused(rack, rack_apply(rack, 2, 2, "update", "Volume", "{\"spec\":{\"size\":65536}}"),
                   "invalid", "would shrink"); /* it has not ended well, and is listed as such */
    for (unsigned n = 1; n <= 4; n++)
        assert_string_equal(value_get_text(rack_look(rack, n), "etag", "none"),
                            listed_etag(rack, n));
}

/* ---- killed in the middle --------------------------------------------------------------- */

struct world {
    struct rack *rack;
    bool is_plain; /* no files without a name, no extended attributes */
    int crash_at;
};

static void world_start(struct world *world)
{
    struct rack *rack = world->rack;
    const char *build = getenv("BUILD");
    setenv("LD_PRELOAD",
           arena_printf(rack->arena, "%s/tests/driver/crash_at.so", build ? build : "build"), 1);
    setenv("CRASH_AT", arena_printf(rack->arena, "%s/crash", rack->dir), 1);
    if (world->is_plain)
        setenv("PLAIN_DISK", "1", 1);
    rack_start(rack, NULL);
    unsetenv("LD_PRELOAD");
    unsetenv("CRASH_AT");
    unsetenv("PLAIN_DISK");
}

static const char *crash_file(const struct world *world)
{
    return arena_printf(world->rack->arena, "%s/crash", world->rack->dir);
}

static const struct step mixed[] = {
    {1, 2, "update", "{\"spec\":{\"size\":2097152,\"format\":\"raw\",\"protect\":true}}"},
    {2, 2, "delete", SMALL},
    {3, 2, "release", SMALL},
    {4, 1, "create", SMALL},
    {5, 1, "create", LARGE},
};
enum { MIXED = sizeof mixed / sizeof *mixed };

/* The same after any crash as after none. */
static void end_state_check(const struct world *world)
{
    struct rack *rack = world->rack;
    int per_volume = world->is_plain ? 2 : 1; /* the tag is a file of its own */
    assert_int_equal(value_at_int(rack_look(rack, 1), "spec.size", 0), 2 * MIB);
    assert_true(value_at_bool(rack_look(rack, 1), "spec.protect", false));
    assert_true(is_absent(rack_look(rack, 2)));
    assert_int_equal(value_get_int(rack_look(rack, 2), "epoch", 0), 2);
    assert_true(value_get_bool(rack_look(rack, 3), "released", false));
    assert_int_equal(value_at_int(rack_look(rack, 4), "spec.size", 0), MIB);
    assert_int_equal(value_at_int(rack_look(rack, 5), "spec.size", 0), 2 * MIB);
    const char *trash = arena_printf(rack->arena, "%s/.trash", pool_of(rack));
    assert_int_equal(names_count(pool_of(rack)), 4 * per_volume + 1);
    int thrown = names_count(trash);
    if (thrown < 1 || thrown > per_volume) /* a sidecar that was not moved is dropped */
        fail_msg("%d names in the trash", thrown);
}

/* False: it came to its end before the crash. */
static bool crash_once(struct world *world)
{
    struct rack *rack = world->rack = rack_new("file");
    const char *at = arena_printf(rack->arena, "%d", world->crash_at);
    const struct step before[] = {
        {1, 1, "create", SMALL}, {2, 1, "create", SMALL}, {3, 1, "create", SMALL}};
    world_start(world);
    steps_take(rack, before, 3);
    file_write(crash_file(world), at, strlen(at), 0600);
    int id = steps_send(rack, mixed, MIXED), refused = 0;
    for (int i = 0; i < MIXED; i++) {
        const struct value *answer = subject_receive(&rack->subject, id + i);
        if (value_get(answer, "result"))
            continue;
        assert_refused(rack, answer, "system", "signal 9");
        refused++;
    }
    bool has_crashed = access(crash_file(world), F_OK) < 0;
    assert_int_equal(refused, has_crashed ? MIXED : 0);
    unlink(crash_file(world));
    if (world->crash_at % 2) { /* in a new driver they go together, in this one alone */
        subject_kill(&rack->subject);
        world_start(world);
    }
    steps_take(rack, mixed, MIXED);
    end_state_check(world);
    rack_free(rack);
    return has_crashed;
}

static void crash_everywhere(bool is_plain, int calls_min)
{
#ifdef __SANITIZE_ADDRESS__
    (void)is_plain, (void)calls_min, (void)crash_once;
    print_message("SKIP: nothing can be preloaded before AddressSanitizer\n");
    skip();
#else
    struct world world = {.is_plain = is_plain, .crash_at = 1};
    while (crash_once(&world))
        world.crash_at++;
    print_message("# %d places\n", world.crash_at - 1);
    assert_in_range(world.crash_at, calls_min, 200);
#endif
}

static void a_crash_before_any_call_is_made_good_by_the_same_steps(void **state)
{
    (void)state;
    crash_everywhere(false, 20);
}

static void so_is_one_on_a_disk_without_nameless_files_and_attributes(void **state)
{
    (void)state;
    crash_everywhere(true, 40);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(many_volumes_go_together),
        TEST(one_that_fails_fails_alone),
        TEST(those_that_have_no_room_fail_and_the_others_do_not),
        TEST(what_takes_long_holds_up_no_other),
        TEST(its_own_files_are_not_told),
        TEST(a_look_tells_the_etag_of_the_list),
        cmocka_unit_test(a_crash_before_any_call_is_made_good_by_the_same_steps),
        cmocka_unit_test(so_is_one_on_a_disk_without_nameless_files_and_attributes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
