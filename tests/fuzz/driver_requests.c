/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Lines from a daemon to a driver: framing, requests, admission, the ledger. The driver
 * behind them reads all that it is given; `initialize` was answered already, so an input
 * cannot name directories of ours.
 */
#include <unistd.h>
#include "drivers/lib/host.h"
#include "drivers/lib/method.h"
#include "model/arena.h"
#include "model/json.h"
#include "tests/fuzz/fuzz.h"

enum { LINES_MAX = 1 << 14 };

static char directory[64];

static int every_list(struct spinel_host *host, struct spinel_list *list, struct error *err)
{
    (void)host, (void)err;
    spinel_list_add(list, "0123456789abcdef0123456789abcdef", 3, "etag");
    spinel_list_unmanaged(list, "Volume", "a\x1b\"\xff.raw", "no tag");
    return 0;
}

static int every_look(struct spinel_host *host, struct spinel_object *object, struct error *err)
{
    if (object->uid[0] == 'f')
        return error_set(err, ERR_BUSY, "who knows");
    object->absent = object->uid[0] != '0';
    object->kind = "Volume";
    object->name = "db";
    object->spec = value_map(spinel_arena(host));
    return 0;
}

static int every_apply(struct spinel_host *host, const struct spinel_op *op, struct error *err)
{
    MUST(op->op && op->uid && op->kind && op->name && op->epoch > 0);
    MUST(strlen(op->uid) == 32 && (!op->spec || value_is_map(op->spec)));
    if (op->verb == SPINEL_CREATE || op->verb == SPINEL_UPDATE)
        MUST(op->spec);
    if (value_get(op->spec, "fail"))
        return error_set(err, ERR_INVALID, "as asked: %s", json_text(spinel_arena(host), op->spec));
    char *tag = spinel_tag_make(host, op, "native", op->spec);
    MUST(op->epoch > INT64_MAX || spinel_tag_read(host, tag, "native"));
    return 0;
}

static const struct spinel_driver every_driver = {.name = "every",
                                                  .version = "1",
                                                  .kinds = "Volume Pool",
                                                  .flags = SPINEL_IN_PROCESS,
                                                  .list = every_list,
                                                  .look = every_look,
                                                  .apply = every_apply};

static void host_start(struct spinel_host *host)
{
    char line[512];
    int len =
        snprintf(line, sizeof line,
                 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{"
                 "\"protocol\":1,\"rack\":{\"name\":\"a\",\"id\":\"b\"},\"stateDir\":\"%s\"}}",
                 directory);
    line_handle(host, line, (size_t)len);
    MUST(host->ledger && host->exit_status < 0);
}

/* Every line of the answer is a message of the protocol. */
static void answers_check(struct text *output)
{
    struct fuzz_lines lines = fuzz_lines((const uint8_t *)output->data, output->len);
    const char *line;
    size_t len;
    while (fuzz_line(&lines, &line, &len)) {
        struct arena *arena = arena_new();
        struct error err = ERROR_INIT;
        struct value *message = NULL;
        MUST(json_read(arena, line, len, &message, &err) == 0 && value_is_map(message));
        MUST(value_get(message, "result") || value_get(message, "error") ||
             value_get(message, "method"));
        arena_free(arena);
    }
    text_reset(output);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct spinel_host host = {
        .driver = &every_driver,
        .wire = {.in = -1, .out = -1, .input = TEXT_INIT, .output = TEXT_INIT},
        .call_fd = -1,
        .lock_fd = -1,
        .guard_fd = -1,
        .exit_status = -1};
    char path[128];
    const char *line;
    size_t len;
    if (!directory[0])
        fuzz_directory(directory);
    snprintf(path, sizeof path, "%s/drivers/every/ledger", directory);
    unlink(path);
    host.forever = host.arena = arena_new();
    host_start(&host);
    text_add_n(&host.wire.input, (const char *)data, size);
    for (size_t n = 0;
         n < LINES_MAX && host.exit_status < 0 && (line = wire_next(&host.wire, &len)); n++) {
        line_handle(&host, line, len);
        answers_check(&host.wire.output); /* which a daemon reads, or it is not read from */
    }
    answers_check(&host.wire.output);
    host_close(&host);
    return 0;
}
