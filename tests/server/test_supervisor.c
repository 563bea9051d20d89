/* SPDX-License-Identifier: MPL-2.0 */
/* The supervisor runs as root; what it is sent comes from the core, which need not be ours any
 * more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "reconciler/server/supervisor.h"

struct seen {
    int before, after;
};

static int descriptors_of(pid_t pid)
{
    char path[64];
    int count = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *dir = opendir(path);
    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return count;
}

/* Waits until all that was sent is read. */
static void sent_await(int channel)
{
    struct supervisor_message message;
    int fds[3];
    for (int i = 0; i < 200; i++) {
        if (supervisor_receive(channel, &message, fds) > 0)
            return;
        usleep(10000);
    }
}

static int core_that_sends_descriptors(void *context, int channel, pid_t supervisor)
{
    struct seen *seen = context;
    const struct supervisor_message odd = {.verb = SUPERVISOR_STARTED, .driver = 77};
    const struct supervisor_message start = {.verb = SUPERVISOR_START, .driver = 0};
    const struct supervisor_message ready = {.verb = SUPERVISOR_READY};
    const int fds[3] = {STDERR_FILENO, STDERR_FILENO, STDERR_FILENO};
    seen->before = descriptors_of(supervisor);
    for (int i = 0; i < 100; i++)
        for (int count = 1; count <= 3; count++)
            supervisor_send(channel, i % 2 ? &odd : &ready, fds, count);
    supervisor_send(channel, &start, NULL, 0);
    sent_await(channel); /* that the driver could not be started */
    seen->after = descriptors_of(supervisor);
    return 0;
}

