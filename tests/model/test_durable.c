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
#include <sys/stat.h>
#include <sys/time.h>
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

/* What a process of this number that was killed left behind is longer than what comes. */
static void a_draft_that_was_left_behind_is_written_anew(void **state)
{
    struct scene *scene = *state;
    char draft[32];
    snprintf(draft, sizeof draft, ".name.%d", (int)getpid());
    int fd = openat(scene->dir, draft, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "longer than that", 16), 16);
    close(fd);
    assert_int_equal(file_replace(scene->dir, "name", "new", 3, &scene->err), 0);
    assert_holds(scene, "new");
}

/* Somebody who may write there knows what the draft will be called. */
static void a_link_in_place_of_the_draft_is_not_followed(void **state)
{
    struct scene *scene = *state;
    char draft[32];
    snprintf(draft, sizeof draft, ".name.%d", (int)getpid());
    assert_int_equal(file_create(scene->dir, "victim", "precious", 8, &scene->err), 0);
    assert_int_equal(symlinkat("victim", scene->dir, draft), 0);
    assert_int_equal(file_replace(scene->dir, "name", "new", 3, &scene->err), 0);
    assert_holds(scene, "new");
    assert_int_equal(renameat(scene->dir, "victim", scene->dir, "name"), 0);
    assert_holds(scene, "precious");
}

static void a_file_is_for_its_owner_alone(void **state)
{
    struct scene *scene = *state;
    struct stat st;
    mode_t mask = umask(0);
    int replaced = file_replace(scene->dir, "name", "x", 1, &scene->err);
    umask(mask);
    assert_int_equal(replaced, 0);
    assert_int_equal(fstatat(scene->dir, "name", &st, 0), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

/* Nobody reads from a pipe while it is written to, but the handler of a signal. */
enum { PIPE_BYTES = 300000, SIGNALS_BEFORE_READING = 3 };

static int pipe_ends[2];
static unsigned char received[PIPE_BYTES];
static volatile sig_atomic_t received_count, signals;

/* One at a time, and so late that also valgrind has begun the call by then that it is to interrupt.
 */
static void alarm_soon(void)
{
    const struct itimerval soon = {.it_value = {.tv_usec = 2000}};
    setitimer(ITIMER_REAL, &soon, NULL);
}

static void alarm_came(int number)
{
    (void)number;
    alarm_soon();
    if (++signals % SIGNALS_BEFORE_READING)
        return;
    ssize_t got = read(pipe_ends[0], received + received_count, 4096);
    received_count += got > 0 ? (sig_atomic_t)got : 0;
}

static void signals_and_short_writes_lose_no_byte(void **state)
{
    static unsigned char sent[PIPE_BYTES];
    const struct sigaction interrupt = {.sa_handler = alarm_came}; /* and nothing is restarted */
    const struct itimerval never = {0};
    struct sigaction usual;
    (void)state;
    for (size_t i = 0; i < sizeof sent; i++)
        sent[i] = (unsigned char)(i % 251);
    assert_int_equal(pipe2(pipe_ends, O_CLOEXEC), 0);
    assert_int_equal(fcntl(pipe_ends[0], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(sigaction(SIGALRM, &interrupt, &usual), 0);
    alarm_soon();
    int result = write_all(pipe_ends[1], sent, sizeof sent), cause = errno;
    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
    assert_int_equal(sigaction(SIGALRM, &usual, NULL), 0);
    if (result < 0)
        fail_msg("%s", strerror(cause));
    close(pipe_ends[1]);
    for (ssize_t got = 1; got > 0; received_count += (sig_atomic_t)got)
        got =
            read(pipe_ends[0], received + received_count, sizeof received - (size_t)received_count);
    close(pipe_ends[0]);
    assert_int_equal(received_count, PIPE_BYTES);
    assert_memory_equal(received, sent, sizeof sent);
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
        TEST(a_draft_that_was_left_behind_is_written_anew),
        TEST(a_link_in_place_of_the_draft_is_not_followed),
        TEST(a_file_is_for_its_owner_alone),
        TEST(signals_and_short_writes_lose_no_byte),
        TEST(what_does_not_fit_is_said_and_leaves_the_old_file),
        TEST(what_stands_under_the_drafts_name_is_not_written_to),
        TEST(a_directory_that_is_there_is_fine_and_one_without_a_parent_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
