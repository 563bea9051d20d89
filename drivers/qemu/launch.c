/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The launcher. Three processes are made:
 *
 *     driver ── fork ── starter (setsid, exits) ── launcher ── QEMU
 *
 * The launcher belongs to nobody's session or service. It writes process.json before
 * it lets QEMU go, so there is never a machine that nobody knows of. After that it reads
 * QEMU's monitor for the last event that tells why the machine ends, keeps the serial
 * log from growing without bound, and waits for the process; then it writes exit.json
 * and ends too.
 *
 * QEMU gets its descriptors at fixed numbers and nothing else, gives up root, and can
 * gain no privilege again.
 */
#include "drivers/qemu/launch.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "drivers/lib/proc.h"
#include "drivers/qemu/argv.h"
#include "drivers/qemu/cgroup.h"
#include "drivers/qemu/process.h"
#include "drivers/qemu/serial_log.h"
#include "model/durable.h"
#include "model/error.h"

enum { START_TIMEOUT_MS = 20000, LINE_ROOM = 65536, PARKED = FD_END + 64, QEMU_FDS = 8192 };

/* What starter, launcher and QEMU-to-be say to the driver before exec. */
struct report {
    struct process process; /* pid 0: it failed */
    struct error err;
};

struct pipes {
    int report[2];  /* to the driver; closed by exec */
    int go[2];      /* the launcher lets QEMU-to-be continue */
    int monitor[2]; /* launcher's end, QEMU's end */
};

