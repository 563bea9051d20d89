/* SPDX-License-Identifier: MPL-2.0 */
/* What the library lends to callbacks: places, time, notices, watches. */
#include "drivers/lib/host.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "drivers/lib/call.h"
#include "drivers/lib/lock.h"
#include "model/arena.h"
#include "model/durable.h"
#include "model/invariant.h"
#include "model/json.h"

int64_t host_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- opening ------------------------------------------------------------------------ */

static int dirs_make(struct spinel_host *host, const char *path, struct error *err)
{
    invariant(path[0] == '/', "directories are made for '%s', which is not absolute", path);
    char *copy = arena_text(host->forever, path);
    for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (directory_make(copy, 0755, err) < 0)
            return err->code;
        *slash = '/';
    }
    return directory_make(copy, 0755, err);
}

int dir_check_own(const char *path, const struct stat *st, struct error *err)
{
    if (st->st_uid != geteuid() && st->st_uid != 0)
        return error_set(err, ERR_DENIED,
                         "directory %s belongs to uid %u, and this driver is uid %u", path,
                         (unsigned)st->st_uid, (unsigned)geteuid());
    if (st->st_mode & 022)
        return error_set(err, ERR_DENIED,
                         "directory %s may be written to by others: its mode is %04o", path,
                         (unsigned)st->st_mode & 07777);
    return 0;
}

/* That nobody can exchange those above it, the supervisor has seen to. */
static int dir_own(const char *path, mode_t mode, struct error *err)
{
    struct stat st;
    if (directory_make(path, mode, err) < 0)
        return err->code;
    if (lstat(path, &st) < 0)
        return error_sys(err, "cannot look at directory %s", path);
    if (!S_ISDIR(st.st_mode))
        error_set(err, ERR_DENIED, "%s is no directory", path);
    else if (dir_check_own(path, &st, err) == 0)
        return 0;
    return error_hint(err,
                      "See what lies there and who put it there; then give it to root, mode "
                      "%04o, or move it away.",
                      (unsigned)mode);
}

/* A core that somebody else has taken would name places of his, or a program of his. So whoever
 * starts us says by SPINEL_GIVEN what these are, and the core can only repeat it. */
static int params_check(struct spinel_host *host, const struct value *params, struct error *err)
{
    const char *text = getenv("SPINEL_GIVEN");
    struct value *given = NULL;
    if (!text)
        return 0;
    if (json_read(host->forever, text, strlen(text), &given, err) < 0)
        return error_wrap(err, "SPINEL_GIVEN");
    unsetenv("SPINEL_GIVEN"); /* what we start has no use for it */
    for (size_t i = 0; value_is_map(given) && i < given->pair_count; i++) {
        const struct pair *pair = &given->pairs[i];
        if (!value_equal(value_get(params, pair->key), pair->value))
            return error_set(err, ERR_DENIED,
                             "initialize: %s is not what the site file says, by which this driver "
                             "was started",
                             pair->key);
    }
    return 0;
}

static int params_keep(struct spinel_host *host, const struct value *params, struct error *err)
{
    struct arena *arena = host->forever;
    const struct value *rack = value_get(params, "rack");
    const char *state_dir = value_get_text(params, "stateDir", "");
    size_t len = strlen(state_dir);
    while (len > 1 && state_dir[len - 1] == '/')
        len--;
    if (state_dir[0] != '/')
        return error_set(err, ERR_INVALID, "initialize: stateDir is not an absolute path");
    host->state_dir = arena_text_n(arena, state_dir, len);
    host->own_dir = arena_printf(arena, "%s/drivers/%s", host->state_dir, host->driver->name);
    host->rack = arena_text(arena, value_get_text(rack, "name", ""));
    host->rack_id = arena_text(arena, value_get_text(rack, "id", ""));
    return 0;
}

int host_open(struct spinel_host *host, const struct value *params, struct error *err)
{
    struct error busy = ERROR_INIT;
    struct ledger *ledger;
    invariant(!host->ledger && !host->calls, "driver %s is opened twice", host->driver->name);
    int result = params_keep(host, params, err);
    if (result == 0)
        result = params_check(host, params, err);
    if (result == 0)
        result = dirs_make(host, host->state_dir, err);
    if (result == 0)
        result = dir_own(arena_printf(host->forever, "%s/drivers", host->state_dir), 0755, err);
    if (result == 0)
        result = dir_own(host->own_dir, 0700, err);
    if (result < 0)
        return result;
    const char *own_key = arena_printf(host->forever, "%s/key", host->own_dir);
    result = key_open(value_get_text(params, "keyFile", own_key), host->own_dir, host->key, err);
    if (result == 0)
        result = ledger_open(host->own_dir, &ledger, err);
    if (result < 0)
        return result;
    /* Without the lock it can still observe; the first apply asks for it again. */
    host->is_driving = lock_take(host, &busy) == 0;
    if (host->is_driving)
        result = ledger_claim(ledger, err);
    if (result < 0)
        ledger_free(ledger);
    else
        host->ledger = ledger;
    return result;
}

