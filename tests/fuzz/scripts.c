/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What a script behind the exec driver prints and ends with. The first byte says which call and
 * with which status; what it prints goes on to a line "====", its messages follow. Whatever they
 * are, what the driver makes of them is an answer of the protocol, or an error with a message.
 */
#include <unistd.h>
#include "drivers/lib/callback.h"
#include "drivers/lib/host.h"
#include "drivers/lib/method.h"
#include "drivers/spinel-driver.h"
#include "model/text.h"
#include "tests/fuzz/fuzz.h"

#undef SPINEL_DRIVER
#define SPINEL_DRIVER(driver) static const struct spinel_driver *const scripted = &(driver);
#define script_run script_run_truly
#include "drivers/exec/script.c"
#undef script_run

static struct {
    const char *output, *messages;
    int status;
} said;

static void said_into(int fd, const char *text)
{
    MUST(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

/* As the true one, but for the process. */
static int script_run(struct spinel_host *host, const char *path, const char *method,
                      const struct value *input, struct value **output, struct error *err)
{
    struct streams streams = {-1, -1, -1};
    (void)path, (void)method;
    int result = streams_open(&streams, json_text(spinel_arena(host), input), err);
    MUST(result == 0);
    said_into(streams.out, said.output);
    said_into(streams.err, said.messages);
    result = status_error(host, said.status, &streams, err);
    if (result == 0 && output)
        result = output_read(host, &streams, output, err);
    streams_close(&streams);
    return result;
}

#include "drivers/exec/exec.c"

#define UID "0123456789abcdef0123456789abcdef"

static char directory[64];

static void host_start(struct spinel_host *host)
{
    char line[512];
    int len = snprintf(line, sizeof line,
                       "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{"
                       "\"protocol\":1,\"rack\":{\"name\":\"a\",\"id\":\"b\"},\"stateDir\":\"%s\","
                       "\"settings\":{\"script\":\"/bin/true\"}}}",
                       directory);
    host->driver = scripted;
    host->wire = (struct wire){.in = -1, .out = -1, .input = TEXT_INIT, .output = TEXT_INIT};
    host->call_fd = host->lock_fd = host->guard_fd = host->exit_status = -1;
    host->forever = host->arena = arena_new();
    line_handle(host, line, (size_t)len);
    MUST(host->ledger && host->exit_status < 0);
    text_reset(&host->wire.output);
}

static const struct value *answer_read(struct arena *arena, const struct text *answer)
{
    struct error err = ERROR_INIT;
    struct value *value = NULL;
    MUST(json_read(arena, answer->data, answer->len, &value, &err) == 0 && value_is_map(value));
    return value;
}

static void list_try(struct spinel_host *host, struct arena *arena)
{
    struct error err = ERROR_INIT;
    struct text answer = TEXT_INIT;
    if (callback_list(host, NULL, &answer, &err) < 0) {
        MUST(err.message[0]);
        return;
    }
    const struct value *list = value_get(answer_read(arena, &answer), "list");
    MUST(value_is_list(list));
    for (size_t i = 0; i < list->count; i++) {
        const struct value *row = list->items[i];
        MUST(row->count == 3 && value_is_text(row->items[0]) && row->items[1]->integer >= 0);
    }
    text_free(&answer);
}

static void look_try(struct spinel_host *host, struct arena *arena)
{
    struct text answer = TEXT_INIT;
    callback_look(host, UID, &answer);
    const struct value *object = answer_read(arena, &answer);
    MUST(strcmp(value_get_text(object, "uid", ""), UID) == 0);
    if (value_get_bool(object, "unknown", false)) {
        MUST(value_at_text(object, "error.message", "")[0]);
    } else {
        MUST(value_get_int(object, "epoch", -1) >= 0);
        MUST(value_get_bool(object, "absent", false) ||
             (value_get_text(object, "kind", NULL) && value_get_text(object, "name", NULL) &&
              value_is_map(value_get(object, "spec")) &&
              value_is_map(value_get(object, "status")) &&
              value_is_list(value_get(object, "damage"))));
    }
    text_free(&answer);
}

static void apply_try(struct spinel_host *host)
{
    const struct spinel_op op = {.op = "o", .uid = UID, .epoch = 3, .kind = "Volume", .name = "db"};
    struct error err = ERROR_INIT;
    struct text answer = TEXT_INIT;
    if (callback_apply(host, &op, &answer, &err) < 0)
        MUST(err.message[0]);
    text_free(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct spinel_host host;
    if (!directory[0]) {
        fuzz_directory(directory);
        host_start(&host);
    }
    if (size == 0)
        return 0;
    struct arena *arena = arena_new();
    char *text = fuzz_text(data + 1, size - 1);
    char *messages = strstr(text, "\n====\n");
    if (messages)
        *messages = '\0';
    host.arena = arena;
    said.output = text;
    said.messages = messages ? messages + 6 : "";
    said.status = data[0] & 0x80 ? data[0] & 0x0f : (data[0] & 0x0f) << 8;
    if (data[0] & 0x20)
        list_try(&host, arena);
    else if (data[0] & 0x10)
        apply_try(&host);
    else
        look_try(&host, arena);
    free(text);
    arena_free(arena);
    return 0;
}
