/* SPDX-License-Identifier: MPL-2.0 */
/* Files that are replaced: whole at any time, and what failed is said as it was. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>
#include "model/durable.h"
#include "model/error.h"

struct scene {
    char path[32];
    int dir;
    struct error err;
};

static int setup(void **state)
{
    static struct scene scene;
    scene = (struct scene){.path = "/tmp/spinel-durable-XXXXXX", .err = ERROR_INIT};
    assert_non_null(mkdtemp(scene.path));
    scene.dir = open(scene.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *state = &scene;
    return scene.dir < 0;
}

static int teardown(void **state)
{
    struct scene *scene = *state;
    unlinkat(scene->dir, "name", 0);
    unlinkat(scene->dir, "sub", AT_REMOVEDIR);
    close(scene->dir);
    return rmdir(scene->path); /* no draft is left */
}

static void assert_holds(const struct scene *scene, const char *text)
{
    char data[64] = "";
    int fd = openat(scene->dir, "name", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && read(fd, data, sizeof data - 1) >= 0);
    close(fd);
    assert_string_equal(data, text);
}

static void a_file_takes_the_place_of_another(void **state)
{
    struct scene *scene = *state;
    assert_int_equal(file_replace(scene->dir, "name", "old", 3, &scene->err), 0);
    assert_int_equal(file_replace(scene->dir, "name", "newer", 5, &scene->err), 0);
    assert_holds(scene, "newer");
}

static void a_new_file_takes_no_other_ones_place(void **state)
{
    struct scene *scene = *state;
    assert_int_equal(file_create(scene->dir, "name", "first", 5, &scene->err), 0);
    assert_int_equal(file_create(scene->dir, "name", "second", 6, &scene->err), ERR_CONFLICT);
    assert_holds(scene, "first");
}

/* The first write is a short one and no error; a second says why. */
static void what_does_not_fit_is_said_and_leaves_the_old_file(void **state)
{
    struct scene *scene = *state;
    struct rlimit usual, little;
    char much[8192];
    memset(much, 'x', sizeof much);
    assert_int_equal(file_replace(scene->dir, "name", "old", 3, &scene->err), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &usual), 0);
    little = (struct rlimit){.rlim_cur = 5000, .rlim_max = usual.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
    errno = 0;
    int result = file_replace(scene->dir, "name", much, sizeof much, &scene->err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &usual), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_true(result < 0);
    assert_int_equal(scene->err.sys_errno, EFBIG);
    assert_holds(scene, "old");
}

/* Whoever put it there would have us write to a file of theirs, or of somebody else's. */
static void what_stands_under_the_drafts_name_is_not_written_to(void **state)
{
    struct scene *scene = *state;
    char draft[32], data[8] = "";
    snprintf(draft, sizeof draft, ".name.%d", (int)getpid());
    assert_int_equal(file_replace(scene->dir, "other", "theirs", 6, &scene->err), 0);
    assert_int_equal(linkat(scene->dir, "other", scene->dir, draft, 0), 0);
    int result = file_replace(scene->dir, "name", "ours", 4, &scene->err);
    int fd = openat(scene->dir, "other", O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, data, sizeof data - 1), 6);
    close(fd);
    unlinkat(scene->dir, "other", 0);
    assert_string_equal(data, "theirs");
    assert_int_equal(result, 0);
    assert_holds(scene, "ours");
}

static void a_directory_that_is_there_is_fine_and_one_without_a_parent_is_not(void **state)
{
    struct scene *scene = *state;
    char path[64];
    snprintf(path, sizeof path, "%s/sub", scene->path);
    assert_int_equal(directory_make(path, 0700, &scene->err), 0);
    assert_int_equal(directory_make(path, 0700, &scene->err), 0);
    snprintf(path, sizeof path, "%s/none/sub", scene->path);
    assert_true(directory_make(path, 0700, &scene->err) < 0);
    assert_int_equal(scene->err.sys_errno, ENOENT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_file_takes_the_place_of_another),
        TEST(a_new_file_takes_no_other_ones_place),
        TEST(what_does_not_fit_is_said_and_leaves_the_old_file),
        TEST(what_stands_under_the_drafts_name_is_not_written_to),
        TEST(a_directory_that_is_there_is_fine_and_one_without_a_parent_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
