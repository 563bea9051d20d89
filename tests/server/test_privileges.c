/* SPDX-License-Identifier: MPL-2.0 */
/* Who a part of the daemon is once it has given up what it need not have, and what it is told where
 * it cannot. */
#include "tests/waiting.h"

#include <grp.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include "reconciler/server/privileges.h"

#define USER "nobody"
#define VIEWER "daemon"

static void root_needed(void)
{
    if (geteuid() != 0 || !getpwnam(USER) || !getpwnam(VIEWER)) {
        print_message("# SKIP needs root, and the users " USER " and " VIEWER "\n");
        skip();
    }
}

/* 0 if `check` holds, in a process of its own. */
static int apart(bool (*check)(struct error *err))
{
    struct error err = ERROR_INIT;
    pid_t pid = child_fork();
    if (pid == 0) {
        bool holds = check(&err);
        if (!holds)
            fprintf(stderr, "# %s\n", err.message);
        _exit(!holds);
    }
    return child_end(pid);
}

static bool is_in(gid_t group)
{
    gid_t groups[256];
    int count = getgroups(256, groups);
    while (count > 0 && groups[count - 1] != group)
        count--;
    return count > 0;
}

static bool is_for_good(const struct passwd *user)
{
    uid_t real, effective, saved;
    return getresuid(&real, &effective, &saved) == 0 && real == user->pw_uid &&
           effective == user->pw_uid && saved == user->pw_uid && setuid(0) < 0 &&
           prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 && prctl(PR_GET_DUMPABLE) == 0;
}

static bool core_drops(struct error *err)
{
    const struct passwd user = *getpwnam(USER);
    return privileges_drop(USER, err) == 0 && is_for_good(&user) && !is_in(0);
}

static bool viewer_drops(struct error *err)
{
    const gid_t core = getpwnam(USER)->pw_gid;
    const struct passwd viewer = *getpwnam(VIEWER);
    return privileges_drop_for_viewer(VIEWER, USER, err) == 0 && is_for_good(&viewer) &&
           is_in(core) && !is_in(0);
}

static void what_is_given_up_is_given_up_for_good(void **state)
{
    (void)state;
    root_needed();
    assert_int_equal(apart(core_drops), 0);
    assert_int_equal(apart(viewer_drops), 0);
}

static bool is_refused(int status, const struct error *err, const char *field)
{
    return status == ERR_NOT_FOUND && strstr(err->message, field) && strstr(err->hint, field) &&
           geteuid() == 0;
}

static bool nobody_is_found(struct error *err)
{
    return is_refused(privileges_check("no-such-user", NULL, err), err, "spec.user") &&
           is_refused(privileges_check(USER, "no-such-user", err), err, "spec.web.user") &&
           is_refused(privileges_drop("no-such-user", err), err, "spec.user") &&
           is_refused(privileges_drop_for_viewer(VIEWER, "no-such-user", err), err, "spec.user") &&
           is_refused(privileges_drop_for_viewer("no-such-user", USER, err), err, "spec.web.user");
}

static void a_user_that_this_machine_lacks_is_named_with_its_field(void **state)
{
    (void)state;
    root_needed();
    assert_int_equal(apart(nobody_is_found), 0);
}

/* A site file that names users is served by somebody who is none of them: as oneself. */
static bool is_itself(struct error *err)
{
    const uid_t self = getpwnam(VIEWER)->pw_uid;
    if (seteuid(self) < 0)
        return false;
    bool is = privileges_check("no-such-user", "no-such-user", err) == 0 &&
              privileges_drop(USER, err) == 0 &&
              privileges_drop_for_viewer(VIEWER, USER, err) == 0 && geteuid() == self;
    return seteuid(0) == 0 && is;
}

static void who_is_not_root_stays_who_it_is(void **state)
{
    (void)state;
    root_needed();
    assert_int_equal(apart(is_itself), 0);
}

static bool root_stays(struct error *err)
{
    return privileges_drop_for_viewer(VIEWER, NULL, err) == 0 && privileges_drop(NULL, err) == 0 &&
           privileges_check(NULL, NULL, err) == 0 && geteuid() == 0 &&
           prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
}

static void without_a_user_root_stays_and_gets_nothing_new(void **state)
{
    (void)state;
    root_needed();
    assert_int_equal(apart(root_stays), 0);
}

/* As in a container that has not all of root's rights. */
static bool capability_lose(unsigned which)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &head, data) < 0)
        return false;
    data[0].effective &= ~(1U << which);
    return syscall(SYS_capset, &head, data) == 0;
}

static bool says_who(struct error *err)
{
    return privileges_drop(USER, err) == ERR_DENIED &&
           strstr(err->message, "cannot run as user " USER);
}

static bool cannot_set_groups(struct error *err)
{
    return capability_lose(CAP_SETGID) && says_who(err);
}

static bool cannot_set_user(struct error *err)
{
    return capability_lose(CAP_SETUID) && says_who(err);
}

static void root_without_the_right_to_become_another_says_so(void **state)
{
    (void)state;
    root_needed();
#ifdef __SANITIZE_THREAD__
    /* Its own thread keeps the right, and glibc ends what has only half of it. */
    print_message("# SKIP ThreadSanitizer's thread keeps the capability\n");
    skip();
#endif
    assert_int_equal(apart(cannot_set_groups), 0);
    assert_int_equal(apart(cannot_set_user), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_given_up_is_given_up_for_good),
        cmocka_unit_test(a_user_that_this_machine_lacks_is_named_with_its_field),
        cmocka_unit_test(who_is_not_root_stays_who_it_is),
        cmocka_unit_test(without_a_user_root_stays_and_gets_nothing_new),
        cmocka_unit_test(root_without_the_right_to_become_another_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
