/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A driver's process that only seems to be one: the library's methods, ledger and tags
 * are the real ones, and what the library does with processes (drivers/lib/call.h) is
 * done on virtual time (work.c). Lines travel by events. Here it starts, is sent lines, and ends.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "drivers/lib/call.h"
#include "drivers/lib/host.h"
#include "drivers/lib/method.h"
#include "tests/sim/posix.h"
#include "tests/sim/process.h"

enum { START_MS = 40 };

const char *const driver_names[DRIVERS] = {"disk", "net", "vm"};
static const char *const driver_kinds[DRIVERS] = {
    "Pool Image Volume Seed", "VPC Subnet Firewall NIC FloatingIP PortForward", "Instance"};

/* ---- lines in ----------------------------------------------------------------------- */

static void turn_ends(struct sim *sim, void *data)
{
    struct call_ref *ref = data;
    (void)sim;
    if (ref->driver->host && ref->life == ref->driver->life) {
        calls_start(ref->driver->host);
        output_post(ref->driver);
    }
    free(ref);
}

/* As the library does: what has come by now is read before anything of it begins. */
static void turn_post(struct sim_driver *driver)
{
    struct call_ref *ref = malloc(sizeof *ref);
    if (!ref)
        abort();
    *ref = (struct call_ref){driver, driver->life, 0};
    events_add_ordered(&driver->sim->events, driver->sim->now_ms, turn_ends, ref);
}

static void line_taken(struct sim *sim, void *data)
{
    struct parcel *parcel = data;
    struct sim_driver *driver = parcel->driver;
    if (driver->host && parcel->life == driver->life) {
        TRACE(sim, "%s < %.*s", driver->interface.name, (int)parcel->len, parcel->line);
        uint64_t syncs = sim_posix_syncs;
        sim_posix_program = driver->program;
        line_handle(driver->host, parcel->line, parcel->len);
        synced_note(driver, syncs);
        calls_answer(driver->host);
        output_post(driver); /* what was let in is on disk before it begins */
        if (driver->interface.group)
            turn_post(driver);
        else
            calls_start(driver->host);
        if (driver->host->exit_status >= 0)
            sim_driver_crash(driver, "exit status 1");
    }
    free(parcel->line);
    free(parcel);
}

static void line_forward(struct sim_driver *driver, const char *line, size_t len)
{
    struct sim *sim = driver->sim;
    struct parcel *parcel = malloc(sizeof *parcel);
    if (!parcel)
        abort();
    *parcel = (struct parcel){driver, driver->life, strndup(line, len), len};
    int64_t at = sim->now_ms + prng_between(&sim->latency, 0, sim->swarm.hop_ms);
    driver->to_driver_ms = at > driver->to_driver_ms ? at : driver->to_driver_ms;
    events_add_ordered(&sim->events, driver->to_driver_ms, line_taken, parcel);
}

void sim_driver_send(struct sim_driver *driver, const char *line, size_t len)
{
    driver->last_request++;
    if (driver->host) {
        line_forward(driver, line, len);
    } else {
        text_add_n(&driver->waiting, line, len);
        text_add_char(&driver->waiting, '\n');
    }
}

/* ---- life --------------------------------------------------------------------------- */

void sim_driver_open(struct sim_driver *driver, struct sim *sim, enum driver_id id)
{
    *driver = (struct sim_driver){.interface = {.name = driver_names[id],
                                                .version = "1",
                                                .kinds = driver_kinds[id],
                                                .list = effect_list,
                                                .look = effect_look},
                                  .sim = sim,
                                  .id = id,
                                  .waiting = TEXT_INIT,
                                  .said = LINES_INIT};
}

struct sim_driver *sim_driver_of_kind(struct sim *sim, const char *kind)
{
    for (int i = 0; i < DRIVERS; i++) {
        const char *found = strstr(driver_kinds[i], kind);
        size_t len = strlen(kind);
        if (found && (found == driver_kinds[i] || found[-1] == ' ') &&
            (found[len] == ' ' || found[len] == '\0'))
            return &sim->drivers[i];
    }
    return NULL;
}

void sim_driver_end(struct sim_driver *driver)
{
    struct spinel_host *host = driver->host;
    driver->life++;
    driver->is_asked_for = false;
    driver->last_request = 0;
    memset(driver->asked, 0, sizeof driver->asked);
    text_reset(&driver->waiting);
    lines_reset(&driver->said);
    driver->host = NULL;
    if (!host)
        return;
    calls_end(host);
    ledger_free(host->ledger);
    text_free(&host->wire.input);
    text_free(&host->wire.output);
    arena_free(host->forever);
    if (host->lock_fd >= 0)
        close(host->lock_fd);
    free(host);
}