void host_close(struct spinel_host *host)
{
    ledger_free(host->ledger);
    wire_close(&host->wire);
    arena_free(host->forever);
    free(host->watches);
    if (host->lock_fd >= 0)
        close(host->lock_fd);
    if (host->guard_fd >= 0)
        close(host->guard_fd);
}

/* ---- what callbacks ask ------------------------------------------------------------- */

struct arena *spinel_arena(struct spinel_host *host)
{
    invariant(host->arena, "driver %s is asked for an arena outside a callback",
              host->driver->name);
    return host->arena;
}

const char *spinel_state_dir(struct spinel_host *host)
{
    return host->state_dir;
}

const char *spinel_own_dir(struct spinel_host *host)
{
    return host->own_dir;
}

const char *spinel_rack(struct spinel_host *host)
{
    return host->rack;
}

const char *spinel_rack_id(struct spinel_host *host)
{
    return host->rack_id;
}

int64_t spinel_remaining_ms(struct spinel_host *host)
{
    int64_t now = host_now_ms();
    return host->deadline_ms > now ? host->deadline_ms - now : 0;
}

uint64_t spinel_ledger_epoch(struct spinel_host *host, const char *uid)
{
    return ledger_acknowledged(host->ledger, uid);
}

/* ---- notices ------------------------------------------------------------------------ */

static void notice_send(struct spinel_host *host, const char *method, const struct value *params)
{
    if (host->call_fd < 0) {
        notice_write(&host->wire.output, method, params);
        return;
    }
    struct text line = TEXT_INIT;
    notice_write(&line, method, params);
    frame_send(host->call_fd, FRAME_NOTICE, line.data, line.len);
    text_free(&line);
}

void spinel_progress(struct spinel_host *host, int percent, const char *what)
{
    if (!host->op)
        return;
    struct arena *arena = arena_new();
    struct value *params = value_map(arena);
    value_set_text(arena, params, "op", host->op);
    value_set_int(arena, params, "percent", percent);
    value_set_text(arena, params, "what", what);
    notice_send(host, "progress", params);
    arena_free(arena);
}

void spinel_log(struct spinel_host *host, enum spinel_level level, const char *fmt, ...)
{
    static const char *const levels[] = {"debug", "info", "warning"};
    char message[1024];
    va_list args;
    invariant(level < sizeof levels / sizeof *levels, "there is no level %u", level);
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    struct arena *arena = arena_new();
    struct value *params = value_map(arena);
    value_set_text(arena, params, "level", levels[level]);
    value_set_text(arena, params, "message", message);
    notice_send(host, "log", params);
    arena_free(arena);
}

void spinel_changed(struct spinel_host *host, const char *uid, const char *why)
{
    struct arena *arena = arena_new();
    struct value *params = value_map(arena);
    value_set_text(arena, params, "uid", uid);
    value_set_text(arena, params, "why", why);
    notice_send(host, "changed", params);
    arena_free(arena);
}

/* ---- watches ------------------------------------------------------------------------ */

static struct watch *watch_find(const struct spinel_host *host, int fd)
{
    for (size_t i = 0; i < host->watch_count; i++)
        if (host->watches[i].fd == fd)
            return &host->watches[i];
    return NULL;
}

void spinel_watch(struct spinel_host *host, int fd, void (*ready)(struct spinel_host *, int fd))
{
    invariant(fd >= 0 && !watch_find(host, fd), "descriptor %d is watched twice, or is none", fd);
    struct watch *grown =
        memory_need(reallocarray(host->watches, host->watch_count + 1, sizeof *grown));
    host->watches = grown;
    host->watches[host->watch_count++] = (struct watch){.fd = fd, .ready = ready};
}

void spinel_watch_rests(struct spinel_host *host, int fd, bool rests)
{
    struct watch *watch = watch_find(host, fd);
    if (watch)
        watch->rests = rests;
}

void spinel_unwatch(struct spinel_host *host, int fd)
{
    struct watch *watch = watch_find(host, fd);
    if (watch)
        *watch = host->watches[--host->watch_count];
}
