/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Lines of a client to the control socket, with the real core, store and repository behind
 * it. Drivers answer as if nothing were there, and refuse every step.
 */
#include <sys/socket.h>
#include <unistd.h>
#include "model/json.h"
#include "reconciler/server/meter.h"
#include "reconciler/server/server.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/scene.h"

enum { LINES_MAX = 32, ROUNDS = 6, DUE_MAX = 64 };

static struct due {
    struct arena *arena;
    const struct value *messages[DUE_MAX];
    size_t count;
    int64_t timer_ms;
} due;

static struct shell *shell; /* stays open: an input gets a core and rows of its own */
static int64_t clock_ms;
static uint64_t random_state;

static void no_start(void *context, const char *driver)
{
    (void)context, (void)driver;
}

static void no_log(void *context, const char *name, const char *text)
{
    (void)context, (void)name, (void)text;
}

static void timer_note(void *context, int64_t at_ms)
{
    (void)context;
    due.timer_ms = at_ms;
}

/* The core was started by the machine's clocks, and must not see time go back. */
static int64_t mono_told(void *context)
{
    (void)context;
    return (INT64_C(1) << 40) + clock_ms;
}

static int64_t wall_told(void *context)
{
    (void)context;
    return INT64_C(1800000000000) + clock_ms;
}

static void random_told(void *context, void *out, size_t len)
{
    unsigned char *bytes = out;
    (void)context;
    for (size_t i = 0; i < len; i++) {
        random_state = random_state * 6364136223846793005 + 1442695040888963407;
        bytes[i] = (unsigned char)(random_state >> 56);
    }
}

static void remember(void *context, const char *driver, const struct value *message)
{
    (void)context, (void)driver;
    if (due.count < DUE_MAX)
        due.messages[due.count++] = value_copy(due.arena, message);
}

static const struct value *answer_to(const struct value *message)
{
    struct arena *arena = due.arena;
    struct value *answer = value_map(arena), *result = value_map(arena);
    struct value *list = value_list(arena);
    const struct value *uids = value_at(message, "params.uids");
    const char *method = value_get_text(message, "method", "");
    value_set_int(arena, answer, "id", value_get_int(message, "id", 0));
    value_set(arena, answer, strcmp(method, "apply") ? "result" : "error", result);
    value_set_bool(arena, result, "complete", true);
    value_set(arena, result, uids ? "objects" : "list", list);
    for (size_t i = 0; uids && i < uids->count; i++) {
        struct value *object = value_append(arena, list, value_map(arena));
        value_set_text(arena, object, "uid", uids->items[i]->text);
        value_set_bool(arena, object, "absent", true);
    }
    return answer;
}

static void drivers_answer(struct core *core)
{
    for (int i = 0; i < ROUNDS; i++) {
        core_pump(core);
        size_t count = due.count;
        due.count = 0;
        if (!count)
            return;
        for (size_t n = 0; n < count; n++) {
            struct error err = ERROR_INIT;
            const char *line = json_text(due.arena, answer_to(due.messages[n]));
            core_line(core, "sim", line, strlen(line), &err);
        }
    }
}

static struct client *client_new(struct server *server, int fd)
{
    struct client *client = calloc(1, sizeof *client);
    MUST(client);
    client->server = server;
    client->input = (struct text)TEXT_INIT;
    client->output = (struct text)TEXT_INIT;
    client->is_trusted = true;
    snprintf(client->who, sizeof client->who, "ann");
    ev_io_init(&client->in, NULL, fd, EV_READ);
    ev_io_init(&client->out, NULL, fd, EV_WRITE);
    client->in.data = client->out.data = client;
    server->clients = client;
    client->prev = client;
    return client;
}

/* Every line of the answer is a message, and none holds the viewer's token. */
static void answers_check(int fd)
{
    struct text said = TEXT_INIT;
    char chunk[65536];
    ssize_t got;
    while ((got = recv(fd, chunk, sizeof chunk, MSG_DONTWAIT)) > 0)
        text_add_n(&said, chunk, (size_t)got);
    MUST(!fuzz_tells_token(said.data, said.len));
    struct fuzz_lines lines = fuzz_lines((const uint8_t *)said.data, said.len);
    const char *line;
    size_t len;
    while (fuzz_line(&lines, &line, &len)) {
        struct arena *arena = arena_new();
        struct error err = ERROR_INIT;
        struct value *message = NULL;
        MUST(lines.at == lines.end || json_read(arena, line, len, &message, &err) == 0);
        arena_free(arena);
    }
    text_free(&said);
}

static void daemon_prepare(struct server *server)
{
    static struct meter meter;
    struct error err = ERROR_INIT;
    shell->meter = &meter;
    shell->follow = server_event;
    shell->follow_context = server;
    MUST(shell_begin(shell, true, false, &err) == 0);
    shell->env.driver_start = shell->env.driver_kill = no_start;
    shell->env.driver_send = remember;
    shell->env.log = no_log;
    shell->env.timer = timer_note;
    shell->env.mono_ms = mono_told;
    shell->env.wall_ms = wall_told;
    shell->env.random = random_told;
    MUST(server_take_head(server, &err) == 0);
    drivers_answer(shell->core);
}

/* An empty line: time passes until the core's timer. */
static void time_pass(struct core *core)
{
    int64_t left_ms = due.timer_ms - mono_told(NULL);
    clock_ms += left_ms > 0 ? left_ms : 1000;
    core_timer(core);
}

static void requests_serve(struct server *server, struct client *client, const uint8_t *data,
                           size_t size)
{
    struct fuzz_lines lines = fuzz_lines(data, size);
    const char *line;
    size_t len;
    for (int i = 0; i < LINES_MAX && server->clients && fuzz_line(&lines, &line, &len); i++) {
        if (len)
            request_serve(client, line, len);
        else
            time_pass(server->shell->core);
        drivers_answer(server->shell->core);
        server_after_pump(server);
    }
}

static void session(const uint8_t *data, size_t size)
{
    static const struct due nothing;
    struct server server = {.shell = shell, .fd = -1, .channel = -1};
    int ends[2];
    due = nothing;
    due.arena = arena_new();
    clock_ms = 0;
    random_state = 1;
    daemon_prepare(&server);
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    requests_serve(&server, client_new(&server, ends[0]), data, size);
    answers_check(ends[1]);
    close(ends[1]);
    server_close(&server);
    shell->follow = NULL;
    shell_end(shell);
    arena_free(due.arena);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct error err = ERROR_INIT;
    (void)argc, (void)argv;
    MUST(shell_open(fuzz_site(), SHELL_WRITE, NULL, &shell, &err) == 0);
    session(NULL, 0);
    fuzz_rows_keep(shell->store);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_rows_restore(shell->store);
    session(data, size);
    return 0;
}