/* The core hears of a driver's end. */
struct obituary {
    struct sim_driver *driver;
    uint64_t core_life;
    char why[64];
};

static void end_is_told(struct sim *sim, void *data)
{
    struct obituary *obituary = data;
    if (sim->host.core && !sim->host.is_dead && obituary->core_life == sim->host.life) {
        TRACE(sim, "%s down: %s", obituary->driver->interface.name, obituary->why);
        obituary->driver->has_told = false;
        core_driver_down(sim->host.core, obituary->driver->interface.name, obituary->why);
        daemon_pump(sim);
    }
    free(obituary);
}

static void end_tell(struct sim_driver *driver, const char *why)
{
    struct sim *sim = driver->sim;
    struct obituary *obituary = malloc(sizeof *obituary);
    if (!obituary)
        abort();
    *obituary = (struct obituary){driver, sim->host.life, ""};
    snprintf(obituary->why, sizeof obituary->why, "%s", why);
    events_add_ordered(&sim->events, sim->now_ms + 1, end_is_told, obituary);
}

void sim_driver_crash(struct sim_driver *driver, const char *why)
{
    TRACE(driver->sim, "%s crashes: %s", driver->interface.name, why);
    sim_driver_end(driver);
    end_tell(driver, why);
}

void sim_driver_kill(struct sim_driver *driver)
{
    sim_driver_crash(driver, "killed");
}

static void process_begins(struct sim *sim, void *data)
{
    struct call_ref *ref = data;
    struct sim_driver *driver = ref->driver;
    bool is_wanted = ref->life == driver->life && driver->is_asked_for && !driver->host;
    free(ref);
    if (!is_wanted)
        return;
    driver->is_asked_for = false;
    if (faulty(driver, FAULT_DRIVER_NO_START, NULL, PHASES)) {
        sim_driver_crash(driver, "it cannot be started");
        return;
    }
    struct spinel_host *host = calloc(1, sizeof *host);
    if (!host)
        abort();
    *host =
        (struct spinel_host){.driver = &driver->interface,
                             .wire = {.in = -1, .out = -1, .input = TEXT_INIT, .output = TEXT_INIT},
                             .call_fd = -1,
                             .lock_fd = -1,
                             .signal_fd = -1,
                             .guard_fd = -1,
                             .born_ns = (uint64_t)driver->sim->now_ms * 1000000,
                             .exit_status = -1};
    host->forever = host->arena = arena_new();
    driver->program += driver->able.etags && faulty(driver, FAULT_OTHER_PROGRAM, NULL, PHASES);
    driver->host = host;
    driver->to_core_ms = driver->to_driver_ms = sim->now_ms;
    char *at = driver->waiting.data, *end;
    while (at && (end = strchr(at, '\n'))) {
        line_forward(driver, at, (size_t)(end - at));
        at = end + 1;
    }
    text_reset(&driver->waiting);
}

void sim_driver_start(struct sim_driver *driver)
{
    struct sim *sim = driver->sim;
    struct call_ref *ref = malloc(sizeof *ref);
    if (!ref)
        abort();
    driver->is_asked_for = true;
    *ref = (struct call_ref){driver, driver->life, 0};
    events_add(&sim->events, sim->now_ms + prng_between(&sim->latency, 1, START_MS), process_begins,
               ref);
}

void sim_driver_power_loss(struct sim_driver *driver)
{
    struct sim *sim = driver->sim;
    char path[160];
    struct stat st;
    snprintf(path, sizeof path, "%s/drivers/%s/ledger", sim->host.dir, driver->interface.name);
    if (stat(path, &st) < 0 || st.st_size <= driver->synced_bytes)
        return;
    if (truncate(path, prng_between(&sim->faults, driver->synced_bytes, st.st_size)) < 0)
        abort();
}

void sim_driver_notice(struct sim_driver *driver, const char *uid, const char *why)
{
    if (!driver->host || !driver->host->ledger || faulty(driver, FAULT_NOTICE_LOST, NULL, PHASES))
        return;
    spinel_changed(driver->host, uid, why);
    output_post(driver);
}

void sim_driver_notice_false(struct sim_driver *driver)
{
    const struct truth *truth = &driver->sim->truth;
    if (!driver->host || !driver->host->ledger)
        return;
    uint64_t which = prng_below(&driver->sim->faults, truth->count + 2);
    spinel_changed(driver->host,
                   which < truth->count    ? truth->things[which].uid
                   : which == truth->count ? "0123456789abcdef0123456789abcdef"
                                           : NULL,
                   "so it seems");
    output_post(driver);
}
