/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Calls: a process for each callback, its pipe, its deadline and its end.
 *
 * The driver is the subreaper of all that its calls leave behind, so it can tell when
 * a process group is empty: after SIGKILL it reaps until kill(-group, 0) finds nobody.
 * That is what makes "the old children are dead" a fact and not a hope. What left the
 * group and not the session, see strays.h, is among them.
 */
#include "drivers/lib/call.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "drivers/lib/callback.h"
#include "drivers/lib/group.h"
#include "drivers/lib/guard.h"
#include "drivers/lib/host.h"
#include "drivers/lib/lock.h"
#include "drivers/lib/method.h"
#include "drivers/lib/strays.h"
#include "model/arena.h"
#include "model/invariant.h"

enum {
    CALLS_AT_ONCE = 32,
    DEATHS_MAX = 3,     /* of one look request, before the rest is given up */
    GRACE_MS = 250,     /* past its deadline a callback may still say so itself */
    DYING_LOOK_MS = 20, /* how often to look at a group whose members are not ours to reap */
    CHUNK = 1 << 16,
    READ_CHUNKS = 16,     /* at a time: more than a pipe holds */
    FRAME_MAX = 64 << 20, /* no daemon takes a longer line */
};

struct frame_head {
    uint32_t len;
    uint32_t frame;
};

struct call *call_new(struct spinel_host *host, struct arena *arena, enum call_kind kind,
                      const char *id)
{
    struct call *call = arena_alloc(arena, sizeof *call);
    *call = (struct call){.kind = kind, .arena = arena, .id = id, .fd = -1};
    call->input = call->answer = (struct text)TEXT_INIT;
    struct call **end = &host->calls;
    while (*end)
        end = &(*end)->next;
    *end = call;
    return call;
}

static void call_free(struct spinel_host *host, struct call *call)
{
    struct call **link = &host->calls;
    while (*link != call) {
        invariant(*link, "call %s is not among those that wait, run or die", call->id);
        link = &(*link)->next;
    }
    *link = call->next;
    if (call->fd >= 0)
        close(call->fd);
    text_free(&call->input);
    text_free(&call->answer);
    arena_free(call->arena);
}

/* ---- in the process of the call ----------------------------------------------------- */

static void write_or_die(int fd, const void *data, size_t len)
{
    for (const char *at = data; len > 0;) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            _exit(1); /* the main process is gone, and nobody is left to tell */
        at += n;
        len -= (size_t)n;
    }
}

void frame_send(int fd, enum frame frame, const char *data, size_t len)
{
    struct frame_head head = {.len = (uint32_t)len, .frame = (uint32_t)frame};
    invariant(fd >= 0 && head.len == len, "a frame '%c' of %zu bytes goes to descriptor %d",
              (char)frame, len, fd);
    write_or_die(fd, &head, sizeof head);
    write_or_die(fd, data, len);
}

static void answer_send(int fd, int result, const struct text *answer, const struct error *err)
{
    if (result < 0)
        frame_send(fd, FRAME_ERROR, (const char *)err, sizeof *err);
    else
        frame_send(fd, FRAME_RESULT, answer->data, answer->len);
}

static void looks_run(struct spinel_host *host, const struct call *call)
{
    struct text object = TEXT_INIT;
    invariant(call->done <= call->uid_count, "%zu of %zu objects were looked at", call->done,
              call->uid_count);
    for (size_t i = call->done; i < call->uid_count; i++) {
        host->deadline_ms = host_now_ms() + call->timeout_ms;
        text_reset(&object);
        callback_look(host, call->uids[i], &object);
        frame_send(host->call_fd, FRAME_OBJECT, object.data, object.len);
    }
    text_free(&object);
}

static void look_all_run(struct spinel_host *host, const struct call *call)
{
    struct text objects = TEXT_INIT;
    callback_look_all(host, call->uids, call->uid_count, &objects);
    frame_send(host->call_fd, FRAME_RESULT, objects.data, objects.len);
    text_free(&objects);
}

