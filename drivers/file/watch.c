/* SPDX-License-Identifier: MPL-2.0 */
/*
 * inotify on every directory that holds files of ours, gathered by a timer. A pool that
 * is made later shows up as a note, or as a directory under "<state>/pools"; both are
 * watched, and lead to reading the list of pools again. Losing events is no loss of
 * truth: the engine looks at everything now and then anyway.
 */
#include "drivers/file/watch.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "drivers/file/place.h"
#include "drivers/file/staging.h"
#include "model/digest.h"

enum { PENDING_MAX = 64, GATHER_NS = 200 * 1000 * 1000 };
enum {
    EVENTS = IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_ATTRIB | IN_CLOSE_WRITE |
             IN_ONLYDIR,
};

static struct {
    int notify_fd, timer_fd;
    struct pending {
        char uid[UID_TEXT];
        uint32_t events;
    } pending[PENDING_MAX];
    size_t count;
    bool is_armed;
    bool is_overflown; /* more than fits: everything is to be looked at */
} watch;

static void directory_watch(const char *path)
{
    inotify_add_watch(watch.notify_fd, path, EVENTS); /* again is the same watch */
}

static void directories_watch(struct spinel_host *host)
{
    struct pool_places places;
    struct error ignored = ERROR_INIT;
    const char *state = spinel_state_dir(host);
    static const char *const fixed[] = {"images", "seeds", "pools"};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        directory_watch(arena_printf(spinel_arena(host), "%s/%s", state, fixed[i]));
    directory_watch(place_notes_dir(host));
    if (places_read(host, &places, &ignored) < 0)
        return;
    for (size_t i = 0; i < places.count; i++)
        directory_watch(places.items[i].dir);
}

static void pending_add(const char *uid, uint32_t events)
{
    for (size_t i = 0; i < watch.count; i++) {
        if (strcmp(watch.pending[i].uid, uid) == 0) {
            watch.pending[i].events |= events;
            return;
        }
    }
    if (watch.count == PENDING_MAX) {
        watch.is_overflown = true;
        return;
    }
    struct pending *fresh = &watch.pending[watch.count++];
    snprintf(fresh->uid, sizeof fresh->uid, "%s", uid);
    fresh->events = events;
}

/* Files of ours begin with their uid; an image's bytes do not, so there all is looked at. */
static void event_take(struct spinel_host *host, const struct inotify_event *event)
{
    char uid[UID_TEXT] = "";
    if (event->mask & IN_Q_OVERFLOW)
        watch.is_overflown = true;
    if (event->len == 0)
        return;
    size_t digits = strspn(event->name, "0123456789abcdef");
    if (digits == UID_TEXT - 1)
        memcpy(uid, event->name, UID_TEXT - 1);
    else if (digits < UID_TEXT && strcmp(event->name, POOL_TAG) != 0)
        return;
    if (uid[0] && spinel_is_applying(host, uid))
        return; /* it is ours, or the look after it sees it */
    pending_add(uid, event->mask);
}

static const char *why(uint32_t events)
{
    if (events & IN_MOVED_FROM)
        return "file was moved away";
    if (events & (IN_DELETE | IN_DELETE_SELF))
        return "file was deleted";
    if (events & (IN_CREATE | IN_MOVED_TO))
        return "file appeared";
    return events & IN_CLOSE_WRITE ? "file was written" : "file attributes changed";
}

static void events_read(struct spinel_host *host)
{
    char events[1 << 14] __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t len;
    while ((len = read(watch.notify_fd, events, sizeof events)) > 0)
        for (char *at = events; at < events + len;
             at += sizeof(struct inotify_event) + ((struct inotify_event *)(void *)at)->len)
            event_take(host, (struct inotify_event *)(void *)at);
}

static void timer_ready(struct spinel_host *host, int fd)
{
    uint64_t count;
    if (read(fd, &count, sizeof count) < 0)
        return;
    watch.is_armed = false;
    spinel_watch_rests(host, watch.notify_fd, false);
    events_read(host);
    directories_watch(host);
    for (size_t i = 0; i < watch.count && !watch.is_overflown; i++) {
        const char *uid = watch.pending[i].uid[0] ? watch.pending[i].uid : NULL;
        spinel_changed(host, uid, why(watch.pending[i].events));
    }
    if (watch.is_overflown)
        spinel_changed(host, NULL, "many files changed");
    watch.count = 0;
    watch.is_overflown = false;
}

/* The first event wakes us; those that come until the timer is over are read then, at once. */
static void notify_ready(struct spinel_host *host, int fd)
{
    (void)fd;
    const struct itimerspec soon = {.it_value = {.tv_nsec = GATHER_NS}};
    events_read(host);
    if (!watch.is_armed)
        watch.is_armed = timerfd_settime(watch.timer_fd, 0, &soon, NULL) == 0;
    spinel_watch_rests(host, watch.notify_fd, watch.is_armed);
}

int watch_start(struct spinel_host *host, struct error *err)
{
    int result = directories_make(host, place_notes_dir(host), err);
    if (result < 0)
        return result;
    static const char *const fixed[] = {"images", "seeds", "pools"};
    for (size_t i = 0; result == 0 && i < sizeof fixed / sizeof *fixed; i++)
        result = directories_make(
            host, arena_printf(spinel_arena(host), "%s/%s", spinel_state_dir(host), fixed[i]), err);
    watch.notify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    watch.timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (result == 0 && (watch.notify_fd < 0 || watch.timer_fd < 0))
        result = error_sys(err, "cannot watch the pools");
    if (result < 0)
        return result;
    directories_watch(host);
    spinel_watch(host, watch.notify_fd, notify_ready);
    spinel_watch(host, watch.timer_fd, timer_ready);
    return 0;
}
