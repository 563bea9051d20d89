/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The record keeps for each setting what it was and what it was set to, and in which boot: a value
 * that is neither any more belongs to somebody else and is left alone, and after a reboot the
 * setting is what others have made it.
 */
#include "drivers/linux-vpc/sysctl.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "drivers/lib/proc.h"
#include "drivers/linux-vpc/records.h"
#include "model/arena.h"
#include "model/error.h"
#include "model/value.h"

enum { SYSCTL_MAX = 128 };

#define SYSCTL_FILE "sysctl.json"

/* <0 with errno. */
static int sysctl_read(const char *name, char value[SYSCTL_MAX])
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "/proc/sys/%s", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t got = read(fd, value, SYSCTL_MAX - 1);
    int failed = errno;
    close(fd);
    errno = failed;
    if (got < 0)
        return -1;
    value[got] = '\0';
    value[strcspn(value, "\n")] = '\0';
    return 0;
}

static int cannot_read(const char *name, struct error *err)
{
    return error_sys(err, "cannot read /proc/sys/%s", name);
}

int sysctl_look(const char *name, const char *value, struct error *err)
{
    char now[SYSCTL_MAX];
    if (sysctl_read(name, now) == 0)
        return strcmp(now, value) == 0;
    return errno == ENOENT ? 0 : cannot_read(name, err);
}

static bool sysctl_is(const char *name, const char *value)
{
    struct error ignored = ERROR_INIT;
    return sysctl_look(name, value, &ignored) == 1;
}

int sysctl_write(const char *name, const char *value, struct error *err)
{
    char path[PATH_MAX];
    if (sysctl_is(name, value))
        return 0;
    snprintf(path, sizeof path, "/proc/sys/%s", name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return error_sys(err, "cannot set %s", name);
    int result = 0;
    if (write(fd, value, strlen(value)) < 0)
        result = error_sys(err, "cannot set %s to %s", name, value);
    close(fd);
    return result;
}

static int sysctl_record(struct arena *arena, const char *own_dir, struct value **out,
                         struct error *err)
{
    const struct value *record;
    int result = records_read_file(arena, own_dir, ".", SYSCTL_FILE, &record, err);
    *out = value_is_map(record) ? value_copy(arena, record) : value_map(arena);
    return result;
}

static bool is_of_this_boot(const struct value *entry)
{
    char boot[BOOT_ID_TEXT];
    proc_boot_id(boot);
    return strcmp(value_get_text(entry, "boot", ""), boot) == 0;
}

static int sysctl_note(const char *own_dir, const char *name, const char *value, struct error *err)
{
    char before[SYSCTL_MAX], boot[BOOT_ID_TEXT];
    struct arena *arena = arena_new();
    struct value *record;
    int result = sysctl_record(arena, own_dir, &record, err);
    bool is_noted = result < 0 || is_of_this_boot(value_get(record, name));
    if (!is_noted && sysctl_read(name, before) < 0) {
        result = errno == ENOENT ? 0 : cannot_read(name, err);
    } else if (!is_noted) {
        struct value *entry = value_map(arena);
        proc_boot_id(boot);
        value_set_text(arena, entry, "boot", boot);
        value_set_text(arena, entry, "before", before);
        value_set_text(arena, entry, "set", value);
        value_set(arena, record, name, entry);
        result = records_write_file(own_dir, ".", SYSCTL_FILE, record, err);
    }
    arena_free(arena);
    return result;
}

int sysctl_change(const char *own_dir, const char *name, const char *value, struct error *err)
{
    if (sysctl_is(name, value))
        return 0;
    int result = sysctl_note(own_dir, name, value, err);
    return result < 0 ? result : sysctl_write(name, value, err);
}

int sysctl_restore(const char *own_dir, struct error *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", own_dir, SYSCTL_FILE);
    struct arena *arena = arena_new();
    struct value *record;
    int result = sysctl_record(arena, own_dir, &record, err);
    for (size_t i = 0; i < record->pair_count && result >= 0; i++) {
        const struct pair *pair = &record->pairs[i];
        if (!is_of_this_boot(pair->value))
            continue;
        result = sysctl_look(pair->key, value_get_text(pair->value, "set", ""), err);
        if (result == 1)
            result = sysctl_write(pair->key, value_get_text(pair->value, "before", ""), err);
    }
    arena_free(arena);
    if (result >= 0 && unlink(path) < 0 && errno != ENOENT)
        result = error_sys(err, "cannot remove %s", path);
    return result;
}
