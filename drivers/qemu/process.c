/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Processes, told apart for certain: by lib/proc.h, and by the uuid on the command line.
 */
#include "drivers/qemu/process.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "drivers/lib/proc.h"
#include "drivers/qemu/rundir.h"
#include "model/arena.h"
#include "model/durable.h"
#include "model/error.h"
#include "model/json.h"
#include "model/text.h"
#include "model/value.h"

#define UUID_OPTION "-uuid"

/* Who runs machines, and what, if we do ourselves. */
static const char *own_program;
static bool (*is_machines)(uid_t user);

void process_trust(const char *program, bool (*is_machines_user)(uid_t user))
{
    own_program = program;
    is_machines = is_machines_user;
}

/* NULL with an error: it cannot be read. What was never whole is as if it were not there. */
static const struct value *read_file(struct arena *arena, int dir_fd, const char *name,
                                     struct error *err)
{
    struct error why = ERROR_INIT;
    struct value *value;
    const char *text = rundir_read(arena, dir_fd, name, &why);
    if (!text && why.code != ERR_NOT_FOUND && why.code != ERR_CORRUPT)
        *err = why;
    if (!text || json_read(arena, text, strlen(text), &value, &why) < 0)
        return NULL;
    return value;
}

int process_read(struct arena *arena, int dir_fd, struct process *process, struct error *err)
{
    const struct value *map = read_file(arena, dir_fd, "process.json", err);
    *process = (struct process){
        .pid = (pid_t)value_get_int(map, "pid", 0),
        .launcher = (pid_t)value_get_int(map, "launcher", 0),
        .start = (uint64_t)value_get_int(map, "start", 0),
        .launcher_start = (uint64_t)value_get_int(map, "launcherStart", 0),
        .since = value_get_int(map, "since", 0),
    };
    snprintf(process->boot, sizeof process->boot, "%s", value_get_text(map, "boot", ""));
    if (err->code != ERR_NONE)
        return err->code;
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
    return file_replace(dir_fd, "process.json", text, (size_t)len, err);
}

bool process_read_exit(struct arena *arena, int dir_fd, const struct process *process,
                       struct process_exit *out)
{
    struct error ignored = ERROR_INIT;
    const struct value *map = read_file(arena, dir_fd, "exit.json", &ignored);
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
    int status = file_replace(dir_fd, "exit.json", text.data, text.len, err);
    text_free(&text);
    return status;
}

int process_open(const struct process *process, const char *uuid)
{
    int pidfd = proc_open(process->pid, process->start, process->boot);
    if (pidfd < 0 || proc_has_argument(process->pid, UUID_OPTION, uuid) > 0)
        return pidfd;
    /* Between fork and exec it has no uuid yet, but a launcher that waits for it; without one it
     * ends. */
    int launcher = process_open_launcher(process);
    if (launcher >= 0) {
        close(launcher);
        return pidfd;
    }
    bool has_ended = proc_wait(pidfd, 0);
    close(pidfd);
    return has_ended ? PROC_GONE : PROC_UNTOLD;
}

int process_open_launcher(const struct process *process)
{
    return proc_open(process->launcher, process->launcher_start, process->boot);
}

/* The uuid is no secret, and whoever bears it keeps a machine from being started: none but a
 * process of a user that only machines run as, or a QEMU of our own user's, is believed. */
static int is_machine(pid_t pid, const void *uuid)
{
    uid_t owner;
    int is = proc_has_argument(pid, UUID_OPTION, uuid);
    if (is > 0)
        is = proc_owner(pid, &owner);
    if (is <= 0 || is_machines(owner))
        return is;
    return owner == geteuid() ? proc_runs(pid, own_program) : 0;
}

int process_find(const char *uuid, pid_t *pid, struct error *err)
{
    int pidfd = own_program ? proc_find(is_machine, uuid, pid) : PROC_GONE;
    if (pidfd == PROC_UNTOLD)
        return error_set(err, ERR_BUSY, "it cannot be told whether a process runs machine %s",
                         uuid);
    if (pidfd < 0)
        *pid = 0;
    else
        close(pidfd);
    return 0;
}
