/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Instances as QEMU processes, driven through QEMU's own monitor.
 *
 * The truth is a run directory for each instance and the process that its record
 * names. Processes outlive this driver and whoever started it: every call finds them
 * again by pid, start time, boot and uuid.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/qemu/canary.h"
#include "drivers/qemu/instance.h"
#include "drivers/qemu/live.h"
#include "drivers/qemu/look.h"
#include "drivers/qemu/power.h"
#include "drivers/qemu/process.h"
#include "drivers/qemu/rundir.h"
#include "drivers/qemu/settings.h"
#include "drivers/qemu/user.h"
#include "drivers/qemu/watch.h"
#include "drivers/spinel-driver.h"
#include "model/arena.h"
#include "model/digest.h"
#include "model/durable.h"
#include "model/native.h"
#include "model/value.h"

static struct settings settings;
static const char *own_dir;

/* Each machine that runs takes two descriptors of ours (watch.c), and there are a thousand of them
 * before there is anything else. */
static void raise_fd_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static bool is_machines_user(uid_t user)
{
    return user_is_machines(&settings, own_dir, user);
}

static int driver_start(struct spinel_host *host, const struct value *given, struct value *reply,
                        struct error *err)
{
    if (settings_read(spinel_arena(host), given, &settings, err) < 0)
        return err->code;
    value_set_text(spinel_arena(host), reply, "qemu", settings.binary);
    raise_fd_limit();
    own_dir = spinel_own_dir(host);
    process_trust(settings.binary, is_machines_user);
    accel_prepare(host, &settings);
    return watch_start(host, err);
}

static int list_one(struct spinel_host *host, struct spinel_list *list, const char *name,
                    struct error *err)
{
    struct instance instance;
    const char *uid = arena_text(spinel_arena(host), name);
    int status = digest_is_uid(uid) ? instance_open(host, uid, &instance, err) : ERR_DENIED;
    if (status == 0) {
        uint64_t epoch = (uint64_t)value_get_int(instance.owner, "epoch", 0);
        spinel_list_add(list, uid, epoch, instance_etag(&instance));
        instance_close(&instance);
        return 0;
    }
    if (status != ERR_DENIED && status != ERR_NOT_FOUND && status != ERR_CORRUPT &&
        status != ERR_CONFLICT)
        return status;
    spinel_list_unmanaged(list, "Instance", uid,
                          digest_is_uid(uid) ? err->message
                                             : "its name is not that of an instance");
    *err = (struct error)ERROR_INIT;
    return 0;
}

static int driver_list(struct spinel_host *host, struct spinel_list *list, struct error *err)
{
    const char *path = arena_printf(spinel_arena(host), "%s/instances", spinel_state_dir(host));
    DIR *dir = opendir(path);
    if (!dir && errno == ENOENT)
        return 0;
    if (!dir)
        return error_sys(err, "cannot list %s", path);
    int status = 0;
    errno = 0;
    for (struct dirent *entry; status == 0 && (entry = readdir(dir)); errno = 0)
        if (entry->d_name[0] != '.')
            status = list_one(host, list, entry->d_name, err);
    if (status == 0 && errno)
        status = error_sys(err, "cannot list %s", path);
    closedir(dir);
    return status;
}

static int driver_look(struct spinel_host *host, struct spinel_object *object, struct error *err)
{
    struct instance instance;
    int status = instance_open(host, object->uid, &instance, err);
    if (status == ERR_NOT_FOUND) {
        *err = (struct error)ERROR_INIT;
        object->absent = true;
        return 0;
    }
    if (status < 0)
        return status;
    status = instance_look(&instance, object, err);
    instance_close(&instance);
    return status;
}

/* ---- verbs -------------------------------------------------------------------------- */

static bool wants_power(const struct spinel_op *op)
{
    return strcmp(value_get_text(op->spec, "power", "on"), "on") == 0;
}

static int create(struct instance *instance, const struct spinel_op *op, struct error *err)
{
    return wants_power(op) ? power_on(instance, &settings, op, err) : 0;
}

static bool changes_power(const struct spinel_op *op)
{
    for (size_t i = 0; value_is_list(op->changed) && i < op->changed->count; i++)
        if (value_is_text(op->changed->items[i]) &&
            strcmp(op->changed->items[i]->text, "spec.power") == 0)
            return true;
    return false;
}

