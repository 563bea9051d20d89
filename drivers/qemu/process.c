/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Processes, told apart for certain: first a pidfd is taken, which pins the
 * process, and only then are start time, boot id and command line compared.
 */
#include "drivers/qemu/process.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "drivers/qemu/rundir.h"
#include "model/arena.h"
#include "model/error.h"
#include "model/json.h"
#include "model/text.h"
#include "model/value.h"

static ssize_t read_proc(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t got = read(fd, out, size - 1);
    close(fd);
    if (got >= 0)
        out[got] = '\0';
    return got;
}

uint64_t process_start_time(pid_t pid)
{
    char path[64], stat[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (read_proc(path, stat, sizeof stat) <= 0)
        return 0;
    char *at = strrchr(stat, ')'); /* the name before it may hold anything */
    uint64_t start = 0;
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    return at && sscanf(at, " %" SCNu64, &start) == 1 ? start : 0;
}

void process_boot_id(char out[BOOT_ID_TEXT])
{
    char text[64] = "";
    read_proc("/proc/sys/kernel/random/boot_id", text, sizeof text);
    text[strcspn(text, "\n")] = '\0';
    snprintf(out, BOOT_ID_TEXT, "%.36s", text);
}

static bool cmdline_has(pid_t pid, const char *uuid)
{
    char path[64], cmdline[4096];
    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    ssize_t len = read_proc(path, cmdline, sizeof cmdline);
    for (const char *at = cmdline; len > 0 && at < cmdline + len; at += strlen(at) + 1)
        if (strcmp(at, "-uuid") == 0)
            return at + 6 < cmdline + len && strcmp(at + 6, uuid) == 0;
    return false;
}

static const struct value *read_file(struct arena *arena, int dir_fd, const char *name)
{
    struct error ignored = ERROR_INIT;
    struct value *value;
    const char *text = rundir_read(arena, dir_fd, name, &ignored);
    if (!text || json_read(arena, text, strlen(text), &value, &ignored) < 0)
        return NULL;
    return value;
}

bool process_read(struct arena *arena, int dir_fd, struct process *process)
{
    const struct value *map = read_file(arena, dir_fd, "process.json");
    *process = (struct process){
        .pid = (pid_t)value_get_int(map, "pid", 0),
        .launcher = (pid_t)value_get_int(map, "launcher", 0),
        .start = (uint64_t)value_get_int(map, "start", 0),
        .launcher_start = (uint64_t)value_get_int(map, "launcherStart", 0),
        .since = value_get_int(map, "since", 0),
    };
    snprintf(process->boot, sizeof process->boot, "%s", value_get_text(map, "boot", ""));
    return process->pid > 0 && process->start > 0;
}

int process_write(int dir_fd, const struct process *process, struct error *err)
{
    char text[320];
    int len = snprintf(text, sizeof text,
                       "{\"pid\":%d,\"launcher\":%d,\"start\":%" PRIu64
                       ",\"launcherStart\":%" PRIu64 ",\"since\":%" PRId64 ",\"boot\":\"%s\"}\n",
                       (int)process->pid, (int)process->launcher, process->start,
                       process->launcher_start, process->since, process->boot);
    return rundir_write(dir_fd, "process.json", text, (size_t)len, err);
}

bool process_read_exit(struct arena *arena, int dir_fd, const struct process *process,
                       struct process_exit *out)
{
    const struct value *map = read_file(arena, dir_fd, "exit.json");
    if (!map || value_get_int(map, "pid", 0) != process->pid)
        return false;
    const struct value *event = value_get(map, "event");
    *out = (struct process_exit){
        .code = (int)value_get_int(map, "code", -1),
        .signal = (int)value_get_int(map, "signal", 0),
        .at = value_get_int(map, "at", 0),
        .event = value_get_text(event, "event", NULL),
        .reason = value_at_text(event, "data.reason", NULL),
    };
    return true;
}

/* What a torn or a hostile line would do to the file: nobody could read any of it. */
static bool is_json(const char *text)
{
    struct error ignored = ERROR_INIT;
    struct arena *arena = arena_new();
    struct value *value;
    bool reads = json_read(arena, text, strlen(text), &value, &ignored) == 0;
    arena_free(arena);
    return reads;
}

int process_write_exit(int dir_fd, pid_t pid, int wait_status, const char *event, struct error *err)
{
    struct text text = TEXT_INIT;
    text_printf(&text, "{\"pid\":%d,\"at\":%" PRId64, (int)pid, (int64_t)time(NULL));
    if (WIFSIGNALED(wait_status))
        text_printf(&text, ",\"signal\":%d", WTERMSIG(wait_status));
    else
        text_printf(&text, ",\"code\":%d", WEXITSTATUS(wait_status));
    text_printf(&text, ",\"event\":%s}\n", event && is_json(event) ? event : "null");
    int status = rundir_write(dir_fd, "exit.json", text.data, text.len, err);
    text_free(&text);
    return status;
}

static int open_same(pid_t pid, uint64_t start, const char *boot)
{
    char now[BOOT_ID_TEXT];
    process_boot_id(now);
    if (pid <= 0 || start == 0 || strcmp(now, boot) != 0)
        return -1;
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0)
        return -1;
    if (process_start_time(pid) == start && !process_wait(pidfd, 0))
        return pidfd;
    close(pidfd);
    return -1;
}

int process_open(const struct process *process, const char *uuid)
{
    int pidfd = open_same(process->pid, process->start, process->boot);
    if (pidfd < 0 || cmdline_has(process->pid, uuid))
        return pidfd;
    /* Between fork and exec it has no uuid yet, but a launcher that waits for it. */
    int launcher = process_open_launcher(process);
    if (launcher >= 0) {
        close(launcher);
        return pidfd;
    }
    close(pidfd);
    return -1;
}

int process_open_launcher(const struct process *process)
{
    return open_same(process->launcher, process->launcher_start, process->boot);
}

bool process_wait(int pidfd, int64_t timeout_ms)
{
    struct pollfd poller = {.fd = pidfd, .events = POLLIN};
    int timeout = timeout_ms > 3600000 ? 3600000 : (int)timeout_ms;
    return poll(&poller, 1, timeout) > 0;
}

void process_kill(int pidfd)
{
    syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
}

void process_close(int pidfd)
{
    close(pidfd);
}

pid_t process_find(const char *uuid)
{
    DIR *proc = opendir("/proc");
    pid_t found = 0;
    for (struct dirent *entry; proc && !found && (entry = readdir(proc));)
        if (isdigit((unsigned char)entry->d_name[0])) {
            pid_t pid = (pid_t)atoi(entry->d_name);
            if (cmdline_has(pid, uuid))
                found = pid;
        }
    if (proc)
        closedir(proc);
    return found;
}