static void group_run(struct spinel_host *host, const struct call *call)
{
    const struct spinel_op **ops = arena_array(call->arena, call->member_count, sizeof *ops);
    struct error *outcomes = arena_array(call->arena, call->member_count, sizeof *outcomes);
    int64_t timeout_ms = call->timeout_ms;
    invariant(call->members[0] == call, "%s is not the first of its group '%s'", call->op.uid,
              call->group);
    for (size_t i = 0; i < call->member_count; i++) {
        ops[i] = &call->members[i]->op;
        if (call->members[i]->timeout_ms < timeout_ms)
            timeout_ms = call->members[i]->timeout_ms;
    }
    host->deadline_ms = host_now_ms() + timeout_ms;
    callback_apply_all(host, ops, call->member_count, outcomes);
    for (size_t i = 0; i < call->member_count; i++) {
        const struct outcome outcome = {(uint32_t)i, outcomes[i]};
        frame_send(host->call_fd, FRAME_OUTCOME, (const char *)&outcome, sizeof outcome);
    }
}

static void callback_run(struct spinel_host *host, const struct call *call)
{
    struct error err = ERROR_INIT;
    struct text answer = TEXT_INIT;
    int result = 0;
    host->deadline_ms = host_now_ms() + call->timeout_ms;
    if (call->kind == CALL_LOOK && host->driver->look_all && call->done == 0)
        look_all_run(host, call);
    else if (call->kind == CALL_LOOK)
        looks_run(host, call);
    else if (call->kind == CALL_LIST)
        result = callback_list(host, call->since, &answer, &err);
    else
        result = callback_apply(host, &call->op, &answer, &err);
    if (call->kind != CALL_LOOK)
        answer_send(host->call_fd, result, &answer, &err);
    text_free(&answer);
}

static _Noreturn void child_main(struct spinel_host *host, const struct call *call, int fd,
                                 pid_t parent)
{
    sigset_t none;
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* what it leaves is the main process's when it has ended */
    if (getppid() != parent)
        _exit(1);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    lock_share(host);
    guard_enter(host->guard_fd);
    host->call_fd = fd;
    if (call->member_count > 1)
        group_run(host, call);
    else
        callback_run(host, call);
    _exit(0);
}

/* ---- in the main process ------------------------------------------------------------ */

static int call_fork(struct spinel_host *host, struct call *call, struct error *err)
{
    int ends[2];
    invariant(call->state != CALL_RUNNING && !call->is_member && call->timeout_ms > 0,
              "call %s, state %d, with %lld ms, gets a process", call->id, (int)call->state,
              (long long)call->timeout_ms);
    if (host->driver->prepare)
        host->driver->prepare(host);
    if (host->guard_fd < 0)
        host->guard_fd = guard_start();
    if (host->guard_fd < 0 || pipe2(ends, O_CLOEXEC) < 0)
        return error_sys(err, "cannot make a pipe for a call");
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0) {
        error_sys(err, "cannot start a process for a call");
        close(ends[0]);
        close(ends[1]);
        return err->code;
    }
    if (pid == 0)
        child_main(host, call, ends[1], parent);
    setpgid(pid, pid); /* in both, so that whoever comes first wins */
    close(ends[1]);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    host->apply_moves += call->kind == CALL_APPLY;
    call->pid = pid;
    call->fd = ends[0];
    call->state = CALL_RUNNING;
    call->deadline_ms = host_now_ms() + call->timeout_ms + GRACE_MS;
    return 0;
}

static void look_finish(struct spinel_host *host, struct call *call)
{
    for (; call->done < call->uid_count; call->done++) {
        if (call->done > 0)
            text_add_char(&call->answer, ',');
        unknown_write(&call->answer, call->uids[call->done], &call->err);
    }
    objects_answer(host, call->id, &call->answer);
}

