/* SPDX-License-Identifier: MPL-2.0 */
/* The ledger over crashes: what a torn, a full and a foreign file do to it. */
#include <fcntl.h>
#include <sys/resource.h>
#include <signal.h>
#include "drivers/lib/ledger.h"
#include "tests/driver/rack.h"

#define UID_A "0000000000000000000000000000000a"
#define UID_B "0000000000000000000000000000000b"

static unsigned syncs;

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
    syncs++;
    return __real_fdatasync(fd);
}

struct place {
    char dir[64];
    struct ledger *ledger;
};

static void ledger_reopen(struct place *place)
{
    struct error err = ERROR_INIT;
    ledger_free(place->ledger);
    place->ledger = NULL;
    assert_int_equal(ledger_open(place->dir, &place->ledger, &err), 0);
    assert_int_equal(ledger_claim(place->ledger, &err), 0);
}

static int setup(void **state)
{
    static struct place place;
    snprintf(place.dir, sizeof place.dir, "/tmp/spinel-ledger-XXXXXX");
    assert_non_null(mkdtemp(place.dir));
    place.ledger = NULL;
    ledger_reopen(&place);
    *state = &place;
    return 0;
}

static int teardown(void **state)
{
    struct place *place = *state;
    ledger_free(place->ledger);
    nftw(place->dir, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}

static struct spinel_op op_of(const char *uid, uint64_t epoch, enum spinel_verb verb)
{
    return (struct spinel_op){.op = "an-op", .uid = uid, .epoch = epoch, .verb = verb};
}

static void done(struct place *place, const char *uid, uint64_t epoch, enum spinel_verb verb)
{
    struct error err = ERROR_INIT;
    struct spinel_op op = op_of(uid, epoch, verb);
    assert_int_equal(ledger_admit(place->ledger, &op, &err), 0);
    assert_int_equal(ledger_acknowledge(place->ledger, &op, &err), 0);
    assert_int_equal(ledger_sync(place->ledger, &err), 0);
}

static void append(struct place *place, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/ledger", place->dir);
    FILE *file = fopen(path, "a");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* Root claims it: what somebody put under the name of its draft is not to be written to. */
static void a_link_under_the_name_of_its_draft_is_not_followed(void **state)
{
    static const bool are_hard[] = {false, true};
    struct place *place = *state;
    char draft[128], victim[128], text[16] = "";
    snprintf(draft, sizeof draft, "%s/ledger.new", place->dir);
    snprintf(victim, sizeof victim, "%s/victim", place->dir);
    for (size_t i = 0; i < 2; i++) {
        FILE *file = fopen(victim, "w");
        assert_true(file && fputs("precious", file) > 0 && fclose(file) == 0);
        assert_int_equal(are_hard[i] ? link(victim, draft) : symlink(victim, draft), 0);
        append(place, "admit "); /* torn, so that it is written anew */
        ledger_reopen(place);
        file = fopen(victim, "r");
        assert_true(file && fgets(text, sizeof text, file) && fclose(file) == 0);
        assert_string_equal(text, "precious");
    }
}

static void what_was_acknowledged_is_there_after_a_restart(void **state)
{
    struct place *place = *state;
    struct error err = ERROR_INIT;
    struct spinel_op admitted = op_of(UID_B, 7, SPINEL_UPDATE);
    done(place, UID_A, 3, SPINEL_DELETE);
    assert_int_equal(ledger_admit(place->ledger, &admitted, &err), 0);
    ledger_reopen(place);
    ledger_reopen(place); /* the second reads what the first compacted */
    struct spinel_op again = op_of(UID_A, 3, SPINEL_DELETE);
    assert_int_equal(ledger_acknowledged(place->ledger, UID_A), 3);
    assert_true(ledger_has_deleted(place->ledger, &again));
    assert_int_equal(ledger_admitted(place->ledger, UID_B), 7);
    assert_int_equal(ledger_acknowledged(place->ledger, UID_B), 0);
}

/* What it let in after something else was done, and never finished, is still the newest that it
 * knows of once the file was written anew. */
static void what_was_let_in_after_something_was_done_is_there_after_a_restart(void **state)
{
    struct place *place = *state;
    struct error err = ERROR_INIT;
    struct spinel_op op = op_of(UID_A, 9, SPINEL_UPDATE);
    done(place, UID_A, 3, SPINEL_CREATE);
    assert_int_equal(ledger_admit(place->ledger, &op, &err), 0);
    assert_int_equal(ledger_sync(place->ledger, &err), 0);
    append(place, "admit " UID_B " 1"); /* torn: the file is written anew */
    ledger_reopen(place);
    ledger_reopen(place);
    assert_int_equal(ledger_admitted(place->ledger, UID_A), 9);
    assert_int_equal(ledger_acknowledged(place->ledger, UID_A), 3);
}

static void what_was_written_is_made_durable_once(void **state)
{
    struct place *place = *state;
    struct error err = ERROR_INIT;
    struct spinel_op op = op_of(UID_A, 1, SPINEL_CREATE);
    assert_int_equal(ledger_admit(place->ledger, &op, &err), 0);
    syncs = 0;
    assert_int_equal(ledger_sync(place->ledger, &err), 0);
    assert_int_equal(syncs, 1);
    assert_int_equal(ledger_sync(place->ledger, &err), 0);
    assert_int_equal(syncs, 1);
}

static void a_second_deletion_is_not_the_first(void **state)
{
    struct place *place = *state;
    struct spinel_op first = op_of(UID_A, 3, SPINEL_DELETE),
                     second = op_of(UID_A, 5, SPINEL_DELETE);
    second.op = "another-op"; /* of what was made in between by a driver that died over it */
    done(place, UID_A, 3, SPINEL_DELETE);
    assert_true(ledger_has_deleted(place->ledger, &first));
    assert_false(ledger_has_deleted(place->ledger, &second));
}

/* Digests are kept as bytes, and everything else as it came: both come back as they were. */
static void an_op_of_any_form_is_the_same_after_the_file_was_written_anew(void **state)
{
#define DIGITS "00112233445566778899aabbccddeeff00112233445566778899aabbccddee"
    static const char *const ops[] = {DIGITS "ff",  DIGITS "FF", DIGITS "f",
                                      DIGITS "fff", DIGITS "f-", "x"};
    struct place *place = *state;
    struct error err = ERROR_INIT;
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        struct spinel_op op = op_of(UID_A, i + 1, SPINEL_DELETE);
        op.op = ops[i];
        assert_int_equal(ledger_admit(place->ledger, &op, &err), 0);
        assert_int_equal(ledger_acknowledge(place->ledger, &op, &err), 0);
        append(place, "torn");
        ledger_reopen(place);
        ledger_reopen(place);
        assert_true(ledger_has_deleted(place->ledger, &op));
        for (size_t other = 0; other < sizeof ops / sizeof *ops; other++) {
            op.op = ops[other];
            assert_int_equal(ledger_has_deleted(place->ledger, &op), other == i);
        }
    }
}

static void a_text_that_is_no_uid_was_never_heard_of(void **state)
{
    struct place *place = *state;
    done(place, UID_A, 3, SPINEL_CREATE);
    assert_int_equal(ledger_admitted(place->ledger, ""), 0);
    assert_int_equal(ledger_admitted(place->ledger, "000000000000000000000000000000A"), 0);
    assert_int_equal(ledger_admitted(place->ledger, "0000000000000000000000000000000A"), 0);
    assert_int_equal(ledger_admitted(place->ledger, UID_A "0"), 0);
    assert_int_equal(ledger_admitted(place->ledger, UID_A), 3);
}

static void a_torn_last_line_is_dropped(void **state)
{
    struct place *place = *state;
    done(place, UID_A, 3, SPINEL_CREATE);
    append(place, "done " UID_A " 9 cre");
    ledger_reopen(place);
    assert_int_equal(ledger_acknowledged(place->ledger, UID_A), 3);
}

static void any_other_bad_line_is_named(void **state)
{
    struct place *place = *state;
    struct error err = ERROR_INIT;
    struct ledger *broken;
    done(place, UID_A, 3, SPINEL_CREATE);
    append(place, "done nonsense\n");
    assert_int_equal(ledger_open(place->dir, &broken, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.message, "/ledger:4: "));
}

static void a_delete_is_forgotten_once_something_newer_came(void **state)
{
    struct place *place = *state;
    struct spinel_op again = op_of(UID_A, 3, SPINEL_DELETE);
    done(place, UID_A, 3, SPINEL_DELETE);
    done(place, UID_A, 4, SPINEL_CREATE);
    assert_false(ledger_has_deleted(place->ledger, &again));
}

/* A limit on the file's size stands in for a full disk: the write ends half way. */
static void a_line_that_does_not_fit_leaves_no_half(void **state)
{
    struct place *place = *state;
    struct error err = ERROR_INIT;
    struct rlimit limit, before;
    struct spinel_op op = op_of(UID_B, 1, SPINEL_CREATE);
    done(place, UID_A, 3, SPINEL_CREATE);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    limit = before;
    limit.rlim_cur = 150;
    setrlimit(RLIMIT_FSIZE, &limit);
    int result = ledger_acknowledge(place->ledger, &op, &err);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_true(result < 0);
    assert_int_equal(ledger_acknowledged(place->ledger, UID_B), 0);
    ledger_reopen(place);
    assert_int_equal(ledger_acknowledged(place->ledger, UID_A), 3);
    assert_int_equal(ledger_acknowledged(place->ledger, UID_B), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_link_under_the_name_of_its_draft_is_not_followed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_was_acknowledged_is_there_after_a_restart, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            what_was_let_in_after_something_was_done_is_there_after_a_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_written_is_made_durable_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_second_deletion_is_not_the_first, setup, teardown),
        cmocka_unit_test_setup_teardown(
            an_op_of_any_form_is_the_same_after_the_file_was_written_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(a_text_that_is_no_uid_was_never_heard_of, setup, teardown),
        cmocka_unit_test_setup_teardown(a_torn_last_line_is_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(any_other_bad_line_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(a_delete_is_forgotten_once_something_newer_came, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_line_that_does_not_fit_leaves_no_half, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
