/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The watch is taken away while the log rests, so that a chatty guest costs one wake-up
 * a second and not one a character. Between the copy and the cut a few bytes may be lost: the
 * log is for people, and a guest that writes megabytes a second has lost them already.
 */
#include "drivers/qemu/serial_log.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/durable.h"

static int raised(int fd, int least)
{
    int high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, least);
    if (fd >= 0)
        close(fd);
    return high;
}

static void watch_begin(struct serial_log *log)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", log->file);
    log->watch = inotify_add_watch(log->inotify, path, IN_MODIFY);
    log->is_resting = false;
}

void serial_log_open(struct serial_log *log, int dir, int least)
{
    *log = (struct serial_log){.dir = dir, .watch = -1};
    log->file = raised(openat(dir, "serial.log", O_RDWR | O_NOFOLLOW | O_CLOEXEC), least);
    log->inotify = log->file < 0 ? -1 : raised(inotify_init1(IN_CLOEXEC | IN_NONBLOCK), least);
    if (log->inotify >= 0)
        watch_begin(log);
}

void serial_log_written(struct serial_log *log)
{
    char events[sizeof(struct inotify_event) + NAME_MAX + 1];
    if (log->watch >= 0)
        inotify_rm_watch(log->inotify, log->watch);
    while (read(log->inotify, events, sizeof events) > 0)
        continue;
    log->watch = -1;
    log->is_resting = true;
}

/* As far as there is room: a disk that is full is the more reason to cut. */
static void newest_keep(const struct serial_log *log, off_t size)
{
    off_t from = size - SERIAL_LOG_KEPT;
    int old = fresh_open(log->dir, "serial.log.old", O_WRONLY);
    if (old < 0)
        return;
    while (from < size && sendfile(old, log->file, &from, (size_t)(size - from)) > 0)
        continue;
    close(old);
}

void serial_log_look(struct serial_log *log)
{
    struct stat st;
    if (log->file < 0)
        return;
    if (fstat(log->file, &st) == 0 && st.st_size > SERIAL_LOG_MAX) {
        newest_keep(log, st.st_size);
        if (ftruncate(log->file, 0) < 0)
            return; /* rests on, and is tried again with the next look */
    }
    watch_begin(log);
}
