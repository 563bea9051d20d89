/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What a core that was taken over says to the supervisor, which is root's: messages of any bytes,
 * with descriptors, and what comes back is not read; while drivers, cores and the viewer die when
 * they like, or do not die when they are killed. Processes, signals and the clock are made up.
 * Whatever happens, no two processes of one driver live, nobody is killed who was reaped, and
 * SIGTERM ends all of it in time.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "model/when.h"
#include "reconciler/engine/launcher.h"
#include "reconciler/engine/log.h"
#include "reconciler/engine/session.h"
#include "reconciler/server/handover.h"
#include "reconciler/server/privileges.h"
#include "tests/fuzz/fuzz.h"

static int told_clock(clockid_t clock, struct timespec *out);
static int told_pause(const struct timespec *pause, struct timespec *left);
static int told_poll(struct pollfd *slots, nfds_t count, int timeout_ms);
static ssize_t told_receive(int fd, struct msghdr *header, int flags);
static int told_pair(int domain, int type, int protocol, int pair[2]);
static int told_signals(int fd, const sigset_t *set, int flags);
static pid_t told_fork(void);
static int told_kill(pid_t pid, int number);
static pid_t told_wait(pid_t pid, int *status, int flags);
static int told_wait_any(idtype_t type, id_t id, siginfo_t *info, int flags);
static int told_launch(const struct program *program, struct launched *out, struct error *err);
static void told_session_end(pid_t leader);
static FILE *unread;

#define clock_gettime told_clock
#define nanosleep told_pause
#define poll told_poll
#define recvmsg told_receive
#define socketpair told_pair
#define signalfd told_signals
#define sigprocmask(how, set, old) ((void)(set))
#define fork told_fork
#define kill told_kill
#define waitpid told_wait
#define waitid told_wait_any
#define program_launch told_launch
#define session_end told_session_end
#define log_write(format, fields) ((void)(format), (void)(fields))
#undef stderr
#define stderr unread
#include "reconciler/server/supervisor.c"
#undef stderr
#undef poll
#undef recvmsg
#undef socketpair

enum {
    DRIVERS = 3,
    PROCESSES = 64,
    ENDING_TURNS = 100,     /* a goodbye in steps of half a second, and what follows it */
    RECEIVED_AT_ONCE = 1000 /* far more than the socket holds */
};

static const struct program programs[DRIVERS] = {{.name = "a"}, {.name = "b"}, {.name = "c"}};

struct process {
    pid_t pid; /* 0: free */
    bool is_core, is_driver, is_dead, is_killed, is_stuck;
    size_t driver;
    int status;
};

static struct {
    const uint8_t *at, *end;
    struct process processes[PROCESSES];
    pid_t last_pid;
    int64_t now_ms;
    int near, far;    /* of the channel; the core's is `far` */
    int signals[2];   /* told, and to be read */
    bool has_channel; /* that was made for a core which is about to begin */
    bool are_unkillable, is_flooding, is_full, is_asked_to_end;
    unsigned ending_turns, received;
} world;

static uint8_t byte_next(void)
{
    return world.at < world.end ? *world.at++ : 0;
}

/* ---- processes that are made up ------------------------------------------------------ */

static struct process *process_add(void)
{
    struct process *process = world.processes;
    while (process->pid)
        MUST(++process < world.processes + PROCESSES);
    *process = (struct process){.pid = ++world.last_pid};
    return process;
}

static struct process *process_of(pid_t pid)
{
    for (struct process *process = world.processes; process < world.processes + PROCESSES;
         process++)
        if (pid > 0 && process->pid == pid)
            return process;
    return NULL;
}

static struct process *process_alive(bool is_core, bool is_driver, size_t driver)
{
    for (struct process *process = world.processes; process < world.processes + PROCESSES;
         process++)
        if (process->pid && !process->is_dead && process->is_core == is_core &&
            process->is_driver == is_driver && process->driver == driver)
            return process;
    return NULL;
}

static void signal_tell(uint32_t number)
{
    const struct signalfd_siginfo info = {.ssi_signo = number};
    ssize_t put = write(world.signals[1], &info, sizeof info);
    (void)put;
}

static void process_die(struct process *process, int status)
{
    if (!process || process->is_dead)
        return;
    process->is_dead = true;
    process->status = status;
    signal_tell(SIGCHLD);
}

static void process_kill(struct process *process)
{
    process->is_killed = true;
    process->is_stuck = world.are_unkillable;
    if (!process->is_stuck)
        process_die(process, SIGKILL);
}

static int told_kill(pid_t pid, int number)
{
    struct process *process = process_of(pid);
    MUST(process && (number == SIGKILL || (number == SIGTERM && process->is_core)));
    if (number == SIGKILL)
        process_kill(process);
    return 0;
}

