/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Three things are watched, and nothing is ever waited for:
 *
 *   inotify   run directories that come and go, and process.json appearing in them
 *   a pidfd   for each machine: of its launcher, which ends right after it has written
 *             how the machine ended; of QEMU itself should the launcher be gone
 *   a socket  for each machine: QEMU's second monitor, for events
 *
 * What is missed while nobody watches is found by the next look: this only makes it soon.
 */
#include "drivers/qemu/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "drivers/qemu/argv.h"
#include "drivers/qemu/instance.h"
#include "drivers/qemu/look.h"
#include "drivers/qemu/process.h"
#include "drivers/qemu/rundir.h"
#include "drivers/spinel-driver.h"
#include "model/arena.h"
#include "model/digest.h"
#include "model/durable.h"
#include "model/invariant.h"
#include "model/json.h"
#include "model/native.h"
#include "model/text.h"
#include "model/value.h"

struct watched {
    struct watched *next;
    char uid[UID_TEXT];
    int inotify; /* watch descriptor of its run directory */
    pid_t pid;   /* that the descriptors below belong to */
    int pidfd;   /* -1: no process */
    int events;  /* -1: not connected */
    struct text input;
};

static struct watched *all;
static int inotify_fd = -1;
static int instances_watch = -1;

/* What makes a look worth its while, and how it reads as a cause. */
static const struct {
    const char *event;
    const char *why;
} telling[] = {
    {"BALLOON_CHANGE", "the guest's memory balloon moved"},
    {"BLOCK_IO_ERROR", "a disk reported an I/O error"},
    {"DEVICE_DELETED", "a device left"},
    {"DEVICE_UNPLUG_GUEST_ERROR", "the guest refused to let a device go"},
    {"GUEST_PANICKED", "the guest panicked"},
    {"RESET", "the guest was reset"},
    {"RESUME", "the machine was resumed"},
    {"SHUTDOWN", "the machine shuts down"},
    {"STOP", "the machine was paused"},
    {"SUSPEND", "the guest suspended itself"},
    {"WATCHDOG", "the guest's watchdog fired"},
};

static void events_close(struct spinel_host *host, struct watched *watched)
{
    if (watched->events < 0)
        return;
    spinel_unwatch(host, watched->events);
    close(watched->events);
    watched->events = -1;
    text_reset(&watched->input);
}

static void process_forget(struct spinel_host *host, struct watched *watched)
{
    events_close(host, watched);
    if (watched->pidfd >= 0) {
        spinel_unwatch(host, watched->pidfd);
        close(watched->pidfd);
    }
    watched->pidfd = -1;
    watched->pid = 0;
}

static void event_take(struct spinel_host *host, struct watched *watched, const char *line,
                       size_t len)
{
    static const char hello[] = "{\"execute\":\"qmp_capabilities\"}\n";
    struct error ignored = ERROR_INIT;
    struct arena *arena = arena_new();
    struct value *message;
    if (json_read(arena, line, len, &message, &ignored) == 0) {
        const char *event = value_get_text(message, "event", "");
        if (value_get(message, "QMP"))
            send(watched->events, hello, sizeof hello - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        for (size_t i = 0; i < sizeof telling / sizeof *telling; i++)
            if (strcmp(event, telling[i].event) == 0)
                spinel_changed(host, watched->uid, telling[i].why);
    }
    arena_free(arena);
}

static void events_ready(struct spinel_host *host, int fd)
{
    struct watched *watched = all;
    char chunk[8192];
    while (watched && watched->events != fd)
        watched = watched->next;
    if (!watched)
        return;
    ssize_t got = recv(fd, chunk, sizeof chunk, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR) ||
        watched->input.len > 1 << 20) {
        events_close(host, watched);
        return;
    }
    text_add_n(&watched->input, chunk, got < 0 ? 0 : (size_t)got);
    for (char *end; (end = memchr(watched->input.data, '\n', watched->input.len));) {
        size_t len = (size_t)(end - watched->input.data);
        event_take(host, watched, watched->input.data, len);
        memmove(watched->input.data, end + 1, watched->input.len - len);
        watched->input.len -= len + 1;
    }
}

static void events_connect(struct spinel_host *host, struct watched *watched, int dir_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/event.sock", dir_fd);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0) {
        watched->events = fd;
        spinel_watch(host, fd, events_ready);
    } else if (fd >= 0) {
        close(fd);
    }
}

static void process_follow(struct spinel_host *host, struct watched *watched);