static void call_finish(struct spinel_host *host, struct call *call)
{
    /* R9: who is answered has nobody left. */
    invariant(call->state != CALL_RUNNING, "call %s is answered while process %d runs", call->id,
              (int)call->pid);
    for (struct waiter *waiter = call->waiters; waiter; waiter = waiter->next)
        wire_result(&host->wire, waiter->id, "{\"killed\":true}", 15);
    host->apply_moves += call->kind == CALL_APPLY;
    /* An apply that had answered when it was killed did its work all the same. */
    if (call->is_answered && call->kind == CALL_APPLY &&
        apply_acknowledge(host, &call->op, &call->err) < 0)
        call->is_answered = false;
    if (call->has_unsaid && !call->is_answered) /* nobody looks soon at what was refused */
        spinel_changed(host, call->op.uid, "it changed while a step for it failed");
    if (call->kind == CALL_LOOK)
        look_finish(host, call);
    else if (call->is_answered)
        wire_result(&host->wire, call->id, call->answer.data, call->answer.len);
    else {
        invariant(call->err.code != ERR_NONE, "call %s, killed in state %d, fails without a reason",
                  call->id, (int)call->state);
        wire_failure(&host->wire, call->id, &call->err);
    }
    call_free(host, call);
}

/* How many processes are at work, those that end included. */
static size_t processes_count(const struct spinel_host *host)
{
    size_t count = 0;
    for (const struct call *call = host->calls; call; call = call->next)
        count += call->state != CALL_WAITING && !call->is_member;
    return count;
}

static void members_start(struct spinel_host *host, const struct call *first)
{
    for (size_t i = 1; i < first->member_count; i++) {
        struct call *call = first->members[i];
        invariant(call->state == CALL_WAITING && call->kind == CALL_APPLY,
                  "call %s, kind %d and in state %d, goes with %s", call->id, (int)call->kind,
                  (int)call->state, first->op.uid);
        call->is_member = true;
        call->state = CALL_RUNNING;
        call->pid = first->pid;
        call->deadline_ms = host_now_ms() + call->timeout_ms + GRACE_MS;
        host->apply_moves++;
    }
}

void calls_start(struct spinel_host *host)
{
    size_t running = processes_count(host);
    for (struct call *call = host->calls, *next; call && running < CALLS_AT_ONCE; call = next) {
        next = call->next;
        if (!call_may_start(host, call))
            continue;
        running++;
        group_gather(host, call, host_now_ms());
        if (call_fork(host, call, &call->err) < 0)
            call_finish(host, call);
        else
            members_start(host, call);
    }
}

static const char *call_what(const struct call *call)
{
    static const char *const what[] = {"the list", "the look", NULL};
    return what[call->kind] ? what[call->kind] : verb_text(call->op.verb);
}

static bool error_is_whole(const struct error *err)
{
    return err->code <= ERR_NONE && memchr(err->message, '\0', sizeof err->message) &&
           memchr(err->hint, '\0', sizeof err->hint);
}

static bool outcome_take(const struct call *call, const char *data, size_t len)
{
    struct outcome outcome;
    if (len != sizeof outcome)
        return false;
    memcpy(&outcome, data, len);
    return error_is_whole(&outcome.err) && group_outcome(call, &outcome);
}

static bool error_take(struct call *call, const char *data, size_t len)
{
    struct error err;
    if (len != sizeof err)
        return false;
    memcpy(&err, data, len);
    if (err.code == ERR_NONE || !error_is_whole(&err))
        return false;
    if (call->err.code == ERR_NONE)
        call->err = err;
    return true;
}

static bool result_take(struct call *call, const char *data, size_t len)
{
    if (call->is_answered || call->done > 0 || call->member_count > 1 ||
        (len == 0 && call->kind != CALL_LOOK))
        return false;
    text_add_n(&call->answer, data, len);
    call->is_answered = true;
    call->done = call->uid_count;
    return true;
}

