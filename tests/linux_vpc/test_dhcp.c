/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Which processes are ended before a dnsmasq is started, and which are none of ours; and what root
 * makes of what dnsmasq's user can reach. A shell under
 * a name that nothing else on the machine has stands for dnsmasq: whatever breaks, a test ends its
 * own processes only.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/sendfile.h>

#include "drivers/linux-vpc/dhcp.c"
#include "drivers/linux-vpc/dhcp_dir.c"
#include "drivers/linux-vpc/dhcp_files.c"
#include "drivers/linux-vpc/draft.c"
#include "drivers/linux-vpc/kept.c"
#include "drivers/linux-vpc/names.c"
#include "drivers/linux-vpc/netns.c"
#include "drivers/linux-vpc/network.c"
#include "drivers/linux-vpc/records.c"
#include "tests/driver/descriptors.h"

#define VPC "0123456789abcdef0123456789abcdef"

enum { NOBODY = 65534 };

struct scene {
    struct arena *arena;
    char own_dir[32];
    struct records records;
    struct network network;
    struct dhcp_settings settings;
    const char *argument;
};

static char *program_make(const struct scene *scene)
{
    char *path = arena_printf(scene->arena, "%s/dnsmasq-of-test-%d", scene->own_dir, (int)getpid());
    int from = open("/bin/sh", O_RDONLY | O_CLOEXEC);
    int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    assert_true(from >= 0 && to >= 0);
    while (sendfile(to, from, NULL, 1 << 20) > 0)
        continue;
    assert_int_equal(fchmod(to, 0755) | chmod(scene->own_dir, 0755), 0);
    close(from);
    close(to);
    return path;
}

static int setup(void **state)
{
    struct arena *arena = arena_new();
    struct scene *scene = arena_alloc(arena, sizeof *scene);
    *scene = (struct scene){.arena = arena,
                            .own_dir = "/tmp/spinel-dhcp-XXXXXX",
                            .records = {.vpc = VPC},
                            .settings = {.user = "daemon"}};
    assert_non_null(mkdtemp(scene->own_dir));
    scene->settings.program = program_make(scene);
    snprintf(scene->network.netns, sizeof scene->network.netns, "spt%d", (int)getpid());
    scene->network.records = &scene->records;
    scene->argument =
        arena_printf(arena, CONF_FILE "%s", dhcp_path(arena, &scene->network, "config"));
    *state = scene;
    return 0;
}

static int teardown(void **state)
{
    struct scene *scene = *state;
    unlink(scene->settings.program);
    rmdir(scene->own_dir);
    arena_free(scene->arena);
    return 0;
}

static void skip_unless_root(void)
{
    if (geteuid() == 0)
        return;
    print_message("SKIP: only root runs what is another user's\n");
    skip();
}

/* Says something once it bears the argument, and then waits for the end of its input. */
static pid_t start(const struct scene *scene, uid_t user, const char *script, int input)
{
    char *argv[] = {
        "dnsmasq", "-c", (char *)(uintptr_t)script, "dnsmasq", (char *)(uintptr_t)scene->argument,
        NULL};
    int output[2];
    char ready;
    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(input, STDIN_FILENO);
        dup2(output[1], STDOUT_FILENO);
        if (setresuid(user, user, user) < 0)
            _exit(1);
        execv(scene->settings.program, argv);
        _exit(1);
    }
    close(output[1]);
    assert_int_equal(read(output[0], &ready, 1), 1);
    close(output[0]);
    return pid;
}

static int stop(const struct scene *scene, struct error *err)
{
    return processes_stop(scene->arena, scene->own_dir, &scene->network, &scene->settings, err);
}

static void a_process_of_anybody_else_is_left_alone(void **state)
{
    struct scene *scene = *state;
    struct error err = ERROR_INIT;
    int input[2], status;
    skip_unless_root();
    assert_int_equal(pipe2(input, O_CLOEXEC), 0);
    pid_t pid = start(scene, NOBODY, "echo; read x", input[0]);
    assert_int_equal(stop(scene, &err), 0);
    assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    close(input[0]);
    close(input[1]);
}