static void process_ended(struct spinel_host *host, int fd)
{
    struct watched *watched = all;
    struct instance instance;
    struct error err = ERROR_INIT;
    while (watched && watched->pidfd != fd)
        watched = watched->next;
    if (!watched)
        return;
    process_forget(host, watched);
    if (instance_open(host, watched->uid, &instance, &err) < 0) {
        spinel_changed(host, watched->uid, err.message);
        return;
    }
    if (instance.pidfd >= 0)
        process_follow(host, watched); /* only the launcher ended, or a new one runs */
    else
        spinel_changed(host, watched->uid, instance_exit_text(&instance));
    instance_close(&instance);
}

static void process_follow(struct spinel_host *host, struct watched *watched)
{
    struct arena *arena = arena_new();
    struct error ignored = ERROR_INIT;
    struct process process;
    char uuid[37];
    int dir_fd = -1;
    const char *dir = native_instance_dir(arena, spinel_state_dir(host), watched->uid);
    if (rundir_open(dir, &dir_fd, &ignored) == 0 &&
        process_read(arena, dir_fd, &process, &ignored) == 1 && process.pid != watched->pid) {
        process_forget(host, watched);
        int pidfd = process_open_launcher(&process);
        if (pidfd < 0)
            pidfd = process_open(&process, argv_uuid(watched->uid, uuid));
        if (pidfd >= 0) {
            watched->pid = process.pid;
            watched->pidfd = pidfd;
            spinel_watch(host, pidfd, process_ended);
            events_connect(host, watched, dir_fd);
        }
    }
    if (dir_fd >= 0)
        close(dir_fd);
    arena_free(arena);
}

static void instance_add(struct spinel_host *host, const char *uid)
{
    char path[4096];
    if (!digest_is_uid(uid))
        return;
    for (struct watched *watched = all; watched; watched = watched->next)
        if (strcmp(watched->uid, uid) == 0)
            return;
    struct watched *watched = memory_need(calloc(1, sizeof *watched));
    *watched = (struct watched){.next = all, .pidfd = -1, .events = -1, .input = TEXT_INIT};
    snprintf(watched->uid, sizeof watched->uid, "%s", uid);
    snprintf(path, sizeof path, "%s/instances/%s", spinel_state_dir(host), uid);
    watched->inotify = inotify_add_watch(inotify_fd, path, IN_MOVED_TO | IN_ONLYDIR);
    all = watched;
    process_follow(host, watched);
}

static void instance_remove(struct spinel_host *host, const char *uid)
{
    for (struct watched **link = &all; *link; link = &(*link)->next) {
        struct watched *watched = *link;
        if (strcmp(watched->uid, uid) != 0)
            continue;
        *link = watched->next;
        process_forget(host, watched);
        inotify_rm_watch(inotify_fd, watched->inotify);
        text_free(&watched->input);
        free(watched);
        return;
    }
}

static void instances_scan(struct spinel_host *host)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/instances", spinel_state_dir(host));
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        instance_add(host, entry->d_name);
    if (dir)
        closedir(dir);
}

static void notice_take(struct spinel_host *host, const struct inotify_event *event)
{
    if (event->mask & IN_Q_OVERFLOW) {
        instances_scan(host);
        spinel_changed(host, NULL, "too much happened at once");
    } else if (event->wd == instances_watch && event->len > 0) {
        if (event->mask & (IN_CREATE | IN_MOVED_TO))
            instance_add(host, event->name);
        else
            instance_remove(host, event->name);
    } else if (event->len > 0 && strcmp(event->name, "process.json") == 0) {
        for (struct watched *watched = all; watched; watched = watched->next)
            if (watched->inotify == event->wd)
                process_follow(host, watched);
    }
}

int watch_start(struct spinel_host *host, struct error *err)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/instances", spinel_state_dir(host));
    if (directory_make(path, 0711, err) < 0)
        return err->code;
    inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (inotify_fd >= 0)
        instances_watch = inotify_add_watch(
            inotify_fd, path, IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM | IN_ONLYDIR);
    if (inotify_fd < 0 || instances_watch < 0)
        return error_sys(err, "cannot watch %s", path);
    instances_scan(host);
    return 0;
}

int watch_fd(struct spinel_host *host)
{
    (void)host;
    return inotify_fd;
}

void watch_ready(struct spinel_host *host)
{
    union {
        char bytes[8192];
        struct inotify_event align;
    } buffer;
    ssize_t got = read(inotify_fd, buffer.bytes, sizeof buffer.bytes);
    for (ssize_t at = 0; at < got;) {
        const struct inotify_event *event = (const void *)(buffer.bytes + at);
        notice_take(host, event);
        at += (ssize_t)(sizeof *event + event->len);
    }
}