static void told_session_end(pid_t leader)
{
    struct process *process = process_of(leader);
    MUST(leader == 0 || (process && (process->is_driver || process->is_core)));
    if (process)
        process_kill(process);
}

static pid_t told_wait(pid_t pid, int *status, int flags)
{
    struct process *process = process_of(pid);
    MUST(flags == WNOHANG);
    if (!process)
        return -1;
    if (!process->is_dead)
        return 0;
    if (status)
        *status = process->status;
    *process = (struct process){0};
    return pid;
}

static int told_wait_any(idtype_t type, id_t id, siginfo_t *info, int flags)
{
    (void)type, (void)id, (void)flags;
    for (size_t i = 0; i < PROCESSES; i++)
        if (world.processes[i].is_dead)
            info->si_pid = world.processes[i].pid;
    return 0;
}

static int told_launch(const struct program *program, struct launched *out, struct error *err)
{
    size_t driver = (size_t)(program - programs);
    MUST(driver < DRIVERS);
    for (size_t i = 0; i < PROCESSES; i++)
        MUST(!world.processes[i].is_driver || world.processes[i].driver != driver);
    if (world.is_full) {
        error_set(err, ERR_SYSTEM, "cannot start driver %s", program->name);
        return ERR_SYSTEM;
    }
    struct process *process = process_add();
    process->is_driver = true;
    process->driver = driver;
    *out = (struct launched){.pid = process->pid,
                             .to_in = dup(world.signals[1]),
                             .from_out = dup(world.signals[1]),
                             .from_err = dup(world.signals[1])};
    return 0;
}

static pid_t told_fork(void)
{
    struct process *process = process_add();
    process->is_core = world.has_channel;
    world.has_channel = false;
    for (size_t i = 0; process->is_core && i < PROCESSES; i++)
        MUST(!world.processes[i].is_driver || world.processes[i].is_stuck);
    return process->pid;
}

/* ---- the channel, signals and the clock ---------------------------------------------- */

static int told_pair(int domain, int type, int protocol, int pair[2])
{
    if (world.far >= 0)
        close(world.far);
    MUST(socketpair(domain, type, protocol, pair) == 0);
    world.near = pair[0];
    world.far = dup(pair[1]);
    world.has_channel = true;
    return 0;
}

static int told_signals(int fd, const sigset_t *set, int flags)
{
    (void)fd, (void)set, (void)flags;
    return dup(world.signals[0]);
}

static int told_clock(clockid_t clock, struct timespec *out)
{
    (void)clock;
    *out =
        (struct timespec){.tv_sec = world.now_ms / 1000, .tv_nsec = world.now_ms % 1000 * 1000000};
    return 0;
}

static int told_pause(const struct timespec *pause, struct timespec *left)
{
    (void)left;
    world.now_ms += pause->tv_sec * 1000 + pause->tv_nsec / 1000000;
    return 0;
}

