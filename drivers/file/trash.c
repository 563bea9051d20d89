/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The trash: "<pool>/.trash/<uid>.<wall>.<uptime>", beside it its tag. Both numbers are
 * seconds at the time of the delete: of the wall clock, and of how long the driver had
 * been up in its life, which a file of ours counts.
 */
#include "drivers/file/trash.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include "drivers/file/mark.h"
#include "drivers/file/place.h"
#include "drivers/file/staging.h"
#include "model/digest.h"
#include "model/unit.h"
#include "model/when.h"

enum { LOOK_EVERY_S = 600, RETENTION_S = 7 * 86400 };

static struct {
    int64_t retention_s;
    int64_t uptime_s;  /* of the driver in its life */
    int64_t counted_s; /* CLOCK_BOOTTIME up to which uptime_s is right */
    int timer_fd;
} trash = {.retention_s = RETENTION_S};

struct item {
    char uid[UID_TEXT];
    int64_t wall_s, uptime_s;
};

/* Seconds that a clock can have said. */
static bool seconds_read(const char **at, int64_t *seconds)
{
    char *end;
    bool is_number = isdigit((unsigned char)**at);
    *seconds = strtoll(*at, &end, 10);
    *at = end;
    return is_number && *seconds <= WHEN_LAST;
}

/* What has no name as trash_put() gives it was put there by somebody else. */
static bool item_read(const char *name, struct item *item)
{
    const char *at = name + UID_TEXT - 1;
    if (strspn(name, "0123456789abcdef") != UID_TEXT - 1 || *at++ != '.')
        return false;
    snprintf(item->uid, sizeof item->uid, "%.32s", name);
    return seconds_read(&at, &item->wall_s) && *at++ == '.' && seconds_read(&at, &item->uptime_s) &&
           *at == '\0';
}

char *trash_dir(struct spinel_host *host, const char *pool_dir)
{
    return arena_printf(spinel_arena(host), "%s/" POOL_TRASH, pool_dir);
}

/* ---- uptime ------------------------------------------------------------------------- */

static int64_t boottime_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec;
}

static char *uptime_path(struct spinel_host *host)
{
    return arena_printf(spinel_arena(host), "%s/uptime", spinel_own_dir(host));
}

static int64_t uptime_read(struct spinel_host *host)
{
    char text[32] = "";
    FILE *file = fopen(uptime_path(host), "re");
    if (!file)
        return 0;
    size_t len = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[len] = '\0';
    const char *at = text;
    int64_t seconds;
    return seconds_read(&at, &seconds) ? seconds : 0;
}

/* A number that is lost or old makes things lie longer, never shorter. */
static void uptime_count(struct spinel_host *host)
{
    struct error ignored = ERROR_INIT;
    int64_t now_s = boottime_s();
    trash.uptime_s += now_s - trash.counted_s;
    trash.counted_s = now_s;
    (void)staging_replace(host, uptime_path(host),
                          arena_printf(spinel_arena(host), "%" PRId64 "\n", trash.uptime_s),
                          &ignored);
}

/* ---- in and out --------------------------------------------------------------------- */

int trash_put(struct spinel_host *host, const char *path, const char *uid, const char **dir,
              struct error *err)
{
    struct arena *arena = spinel_arena(host);
    *dir = trash_dir(host, parent_of(arena, path));
    const char *to = arena_printf(arena, "%s/%s.%" PRId64 ".%" PRId64, *dir, uid,
                                  (int64_t)time(NULL), uptime_read(host));
    int result = directories_make(host, *dir, err);
    if (result < 0)
        return result;
    if (rename(path, to) < 0)
        return error_sys(err, "cannot move %s to %s", path, to);
    rename(mark_sidecar(host, path), mark_sidecar(host, to));
    return 0;
}

static int item_unlink(struct spinel_host *host, const char *dir, const char *name,
                       struct error *err)
{
    const char *path = arena_printf(spinel_arena(host), "%s/%s", dir, name);
    if (unlink(path) < 0 && errno != ENOENT)
        return error_sys(err, "cannot remove %s", path);
    unlink(mark_sidecar(host, path));
    return parent_sync(path, err);
}

/* Calls `each` for the trash of every pool whose directory is the one that we know. */
static int trash_each(struct spinel_host *host,
                      int (*each)(struct spinel_host *, const char *, const char *, void *,
                                  struct error *),
                      void *context, struct error *err)
{
    struct pool_places places;
    int result = places_read(host, &places, err);
    for (size_t i = 0; result == 0 && i < places.count; i++)
        if (!places.items[i].is_unmounted)
            result = names_each(host, trash_dir(host, places.items[i].dir), each, context, err);
    return result;
}

static int purge_each(struct spinel_host *host, const char *dir, const char *name, void *context,
                      struct error *err)
{
    struct item item;
    if (!item_read(name, &item) || strcmp(item.uid, context) != 0)
        return 0;
    return item_unlink(host, dir, name, err);
}

int trash_purge(struct spinel_host *host, const char *uid, struct error *err)
{
    return trash_each(host, purge_each, (void *)(size_t)uid, err);
}

/* ---- retention ---------------------------------------------------------------------- */

static int expire_each(struct spinel_host *host, const char *dir, const char *name, void *context,
                       struct error *err)
{
    struct item item;
    (void)context;
    if (!item_read(name, &item) || time(NULL) - item.wall_s < trash.retention_s ||
        trash.uptime_s - item.uptime_s < trash.retention_s)
        return 0;
    return item_unlink(host, dir, name, err);
}

static void timer_ready(struct spinel_host *host, int fd)
{
    struct error err = ERROR_INIT;
    uint64_t count;
    if (read(fd, &count, sizeof count) < 0)
        return;
    uptime_count(host);
    if (trash_each(host, expire_each, NULL, &err) < 0)
        spinel_log(host, SPINEL_WARNING, "the trash was not emptied: %s", err.message);
}

int trash_start(struct spinel_host *host, const struct value *settings, struct error *err)
{
    const char *text = value_get_text(settings, "trashRetention", NULL);
    if (text && duration_read(text, &trash.retention_s, err) < 0)
        return error_wrap(err, "settings.file.trashRetention");
    int64_t every_s = trash.retention_s < LOOK_EVERY_S ? trash.retention_s + 1 : LOOK_EVERY_S;
    const struct itimerspec often = {{.tv_sec = every_s}, {.tv_sec = 1}};
    trash.uptime_s = uptime_read(host);
    trash.counted_s = boottime_s();
    trash.timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (trash.timer_fd < 0 || timerfd_settime(trash.timer_fd, 0, &often, NULL) < 0)
        return error_sys(err, "cannot set a timer");
    spinel_watch(host, trash.timer_fd, timer_ready);
    return 0;
}

/* ---- to be seen --------------------------------------------------------------------- */

static int list_each(struct spinel_host *host, const char *dir, const char *name, void *context,
                     struct error *err)
{
    const char *path = arena_printf(spinel_arena(host), "%s/%s", dir, name);
    struct item item;
    struct stat st;
    (void)err;
    if (item_read(name, &item) && stat(path, &st) == 0)
        spinel_list_trash(context, "Volume", item.uid, path, (int64_t)st.st_blocks * 512,
                          item.wall_s, item.wall_s + trash.retention_s);
    return 0;
}

int trash_list(struct spinel_host *host, struct spinel_list *list, struct error *err)
{
    return trash_each(host, list_each, list, err);
}