static int fd_order(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* The driver holds descriptors for each machine, however many there are. None of them is for
 * another machine's processes: they would hold the report open, and the events of others. */
static int close_all_but(int *kept, size_t count, struct error *err)
{
    int next = 0, status = 0;
    qsort(kept, count, sizeof *kept, fd_order);
    for (size_t i = 0; i < count; next = kept[i++] + 1)
        if (kept[i] > next && close_range((unsigned)next, (unsigned)kept[i] - 1, 0) < 0)
            status = -1;
    if (close_range((unsigned)next, ~0U, 0) < 0)
        status = -1;
    return status < 0 ? error_sys(err, "cannot close the driver's descriptors") : 0;
}

static _Noreturn void fail(int report_fd, const struct error *err)
{
    struct report report = {.err = *err};
    ssize_t put = write(report_fd, &report, sizeof report);
    _exit(put == (ssize_t)sizeof report ? 1 : 2);
}

/* ---- QEMU, before it is QEMU -------------------------------------------------------- */

/* Descriptors may stand on each other's numbers, so all are parked above them first. */
static int place_fds(const struct launch *launch, int monitor, int log, struct error *err)
{
    size_t count = launch->fd_count;
    int parked[FD_END];
    assert(count < FD_END);
    for (size_t i = 0; i < count; i++)
        if ((parked[i] = fcntl(launch->fds[i].from, F_DUPFD_CLOEXEC, PARKED)) < 0)
            return error_sys(err, "cannot hand a descriptor to QEMU");
    int parked_monitor = fcntl(monitor, F_DUPFD_CLOEXEC, PARKED);
    int parked_log = fcntl(log, F_DUPFD_CLOEXEC, PARKED);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    bool placed = dup2(null, 0) == 0 && dup2(parked_log, 1) == 1 && dup2(parked_log, 2) == 2 &&
                  dup2(parked_monitor, FD_LAUNCHER) == FD_LAUNCHER;
    for (size_t i = 0; i < count; i++)
        placed = placed && dup2(parked[i], launch->fds[i].to) == launch->fds[i].to;
    return placed ? 0 : error_sys(err, "cannot hand descriptors to QEMU");
}

/* Whatever is open and was not placed closes at exec. */
static int close_others(const struct launch *launch, int report_fd, struct error *err)
{
    for (int fd = 3; fd < FD_END; fd++) {
        bool placed = fd == FD_LAUNCHER || fd == report_fd;
        for (size_t i = 0; i < launch->fd_count; i++)
            placed = placed || launch->fds[i].to == fd;
        if (!placed)
            close(fd);
    }
    return close_range(FD_END, ~0U, CLOSE_RANGE_CLOEXEC) < 0
               ? error_sys(err, "cannot keep the driver's descriptors from QEMU")
               : 0;
}

/* The driver's own is for a rack; one machine does with less, and can take no more. */
static void limit_fds(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max > QEMU_FDS) {
        limit.rlim_cur = limit.rlim_max = QEMU_FDS;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int drop_privileges(const struct launch *launch, struct error *err)
{
    struct rlimit none = {0};
    setrlimit(RLIMIT_CORE, &none); /* a core would hold the guest's memory */
    limit_fds();
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return error_sys(err, "cannot forbid QEMU new privileges");
    if (launch->user == 0)
        return 0;
    if (setgroups(0, NULL) < 0 || setresgid(launch->group, launch->group, launch->group) < 0 ||
        setresuid(launch->user, launch->user, launch->user) < 0)
        return error_sys(err, "cannot become user %u for QEMU", (unsigned)launch->user);
    return 0;
}

static _Noreturn void qemu_exec(const struct launch *launch, struct pipes *pipes)
{
    struct error err = ERROR_INIT;
    char go;
    close(pipes->go[1]);
    close(pipes->monitor[0]);
    if (read(pipes->go[0], &go, 1) != 1)
        _exit(1); /* the launcher said why */
    int report_fd = fcntl(pipes->report[1], F_DUPFD_CLOEXEC, PARKED);
    int log = fresh_open(launch->dir_fd, "qemu.log", O_WRONLY);
    if (log < 0)
        error_sys(&err, "cannot open qemu.log");
    else if (place_fds(launch, pipes->monitor[1], log, &err) == 0 &&
             close_others(launch, report_fd, &err) == 0 && drop_privileges(launch, &err) == 0) {
        for (int sig = 1; sig < SIGRTMIN; sig++)
            signal(sig, SIG_DFL);
        execv(launch->argv[0], launch->argv);
        error_sys(&err, "cannot run %s", launch->argv[0]);
    }
    fail(report_fd, &err);
}

/* ---- the launcher ------------------------------------------------------------------- */

static bool tells_the_end(const char *line)
{
    return strstr(line, "\"event\": \"SHUTDOWN\"") || strstr(line, "\"event\": \"GUEST_PANICKED\"");
}

/* Until the monitor has something to say. */
static void monitor_await(int fd, struct serial_log *log)
{
    struct pollfd slots[] = {{.fd = fd, .events = POLLIN}, {.events = POLLIN}};
    do {
        slots[1].fd = log->is_resting ? -1 : log->inotify;
        int got = poll(slots, 2, log->is_resting ? SERIAL_LOG_REST_MS : -1);
        if (got == 0)
            serial_log_look(log);
        else if (got > 0 && slots[1].revents)
            serial_log_written(log);
    } while (!slots[0].revents);
}

/* Reads the monitor until QEMU closes it; `last` gets the event that told the end. A
 * panic is not forgotten for the shutdown that follows it. */
static void follow_monitor(int fd, struct serial_log *log, char last[LINE_ROOM])
{
    static const char hello[] = "{\"execute\":\"qmp_capabilities\"}\n";
    static char line[LINE_ROOM];
    size_t len = 0;
    bool greeted = false;
    for (;;) {
        char c[4096];
        monitor_await(fd, log);
        ssize_t got = read(fd, c, sizeof c);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return;
        if (!greeted)
            greeted = send(fd, hello, sizeof hello - 1, MSG_NOSIGNAL) > 0;
        for (ssize_t i = 0; i < got; i++) {
            if (c[i] != '\n' && c[i] != '\r' && len < LINE_ROOM - 1) {
                line[len++] = c[i];
                continue;
            }
            line[len] = '\0';
            if (tells_the_end(line) && !strstr(last, "GUEST_PANICKED"))
                memcpy(last, line, len + 1);
            len = 0;
        }
    }
}

static _Noreturn void launcher_wait(const struct launch *launch, pid_t pid, int monitor)
{
    static char last[LINE_ROOM];
    struct error err = ERROR_INIT;
    int kept[] = {launch->dir_fd, monitor};
    struct serial_log log;
    (void)close_all_but(kept, sizeof kept / sizeof *kept, &err); /* QEMU runs by now */
    serial_log_open(&log, launch->dir_fd, STDERR_FILENO + 1);
    follow_monitor(monitor, &log, last);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    const char *event = last[0] ? last : NULL;
    _exit(process_write_exit(launch->dir_fd, pid, status, event, &err) == 0 ? 0 : 1);
}

static _Noreturn void launcher_main(const struct launch *launch, struct pipes *pipes)
{
    struct report report = {.err = ERROR_INIT};
    prctl(PR_SET_NAME, "spinel-launcher");
    cgroup_leave();
    if (chdir("/") < 0 || pipe2(pipes->go, O_CLOEXEC) < 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pipes->monitor) < 0) {
        error_sys(&report.err, "cannot set up the launcher");
        fail(pipes->report[1], &report.err);
    }
    pid_t pid = fork();
    if (pid < 0) {
        error_sys(&report.err, "cannot start a process for QEMU");
        fail(pipes->report[1], &report.err);
    }
    if (pid == 0)
        qemu_exec(launch, pipes);
    close(pipes->monitor[1]);
    report.process = (struct process){.pid = pid,
                                      .launcher = getpid(),
                                      .since = time(NULL),
                                      .start = proc_start_time(pid),
                                      .launcher_start = proc_start_time(getpid())};
    proc_boot_id(report.process.boot);
    /* A machine that its record does not tell for certain would run as nobody's. */
    if (report.process.start == 0 || report.process.launcher_start == 0 ||
        !report.process.boot[0]) {
        error_set(&report.err, ERR_SYSTEM, "cannot read in /proc what QEMU's process is told by");
        fail(pipes->report[1], &report.err);
    }
    if (process_write(launch->dir_fd, &report.process, &report.err) < 0)
        fail(pipes->report[1], &report.err);
    if (write(pipes->report[1], &report, sizeof report) != (ssize_t)sizeof report ||
        write(pipes->go[1], "g", 1) != 1)
        _exit(1);
    launcher_wait(launch, pid, pipes->monitor[0]);
}

static int close_the_drivers(const struct launch *launch, int report_fd, struct error *err)
{
    int kept[FD_END + 8] = {0, 1, 2, launch->dir_fd, report_fd};
    size_t count = 5;
    assert(launch->fd_count < FD_END);
    for (size_t i = 0; i < launch->fd_count; i++)
        kept[count++] = launch->fds[i].from;
    return close_all_but(kept, count, err);
}

static _Noreturn void starter_main(const struct launch *launch, struct pipes *pipes)
{
    struct error err = ERROR_INIT;
    if (close_the_drivers(launch, pipes->report[1], &err) < 0)
        fail(pipes->report[1], &err);
    if (setsid() < 0) { /* it would end with the driver's session */
        error_sys(&err, "cannot begin a session for QEMU");
        fail(pipes->report[1], &err);
    }
    for (int sig = 1; sig < SIGRTMIN; sig++)
        signal(sig, sig == SIGHUP || sig == SIGINT || sig == SIGPIPE ? SIG_IGN : SIG_DFL);
    pid_t pid = fork();
    if (pid == 0)
        launcher_main(launch, pipes);
    if (pid < 0) {
        error_sys(&err, "cannot start the launcher");
        fail(pipes->report[1], &err);
    }
    _exit(0);
}

/* ---- the driver --------------------------------------------------------------------- */

/* The first report is the launcher's. A second one can only be a failure; the end of
 * the pipe without it means that QEMU was executed. */
static int await_reports(int fd, struct process *process, struct error *err)
{
    struct report report;
    int count = 0;
    for (;;) {
        struct pollfd poller = {.fd = fd, .events = POLLIN};
        if (poll(&poller, 1, START_TIMEOUT_MS) == 0)
            return error_set(err, ERR_BUSY, "the launcher of QEMU does not answer");
        ssize_t got = read(fd, &report, sizeof report);
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0)
            break;
        if (got != (ssize_t)sizeof report)
            return error_set(err, ERR_SYSTEM, "the launcher of QEMU ended unexpectedly");
        if (report.process.pid == 0) {
            *err = report.err;
            return err->code;
        }
        *process = report.process;
        count++;
    }
    return count == 1 ? 0 : error_set(err, ERR_SYSTEM, "the launcher of QEMU said nothing");
}

int launch_start(const struct launch *launch, struct process *process, struct error *err)
{
    struct pipes pipes;
    if (pipe2(pipes.report, O_CLOEXEC) < 0)
        return error_sys(err, "cannot make a pipe for the launcher");
    pid_t starter = fork();
    if (starter == 0)
        starter_main(launch, &pipes);
    close(pipes.report[1]);
    int status = 0;
    if (starter < 0)
        status = error_sys(err, "cannot start the launcher");
    else
        while (waitpid(starter, NULL, 0) < 0 && errno == EINTR)
            continue;
    if (status == 0)
        status = await_reports(pipes.report[0], process, err);
    close(pipes.report[0]);
    return status;
}
