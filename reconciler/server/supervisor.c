/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One loop over a signalfd and the core's channel.
 *
 * When the core dies, every driver's session is killed and reaped before a new core
 * begins, or this process ends, and so is what the core left in its own; and when a driver dies
 * what is left of its session, so that no child of an old driver can act beside a new one
 * (engine/session.h). When the supervisor dies, core and drivers are killed by the kernel
 * (PR_SET_PDEATHSIG). Virtual machines belong to neither: their launcher has left
 * for a session of its own.
 */
#include "reconciler/server/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "reconciler/server/handover.h"
#include "reconciler/server/privileges.h"
#include "model/invariant.h"
#include "model/value.h"
#include "model/when.h"
#include "reconciler/engine/log.h"
#include "reconciler/engine/session.h"

enum {
    PAUSE_FIRST_MS = 500,
    PAUSE_LAST_MS = 30000,
    LASTING_MS = 60000,
    GOODBYE_MS = 10000,
    DEATH_MS = 2000, /* of what was killed: longer, and it waits for the kernel (state D) */
    DEATH_LOOK_MS = 5,
    WEB_PAUSE_MS = 5000
};

struct supervisor {
    const struct supervisor_plan *plan;
    int signals; /* signalfd */
    int channel; /* to the core; -1 while there is none */
    pid_t core;  /* 0 while there is none */
    int core_status;
    pid_t *drivers; /* by index; 0: not running */
    bool *are_left; /* the driver is a former core's: killed, and not dead yet */
    bool is_ending, was_ready;
    struct error refusal; /* of the first core, which said why it cannot start */
    unsigned deaths;      /* of the core, since it last lasted */
    int64_t core_since_ms;
    pid_t web;          /* 0 while there is none */
    int64_t web_due_ms; /* when it begins again; 0: it is not to */
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- the channel -------------------------------------------------------------------- */

union descriptors {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(3 * sizeof(int))];
};

int supervisor_send(int fd, const struct supervisor_message *message, const int *fds, int count)
{
    union descriptors control = {0};
    struct iovec part = {.iov_base = (void *)(size_t)message, .iov_len = sizeof *message};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    size_t size = (size_t)count * sizeof(int);
    if (count) {
        header.msg_control = control.bytes;
        header.msg_controllen = CMSG_SPACE(size);
        struct cmsghdr *head = CMSG_FIRSTHDR(&header);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(size);
        memcpy(CMSG_DATA(head), fds, size);
    }
    ssize_t sent;
    do
        sent = sendmsg(fd, &header, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)sizeof *message ? 0 : -1;
}

void supervisor_fds_close(int fds[3])
{
    for (int i = 0; i < 3; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
        fds[i] = -1;
    }
}

int supervisor_receive(int fd, struct supervisor_message *message, int fds[3])
{
    union descriptors control;
    struct iovec part = {.iov_base = message, .iov_len = sizeof *message};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = CMSG_LEN(3 * sizeof(int))}; /* and no fourth */
    fds[0] = fds[1] = fds[2] = -1;
    ssize_t got = recvmsg(fd, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    struct cmsghdr *head = got < 0 ? NULL : CMSG_FIRSTHDR(&header);
    if (head && head->cmsg_type == SCM_RIGHTS && head->cmsg_len >= CMSG_LEN(0) &&
        head->cmsg_len <= CMSG_LEN(3 * sizeof(int)))
        memcpy(fds, CMSG_DATA(head), head->cmsg_len - CMSG_LEN(0));
    if (got != (ssize_t)sizeof *message) {
        supervisor_fds_close(fds);
        return -1;
    }
    message->text[sizeof message->text - 1] = '\0';
    message->hint[sizeof message->hint - 1] = '\0';
    return 1;
}

static struct value *event_new(struct arena *arena, const char *event)
{
    struct value *fields = value_map(arena);
    value_set_text(arena, fields, "at", when_rfc3339(arena, when_now()));
    value_set_text(arena, fields, "event", event);
    return fields;
}