static bool object_take(struct call *call, const char *data, size_t len)
{
    if (call->done >= call->uid_count)
        return false;
    if (call->done++ > 0)
        text_add_char(&call->answer, ',');
    text_add_n(&call->answer, data, len);
    call->deadline_ms = host_now_ms() + call->timeout_ms + GRACE_MS;
    return true;
}

/* False if no call of ours would send that: its memory may be damaged. */
static bool frame_take(struct spinel_host *host, struct call *call, const struct frame_head *head,
                       const char *data)
{
    switch (head->frame) {
    case FRAME_RESULT:
        return result_take(call, data, head->len);
    case FRAME_ERROR:
        return error_take(call, data, head->len);
    case FRAME_OBJECT:
        return object_take(call, data, head->len);
    case FRAME_NOTICE:
        text_add_n(&host->wire.output, data, head->len);
        return true;
    case FRAME_OUTCOME:
        return outcome_take(call, data, head->len);
    }
    return false;
}

/* It costs that call, as a crash would: its time is over. */
static void call_distrust(struct call *call)
{
    if (call->err.code == ERR_NONE)
        error_set(&call->err, ERR_SYSTEM, "%s sent what is no answer", call_what(call));
    text_reset(&call->input);
    if (call->fd >= 0)
        close(call->fd);
    call->fd = -1;
    call->deadline_ms = 0;
}

static void frames_take(struct spinel_host *host, struct call *call)
{
    struct frame_head head;
    size_t at = 0;
    while (call->input.len - at >= sizeof head) {
        memcpy(&head, call->input.data + at, sizeof head);
        bool is_too_long = head.len > FRAME_MAX;
        if (!is_too_long && call->input.len - at - sizeof head < head.len)
            break;
        if (is_too_long || !frame_take(host, call, &head, call->input.data + at + sizeof head)) {
            call_distrust(call);
            return;
        }
        at += sizeof head + head.len;
    }
    invariant(at <= call->input.len, "%zu of %zu bytes were read", at, call->input.len);
    memmove(call->input.data, call->input.data + at, call->input.len - at);
    call->input.len -= at;
}

/* One that writes without end is read again when the others have had their turn. */
void call_read(struct spinel_host *host, struct call *call)
{
    char chunk[CHUNK];
    ssize_t got;
    for (int i = 0; i < READ_CHUNKS && call->fd >= 0; i++) {
        if ((got = read(call->fd, chunk, sizeof chunk)) < 0)
            break;
        if (got == 0) {
            close(call->fd);
            call->fd = -1;
            break;
        }
        text_add_n(&call->input, chunk, (size_t)got);
    }
    frames_take(host, call);
}

/* Group 1 and none would be everybody. */
static void group_kill(const struct call *call)
{
    invariant(call->pid > 1, "call %s in state %d has process group %d", call->id, (int)call->state,
              (int)call->pid);
    kill(-call->pid, SIGKILL);
}

void call_kill(struct spinel_host *host, struct call *call, const struct error *why)
{
    if (call->err.code == ERR_NONE)
        call->err = *why;
    if (call->state == CALL_WAITING) {
        call_finish(host, call);
        return;
    }
    group_kill(call);
    call->state = CALL_DYING;
    call->deaths = DEATHS_MAX; /* wanted, so nothing is started again */
}

/* A look that hangs or crashes costs its object; what comes after it is looked at. */
static void call_expire(struct spinel_host *host, struct call *call)
{
    struct error late = ERROR_INIT;
    size_t deaths = call->deaths;
    group_part(host, call, host_now_ms());
    error_set(&late, ERR_BUSY, "%s gave no answer within %lld s and was killed", call_what(call),
              (long long)(call->timeout_ms / 1000));
    call_kill(host, call, &late);
    call->deaths = deaths;
}

