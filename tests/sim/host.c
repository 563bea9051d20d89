/* SPDX-License-Identifier: MPL-2.0 */
/* The daemon's life on its machine: it starts, is told of heads, dies and starts again. */
#include "tests/sim/host.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tests/sim/invariants.h"
#include "tests/sim/sim.h"

enum { RESTART_MIN_MS = 100, RESTART_MAX_MS = 20000 };

static const char *const driver_list[] = {"disk", "net", "vm"};
static const char *const store_files[] = {"spinel.db", "spinel.db-wal", "spinel.db-shm"};

static const char *driver_of(void *context, const char *class)
{
    (void)context;
    return strcmp(class, "volume") == 0     ? driver_list[DRIVER_DISK]
           : strcmp(class, "instance") == 0 ? driver_list[DRIVER_VM]
                                            : driver_list[DRIVER_NET];
}

static const struct value *settings_of(void *context, const char *driver)
{
    (void)context;
    (void)driver;
    return NULL;
}

void daemon_open(struct sim *sim)
{
    struct host *host = &sim->host;
    snprintf(host->dir, sizeof host->dir, "%s/spinel-sim-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(host->dir))
        abort();
    snprintf(host->key_file, sizeof host->key_file, "%s/key", host->dir);
    seam_bind(sim);
    host->config = (struct core_config){
        .rack = "sim",
        .rack_id = host->rack_id,
        .state_dir = host->dir,
        .key_file = host->key_file,
        .drivers = driver_list,
        .driver_count = DRIVERS,
        .driver_of = driver_of,
        .settings_of = settings_of,
        .parallelism = 4,
        .resync_ms = sim->swarm.resync_ms,
        .policy = {3, 5, 30},
        .effects = true,
    };
}

bool daemon_is_up(const struct sim *sim)
{
    return sim->host.core && !sim->host.is_dead;
}

/* ---- down --------------------------------------------------------------------------- */

static void daemon_boots(struct sim *sim, void *data)
{
    (void)data;
    daemon_boot(sim);
}

static void boot_later(struct sim *sim)
{
    events_add(&sim->events,
               sim->now_ms + prng_between(&sim->schedule, RESTART_MIN_MS, RESTART_MAX_MS),
               daemon_boots, NULL);
}

/* What is left of a dead daemon. Its drivers notice that their input has ended. */
static void daemon_sweep(struct sim *sim)
{
    struct host *host = &sim->host;
    host->is_dead = true; /* whatever the sweeping calls comes to nothing */
    core_free(host->core);
    host->core = NULL;
    store_close(host->store);
    host->store = NULL;
    host->timer++;
    book_rollback(&sim->book);
    host->accepting[0] = '\0';
    for (int i = 0; i < DRIVERS; i++) {
        sim_driver_end(&sim->drivers[i]);
        if (host->has_no_power)
            sim_driver_power_loss(&sim->drivers[i]);
    }
    if (host->has_no_power)
        truth_power_loss(&sim->truth);
    host->is_dead = host->has_no_power = false;
    host->crash_at = 0;
    host->life++;
}

void daemon_crash(struct sim *sim, bool has_no_power)
{
    if (!sim->host.core)
        return;
    TRACE(sim, has_no_power ? "power loss" : "the daemon is killed");
    sim->host.has_no_power = has_no_power;
    daemon_sweep(sim);
    boot_later(sim);
}

void daemon_pump(struct sim *sim)
{
    struct host *host = &sim->host;
    struct error err = ERROR_INIT;
    if (!host->core)
        return;
    if (!host->is_dead)
        core_pump(host->core);
    if (!host->is_dead && !core_has_failed(host->core, &err))
        return;
    if (!host->is_dead)
        TRACE(sim, "the daemon ends: %s", err.message);
    daemon_sweep(sim);
    boot_later(sim);
}

void daemon_close(struct sim *sim)
{
    struct host *host = &sim->host;
    char command[128];
    if (host->core)
        daemon_sweep(sim);
    for (int i = 0; i < DRIVERS; i++) {
        sim_driver_end(&sim->drivers[i]);
        text_free(&sim->drivers[i].waiting);
    }
    for (size_t i = 0; i < 3; i++)
        free(host->saved[i]);
    snprintf(command, sizeof command, "rm -rf '%s'", host->dir);
    if (getenv("SIM_KEEP"))
        printf("%s is kept\n", host->dir);
    else if (system(command) != 0)
        fprintf(stderr, "cannot remove %s\n", host->dir);
}

/* ---- up ----------------------------------------------------------------------------- */

static int store_begins(struct sim *sim, struct error *err)
{
    struct host *host = &sim->host;
    int status = store_open(host->dir, STORE_WRITE, &host->store, err);
    if (status == 0)
        status = store_seed(host->store, host->config.seed, err);
    if (status == 0)
        status = store_rack_id(host->store, host->rack_id, err);
    if (status < 0) {
        store_close(host->store);
        host->store = NULL;
    }
    return status;
}

static void boot_failed(struct sim *sim, const struct error *err)
{
    TRACE(sim, "the daemon cannot start: %s", err->message);
    if (err->code == ERR_CORRUPT) { /* its hint says what a person does then */
        sim_fault_note(sim, FAULT_STORE_LOST);
        daemon_store_lose(sim);
    }
    boot_later(sim);
}

void daemon_head(struct sim *sim)
{
    struct error err = ERROR_INIT;
    const char *id = sim->git.commits[sim->git.head].id;
    struct host *host = &sim->host;
    if (!daemon_is_up(sim))
        return;
    int status = core_target(host->core, id, "ann", NULL, NULL, &err);
    if (status < 0 && !host->is_dead)
        TRACE(sim, "head %.12s refused: %s", id, err.message);
    else if (!host->is_dead)
        truth_declare(&sim->truth, &sim->git.commits[sim->git.head].wish);
    daemon_pump(sim);
}

void daemon_boot(struct sim *sim)
{
    struct host *host = &sim->host;
    struct error err = ERROR_INIT;
    if (host->core)
        return;
    if (host->is_full && !sim->is_quiet) { /* it would start, and end at once */
        boot_later(sim);
        return;
    }
    if (store_begins(sim, &err) < 0) {
        boot_failed(sim, &err);
        return;
    }
    TRACE(sim, "the daemon starts");
    tally_add(&sim->tally->restarts, 1);
    host->env.store = host->store;
    host->booted_ms = sim->now_ms;
    host->core = core_new(&host->env, &host->config);
    const struct moment moment = {.when = ON_BOOT};
    if (core_start(host->core, &err) < 0) {
        if (!host->is_dead)
            TRACE(sim, "the core cannot start: %s", err.message);
        daemon_sweep(sim);
        boot_later(sim);
        return;
    }
    invariants_check(sim, &moment);
    daemon_pump(sim);
    daemon_head(sim);
}

/* ---- the store as files ------------------------------------------------------------- */

static void file_path(const struct sim *sim, size_t i, char out[128])
{
    snprintf(out, 128, "%s/%s", sim->host.dir, store_files[i]);
}

static void durable_is_gone(struct sim *sim)
{
    book_forget(&sim->book);
    sim->host.accepted[0] = '\0';
    sim->host.may_skip = true;
    sim->truth.destroyed = 0; /* and with it what was spent of the budget; a person is asked */
}

void daemon_store_lose(struct sim *sim)
{
    char path[128];
    TRACE(sim, "the store is lost");
    for (size_t i = 0; i < 3; i++) {
        file_path(sim, i, path);
        unlink(path);
    }
    durable_is_gone(sim);
}

void daemon_store_save(struct sim *sim)
{
    struct host *host = &sim->host;
    char path[128];
    for (size_t i = 0; i < 3; i++) {
        struct stat st;
        free(host->saved[i]);
        host->saved[i] = NULL;
        host->saved_len[i] = 0;
        file_path(sim, i, path);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
            continue;
        host->saved[i] = malloc((size_t)st.st_size + 1);
        if (!host->saved[i])
            abort();
        ssize_t got = read(fd, host->saved[i], (size_t)st.st_size);
        host->saved_len[i] = got > 0 ? (size_t)got : 0;
        close(fd);
    }
    TRACE(sim, "the store is copied");
}

bool daemon_store_restore(struct sim *sim)
{
    struct host *host = &sim->host;
    char path[128];
    if (!host->saved[0])
        return false;
    TRACE(sim, "an old copy of the store is put back");
    for (size_t i = 0; i < 2; i++) { /* not the index of the log: it is made anew */
        file_path(sim, i, path);
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fd < 0 || write(fd, host->saved[i], host->saved_len[i]) < 0)
            abort();
        close(fd);
    }
    file_path(sim, 2, path);
    unlink(path);
    durable_is_gone(sim);
    return true;
}