static void refusal_log(const struct supervisor *supervisor,
                        const struct supervisor_message *message)
{
    struct arena *arena = arena_new();
    struct value *fields = event_new(arena, "core.refused");
    value_set_text(arena, fields, "why", message->text);
    if (message->hint[0])
        value_set_text(arena, fields, "hint", message->hint);
    log_write(supervisor->plan->log_format, fields);
    arena_free(arena);
}

/* The first one's refusal ends us, and is told by who started us; a later one is tried again. */
static void refusal_take(struct supervisor *supervisor, const struct supervisor_message *message)
{
    if (supervisor->was_ready) {
        refusal_log(supervisor, message);
        return;
    }
    error_set(&supervisor->refusal, ERR_SYSTEM, "%s", message->text);
    error_hint(&supervisor->refusal, "%s", message->hint);
}

/* A core that cannot be told or heard is to end, which it does when the channel does; its death
 * comes as a signal, and another is started. What it said last is heard: one that went with
 * something unread leaves an error in front of it (ECONNRESET), and one that goes now can say no
 * more once this end is shut. */
static void channel_lose(struct supervisor *supervisor)
{
    struct supervisor_message message;
    int fds[3];
    shutdown(supervisor->channel, SHUT_RDWR);
    while (supervisor_receive(supervisor->channel, &message, fds) > 0) {
        supervisor_fds_close(fds);
        if (message.verb == SUPERVISOR_REFUSED)
            refusal_take(supervisor, &message);
    }
    close(supervisor->channel);
    supervisor->channel = -1;
}

static void core_tell(struct supervisor *supervisor, const struct supervisor_message *message,
                      const int *fds, int count)
{
    if (supervisor->channel >= 0 && supervisor_send(supervisor->channel, message, fds, count) < 0)
        channel_lose(supervisor);
}

/* ---- drivers ------------------------------------------------------------------------ */

/* Two of one driver must not act at once: the core tries again later. */
static void driver_left_tell(struct supervisor *supervisor, unsigned driver)
{
    struct supervisor_message answer = {.verb = SUPERVISOR_FAILED, .driver = driver};
    snprintf(answer.text, sizeof answer.text,
             "the former process %d was killed and is not dead: it waits for the kernel, such as "
             "for a disk that does not answer",
             (int)supervisor->drivers[driver]);
    core_tell(supervisor, &answer, NULL, 0);
}

static void driver_start(struct supervisor *supervisor, unsigned driver)
{
    struct supervisor_message answer = {.verb = SUPERVISOR_STARTED, .driver = driver};
    struct launched launched;
    struct error err = ERROR_INIT;
    if (supervisor->are_left[driver]) {
        driver_left_tell(supervisor, driver);
        return;
    }
    if (supervisor->drivers[driver])
        return; /* its end is still to be told */
    if (program_launch(&supervisor->plan->programs[driver], &launched, &err) < 0) {
        answer.verb = SUPERVISOR_FAILED;
        snprintf(answer.text, sizeof answer.text, "%s", err.message);
        core_tell(supervisor, &answer, NULL, 0);
        return;
    }
    supervisor->drivers[driver] = answer.pid = launched.pid;
    const int fds[3] = {launched.to_in, launched.from_out, launched.from_err};
    core_tell(supervisor, &answer, fds, 3);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
}

/* Of a child that was killed; false if it is not dead by then. */
static bool death_await(pid_t pid, int64_t until_ms)
{
    const struct timespec pause = {.tv_nsec = DEATH_LOOK_MS * 1000000L};
    while (waitpid(pid, NULL, WNOHANG) == 0) {
        if (now_ms() >= until_ms)
            return false;
        nanosleep(&pause, NULL);
    }
    return true;
}

/* One that hangs in the kernel does not keep the others, or the next core, from going on. */
static void drivers_kill(struct supervisor *supervisor)
{
    for (size_t i = 0; i < supervisor->plan->program_count; i++)
        if (supervisor->drivers[i])
            session_end(supervisor->drivers[i]);
    int64_t until_ms = now_ms() + DEATH_MS;
    for (size_t i = 0; i < supervisor->plan->program_count; i++) {
        pid_t pid = supervisor->drivers[i];
        supervisor->are_left[i] = pid && !death_await(pid, until_ms);
        if (!supervisor->are_left[i])
            supervisor->drivers[i] = 0;
    }
}

