/* SPDX-License-Identifier: MPL-2.0 */
/* What QEMU's monitor says, all at once: a greeting, replies, events, or none of these. */
#include "drivers/qemu/qmp.c"
#include "tests/fuzz/fuzz.h"

enum { SAID_MAX = 64 << 10 };

static void converse(struct qmp *qmp)
{
    static const char *const commands[] = {"query-status", "query-cpus-fast", "device_del"};
    const struct value *result = NULL;
    struct error err = ERROR_INIT;
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (qmp_call(qmp, commands[i], NULL, &result, &err) == 0)
            MUST(result);
    if (qmp_wait(qmp, "DEVICE_DELETED", "device", "disk0", 1000, &result, &err) < 0)
        MUST(err.message[0]);
    qmp_quit(qmp, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    struct error err = ERROR_INIT;
    struct qmp *qmp = NULL;
    int ends[2];
    size = size > SAID_MAX ? SAID_MAX : size;
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    MUST(size == 0 || send(ends[1], data, size, MSG_DONTWAIT) == (ssize_t)size);
    shutdown(ends[1], SHUT_WR);
    if (qmp_start(arena, ends[0], 1000, &qmp, &err) == 0) {
        converse(qmp);
        qmp_close(qmp);
    }
    close(ends[1]);
    arena_free(arena);
    return 0;
}
