/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Starting. Everything that QEMU will use is opened here, as root and by name, so
 * that what is missing is said in a sentence before anything runs. Then the record is
 * written, the launcher started, and the machine, still before its first instruction,
 * is set up through its monitor and let go. A call that dies in between leaves a
 * machine that waits, and the next call lets it go.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/lib/proc.h"
#include "drivers/qemu/argv.h"
#include "drivers/qemu/canary.h"
#include "drivers/qemu/instance.h"
#include "drivers/qemu/launch.h"
#include "drivers/qemu/power.h"
#include "drivers/qemu/qmp.h"
#include "drivers/qemu/rundir.h"
#include "drivers/qemu/settings.h"
#include "drivers/qemu/tap.h"
#include "drivers/qemu/user.h"
#include "drivers/spinel-driver.h"
#include "model/arena.h"
#include "model/durable.h"
#include "model/value.h"

enum { GREETING_MS = 20000 };

struct opened {
    struct launch_fd fds[FD_END];
    size_t count;
};

static void opened_add(struct opened *opened, int from, int to)
{
    opened->fds[opened->count++] = (struct launch_fd){.from = from, .to = to};
}

static void opened_close(struct opened *opened)
{
    for (size_t i = 0; i < opened->count; i++)
        close(opened->fds[i].from);
    opened->count = 0;
}

static int open_file(struct opened *opened, const char *what, const char *path, int flags, int to,
                     struct error *err)
{
    int fd = open(path, flags | O_CLOEXEC | O_NOCTTY);
    if (fd >= 0) {
        opened_add(opened, fd, to);
        return 0;
    }
    if (errno == ENOENT) {
        error_set(err, ERR_NOT_FOUND, "%s: %s is not there", what, path);
        return error_hint(err, "The volume driver makes it; see the status of %s.", what);
    }
    error_sys(err, "%s: cannot open %s", what, path);
    return err->code;
}

/* QEMU opens kernels once more, by /proc/self/fd, so its group has to be let in. */
static int open_kernel(struct opened *opened, const char *what, const char *path, gid_t group,
                       int to, struct error *err)
{
    struct stat st;
    if (!path)
        return 0;
    if (open_file(opened, what, path, O_RDONLY, to, err) < 0)
        return err->code;
    int fd = opened->fds[opened->count - 1].from;
    if (group == 0 || fstat(fd, &st) < 0 || (st.st_mode & S_IROTH))
        return 0;
    if (fchown(fd, (uid_t)-1, group) < 0 || fchmod(fd, (st.st_mode & 0777) | S_IRGRP) < 0)
        return error_sys(err, "%s: cannot let the machine read %s", what, path);
    return 0;
}