static void message_serve(struct supervisor *supervisor, const struct supervisor_message *message)
{
    bool is_of_driver = message->driver < supervisor->plan->program_count;
    switch (message->verb) {
    case SUPERVISOR_ANSWERS:
        if (supervisor->plan->web && !supervisor->web_due_ms)
            supervisor->web_due_ms = now_ms();
        return;
    case SUPERVISOR_READY:
        supervisor->was_ready = true;
        return;
    case SUPERVISOR_REFUSED:
        refusal_take(supervisor, message);
        return;
    case SUPERVISOR_START:
        if (is_of_driver)
            driver_start(supervisor, message->driver);
        return;
    case SUPERVISOR_KILL:
        if (is_of_driver)
            session_end(supervisor->drivers[message->driver]);
        return;
    case SUPERVISOR_STARTED:
    case SUPERVISOR_ENDED:
    case SUPERVISOR_FAILED:
        return;
    }
}

/* True if there was something to read. */
static bool request_serve(struct supervisor *supervisor)
{
    struct supervisor_message message;
    int fds[3];
    int got = supervisor_receive(supervisor->channel, &message, fds);
    if (got < 0)
        channel_lose(supervisor);
    if (got <= 0)
        return false;
    supervisor_fds_close(fds); /* nothing that the core says has any */
    message_serve(supervisor, &message);
    return true;
}

/* ---- the core ----------------------------------------------------------------------- */