static void descriptors_that_the_core_sends_are_closed(void **state)
{
    struct seen *seen =
        mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    const struct program program = {.name = "none", .path = "/nonexistent/driver"};
    const struct supervisor_plan plan = {.programs = &program,
                                         .program_count = 1,
                                         .state_dir = "/nonexistent",
                                         .log_format = "text",
                                         .core = core_that_sends_descriptors,
                                         .context = seen};
    (void)state;
    assert_true(seen != MAP_FAILED);
    pid_t pid = fork();
    if (pid == 0) {
        struct error err = ERROR_INIT;
        _exit(supervisor_run(&plan, &err) == 0 ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_true(seen->before > 0);
    assert_in_range(seen->after, 1, seen->before + 2);
    munmap(seen, sizeof *seen);
}

/* Asks for what it never hears of, until nobody hears it any more. */
static int core_that_reads_nothing(void *context, int channel, pid_t supervisor)
{
    const struct supervisor_message start = {.verb = SUPERVISOR_START, .driver = 0};
    int *has_lost = context;
    (void)supervisor;
    fcntl(channel, F_SETFL, O_NONBLOCK);
    for (int waits = 0; waits < 2000; waits++) {
        while (supervisor_send(channel, &start, NULL, 0) == 0)
            ;
        if (errno != EAGAIN) {
            *has_lost = 1;
            return 0;
        }
        usleep(10000);
    }
    return 0;
}

static void a_core_that_reads_nothing_is_not_waited_for(void **state)
{
    int *has_lost =
        mmap(NULL, sizeof *has_lost, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    const struct program program = {.name = "none", .path = "/nonexistent/driver"};
    const struct supervisor_plan plan = {.programs = &program,
                                         .program_count = 1,
                                         .state_dir = "/nonexistent",
                                         .log_format = "text",
                                         .core = core_that_reads_nothing,
                                         .context = has_lost};
    int status = -1;
    (void)state;
    assert_true(has_lost != MAP_FAILED);
    pid_t pid = fork();
    if (pid == 0) {
        struct error err = ERROR_INIT;
        _exit(supervisor_run(&plan, &err) == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(*has_lost, 1);
    munmap(has_lost, sizeof *has_lost);
}

/* ---- a core's life ------------------------------------------------------------------- */

/* Where a core may count, being another process each time. */
static int *counter_map(void)
{
    int *counter =
        mmap(NULL, sizeof *counter, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(counter != MAP_FAILED);
    *counter = 0;
    return counter;
}

static int supervised(int (*core)(void *context, int channel, pid_t supervisor), int *counter)
{
    const struct supervisor_plan plan = {
        .state_dir = "/nonexistent", .log_format = "text", .core = core, .context = counter};
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        struct error err = ERROR_INIT;
        _exit(supervisor_run(&plan, &err) == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int core_that_cannot_start(void *context, int channel, pid_t supervisor)
{
    (void)channel, (void)supervisor;
    ++*(int *)context;
    return 3;
}

static int core_that_falls_once(void *context, int channel, pid_t supervisor)
{
    const struct supervisor_message ready = {.verb = SUPERVISOR_READY};
    (void)supervisor;
    supervisor_send(channel, &ready, NULL, 0);
    return ++*(int *)context == 1 ? 3 : 0;
}

static void a_core_that_cannot_start_is_not_started_again(void **state)
{
    int *starts = counter_map();
    (void)state;
    assert_int_equal(supervised(core_that_cannot_start, starts), 1);
    assert_int_equal(*starts, 1);
    munmap(starts, sizeof *starts);
}

static void a_core_that_falls_is_started_again(void **state)
{
    int *starts = counter_map();
    (void)state;
    assert_int_equal(supervised(core_that_falls_once, starts), 0);
    assert_int_equal(*starts, 2);
    munmap(starts, sizeof *starts);
}

static void systemd_is_told_once_that_it_is_ready(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char name[sizeof address.sun_path + 32], said[64];
    int *starts = counter_map();
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    (void)state;
    int len =
        snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "spinel-%d", (int)getpid());
    assert_int_equal(bind(fd, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)),
                     0);
    snprintf(name, sizeof name, "@%s", address.sun_path + 1);
    setenv("NOTIFY_SOCKET", name, 1);
    assert_int_equal(supervised(core_that_falls_once, starts), 0);
    assert_int_equal(recv(fd, said, sizeof said, 0), strlen("READY=1"));
    assert_memory_equal(said, "READY=1", strlen("READY=1"));
    assert_int_equal(recv(fd, said, sizeof said, 0), -1);
    setenv("NOTIFY_SOCKET", "", 1); /* none, and one that no address can hold */
    assert_int_equal(supervised(core_that_falls_once, starts), 0);
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    setenv("NOTIFY_SOCKET", name, 1);
    assert_int_equal(supervised(core_that_falls_once, starts), 0);
    unsetenv("NOTIFY_SOCKET");
    close(fd);
    munmap(starts, sizeof *starts);
}

static void descriptors_come_as_many_as_were_sent(void **state)
{
    const struct supervisor_message message = {.verb = SUPERVISOR_STARTED};
    struct supervisor_message got;
    const int sent[3] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
    int ends[2], fds[3];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    for (int count = 0; count <= 3; count++) {
        assert_int_equal(supervisor_send(ends[0], &message, sent, count), 0);
        assert_int_equal(supervisor_receive(ends[1], &got, fds), 1);
        for (int i = 0; i < 3; i++)
            assert_true((fds[i] >= 0) == (i < count));
        supervisor_fds_close(fds);
    }
    assert_int_equal(supervisor_receive(ends[1], &got, fds), 0);
    assert_int_equal(send(ends[0], "short", 5, 0), 5);
    assert_int_equal(supervisor_receive(ends[1], &got, fds), -1);
    close(ends[0]);
    close(ends[1]);
}

/* Has gone, with an answer that it did not read, before the supervisor comes to hear it. */
static int core_with_last_words(void *context, int channel, pid_t supervisor)
{
    const struct supervisor_message start = {.verb = SUPERVISOR_START, .driver = 0};
    const struct supervisor_message refused = {.verb = SUPERVISOR_REFUSED, .text = "last words"};
    struct pollfd answer = {.fd = channel, .events = POLLIN};
    pid_t core = getpid();
    (void)context;
    supervisor_send(channel, &start, NULL, 0);
    poll(&answer, 1, 5000);
    kill(supervisor, SIGSTOP);
    if (fork() == 0) {
        close(channel);
        while (getppid() == core)
            usleep(1000);
        kill(supervisor, SIGCONT);
        _exit(0);
    }
    supervisor_send(channel, &refused, NULL, 0);
    return 1;
}

static void last_words_of_a_core_are_heard(void **state)
{
    char *said = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    const struct program program = {.name = "none", .path = "/nonexistent/driver"};
    const struct supervisor_plan plan = {.programs = &program,
                                         .program_count = 1,
                                         .state_dir = "/nonexistent",
                                         .log_format = "text",
                                         .core = core_with_last_words};
    int status;
    (void)state;
    assert_true(said != MAP_FAILED);
    pid_t pid = fork();
    if (pid == 0) {
        struct error err = ERROR_INIT;
        supervisor_run(&plan, &err);
        snprintf(said, 4096, "%s", err.message);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_string_equal(said, "last words");
    munmap(said, 4096);
}

/* ---- what a driver leaves ------------------------------------------------------------- */

/* A driver of somebody's own that ends by itself, or waits to be killed, and has begun what is in
 * another process group. */
static const char leaving[] = "#!/bin/sh\ntimeout 600 sleep 600 & echo $! >$0.child\n"
                              "sleep 0.2; >$0.begun; %s\n";

struct leaver {
    const char *path;
    bool has_answer; /* the driver's end was told */
};

static pid_t child_of(const char *path, const char *suffix)
{
    char name[128];
    int pid = 0;
    snprintf(name, sizeof name, "%s%s", path, suffix);
    for (int i = 0; i < 1000 && access(name, F_OK) < 0; i++)
        usleep(10000);
    FILE *file = fopen(name, "r");
    if (file && fscanf(file, "%d", &pid) != 1)
        pid = 0;
    if (file)
        fclose(file);
    return pid;
}

static int core_of_a_leaver(void *context, int channel, pid_t supervisor)
{
    const struct supervisor_message start = {.verb = SUPERVISOR_START, .driver = 0};
    const struct leaver *leaver = context;
    (void)supervisor;
    supervisor_send(channel, &start, NULL, 0);
    child_of(leaver->path, ".begun");
    struct supervisor_message message = {.verb = SUPERVISOR_START};
    while (leaver->has_answer && message.verb != SUPERVISOR_ENDED) {
        struct pollfd slot = {.fd = channel, .events = POLLIN};
        int fds[3];
        if (poll(&slot, 1, 10000) <= 0 || supervisor_receive(channel, &message, fds) < 0)
            return 1;
        supervisor_fds_close(fds);
    }
    return 0;
}

static bool is_running(pid_t pid)
{
    char path[64], state = 'X';
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (file && fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
        state = 'X';
    if (file)
        fclose(file);
    return state != 'X' && state != 'Z';
}

static void leaver_run(bool has_answer, const char *end)
{
    char path[] = "/tmp/spinel-leaver-XXXXXX", name[64];
    int fd = mkstemp(path);
    assert_true(fd >= 0 && dprintf(fd, leaving, end) > 0 && fchmod(fd, 0755) == 0);
    close(fd);
    const struct program program = {.name = "leaver", .path = path};
    struct leaver leaver = {.path = path, .has_answer = has_answer};
    const struct supervisor_plan plan = {.programs = &program,
                                         .program_count = 1,
                                         .state_dir = "/nonexistent",
                                         .log_format = "text",
                                         .core = core_of_a_leaver,
                                         .context = &leaver};
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        struct error err = ERROR_INIT;
        _exit(supervisor_run(&plan, &err) == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    pid_t child = child_of(path, ".child");
    assert_true(child > 0);
    for (int i = 0; i < 100 && is_running(child); i++)
        usleep(10000);
    bool was_left = is_running(child);
    kill(child, SIGKILL);
    for (int i = 0; i < 3; i++) {
        static const char *const suffixes[] = {"", ".child", ".begun"};
        snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        unlink(name);
    }
    assert_false(was_left);
}

static void what_a_driver_left_dies_with_it(void **state)
{
    (void)state;
    leaver_run(true, "kill -9 $$");
    leaver_run(true, "exit 0");
}

static void what_a_driver_left_dies_with_the_core(void **state)
{
    (void)state;
    leaver_run(false, "wait");
}

/* ---- a driver that does not die --------------------------------------------------------- */

struct undead {
    int cores;
    pid_t driver, holder;
    bool is_held, was_told, has_started;
};

/* A dead process whose tracer has not waited for it yet is not there for its parent to wait for,
 * just as one that hangs in the kernel. */
static pid_t driver_hold(struct undead *undead)
{
    int told[2];
    char ok = 0;
    assert_int_equal(pipe(told), 0);
    pid_t pid = fork();
    if (pid == 0) {
        ok = ptrace(PTRACE_SEIZE, undead->driver, NULL, NULL) == 0;
        _exit(write(told[1], &ok, 1) == 1 && ok ? pause() : 0);
    }
    undead->is_held = read(told[0], &ok, 1) == 1 && ok;
    close(told[0]);
    close(told[1]);
    return pid;
}

static bool answer_await(int channel, struct supervisor_message *message)
{
    struct pollfd slot = {.fd = channel, .events = POLLIN};
    int fds[3];
    bool has_come = poll(&slot, 1, 10000) > 0 && supervisor_receive(channel, message, fds) > 0;
    if (has_come)
        supervisor_fds_close(fds);
    return has_come;
}

static bool start_ask(int channel, struct supervisor_message *answer)
{
    const struct supervisor_message start = {.verb = SUPERVISOR_START, .driver = 0};
    supervisor_send(channel, &start, NULL, 0);
    return answer_await(channel, answer);
}

static int core_with_an_undead(void *context, int channel, pid_t supervisor)
{
    const struct supervisor_message ready = {.verb = SUPERVISOR_READY};
    struct supervisor_message answer;
    struct undead *undead = context;
    (void)supervisor;
    supervisor_send(channel, &ready, NULL, 0);
    if (++undead->cores == 1) {
        if (!start_ask(channel, &answer) || answer.verb != SUPERVISOR_STARTED)
            return 0;
        undead->driver = answer.pid;
        undead->holder = driver_hold(undead);
        return undead->is_held ? 3 : 0;
    }
    undead->was_told = start_ask(channel, &answer) && answer.verb == SUPERVISOR_FAILED &&
                       strstr(answer.text, "not dead");
    kill(undead->holder, SIGKILL);
    for (int i = 0; i < 100 && !undead->has_started; i++) {
        usleep(50000);
        undead->has_started = start_ask(channel, &answer) && answer.verb == SUPERVISOR_STARTED;
    }
    return 0;
}

static void a_driver_that_does_not_die_holds_up_nobody(void **state)
{
    char path[] = "/tmp/spinel-undead-XXXXXX";
    struct undead *undead =
        mmap(NULL, sizeof *undead, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int fd = mkstemp(path), status = -1;
    (void)state;
    assert_true(undead != MAP_FAILED);
    assert_true(fd >= 0 && dprintf(fd, "#!/bin/sh\nexec sleep 600\n") > 0 && fchmod(fd, 0755) == 0);
    close(fd);
    const struct program program = {.name = "undead", .path = path};
    const struct supervisor_plan plan = {.programs = &program,
                                         .program_count = 1,
                                         .state_dir = "/nonexistent",
                                         .log_format = "text",
                                         .core = core_with_an_undead,
                                         .context = undead};
    pid_t pid = fork();
    if (pid == 0) {
        struct error err = ERROR_INIT;
        alarm(60);
        _exit(supervisor_run(&plan, &err) == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    unlink(path);
    if (undead->cores == 1 && !undead->is_held) {
        print_message("SKIP: this machine lets no process trace another\n");
        skip();
    }
    if (undead->holder > 0)
        kill(undead->holder, SIGKILL);
    assert_int_equal(status, 0);
    assert_int_equal(undead->cores, 2);
    assert_true(undead->was_told);
    assert_true(undead->has_started);
    munmap(undead, sizeof *undead);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(descriptors_come_as_many_as_were_sent),
        cmocka_unit_test(descriptors_that_the_core_sends_are_closed),
        cmocka_unit_test(a_core_that_reads_nothing_is_not_waited_for),
        cmocka_unit_test(a_core_that_cannot_start_is_not_started_again),
        cmocka_unit_test(a_core_that_falls_is_started_again),
        cmocka_unit_test(systemd_is_told_once_that_it_is_ready),
        cmocka_unit_test(what_a_driver_left_dies_with_it),
        cmocka_unit_test(what_a_driver_left_dies_with_the_core),
        cmocka_unit_test(a_driver_that_does_not_die_holds_up_nobody),
        cmocka_unit_test(last_words_of_a_core_are_heard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
