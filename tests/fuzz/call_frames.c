/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What a call's process says to the driver's main one, whose memory a damaged image or a torn
 * record may have spoilt. The first byte says which request it is; then each child's part: how it
 * ended, two bytes of length, frames as they come. Each request is answered once, and within a few
 * processes; nothing that a child says ends the main process.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "drivers/lib/guard.h"
#include "drivers/lib/host.h"
#include "drivers/lib/method.h"
#include "drivers/lib/strays.h"
#include "tests/fuzz/fuzz.h"

static int told_pipe(int ends[2], int flags);
static int told_kill(pid_t pid, int number);
static int told_acknowledge(struct spinel_host *host, const struct spinel_op *op,
                            struct error *err);

enum { CHILD = 1 << 23 }; /* no kernel gives such a number */

#define pipe2 told_pipe
#define fork() ((pid_t)CHILD)
#define setpgid(pid, group) ((void)(pid))
#define kill told_kill
#define guard_start() 0
#define guard_leave(fd, group) ((void)(group))
#define strays_kill(host) ((void)(host), false)
#define apply_acknowledge told_acknowledge
#include "drivers/lib/call.c"

enum { UIDS = 4, MEMBERS = 3 };

static struct {
    const uint8_t *at, *end;
    int status; /* of the child that was started last */
    unsigned children, acknowledged;
} told;

static int told_kill(pid_t pid, int number)
{
    MUST(pid == -CHILD);
    errno = ESRCH;
    return number == SIGKILL ? 0 : -1;
}

static int told_acknowledge(struct spinel_host *host, const struct spinel_op *op, struct error *err)
{
    (void)host;
    told.acknowledged++;
    return op->epoch == 13 ? error_set(err, ERR_NO_SPACE, "the ledger has no room") : 0;
}

static uint8_t byte_next(void)
{
    return told.at < told.end ? *told.at++ : 0;
}

/* The next child's part in place of a pipe: its end is the child's. */
static int told_pipe(int ends[2], int flags)
{
    told.status = byte_next();
    told.status = told.status & 0x80 ? told.status & 0x0f : told.status << 8;
    size_t len = (size_t)byte_next() << 8;
    len |= byte_next();
    len = len < (size_t)(told.end - told.at) ? len : (size_t)(told.end - told.at);
    MUST(++told.children <= 1 + DEATHS_MAX);
    (void)flags;
    ends[0] = memfd_create("call", MFD_CLOEXEC);
    ends[1] = dup(ends[0]);
    MUST(ends[0] >= 0 && ends[1] >= 0);
    MUST(len == 0 || pwrite(ends[0], told.at, len, 0) == (ssize_t)len);
    told.at += len;
    return 0;
}

static const struct spinel_driver none = {.name = "none", .version = "1", .kinds = "Volume"};

static const char *uids[UIDS] = {
    "00000000000000000000000000000001", "00000000000000000000000000000002",
    "00000000000000000000000000000003", "00000000000000000000000000000004"};

static struct call *call_make(struct spinel_host *host, enum call_kind kind, const char *id)
{
    struct call *call = call_new(host, arena_new(), kind, id);
    call->timeout_ms = 1000;
    call->op =
        (struct spinel_op){.op = "o", .uid = uids[0], .epoch = 3, .kind = "Volume", .name = "db"};
    if (kind == CALL_LOOK) {
        call->uids = uids;
        call->uid_count = UIDS;
    }
    return call;
}

static void calls_make(struct spinel_host *host, uint8_t what)
{
    static const char *const ids[MEMBERS] = {"1", "2", "3"};
    size_t count = what % 4 == 3 ? MEMBERS : 1;
    for (size_t i = 0; i < count; i++) {
        struct call *call = call_make(host, (enum call_kind)(what % 4 == 3 ? 2 : what % 4), ids[i]);
        call->op.uid = uids[i];
        call->group = count > 1 ? "vpc" : NULL;
        call->has_unsaid = what & 0x10;
        if (what & 0x20)
            call->op.epoch = 13;
    }
}

/* As child_reap(), of a process that has ended. */
static void child_end(struct spinel_host *host, struct call *call)
{
    call_read(host, call);
    (void)calls_expire(host);
    call_read(host, call);
    group_explain(host, call, host_now_ms());
    for (size_t i = 0; i < call->member_count; i++) {
        call_explain(call->members[i], told.status);
        call->members[i]->state = CALL_DYING;
    }
    call_explain(call, told.status);
    call->state = CALL_DYING;
    calls_answer(host);
}

static size_t answers_count(const struct text *output)
{
    static const char head[] = "{\"jsonrpc\":\"2.0\",\"id\":";
    const char *at = output->data, *end = output->data + output->len;
    size_t count = 0;
    while ((at = memmem(at, (size_t)(end - at), head, sizeof head - 1))) {
        at += sizeof head - 1;
        count++;
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct spinel_host host = {
        .driver = &none,
        .wire = {.in = -1, .out = -1, .input = TEXT_INIT, .output = TEXT_INIT},
        .call_fd = -1,
        .lock_fd = -1,
        .exit_status = -1};
    memset(&told, 0, sizeof told);
    told.at = data ? data : (const uint8_t *)"";
    told.end = told.at + size;
    host.forever = host.arena = arena_new();
    calls_make(&host, byte_next());
    size_t requests = 0, said = 0;
    for (const struct call *call = host.calls; call; call = call->next)
        requests++;
    calls_start(&host);
    while (host.calls)
        child_end(&host, host.calls);
    said = answers_count(&host.wire.output);
    MUST(said >= requests); /* more, if a child made such words up */
    MUST(told.acknowledged <= requests);
    text_free(&host.wire.output);
    arena_free(host.arena);
    return 0;
}