static void datagram_send(const void *data, size_t len, size_t fd_count)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(8 * sizeof(int))];
    } control = {0};
    struct iovec part = {.iov_base = (void *)(size_t)data, .iov_len = len};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    const int fds[8] = {world.signals[0], world.signals[0], world.signals[0], world.signals[0],
                        world.signals[0], world.signals[0], world.signals[0], world.signals[0]};
    if (fd_count) {
        header.msg_control = control.bytes;
        header.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        struct cmsghdr *head = CMSG_FIRSTHDR(&header);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(head), fds, fd_count * sizeof(int));
    }
    if (world.far >= 0)
        (void)sendmsg(world.far, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void message_send(uint8_t verb, uint8_t driver, size_t fd_count)
{
    struct supervisor_message message;
    memset(&message, 'x', sizeof message);
    message.verb = (enum supervisor_verb)verb;
    message.driver = driver == UINT8_MAX ? UINT32_MAX : driver;
    datagram_send(&message, sizeof message, fd_count);
}

static ssize_t told_receive(int fd, struct msghdr *header, int flags)
{
    if (fd == world.near) {
        MUST(++world.received < RECEIVED_AT_ONCE);
        if (world.is_flooding)
            message_send(SUPERVISOR_START, 0, 0);
    }
    return recvmsg(fd, header, flags);
}

/* The core reads what it was told: true, and for it. */
static bool answer_read(void)
{
    struct supervisor_message message;
    int fds[3];
    if (world.far < 0 || supervisor_receive(world.far, &message, fds) <= 0)
        return false;
    MUST(message.driver < DRIVERS);
    MUST(message.verb == SUPERVISOR_STARTED || message.verb == SUPERVISOR_ENDED ||
         message.verb == SUPERVISOR_FAILED);
    MUST((fds[0] >= 0 && fds[2] >= 0) == (message.verb == SUPERVISOR_STARTED));
    MUST(message.verb != SUPERVISOR_FAILED || message.text[0]);
    supervisor_fds_close(fds);
    return true;
}

/* With the highest bit, what it left goes on to hold its end. */
static void core_die(uint8_t how)
{
    struct process *core = process_alive(true, false, 0);
    process_die(core, (how & 0x7f) << 8);
    if (!core || how & 0x80 || world.far < 0)
        return;
    close(world.far);
    world.far = -1;
}

static void stuck_go(void)
{
    for (size_t i = 0; i < PROCESSES; i++)
        if (world.processes[i].is_stuck)
            process_die(&world.processes[i], SIGKILL);
}

/* ---- the script ---------------------------------------------------------------------- */

static void step(void)
{
    uint8_t a, b;
    switch (byte_next()) {
    case 'm':
        a = byte_next();
        message_send(a, byte_next(), 0);
        break;
    case 'f':
        a = byte_next();
        b = byte_next();
        message_send(a, b, byte_next() & 7);
        break;
    case 'b': {
        uint8_t bytes[2048];
        a = byte_next();
        memset(bytes, byte_next(), sizeof bytes);
        datagram_send(bytes, (size_t)a * 8, a & 3);
        break;
    }
    case 'r':
        answer_read();
        break;
    case 'a':
        while (answer_read())
            ;
        break;
    case 'd':
        a = byte_next();
        process_die(process_alive(false, true, a), byte_next() << 8);
        break;
    case 'c':
        core_die(byte_next());
        break;
    case 'w':
        process_die(process_alive(false, false, 0), 0);
        break;
    case 'x':
        world.are_unkillable = !world.are_unkillable;
        break;
    case 'g':
        stuck_go();
        break;
    case 'l':
        world.is_full = !world.is_full;
        break;
    case 'h':
        world.is_flooding = !world.is_flooding;
        break;
    case 's':
        signal_tell(SIGTERM);
        break;
    case 't':
        world.now_ms += (int64_t)byte_next() * 1000;
        break;
    }
}

/* Once the script is at its end: somebody stops the daemon, and a core that can goes. */
static void end_step(void)
{
    struct process *core = process_alive(true, false, 0);
    MUST(++world.ending_turns < ENDING_TURNS);
    world.now_ms += 500; /* it passes for a core that never stops talking, too */
    if (!world.is_asked_to_end)
        signal_tell(SIGTERM);
    else if (core && !core->is_stuck && !world.are_unkillable)
        core_die(0);
    world.is_asked_to_end = true;
}

static int told_poll(struct pollfd *slots, nfds_t count, int timeout_ms)
{
    world.received = 0;
    if (world.at < world.end)
        step();
    else
        end_step();
    int ready = poll(slots, count, 0);
    if (ready == 0)
        world.now_ms += timeout_ms > 0 ? timeout_ms : 1;
    return ready;
}

static int never(void *context, int channel, pid_t supervisor)
{
    (void)context, (void)channel, (void)supervisor;
    abort();
}

static int never_either(void *context)
{
    (void)context;
    abort();
}

/* A descriptor that was left would be the lowest that is free. */
static int descriptor_free(void)
{
    int fd = dup(world.signals[0]);
    close(fd);
    return fd;
}

static void left_check(int free_before)
{
    bool has_core = false;
    for (size_t i = 0; i < PROCESSES; i++) {
        const struct process *process = &world.processes[i];
        MUST(!process->pid || process->is_dead || (process->is_killed && process->is_stuck));
        has_core |= process->is_core;
    }
    if (has_core)
        close(world.near); /* it goes with the process */
    if (world.far >= 0)
        close(world.far);
    MUST(descriptor_free() == free_before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = ERROR_INIT;
    const struct supervisor_plan plan = {.programs = programs,
                                         .program_count = DRIVERS,
                                         .state_dir = "/nonexistent",
                                         .log_format = "text",
                                         .core = never,
                                         .web = never_either};
    if (!unread)
        MUST(unread = fopen("/dev/null", "we"));
    memset(&world, 0, sizeof world);
    world.at = data ? data : (const uint8_t *)"";
    world.end = world.at + size;
    world.near = world.far = -1;
    world.last_pid = 1000;
    world.now_ms = 1000000;
    MUST(pipe2(world.signals, O_NONBLOCK | O_CLOEXEC) == 0);
    int free_before = descriptor_free();
    if (supervisor_run(&plan, &err) < 0)
        MUST(err.message[0]);
    left_check(free_before);
    close(world.signals[0]);
    close(world.signals[1]);
    return 0;
}