static _Noreturn void core_process(const struct supervisor *supervisor, int channel, pid_t parent)
{
    struct error err = ERROR_INIT;
    sigset_t none;
    setsid(); /* what it starts is known by that */
    if (privileges_drop(supervisor->plan->user, &err) < 0) {
        fprintf(stderr, "spinel: %s\n", err.message);
        _exit(1);
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* after the change of user, which clears it */
    if (getppid() != parent)
        _exit(1);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    exit(supervisor->plan->core(supervisor->plan->context, channel, parent));
}

/* Once in the life of a site: who looks for the store finds it. */
static void state_moved_tell(const struct supervisor *supervisor)
{
    struct arena *arena = arena_new();
    struct value *fields = event_new(arena, "state.moved");
    value_set(arena, fields, "to", value_printf(arena, "%s/core", supervisor->plan->state_dir));
    value_set(arena, fields, "why",
              value_printf(arena, "stateDir is root's now, and %s owns only this part of it",
                           supervisor->plan->user));
    log_write(supervisor->plan->log_format, fields);
    arena_free(arena);
}

static int core_start(struct supervisor *supervisor, struct error *err)
{
    int pair[2];
    pid_t parent = getpid();
    bool has_moved;
    int status = state_hand_over(supervisor->plan->state_dir, supervisor->plan->key_file,
                                 supervisor->plan->user, &has_moved, err);
    if (status < 0)
        return status;
    if (has_moved)
        state_moved_tell(supervisor);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return error_sys(err, "cannot make the core's channel");
    pid_t pid = fork();
    if (pid < 0) {
        close(pair[0]);
        close(pair[1]);
        return error_sys(err, "cannot start the core");
    }
    if (pid == 0) {
        close(pair[0]);
        close(supervisor->signals);
        core_process(supervisor, pair[1], parent);
    }
    close(pair[1]);
    fcntl(pair[0], F_SETFL, O_NONBLOCK); /* a core that does not read is lost, not waited for */
    supervisor->channel = pair[0];
    supervisor->core = pid;
    supervisor->core_since_ms = now_ms();
    return 0;
}

static void core_ended(struct supervisor *supervisor, int status)
{
    supervisor->core = 0;
    supervisor->core_status = status;
    if (supervisor->channel >= 0)
        shutdown(supervisor->channel, SHUT_RDWR); /* what it left may hold its end, and write on */
    while (supervisor->channel >= 0 && request_serve(supervisor))
        ; /* what it said last */
    if (supervisor->channel >= 0)
        close(supervisor->channel);
    supervisor->channel = -1;
    drivers_kill(supervisor);
    if (now_ms() - supervisor->core_since_ms > LASTING_MS)
        supervisor->deaths = 0;
    supervisor->deaths++;
}

/* ---- the viewer --------------------------------------------------------------------- */

static void web_start(struct supervisor *supervisor)
{
    struct error err = ERROR_INIT;
    pid_t parent = getpid();
    sigset_t none;
    supervisor->web_due_ms = now_ms() + PAUSE_LAST_MS; /* if it cannot even start */
    supervisor->web = fork();
    if (supervisor->web != 0) {
        supervisor->web = supervisor->web < 0 ? 0 : supervisor->web;
        return;
    }
    close(supervisor->signals);
    if (supervisor->channel >= 0)
        close(supervisor->channel);
    if (privileges_drop_for_viewer(supervisor->plan->web_user, supervisor->plan->user, &err) < 0)
        _exit(1);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    exit(supervisor->plan->web(supervisor->plan->context));
}

static void web_stop(struct supervisor *supervisor)
{
    if (!supervisor->web)
        return;
    kill(supervisor->web, SIGKILL); /* it holds nothing that could be lost */
    death_await(supervisor->web, now_ms() + DEATH_MS);
    supervisor->web = 0;
}

static void web_serve(struct supervisor *supervisor)
{
    if (supervisor->web_due_ms && !supervisor->web && !supervisor->is_ending &&
        now_ms() >= supervisor->web_due_ms)
        web_start(supervisor);
}

/* How long may be slept, at most `timeout_ms`; -1 is for ever. */
static int web_wait(const struct supervisor *supervisor, int timeout_ms)
{
    if (!supervisor->web_due_ms || supervisor->web || supervisor->is_ending)
        return timeout_ms;
    int64_t left_ms = supervisor->web_due_ms - now_ms();
    left_ms = left_ms < 0 ? 0 : left_ms;
    return timeout_ms >= 0 && timeout_ms < left_ms ? timeout_ms : (int)left_ms;
}

/* What a dead driver or core left goes while the zombie still pins the number. */
static void child_bury(const struct supervisor *supervisor, pid_t pid)
{
    if (pid == supervisor->core)
        session_end(pid);
    for (size_t i = 0; i < supervisor->plan->program_count; i++)
        if (supervisor->drivers[i] == pid)
            session_end(pid);
}

static void driver_ended(struct supervisor *supervisor, pid_t pid, int status)
{
    for (unsigned i = 0; i < supervisor->plan->program_count; i++) {
        const struct supervisor_message message = {
            .verb = SUPERVISOR_ENDED, .driver = i, .pid = pid, .status = status};
        if (supervisor->drivers[i] != pid)
            continue;
        supervisor->drivers[i] = 0;
        if (!supervisor->are_left[i])
            core_tell(supervisor, &message, NULL, 0);
        supervisor->are_left[i] = false;
    }
}

/* ---- signals ------------------------------------------------------------------------ */

static void child_reap(struct supervisor *supervisor, pid_t pid)
{
    int status;
    child_bury(supervisor, pid);
    if (waitpid(pid, &status, WNOHANG) != pid)
        return;
    if (pid == supervisor->core) {
        core_ended(supervisor, status);
    } else if (pid == supervisor->web) {
        supervisor->web = 0;
        supervisor->web_due_ms = now_ms() + WEB_PAUSE_MS;
    } else {
        driver_ended(supervisor, pid, status);
    }
}

static void children_reap(struct supervisor *supervisor)
{
    siginfo_t child = {0};
    while (waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT) == 0 && child.si_pid > 0) {
        child_reap(supervisor, child.si_pid);
        child.si_pid = 0;
    }
}

static void signal_serve(struct supervisor *supervisor)
{
    struct signalfd_siginfo info;
    if (read(supervisor->signals, &info, sizeof info) != (ssize_t)sizeof info)
        return;
    if (info.ssi_signo == SIGCHLD) {
        children_reap(supervisor);
        return;
    }
    supervisor->is_ending = true;
    if (supervisor->core)
        kill(supervisor->core, SIGTERM);
}