/* A machine that is off for its own reasons stays off until the step is about power. */
static int update(struct instance *instance, const struct spinel_op *op, struct error *err)
{
    bool was_running = instance->pidfd >= 0;
    if (changes_power(op)) {
        int status = wants_power(op) ? power_on(instance, &settings, op, err)
                                     : power_off(instance, stop_read(op, instance), err);
        if (status < 0 || !wants_power(op))
            return status;
    }
    return was_running ? live_update(instance, op, err) : 0;
}

static int restart(struct instance *instance, const struct spinel_op *op, struct error *err)
{
    if (power_off(instance, stop_read(op, instance), err) < 0)
        return err->code;
    return create(instance, op, err);
}

static int keep(struct instance *instance, const struct spinel_op *op, struct error *err)
{
    instance_tag(instance, op);
    return instance_save(instance, err);
}

/* Who made its directory may have died before there was a record in it, and who removed it before
 * that was durable. */
static int absent(const char *dir, struct error *err)
{
    *err = (struct error)ERROR_INIT;
    rmdir(dir);
    return parent_sync(dir, err);
}

static int destroy(struct spinel_host *host, const struct spinel_op *op, struct error *err)
{
    struct instance instance;
    int status = instance_open(host, op->uid, &instance, err);
    if (status == ERR_NOT_FOUND)
        return absent(native_instance_dir(spinel_arena(host), spinel_state_dir(host), op->uid),
                      err);
    if (status < 0)
        return status;
    status = power_off(&instance, stop_read(op, &instance), err);
    if (status == 0)
        status = rundir_remove(instance.dir, instance.dir_fd, err);
    if (status == 0)
        user_give_back(host, instance.uid);
    instance_close(&instance);
    return status;
}

/* A volume that a running instance holds is grown through it. */
static int grow_volume(struct spinel_host *host, const struct spinel_op *op, struct error *err)
{
    const struct value *holders = value_get(op->refs, "Instance");
    int64_t bytes = value_get_int(op->spec, "size", 0);
    for (size_t i = 0; value_is_map(holders) && i < holders->pair_count; i++) {
        struct instance instance;
        const char *uid = value_get_text(holders->pairs[i].value, "uid", "");
        *err = (struct error)ERROR_INIT;
        int status = instance_open(host, uid, &instance, err);
        if (status == ERR_NOT_FOUND)
            continue;
        if (status < 0)
            return status;
        status = instance.pidfd < 0 ? ERR_NOT_FOUND : live_grow(&instance, op->uid, bytes, err);
        instance_close(&instance);
        if (status != ERR_NOT_FOUND)
            return status;
    }
    error_set(err, ERR_CONFLICT, "no running instance holds volume %s", op->name);
    return error_hint(err, "Its own driver can grow it while no instance runs with it.");
}

static int driver_apply(struct spinel_host *host, const struct spinel_op *op, struct error *err)
{
    static int (*const verbs[])(struct instance *, const struct spinel_op *, struct error *) = {
        [SPINEL_CREATE] = create, [SPINEL_UPDATE] = update, [SPINEL_RESTART] = restart,
        [SPINEL_RELEASE] = keep,  [SPINEL_ADOPT] = keep,
    };
    struct instance instance;
    if (strcmp(op->kind, "Volume") == 0)
        return grow_volume(host, op, err);
    if (op->verb == SPINEL_DELETE)
        return destroy(host, op, err);
    int status =
        op->verb == SPINEL_CREATE || op->verb == SPINEL_RESTART || op->verb == SPINEL_UPDATE
            ? instance_make(host, op, &instance, err)
            : instance_open(host, op->uid, &instance, err);
    if (status < 0)
        return status;
    status = verbs[op->verb](&instance, op, err);
    if (status == 0 && instance.has_new_tag) /* nothing that it did was written down with it */
        status = instance_save(&instance, err);
    instance_close(&instance);
    return status;
}

static const struct spinel_driver driver = {
    .name = "qemu",
    .version = "1",
    .kinds = "Instance",
    .start = driver_start,
    .list = driver_list,
    .look = driver_look,
    .apply = driver_apply,
    .watch_fd = watch_fd,
    .watch = watch_ready,
};

SPINEL_DRIVER(driver)
