/* SPDX-License-Identifier: MPL-2.0 */
/* Reading /proc, and pidfds; see proc.h. */
#include "drivers/lib/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "model/error.h"
#include "model/invariant.h"

#define DELETED " (deleted)"

enum { WAIT_MAX_MS = 3600000 };

/* By errno, of a process that was asked about. Its number may be a thread's by now. */
static bool is_gone(void)
{
    return errno == ESRCH || errno == ENOENT || errno == EINVAL;
}

/* What may not be looked at is none of ours. */
static int why_not(void)
{
    return is_gone() || errno == EACCES || errno == EPERM ? PROC_GONE : PROC_UNTOLD;
}

/* The start of a file of the process, as a string; or why not. */
static ssize_t file_read(pid_t pid, const char *name, char *out, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return why_not();
    ssize_t got = read(fd, out, size - 1);
    if (got < 0)
        got = why_not();
    else
        out[got] = '\0';
    close(fd);
    return got;
}

static int untold_or_no(ssize_t got)
{
    return got == PROC_UNTOLD ? PROC_UNTOLD : 0;
}

void proc_boot_id(char out[BOOT_ID_TEXT])
{
    char text[BOOT_ID_TEXT] = "";
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    text[got > 0 ? got : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    memcpy(out, text, BOOT_ID_TEXT);
    if (fd >= 0)
        close(fd);
}

uint64_t proc_start_time(pid_t pid)
{
    char stat[1024];
    if (file_read(pid, "stat", stat, sizeof stat) <= 0)
        return 0;
    char *at = strrchr(stat, ')'); /* the name before it may hold anything */
    uint64_t start = 0;
    if (!at || strncmp(at, ") Z", 3) == 0 || strncmp(at, ") X", 3) == 0)
        return 0;
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    return at && sscanf(at, " %" SCNu64, &start) == 1 ? start : 0;
}

int proc_has_argument(pid_t pid, const char *name, const char *value)
{
    char line[4096];
    ssize_t len = file_read(pid, "cmdline", line, sizeof line);
    for (const char *at = line; len > 0 && at < line + len; at += strlen(at) + 1) {
        if (strcmp(at, name) != 0)
            continue;
        const char *next = at + strlen(at) + 1;
        return !value || (next < line + len && strcmp(next, value) == 0);
    }
    return untold_or_no(len);
}

int proc_owner(pid_t pid, uid_t *owner)
{
    char status[4096];
    unsigned real, effective, saved, files;
    ssize_t len = file_read(pid, "status", status, sizeof status);
    if (len <= 0)
        return untold_or_no(len);
    const char *line = strstr(status, "\nUid:");
    if (!line || sscanf(line, "\nUid: %u %u %u %u", &real, &effective, &saved, &files) != 4)
        return 0;
    *owner = real;
    return real == effective && real == saved && real == files;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

int proc_runs(pid_t pid, const char *program)
{
    char link[64], file[PATH_MAX], found[PATH_MAX];
    snprintf(link, sizeof link, "/proc/%d/exe", (int)pid);
    ssize_t len = readlink(link, file, sizeof file - 1);
    if (len < 0)
        return untold_or_no(why_not());
    file[len] = '\0';
    size_t end = (size_t)len - strlen(DELETED);
    if (len > (ssize_t)strlen(DELETED) && strcmp(file + end, DELETED) == 0)
        file[end] = '\0';
    bool is_path = strchr(program, '/') && realpath(program, found);
    return strcmp(base_name(file), base_name(is_path ? found : program)) == 0;
}

static int pin(pid_t pid)
{
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd >= 0)
        return pidfd;
    return is_gone() ? PROC_GONE : PROC_UNTOLD;
}

int proc_open(pid_t pid, uint64_t start, const char *boot)
{
    char now[BOOT_ID_TEXT];
    proc_boot_id(now);
    if (pid <= 0 || start == 0 || (now[0] && strcmp(boot, now) != 0))
        return PROC_GONE;
    int pidfd = now[0] ? pin(pid) : PROC_UNTOLD;
    if (pidfd < 0)
        return pidfd;
    uint64_t found = proc_start_time(pid);
    bool has_ended = proc_wait(pidfd, 0);
    if (found == start && !has_ended)
        return pidfd;
    close(pidfd);
    return found || has_ended ? PROC_GONE : PROC_UNTOLD;
}

/* It is asked again once it is pinned: before, the number may have changed hands. */
static int open_if(pid_t pid, int (*is_it)(pid_t pid, const void *context), const void *context)
{
    int is = is_it(pid, context);
    int pidfd = is > 0 ? pin(pid) : is < 0 ? PROC_UNTOLD : PROC_GONE;
    if (pidfd < 0)
        return pidfd;
    is = is_it(pid, context);
    bool has_ended = proc_wait(pidfd, 0);
    if (is > 0 && !has_ended)
        return pidfd;
    close(pidfd);
    return is < 0 && !has_ended ? PROC_UNTOLD : PROC_GONE;
}

int proc_reap(pid_t pid, const char *name, int *status, struct error *err)
{
    invariant(pid > 0, "the end of process %d, %s, is waited for", (int)pid, name);
    while (waitpid(pid, status, 0) < 0)
        if (errno != EINTR)
            return error_sys(err, "cannot tell how %s ended", name);
    return 0;
}

int proc_find(int (*is_it)(pid_t pid, const void *context), const void *context, pid_t *pid)
{
    DIR *proc = opendir("/proc");
    int pidfd = PROC_GONE, none = proc ? PROC_GONE : PROC_UNTOLD;
    errno = 0;
    for (const struct dirent *entry; proc && pidfd < 0 && (entry = readdir(proc)); errno = 0) {
        *pid = (pid_t)strtol(entry->d_name, NULL, 10);
        pidfd = *pid > 0 ? open_if(*pid, is_it, context) : PROC_GONE;
        if (pidfd == PROC_UNTOLD)
            none = PROC_UNTOLD;
    }
    if (pidfd < 0 && errno)
        none = PROC_UNTOLD;
    if (proc)
        closedir(proc);
    return pidfd < 0 ? none : pidfd;
}

bool proc_wait(int pidfd, int64_t timeout_ms)
{
    invariant(pidfd >= 0 && timeout_ms >= 0, "pidfd %d is waited for %lld ms", pidfd,
              (long long)timeout_ms);
    struct pollfd poller = {.fd = pidfd, .events = POLLIN};
    int timeout = timeout_ms > WAIT_MAX_MS ? WAIT_MAX_MS : (int)timeout_ms;
    return poll(&poller, 1, timeout) > 0;
}

int proc_signal(int pidfd, int number)
{
    invariant(pidfd >= 0, "signal %d is sent to pidfd %d", number, pidfd);
    return (int)syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0);
}