static void turn(struct supervisor *supervisor, int timeout_ms)
{
    struct pollfd slots[] = {{.fd = supervisor->signals, .events = POLLIN},
                             {.fd = supervisor->channel, .events = POLLIN}};
    web_serve(supervisor);
    if (poll(slots, 2, web_wait(supervisor, timeout_ms)) <= 0)
        return;
    if (slots[1].revents)
        request_serve(supervisor);
    if (slots[0].revents)
        signal_serve(supervisor);
}

static int signals_open(struct supervisor *supervisor, struct error *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    supervisor->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (supervisor->signals < 0)
        return error_sys(err, "cannot watch signals");
    return 0;
}

/* Type=notify of systemd: one datagram to the socket that it names. */
static void ready_tell(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    static const char text[] = "READY=1";
    if (!path || !*path || strlen(path) >= sizeof address.sun_path)
        return;
    memcpy(address.sun_path, path, strlen(path));
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (address.sun_path[0] == '@')
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    sendto(fd, text, sizeof text - 1, MSG_NOSIGNAL, (struct sockaddr *)&address, size);
    close(fd);
}

/* ---- the life of one core ----------------------------------------------------------- */

/* True if there is to be another. */
static bool core_serve(struct supervisor *supervisor)
{
    bool was_told = supervisor->was_ready;
    int64_t kill_at = 0;
    while (supervisor->core) {
        turn(supervisor, supervisor->is_ending ? 500 : -1);
        if (supervisor->was_ready && !was_told) {
            ready_tell();
            was_told = true;
        }
        if (supervisor->is_ending && !kill_at)
            kill_at = now_ms() + GOODBYE_MS;
        if (kill_at && now_ms() > kill_at && supervisor->core)
            kill(supervisor->core, SIGKILL);
        if (kill_at && now_ms() > kill_at + DEATH_MS)
            break; /* nor does the core */
    }
    bool was_clean = WIFEXITED(supervisor->core_status) && !WEXITSTATUS(supervisor->core_status);
    return !supervisor->is_ending && !was_clean && supervisor->was_ready;
}

static void pause_before_next(struct supervisor *supervisor)
{
    char why[128];
    unsigned doublings = supervisor->deaths > 7 ? 6 : supervisor->deaths - 1;
    int64_t pause = (int64_t)PAUSE_FIRST_MS << doublings;
    int64_t until = now_ms() + (pause < PAUSE_LAST_MS ? pause : PAUSE_LAST_MS);
    struct arena *arena = arena_new();
    struct value *fields = event_new(arena, "core.ended");
    value_set_text(arena, fields, "why", exit_text(supervisor->core_status, why, sizeof why));
    value_set_int(arena, fields, "nextStartMs", until - now_ms());
    log_write(supervisor->plan->log_format, fields);
    arena_free(arena);
    while (!supervisor->is_ending && now_ms() < until)
        turn(supervisor, (int)(until - now_ms()));
}

static int refusal_give(const struct supervisor *supervisor, struct error *err)
{
    if (!supervisor->refusal.code)
        return error_set(err, ERR_SYSTEM, "the core ended before it was ready");
    *err = supervisor->refusal;
    return err->code;
}

int supervisor_run(const struct supervisor_plan *plan, struct error *err)
{
    struct supervisor supervisor = {.plan = plan, .signals = -1, .channel = -1};
    supervisor.drivers = memory_need(calloc(plan->program_count + 1, sizeof *supervisor.drivers));
    supervisor.are_left = memory_need(calloc(plan->program_count + 1, sizeof(bool)));
    int status = privileges_check(plan->user, plan->web_user, err);
    if (status == 0)
        status = signals_open(&supervisor, err);
    while (status == 0) {
        status = core_start(&supervisor, err);
        if (status < 0 || !core_serve(&supervisor))
            break;
        pause_before_next(&supervisor);
        if (supervisor.is_ending)
            break;
    }
    web_stop(&supervisor);
    drivers_kill(&supervisor);
    free(supervisor.drivers);
    free(supervisor.are_left);
    if (supervisor.signals >= 0)
        close(supervisor.signals);
    if (status == 0 && !supervisor.is_ending && supervisor.core_status)
        status = refusal_give(&supervisor, err);
    return status;
}
