/* SPDX-License-Identifier: MPL-2.0 */
#include "drivers/qemu/instance.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "drivers/qemu/argv.h"
#include "drivers/qemu/qmp.h"
#include "drivers/qemu/rundir.h"
#include "drivers/spinel-driver.h"
#include "model/arena.h"
#include "model/durable.h"
#include "model/error.h"
#include "model/json.h"
#include "model/native.h"
#include "model/value.h"

static void instance_init(struct spinel_host *host, const char *uid, struct instance *instance)
{
    struct arena *arena = spinel_arena(host);
    *instance = (struct instance){
        .host = host,
        .arena = arena,
        .uid = uid,
        .dir = native_instance_dir(arena, spinel_state_dir(host), uid),
        .dir_fd = -1,
        .pidfd = -1,
        .machine = {.uid = uid},
    };
    argv_uuid(uid, instance->uuid);
}

static int record_read(struct instance *instance, struct error *err)
{
    struct arena *arena = instance->arena;
    struct value *record;
    const char *text = rundir_read(arena, instance->dir_fd, "record.json", err);
    if (!text)
        return err->code;
    if (json_read(arena, text, strlen(text), &record, err) < 0)
        return error_set(err, ERR_CORRUPT, "%s/record.json is not JSON", instance->dir);
    instance->tag = value_get_text(record, "tag", "");
    instance->owner = spinel_tag_read(instance->host, instance->tag, instance->uid);
    if (!instance->owner) {
        error_set(err, ERR_DENIED, "%s bears no tag of this rack", instance->dir);
        return error_hint(err, "It was made by someone else or copied; nothing touches it.");
    }
    instance->user = value_get_int(record, "user", 0);
    instance->accel_used = value_at_text(record, "accel.used", NULL);
    instance->accel_reason = value_at_text(record, "accel.reason", NULL);
    instance->stopping_since = value_get_int(record, "stoppingSince", 0);
    instance->booted = value_get(record, "booted");
    return machine_read(value_get(record, "machine"), &instance->machine, err);
}

int instance_refresh(struct instance *instance, struct error *err)
{
    if (instance->pidfd >= 0)
        close(instance->pidfd);
    instance->pidfd = -1;
    int is_read = process_read(instance->arena, instance->dir_fd, &instance->process, err);
    instance->has_process = is_read == 1;
    int pidfd = is_read == 1 ? process_open(&instance->process, instance->uuid) : PROC_GONE;
    if (pidfd == PROC_UNTOLD)
        return error_set(err, ERR_BUSY, "it cannot be told whether QEMU, process %d, still runs",
                         (int)instance->process.pid);
    instance->pidfd = pidfd;
    return is_read < 0 ? is_read : 0;
}

/* Without its record a machine may still run: a second one on its disks would destroy them. */
static int not_there(const struct instance *instance, struct error *err)
{
    pid_t pid;
    if (err->code != ERR_NOT_FOUND || process_find(instance->uuid, &pid, err) < 0 || !pid)
        return err->code;
    error_set(err, ERR_CONFLICT, "process %d runs this machine, but its record in %s is gone",
              (int)pid, instance->dir);
    return error_hint(err, "Put the record back, or end the process; then the machine is started "
                           "anew.");
}

int instance_open(struct spinel_host *host, const char *uid, struct instance *instance,
                  struct error *err)
{
    instance_init(host, uid, instance);
    if (rundir_open(instance->dir, &instance->dir_fd, err) < 0)
        return not_there(instance, err);
    if (record_read(instance, err) < 0) {
        instance_close(instance);
        return not_there(instance, err);
    }
    if (instance_refresh(instance, err) < 0) {
        instance_close(instance);
        return err->code;
    }
    return 0;
}

int instance_make(struct spinel_host *host, const struct spinel_op *op, struct instance *instance,
                  struct error *err)
{
    int status = instance_open(host, op->uid, instance, err);
    if (status == 0)
        instance_tag(instance, op);
    if (status != ERR_NOT_FOUND)
        return status;
    instance_init(host, op->uid, instance);
    if (rundir_make(instance->dir, &instance->dir_fd, err) < 0)
        return err->code;
    *err = (struct error)ERROR_INIT;
    instance_tag(instance, op);
    if (instance_save(instance, err) < 0) {
        instance_close(instance);
        return err->code;
    }
    return 0;
}

void instance_close(struct instance *instance)
{
    if (instance->dir_fd >= 0)
        close(instance->dir_fd);
    if (instance->pidfd >= 0)
        close(instance->pidfd);
    instance->dir_fd = instance->pidfd = -1;
}

void instance_tag(struct instance *instance, const struct spinel_op *op)
{
    instance->tag = spinel_tag_make(instance->host, op, instance->uid, NULL);
    instance->owner = spinel_tag_read(instance->host, instance->tag, instance->uid);
    instance->has_new_tag = true;
}

int instance_save(struct instance *instance, struct error *err)
{
    struct arena *arena = instance->arena;
    /* An instance that never ran has no machine yet, but a record all the same. */
    if (!instance->machine.type)
        instance->machine.type = instance->machine.accel = "";
    struct value *record = value_map(arena);
    value_set_text(arena, record, "tag", instance->tag);
    value_set_int(arena, record, "user", instance->user);
    struct value *accel = value_set(arena, record, "accel", value_map(arena));
    value_set_text(arena, accel, "used", instance->accel_used);
    value_set_text(arena, accel, "reason", instance->accel_reason);
    value_set_int(arena, record, "stoppingSince", instance->stopping_since);
    value_set(arena, record, "machine", machine_value(arena, &instance->machine));
    value_set(arena, record, "booted",
              instance->booted ? value_copy(arena, instance->booted) : NULL);
    const char *text = json_text(arena, record);
    if (file_replace(instance->dir_fd, "record.json", text, strlen(text), err) < 0)
        return error_wrap(err, "%s", instance->dir);
    instance->has_new_tag = false;
    return 0;
}

int instance_monitor(struct instance *instance, int64_t timeout_ms, struct qmp **qmp,
                     struct error *err)
{
    int64_t left_ms = spinel_remaining_ms(instance->host);
    if (timeout_ms > left_ms)
        timeout_ms = left_ms;
    int status = qmp_open(instance->arena, instance->dir_fd, "qmp.sock", timeout_ms, qmp, err);
    if (status == ERR_NOT_FOUND) {
        error_set(err, ERR_BUSY, "process %d runs, but its monitor is gone",
                  (int)instance->process.pid);
        error_hint(err, "Someone removed qmp.sock from %s; stop the machine from within.",
                   instance->dir);
    }
    return status < 0 ? err->code : 0;
}

bool instance_is_emulated(const struct instance *instance)
{
    return instance->accel_used && strcmp(instance->accel_used, "tcg") == 0;
}

const char *instance_last_words(const struct instance *instance)
{
    struct error ignored = ERROR_INIT;
    char *text = rundir_read(instance->arena, instance->dir_fd, "qemu.log", &ignored);
    if (!text)
        return "";
    size_t len = strlen(text);
    while (len > 0 && text[len - 1] == '\n')
        text[--len] = '\0';
    char *line = strrchr(text, '\n');
    return line ? line + 1 : text;
}
