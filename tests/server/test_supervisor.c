/* SPDX-License-Identifier: MPL-2.0 */
/* The supervisor runs as root; what it is sent comes from the core, which need not be ours any
 * more. */
#include "tests/waiting.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "reconciler/engine/session.h"
#include "reconciler/server/supervisor.h"

/* What a test has for itself, and what is left of it if it fails. */
static struct {
    char dir[40];
    pid_t left; /* 0: nobody */
} scene;

static int scene_set_up(void **state)
{
    (void)state;
    scene.left = 0;
    strcpy(scene.dir, "/tmp/spinel-supervisor-XXXXXX");
    return mkdtemp(scene.dir) ? 0 : -1;
}

static int scene_tear_down(void **state)
{
    char script[64];
    (void)state;
    if (scene.left > 0)
        kill(scene.left, SIGKILL);
    snprintf(script, sizeof script, "rm -rf %s", scene.dir);
    return system(script);
}

/* What supervisor_run() comes to in a process of its own: 0 or 1. */
static int supervise(const struct supervisor_plan *plan)
{
    struct error err = ERROR_INIT;
    pid_t pid = child_fork();
    if (pid == 0)
        _exit(supervisor_run(plan, &err) == 0 ? 0 : 1);
    return child_end(pid);
}

/* A driver of somebody's own: a shell's script. */
static const char *driver_put(const char *script)
{
    static char path[64];
    snprintf(path, sizeof path, "%s/driver", scene.dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    assert_true(fd >= 0 && dprintf(fd, "#!/bin/sh\n%s\n", script) > 0);
    close(fd);
    return path;
}

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

/* The next message of the supervisor; false: none came. */
static bool answer_await(int channel, struct supervisor_message *message)
{
    struct pollfd slot = {.fd = channel, .events = POLLIN};
    int fds[3];
    bool has_come =
        poll(&slot, 1, WAIT_MAX_MS) > 0 && supervisor_receive(channel, message, fds) > 0;
    if (has_come)
        supervisor_fds_close(fds);
    return has_come;
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
    struct supervisor_message answer; /* that the driver could not be started */
    bool has_read = answer_await(channel, &answer) && answer.verb == SUPERVISOR_FAILED;
    seen->after = descriptors_of(supervisor);
    return has_read ? 0 : 3;
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
    assert_int_equal(supervise(&plan), 0);
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
    return supervise(&plan);
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
    poll(&answer, 1, WAIT_MAX_MS);
    kill(supervisor, SIGSTOP);
    if (fork() == 0) {
        close(channel);
        while (getppid() == core)
            usleep(WAIT_STEP_MS * 1000);
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
    (void)state;
    assert_true(said != MAP_FAILED);
    pid_t pid = child_fork();
    if (pid == 0) {
        struct error err = ERROR_INIT;
        supervisor_run(&plan, &err);
        snprintf(said, 4096, "%s", err.message);
        _exit(0);
    }
    assert_int_equal(child_end(pid), 0);
    assert_string_equal(said, "last words");
    munmap(said, 4096);
}

/* ---- what a driver leaves ------------------------------------------------------------- */

/* Ends by itself, or waits to be killed, once what it has begun is in another process group. */
static const char leaving[] =
    "timeout 600 sleep 600 & echo $! >$0.child\n"
    "until set -- $(cat /proc/$!/stat) && [ \"$5\" = $! ]; do sleep 0.01; "
    "done\n>$0.begun; %s";

struct leaver {
    const char *path;
    bool has_answer; /* the driver's end was told */
};

static bool is_there(void *path)
{
    return access(path, F_OK) == 0;
}

static pid_t child_of(const char *path, const char *suffix)
{
    char name[96];
    int pid = 0;
    snprintf(name, sizeof name, "%s%s", path, suffix);
    FILE *file = fopen(name, "re");
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
    struct supervisor_message message = start;
    char begun[96];
    (void)supervisor;
    snprintf(begun, sizeof begun, "%s.begun", leaver->path);
    supervisor_send(channel, &start, NULL, 0);
    if (!wait_until(is_there, begun))
        return 1;
    while (leaver->has_answer && message.verb != SUPERVISOR_ENDED)
        if (!answer_await(channel, &message))
            return 1;
    return 0;
}

static bool is_gone(void *context)
{
    const pid_t *pid = context;
    char path[64], state = 'X';
    snprintf(path, sizeof path, "/proc/%d/stat", (int)*pid);
    FILE *file = fopen(path, "re");
    if (file && fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
        state = 'X';
    if (file)
        fclose(file);
    return state == 'X' || state == 'Z';
}

static void leaver_run(bool has_answer, const char *end)
{
    char script[256];
    snprintf(script, sizeof script, leaving, end);
    struct leaver leaver = {.path = driver_put(script), .has_answer = has_answer};
    const struct program program = {.name = "leaver", .path = leaver.path};
    const struct supervisor_plan plan = {.programs = &program,
                                         .program_count = 1,
                                         .state_dir = "/nonexistent",
                                         .log_format = "text",
                                         .core = core_of_a_leaver,
                                         .context = &leaver};
    int status = supervise(&plan);
    scene.left = child_of(leaver.path, ".child");
    assert_int_equal(status, 0);
    assert_true(scene.left > 0);
    assert_true(wait_until(is_gone, &scene.left));
    scene.left = 0;
}

static void what_a_driver_that_was_killed_left_dies_with_it(void **state)
{
    (void)state;
    leaver_run(true, "kill -9 $$");
}

static void what_a_driver_that_ended_left_dies_with_it(void **state)
{
    (void)state;
    leaver_run(true, "exit 0");
}

static void what_a_driver_left_dies_with_the_core(void **state)
{
    (void)state;
    leaver_run(false, "wait");
}

static bool start_ask(int channel, struct supervisor_message *answer)
{
    const struct supervisor_message start = {.verb = SUPERVISOR_START, .driver = 0};
    supervisor_send(channel, &start, NULL, 0);
    return answer_await(channel, answer);
}

/* ---- what a driver left that nobody buried ------------------------------------------------ */

/* The first one begins what is to die with it, and what leaves its session to outlive it. */
static const char orphaning[] =
    "[ -e $0.begun ] && exec sleep 600\n"
    "timeout 600 sleep 600 & echo $! >$0.child\n"
    "setsid sleep 600 & echo $! >$0.machine\n"
    "until [ \"$(ps -o sid= -p $!)\" -eq $! ]; do sleep 0.01; done\n>$0.begun; wait\n";

struct orphans {
    const char *path;
    pid_t supervisor;
    bool has_started, is_child_gone, is_machine_gone;
};

static int core_of_orphans(void *context, int channel, pid_t supervisor)
{
    struct orphans *orphans = context;
    struct supervisor_message answer;
    bool is_first = orphans->supervisor == 0;
    char begun[96];
    snprintf(begun, sizeof begun, "%s.begun", orphans->path);
    orphans->supervisor = supervisor;
    if (!start_ask(channel, &answer) || answer.verb != SUPERVISOR_STARTED)
        return 0;
    if (is_first) {
        wait_until(is_there, begun);
        kill(supervisor, SIGKILL);
        return 0;
    }
    pid_t child = child_of(orphans->path, ".child"), machine = child_of(orphans->path, ".machine");
    orphans->has_started = child > 0 && machine > 0;
    orphans->is_child_gone = is_gone(&child);
    orphans->is_machine_gone = is_gone(&machine);
    return 0;
}

static void what_a_killed_supervisors_driver_left_is_dead_before_the_next(void **state)
{
    struct orphans *orphans =
        mmap(NULL, sizeof *orphans, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char given[96];
    (void)state;
    assert_true(orphans != MAP_FAILED);
    *orphans = (struct orphans){.path = driver_put(orphaning)};
    snprintf(given, sizeof given, "SPINEL_GIVEN={\"stateDir\":\"%s\"}", orphans->path);
    const struct program program = {.name = "orphaning", .path = orphans->path, .given = given};
    const struct supervisor_plan plan = {.programs = &program,
                                         .program_count = 1,
                                         .state_dir = "/nonexistent",
                                         .log_format = "text",
                                         .core = core_of_orphans,
                                         .context = orphans};
    int killed = supervise(&plan), ended = supervise(&plan);
    scene.left = child_of(orphans->path, ".machine");
    assert_int_equal(killed, -1);
    assert_int_not_equal(ended, -1);
    assert_true(orphans->has_started);
    assert_true(orphans->is_child_gone);
    assert_false(orphans->is_machine_gone);
    munmap(orphans, sizeof *orphans);
}

/* As of a command that only looks, beside a daemon. */
static void a_driver_that_somebody_runs_is_left_alone(void **state)
{
    struct error err = ERROR_INIT;
    struct launched first, second;
    (void)state;
    const struct program program = {.name = "beside",
                                    .path = driver_put("sleep 600"),
                                    .given = "SPINEL_GIVEN={\"stateDir\":\"beside\"}"};
    assert_int_equal(program_launch(&program, &first, &err), 0);
    assert_int_equal(program_launch(&program, &second, &err), 0);
    bool is_left = !is_gone(&first.pid);
    session_end(first.pid);
    session_end(second.pid);
    assert_int_equal(child_end(first.pid), -1);
    assert_int_equal(child_end(second.pid), -1);
    const int fds[] = {first.to_in,  first.from_out,  first.from_err,
                       second.to_in, second.from_out, second.from_err};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        close(fds[i]);
    assert_true(is_left);
}

/* ---- what a core leaves ------------------------------------------------------------------- */

/* Such as one that writes to the repository. */
static int core_that_leaves_a_child(void *context, int channel, pid_t supervisor)
{
    const struct supervisor_message ready = {.verb = SUPERVISOR_READY};
    (void)supervisor;
    supervisor_send(channel, &ready, NULL, 0);
    pid_t child = fork();
    if (child == 0) {
        setpgid(0, 0);
        sleep(60);
        _exit(0);
    }
    setpgid(child, child);
    *(pid_t *)context = child;
    return 0;
}

static void what_a_core_left_is_dead_when_the_supervisor_ends(void **state)
{
    pid_t *child =
        mmap(NULL, sizeof *child, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    (void)state;
    assert_true(child != MAP_FAILED);
    const struct supervisor_plan plan = {.state_dir = "/nonexistent",
                                         .log_format = "text",
                                         .core = core_that_leaves_a_child,
                                         .context = child};
    assert_int_equal(supervise(&plan), 0);
    assert_true(*child > 0);
    scene.left = *child;
    munmap(child, sizeof *child);
    assert_true(is_gone(&scene.left));
    scene.left = 0;
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
        setsid(); /* it outlives the core */
        ok = ptrace(PTRACE_SEIZE, undead->driver, NULL, NULL) == 0;
        _exit(write(told[1], &ok, 1) == 1 && ok ? pause() : 0);
    }
    undead->is_held = read(told[0], &ok, 1) == 1 && ok;
    close(told[0]);
    close(told[1]);
    return pid;
}

static bool has_started(void *context)
{
    struct supervisor_message answer;
    return start_ask(*(int *)context, &answer) && answer.verb == SUPERVISOR_STARTED;
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
    undead->has_started = wait_until(has_started, &channel);
    return 0;
}

static void a_driver_that_does_not_die_holds_up_nobody(void **state)
{
    struct undead *undead =
        mmap(NULL, sizeof *undead, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    (void)state;
    assert_true(undead != MAP_FAILED);
    const struct program program = {.name = "undead", .path = driver_put("exec sleep 600")};
    const struct supervisor_plan plan = {.programs = &program,
                                         .program_count = 1,
                                         .state_dir = "/nonexistent",
                                         .log_format = "text",
                                         .core = core_with_an_undead,
                                         .context = undead};
    int status = supervise(&plan);
    scene.left = undead->holder;
    if (undead->cores == 1 && !undead->is_held) {
        print_message("# SKIP this machine lets no process trace another\n");
        skip();
    }
    assert_int_equal(status, 0);
    assert_int_equal(undead->cores, 2);
    assert_true(undead->was_told);
    assert_true(undead->has_started);
    munmap(undead, sizeof *undead);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, scene_set_up, scene_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(descriptors_come_as_many_as_were_sent),
        CASE(descriptors_that_the_core_sends_are_closed),
        CASE(a_core_that_reads_nothing_is_not_waited_for),
        CASE(a_core_that_cannot_start_is_not_started_again),
        CASE(a_core_that_falls_is_started_again),
        CASE(systemd_is_told_once_that_it_is_ready),
        CASE(what_a_driver_that_was_killed_left_dies_with_it),
        CASE(what_a_driver_that_ended_left_dies_with_it),
        CASE(what_a_driver_left_dies_with_the_core),
        CASE(what_a_killed_supervisors_driver_left_is_dead_before_the_next),
        CASE(a_driver_that_somebody_runs_is_left_alone),
        CASE(what_a_core_left_is_dead_when_the_supervisor_ends),
        CASE(a_driver_that_does_not_die_holds_up_nobody),
        CASE(last_words_of_a_core_are_heard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