static int open_listeners(struct instance *instance, struct opened *opened, struct error *err)
{
    static const struct {
        const char *name;
        int to;
    } sockets[] = {{"qmp.sock", FD_CONTROL}, {"event.sock", FD_EVENTS}, {"serial.sock", FD_SERIAL}};
    for (size_t i = 0; i < sizeof sockets / sizeof sockets[0]; i++) {
        int fd = -1;
        if (sockets[i].to == FD_SERIAL && !instance->machine.serial)
            continue;
        if (rundir_listen(instance->dir_fd, sockets[i].name, &fd, err) < 0)
            return error_wrap(err, "%s", instance->dir);
        opened_add(opened, fd, sockets[i].to);
    }
    int log =
        openat(instance->dir_fd, "serial.log", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (log < 0)
        return error_sys(err, "cannot open %s/serial.log", instance->dir);
    opened_add(opened, log, FD_SERIAL_LOG);
    return 0;
}

static int open_devices(struct instance *instance, struct opened *opened, struct error *err)
{
    struct machine *machine = &instance->machine;
    for (size_t i = 0; i < machine->disk_count; i++) {
        const struct disk *disk = &machine->disks[i];
        const char *what =
            arena_printf(instance->arena, "disk %s (volume %s)", disk->name, disk->volume);
        if (open_file(opened, what, disk->path, disk->read_only ? O_RDONLY : O_RDWR,
                      FD_DISKS + disk->slot, err) < 0)
            return err->code;
    }
    for (size_t i = 0; i < machine->nic_count; i++) {
        struct nic *nic = &machine->nics[i];
        int fd = -1;
        if (tap_open(nic->netns, nic->tap, &fd, err) < 0)
            return error_wrap(err, "NIC %s", nic->name);
        nic->fd = FD_NICS + nic->slot;
        opened_add(opened, fd, nic->fd);
    }
    if (machine->seed)
        return open_file(opened, "the cloud-init seed", machine->seed, O_RDONLY, FD_SEED, err);
    return 0;
}

static int bytes_copy(int from, int to)
{
    char buffer[65536];
    ssize_t got;
    while ((got = read(from, buffer, sizeof buffer)) > 0)
        if (write_all(to, buffer, (size_t)got) < 0)
            return -1;
    return (int)got;
}

static int variables_make(const struct instance *instance, const char *from_path, struct error *err)
{
    static const char own[] = "variables.fd", draft[] = ".variables.fd";
    int result = 0, to = -1, dir = instance->dir_fd;
    int from = open(from_path, O_RDONLY | O_CLOEXEC);
    if (from < 0 || (to = fresh_open(dir, draft, O_WRONLY)) < 0 || bytes_copy(from, to) < 0 ||
        fsync(to) < 0 || renameat(dir, draft, dir, own) < 0 || fsync(dir) < 0)
        result = error_sys(err, "cannot copy %s to %s/%s", from_path, instance->dir, own);
    if (from >= 0)
        close(from);
    if (to >= 0)
        close(to);
    return result;
}

/* The variables of the firmware are the machine's own and outlive its processes. */
static int open_variables(struct instance *instance, const struct settings *settings,
                          struct opened *opened, struct error *err)
{
    const char *own = arena_printf(instance->arena, "%s/variables.fd", instance->dir);
    if (access(own, F_OK) < 0 && variables_make(instance, settings->variables, err) < 0)
        return err->code;
    return open_file(opened, "the firmware's variables", own, O_RDWR, FD_VARIABLES, err);
}

static int open_firmware(struct instance *instance, const struct settings *settings,
                         struct opened *opened, struct error *err)
{
    if (!instance->machine.uefi)
        return 0;
    if (access(settings->firmware, R_OK) < 0 || access(settings->variables, R_OK) < 0) {
        error_set(err, ERR_UNSUPPORTED, "UEFI firmware %s or %s is not there", settings->firmware,
                  settings->variables);
        return error_hint(err, "Install it (Debian: apt install ovmf), or set `firmware` and "
                               "`firmwareVariables` of driver qemu.");
    }
    if (open_file(opened, "the firmware", settings->firmware, O_RDONLY, FD_FIRMWARE, err) < 0)
        return err->code;
    return open_variables(instance, settings, opened, err);
}

static int open_all(struct instance *instance, const struct settings *settings,
                    struct opened *opened, struct error *err)
{
    const struct machine *machine = &instance->machine;
    gid_t group = instance->user ? (gid_t)settings->user_base : 0;
    if (open_devices(instance, opened, err) < 0 ||
        open_firmware(instance, settings, opened, err) < 0 ||
        open_kernel(opened, "the kernel", machine->kernel, group, FD_KERNEL, err) < 0 ||
        open_kernel(opened, "the initial RAM disk", machine->initrd, group, FD_INITRD, err) < 0)
        return err->code;
    return open_listeners(instance, opened, err);
}

/* cloud-init's user-data is sensitive and never written down. */
static const struct value *frozen_spec(struct arena *arena, const struct value *spec)
{
    struct value *frozen = value_copy(arena, spec);
    value_unset(frozen, "cloudInit");
    return frozen;
}

static int prepare(struct instance *instance, const struct settings *settings,
                   const struct spinel_op *op, struct error *err)
{
    struct machine wanted;
    struct accel accel;
    if (machine_from_op(instance->arena, spinel_state_dir(instance->host), op, &wanted, err) < 0 ||
        accel_choose(instance->host, settings, wanted.accel, &accel, err) < 0 ||
        user_take(instance->host, settings, instance->uid, &instance->user, err) < 0)
        return err->code;
    wanted.spare_ports = (int)settings->spare_ports;
    machine_place(&wanted, &instance->machine);
    instance->machine = wanted;
    instance->accel_used = accel.used;
    instance->accel_reason = accel.reason;
    instance->booted = frozen_spec(instance->arena, op->spec);
    instance->stopping_since = 0;
    return 0;
}

static int refuse_twin(const struct instance *instance, struct error *err)
{
    pid_t pid;
    if (process_find(instance->uuid, &pid, err) < 0)
        return err->code;
    if (pid == 0)
        return 0;
    error_set(err, ERR_CONFLICT, "process %d already runs a machine with uuid %s", (int)pid,
              instance->uuid);
    return error_hint(err, "It is not in our record: end it, and its disks are free again.");
}

static int set_link(struct qmp *qmp, struct arena *arena, const struct nic *nic, struct error *err)
{
    char id[SLOT_ID];
    struct value *arguments = value_map(arena);
    value_set_text(arena, arguments, "name", nic_id(nic, id));
    value_set_bool(arena, arguments, "up", nic->connected);
    return qmp_call(qmp, "set_link", arguments, NULL, err);
}

/* From "waits before its first instruction" to "runs". */
static int let_go(struct instance *instance, struct error *err)
{
    struct qmp *qmp;
    const struct value *status;
    if (instance_monitor(instance, GREETING_MS, &qmp, err) < 0)
        return err->code;
    int result = qmp_call(qmp, "query-status", NULL, &status, err);
    if (result == 0 && strcmp(value_get_text(status, "status", ""), "prelaunch") == 0) {
        for (size_t i = 0; result == 0 && i < instance->machine.nic_count; i++)
            if (!instance->machine.nics[i].connected)
                result = set_link(qmp, instance->arena, &instance->machine.nics[i], err);
        if (result == 0)
            result = qmp_call(qmp, "cont", NULL, NULL, err);
    }
    qmp_close(qmp);
    return result;
}

static int first_words(struct instance *instance, struct error *err)
{
    if (let_go(instance, err) == 0)
        return 0;
    if (proc_wait(instance->pidfd, 1000)) {
        error_set(err, ERR_SYSTEM, "QEMU ended at once: %s", instance_last_words(instance));
        error_hint(err, "All that it said is in %s/qemu.log.", instance->dir);
    }
    return err->code;
}

int power_on(struct instance *instance, const struct settings *settings, const struct spinel_op *op,
             struct error *err)
{
    struct opened opened = {.count = 0};
    if (instance->pidfd >= 0)
        return first_words(instance, err);
    if (refuse_twin(instance, err) < 0 || prepare(instance, settings, op, err) < 0)
        return err->code;
    int status = open_all(instance, settings, &opened, err);
    if (status == 0)
        status = instance_save(instance, err);
    if (status == 0) {
        unlinkat(instance->dir_fd, "exit.json", 0);
        struct launch launch = {
            .argv = argv_build(instance->arena, settings->binary, instance->accel_used,
                               &instance->machine),
            .dir_fd = instance->dir_fd,
            .user = (uid_t)instance->user,
            .group = instance->user ? (gid_t)settings->user_base : 0,
            .fds = opened.fds,
            .fd_count = opened.count,
        };
        status = launch_start(&launch, &instance->process, err);
    }
    opened_close(&opened);
    if (status < 0)
        return status;
    if (instance_refresh(instance, err) < 0)
        return err->code;
    if (instance->pidfd < 0)
        return error_set(err, ERR_SYSTEM, "QEMU ended at once: %s", instance_last_words(instance));
    return first_words(instance, err);
}