static void one_that_nobody_noted_is_ended(void **state)
{
    struct scene *scene = *state;
    struct error err = ERROR_INIT;
    int input[2], status;
    skip_unless_root();
    assert_int_equal(pipe2(input, O_CLOEXEC), 0);
    pid_t pid = start(scene, getpwnam("daemon")->pw_uid, "echo; read x", input[0]);
    assert_int_equal(stop(scene, &err), 0);
    assert_int_equal(waitpid(pid, &status, WNOHANG), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    close(input[0]);
    close(input[1]);
}

/* To the one who ends them, more than that many are as one that somebody starts again each time. */
static void one_that_comes_back_each_time_is_an_error_and_no_endless_work(void **state)
{
    struct scene *scene = *state;
    struct error err = ERROR_INIT;
    pid_t pids[STOPPED_MAX + 1];
    int input[2];
    skip_unless_root();
    assert_int_equal(pipe2(input, O_CLOEXEC), 0);
    for (int i = 0; i <= STOPPED_MAX; i++)
        pids[i] = start(scene, 0, "echo; read x", input[0]);
    assert_int_equal(stop(scene, &err), ERR_BUSY);
    assert_non_null(strstr(err.message, "comes back"));
    assert_int_equal(stop(scene, &err), 0); /* there was one left */
    for (int i = 0; i <= STOPPED_MAX; i++)
        assert_int_equal(waitpid(pids[i], NULL, 0), pids[i]);
    close(input[1]);
    close(input[0]);
}

/* Ticks and pids begin again with each boot. */
static void the_noted_one_is_that_of_this_boot_only(void **state)
{
    struct scene *scene = *state;
    struct error err = ERROR_INIT;
    int input[2];
    assert_int_equal(pipe2(input, O_CLOEXEC), 0);
    pid_t pid = start(scene, geteuid(), "echo; read x", input[0]);
    int noted = process_note(scene->arena, scene->own_dir, &scene->network, pid, "", &err);
    pid_t found = dhcp_pid(scene->arena, scene->own_dir, VPC);
    const struct value *first = NULL;
    int read = records_read_file(scene->arena, scene->own_dir, VPC, PROCESS_FILE, &first, &err);
    struct value *note = value_copy(scene->arena, first);
    value_set_text(scene->arena, note, "boot", "00000000-0000-4000-8000-000000000000");
    int changed = records_write_file(scene->own_dir, VPC, PROCESS_FILE, note, &err);
    pid_t of_another_boot = dhcp_pid(scene->arena, scene->own_dir, VPC);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(input[0]);
    close(input[1]);
    assert_int_equal(records_forget(scene->own_dir, VPC, &err), 0);
    assert_int_equal(noted | read | changed, 0);
    assert_int_equal(found, pid);
    assert_int_equal(of_another_boot, 0);
}

static void one_that_cannot_be_told_about_is_not_taken_for_none(void **state)
{
    struct scene *scene = *state;
    struct error err = ERROR_INIT;
    int input[2], status;
    assert_int_equal(pipe2(input, O_CLOEXEC), 0);
    pid_t pid = start(scene, geteuid(), "echo; read x", input[0]);
    descriptors_use_up();
    int told = stop(scene, &err);
    descriptors_give_back();
    int is_left = waitpid(pid, &status, WNOHANG) == 0;
    err = (struct error)ERROR_INIT;
    int stopped = stop(scene, &err);
    pid_t ended = waitpid(pid, &status, 0);
    close(input[0]);
    close(input[1]);
    assert_int_equal(told, ERR_BUSY);
    assert_true(is_left);
    assert_int_equal(stopped, 0);
    assert_int_equal(ended, pid);
}

/* Where it is, and which it is, stands nowhere else. */
static void one_that_cannot_be_started_leaves_the_pid_file_of_the_one_that_runs(void **state)
{
    struct scene *scene = *state;
    struct error err = ERROR_INIT;
    const struct passwd *user = getpwnam("daemon");
    pid_t pid;
    skip_unless_root();
    const char *pid_file = dhcp_path(scene->arena, &scene->network, "pid");
    assert_int_equal(dhcp_dir_prepare(scene->arena, &scene->network, &err), 0);
    int written = dhcp_file_update(scene->arena, pid_file, "1\n", user, &err);
    int started = process_start(scene->arena, &scene->network, scene->settings.program, &pid, &err);
    const char *left = dhcp_file_text(scene->arena, pid_file);
    err = (struct error)ERROR_INIT;
    assert_int_equal(dhcp_dir_remove(scene->arena, &scene->network, &err), 0);
    assert_int_equal(written, 1);
    assert_true(started < 0);
    assert_string_equal(left, "1\n");
}

/* ---- the directory ------------------------------------------------------------------ */

static const char *read_back(const struct scene *scene, const char *name)
{
    alarm(20); /* nothing of it makes us wait */
    const char *text =
        dhcp_file_text(scene->arena, arena_printf(scene->arena, "%s/%s", scene->own_dir, name));
    alarm(0);
    return text;
}

static void what_is_no_file_in_it_is_not_read(void **state)
{
    struct scene *scene = *state;
    int dir = open(scene->own_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = openat(dir, "secret", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write_all(fd, "root's own\n", 11), 0);
    close(fd);
    assert_string_equal(read_back(scene, "secret"), "root's own\n");
    assert_int_equal(symlinkat("secret", dir, "link"), 0);
    assert_int_equal(mkfifoat(dir, "pipe", 0600), 0);
    assert_string_equal(read_back(scene, "link"), "");
    assert_string_equal(read_back(scene, "pipe"), "");
    assert_int_equal(linkat(dir, "secret", dir, "other", 0), 0);
    assert_string_equal(read_back(scene, "other"), "");
    for (const char *const *name = (const char *const[]){"secret", "link", "pipe", "other", NULL};
         *name; name++)
        unlinkat(dir, *name, 0);
    close(dir);
}

static void dnsmasqs_user_can_put_nothing_in_a_files_place(void **state)
{
    struct scene *scene = *state;
    struct error err = ERROR_INIT;
    struct stat st;
    const struct passwd *user = getpwnam("daemon");
    skip_unless_root();
    const char *dir = dhcp_path(scene->arena, &scene->network, NULL),
               *log = dhcp_path(scene->arena, &scene->network, "log"),
               *hosts = dhcp_path(scene->arena, &scene->network, "hosts");
    mkdir(RUN_DIR, 0755);
    assert_int_equal(mkdir(dir, 0700), 0);
    assert_int_equal(chown(dir, user->pw_uid, user->pw_gid), 0); /* as it once was */
    assert_int_equal(symlink("/etc/passwd", log), 0);
    assert_int_equal(dhcp_dir_prepare(scene->arena, &scene->network, &err), 0);
    int written = dhcp_file_update(scene->arena, hosts, "a\n", user, &err);
    int is_log_there = lstat(log, &st) == 0;
    assert_int_equal(stat(dir, &st), 0);
    mode_t mode = st.st_mode & 07777;
    uid_t owner = st.st_uid;
    assert_int_equal(stat(hosts, &st), 0);
    assert_int_equal(dhcp_dir_remove(scene->arena, &scene->network, &err), 0);
    assert_int_equal(written, 1);
    assert_int_equal(st.st_uid, user->pw_uid);
    assert_int_equal(owner, 0);
    assert_int_equal(mode, 0711);
    assert_false(is_log_there);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_process_of_anybody_else_is_left_alone),
        TEST(one_that_nobody_noted_is_ended),
        TEST(one_that_comes_back_each_time_is_an_error_and_no_endless_work),
        TEST(the_noted_one_is_that_of_this_boot_only),
        TEST(one_that_cannot_be_told_about_is_not_taken_for_none),
        TEST(one_that_cannot_be_started_leaves_the_pid_file_of_the_one_that_runs),
        TEST(what_is_no_file_in_it_is_not_read),
        TEST(dnsmasqs_user_can_put_nothing_in_a_files_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
