/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What a driver says, on its way to the core: what its library wants to say, in pieces, with
 * garbage between them, and cut; read there as the daemon reads it. And what the world learns from
 * listening.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "drivers/lib/host.h"
#include "model/json.h"
#include "tests/sim/posix.h"
#include "tests/sim/process.h"

void sim_driver_asked(struct sim_driver *driver, int64_t id, const char *op)
{
    struct asked *asked = &driver->asked[(uint64_t)id % ASKED_MAX];
    asked->id = id;
    snprintf(asked->op, sizeof asked->op, "%s", op);
}

/* The core has an answer, whatever it says: what is left of the operation is the look. */
static void answer_note(struct sim_driver *driver, const struct value *message)
{
    int64_t id = value_get_int(message, "id", -1);
    struct asked *asked = id > 0 ? &driver->asked[(uint64_t)id % ASKED_MAX] : NULL;
    if (!asked || asked->id != id || value_get(message, "method"))
        return;
    struct note *note = book_find(&driver->sim->book, asked->op);
    asked->id = 0;
    if (note)
        note->phase = PHASE_ANSWERED;
}

static void note_said(struct sim_driver *driver, const char *line, size_t len)
{
    struct arena *arena = arena_new();
    struct error err = ERROR_INIT;
    struct value *message = NULL;
    if (json_read(arena, line, len, &message, &err) == 0 && value_is_map(message)) {
        if (value_at(message, "result.list"))
            driver->has_told = value_get_bool(value_get(message, "result"), "complete", false);
        answer_note(driver, message);
        truth_told(&driver->sim->truth, message, driver->sim->now_ms);
    }
    arena_free(arena);
}

/* Whatever came is the product's to cut into lines and to read. */
static void bytes_arrive(struct sim *sim, void *data)
{
    struct parcel *parcel = data;
    struct sim_driver *driver = parcel->driver;
    const char *line;
    size_t len;
    if (sim->host.core && !sim->host.is_dead && parcel->life == driver->life) {
        text_add_n(&driver->said.input, parcel->line, parcel->len);
        while (daemon_is_up(sim) && (line = lines_next(&driver->said, &len))) {
            struct error err = ERROR_INIT;
            TRACE(sim, "%s > %s", driver->interface.name, line);
            note_said(driver, line, len);
            core_line(sim->host.core, driver->interface.name, line, len, &err);
        }
        daemon_pump(sim);
    }
    free(parcel->line);
    free(parcel);
}

static void bytes_post(struct sim_driver *driver, const char *line, size_t len)
{
    struct sim *sim = driver->sim;
    struct parcel *parcel = malloc(sizeof *parcel);
    if (!parcel)
        abort();
    *parcel = (struct parcel){driver, driver->life, malloc(len + 1), len};
    if (!parcel->line)
        abort();
    memcpy(parcel->line, line, len);
    int64_t at = sim->now_ms + prng_between(&sim->latency, 0, sim->swarm.hop_ms);
    driver->to_core_ms = at > driver->to_core_ms ? at : driver->to_core_ms;
    events_add_ordered(&sim->events, driver->to_core_ms, bytes_arrive, parcel);
}

void line_post(struct sim_driver *driver, const char *line, size_t len)
{
    char *whole = malloc(len + 1);
    if (!whole)
        abort();
    memcpy(whole, line, len);
    whole[len] = '\n';
    bytes_post(driver, whole, len + 1);
    free(whole);
}

static void garbage_post(struct sim_driver *driver)
{
    static const char *const junk[] = {
        "\xff\xfe not json",
        "{\"jsonrpc\":\"2.0\",\"id\":99999999,\"result\":{}}",
        "{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"result\":[]}",
        "{\"id\":null}",
        "[]",
        "{\"jsonrpc\":\"2.0\",\"method\":\"changed\",\"params\":{\"uid\":7}}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"changed\",\"params\":[[[[]]]]}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"progress\",\"params\":{\"op\":[],\"percent\":\"x\"}}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"exec\",\"params\":{\"argv\":[\"rm\"]}}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"complete\":true,\"list\":[[\"\",1,\"\"]]}}",
    };
    const char *line = junk[prng_below(&driver->sim->faults, sizeof junk / sizeof *junk)];
    line_post(driver, line, strlen(line));
}

void astray_post(struct sim_driver *driver, const char *line, size_t len)
{
    struct arena *arena = arena_new();
    struct error err = ERROR_INIT;
    struct value *message = NULL;
    if (json_read(arena, line, len, &message, &err) == 0 && driver->last_request > 0) {
        value_set_int(arena, message, "id",
                      prng_between(&driver->sim->faults, 1, driver->last_request));
        const char *other = json_text(arena, message);
        line_post(driver, other, strlen(other));
    }
    arena_free(arena);
}

static void answer_post(struct sim_driver *driver, const char *line, size_t len)
{
    bool is_answer = memmem(line, len, "\"method\"", 8) == NULL;
    if (faulty(driver, FAULT_FRAME_CUT, NULL, PHASES)) {
        bytes_post(driver, line, (size_t)prng_below(&driver->sim->extra, len + 1));
        return; /* without a newline: what comes next is part of it */
    }
    if (is_answer && faulty(driver, FAULT_GARBAGE, NULL, PHASES))
        garbage_post(driver);
    line_post(driver, line, len);
}

void synced_note(struct sim_driver *driver, uint64_t syncs_before)
{
    struct stat st;
    char path[160];
    if (!driver->host || sim_posix_syncs == syncs_before)
        return;
    snprintf(path, sizeof path, "%s/ledger", driver->host->own_dir);
    driver->synced_bytes = stat(path, &st) == 0 ? st.st_size : 0;
}

/* What the library wants to say is durable in its ledger before it is said. */
void output_post(struct sim_driver *driver)
{
    struct spinel_host *host = driver->host;
    struct error err = ERROR_INIT;
    uint64_t syncs = sim_posix_syncs;
    if (!host)
        return;
    if (host->ledger && ledger_sync(host->ledger, &err) == 0)
        synced_note(driver, syncs);
    if (!wire_has_output(&host->wire))
        return;
    char *at = host->wire.output.data, *end;
    while ((end = strchr(at, '\n'))) {
        answer_post(driver, at, (size_t)(end - at));
        at = end + 1;
    }
    text_reset(&host->wire.output);
}