int calls_expire(struct spinel_host *host)
{
    int64_t now = host_now_ms(), wait = -1;
    for (struct call *call = host->calls, *next; call; call = next) {
        next = call->next;
        if (call->state == CALL_RUNNING && call->deadline_ms <= now)
            call_expire(host, call);
        if (call->state == CALL_WAITING)
            continue;
        int64_t left = call->state == CALL_DYING ? DYING_LOOK_MS : call->deadline_ms - now;
        if (wait < 0 || left < wait)
            wait = left;
    }
    return (int)wait;
}

static void call_explain(struct call *call, int status)
{
    if (call->err.code != ERR_NONE || call->is_answered)
        return;
    if (WIFSIGNALED(status))
        error_set(&call->err, ERR_SYSTEM, "%s ended by signal %d (%s)", call_what(call),
                  WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        error_set(&call->err, ERR_SYSTEM, "%s ended with status %d and no answer", call_what(call),
                  WEXITSTATUS(status));
}

/* The uid at which the look died stays unknown; a new process looks at the rest. */
static bool look_goes_on(struct spinel_host *host, struct call *call)
{
    if (call->kind != CALL_LOOK || call->done == call->uid_count || call->deaths >= DEATHS_MAX)
        return false;
    if (call->done > 0)
        text_add_char(&call->answer, ',');
    unknown_write(&call->answer, call->uids[call->done++], &call->err);
    if (call->done == call->uid_count)
        return false;
    call->deaths++;
    call->err = (struct error)ERROR_INIT;
    text_reset(&call->input);
    if (call->fd >= 0)
        close(call->fd);
    call->fd = -1; /* where no process can be had, it is not closed again */
    return call_fork(host, call, &call->err) == 0;
}

static void child_reap(struct spinel_host *host, pid_t pid)
{
    struct call *call = host->calls;
    int status;
    while (call && (call->state == CALL_WAITING || call->pid != pid || call->is_member))
        call = call->next;
    if (call)
        kill(-pid, SIGKILL); /* while the zombie still pins the number */
    if (waitpid(pid, &status, WNOHANG) != pid || !call)
        return;
    call_read(host, call);
    group_explain(host, call, host_now_ms());
    for (size_t i = 1; i < call->member_count; i++) {
        call_explain(call->members[i], status);
        call->members[i]->state = CALL_DYING;
    }
    call_explain(call, status);
    call->state = CALL_DYING;
}

bool calls_reap(struct spinel_host *host)
{
    siginfo_t child = {0};
    bool has_ended = false;
    while (waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT) == 0 && child.si_pid > 0) {
        child_reap(host, child.si_pid);
        child.si_pid = 0;
    }
    for (const struct call *call = host->calls; call; call = call->next)
        has_ended |= call->kind == CALL_APPLY && call->state == CALL_DYING;
    return has_ended;
}

bool spinel_is_applying(struct spinel_host *host, const char *uid)
{
    struct call *call = host->calls;
    while (call && (call->kind != CALL_APPLY || strcmp(call->op.uid, uid) != 0))
        call = call->next;
    if (call)
        call->has_unsaid = true;
    return call != NULL;
}

static bool is_dying(const struct spinel_host *host)
{
    const struct call *call = host->calls;
    while (call && call->state != CALL_DYING)
        call = call->next;
    return call != NULL;
}

void calls_answer(struct spinel_host *host)
{
    if (is_dying(host) && strays_kill(host))
        return; /* until they are reaped */
    for (struct call *call = host->calls, *next; call; call = next) {
        next = call->next;
        if (call->state != CALL_DYING || kill(-call->pid, 0) == 0 || errno != ESRCH)
            continue;
        if (!call->is_member)
            guard_leave(host->guard_fd, call->pid);
        if (!look_goes_on(host, call))
            call_finish(host, call);
    }
}

void calls_end(struct spinel_host *host)
{
    for (struct call *call = host->calls; call; call = call->next)
        if (call->state != CALL_WAITING)
            group_kill(call);
    while (host->calls) {
        struct call *call = host->calls;
        if (call->state == CALL_RUNNING)
            waitpid(call->pid, NULL, 0);
        call_free(host, call);
    }
}
