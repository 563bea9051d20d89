/* SPDX-License-Identifier: MPL-2.0 */
/*
 * User ids of machines. A claim is a symbolic link <own dir>/users/<number> to the
 * instance's uid: made whole or not at all, by whoever comes first. A claim whose
 * instance is gone is taken over.
 */
#include "drivers/qemu/user.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/qemu/settings.h"
#include "drivers/spinel-driver.h"
#include "model/arena.h"
#include "model/digest.h"
#include "model/durable.h"
#include "model/native.h"

/* "nobody", whom others run programs as, and what 16 bits took for no user at all. */
enum { USERS_MAX = 10000, USER_NOBODY = 65534, USER_NONE = 65535 };

static const char *claim_path(struct spinel_host *host, int64_t user)
{
    return arena_printf(spinel_arena(host), "%s/users/%" PRId64, spinel_own_dir(host), user);
}

/* `dir` is that of the claims, or AT_FDCWD for a path. */
static bool claimed_by(int dir, const char *path, char owner[UID_TEXT])
{
    ssize_t len = readlinkat(dir, path, owner, UID_TEXT - 1);
    owner[len < 0 ? 0 : len] = '\0';
    return len >= 0;
}

static bool is_in_range(const struct settings *settings, int64_t user)
{
    return settings->user_base > 0 && user > settings->user_base &&
           user <= settings->user_base + USERS_MAX && user != USER_NOBODY && user != USER_NONE;
}

/* A machine that runs since before the setting was changed has a claim on what it runs as. */
bool user_is_machines(const struct settings *settings, const char *own_dir, int64_t user)
{
    char path[PATH_MAX], owner[UID_TEXT];
    snprintf(path, sizeof path, "%s/users/%" PRId64, own_dir, user);
    return is_in_range(settings, user) ||
           (claimed_by(AT_FDCWD, path, owner) && digest_is_uid(owner));
}

static bool is_stale(struct spinel_host *host, const char *owner)
{
    const char *dir = native_instance_dir(spinel_arena(host), spinel_state_dir(host), owner);
    return access(dir, F_OK) < 0 && errno == ENOENT;
}

int user_take(struct spinel_host *host, const struct settings *settings, const char *uid,
              int64_t *user, struct error *err)
{
    char owner[UID_TEXT];
    if (settings->user_base == 0) {
        *user = 0;
        return 0;
    }
    const char *dir = arena_printf(spinel_arena(host), "%s/users", spinel_own_dir(host));
    if (directory_make(dir, 0700, err) < 0)
        return err->code;
    for (int64_t next = settings->user_base + 1; next <= settings->user_base + USERS_MAX; next++) {
        const char *path = claim_path(host, next);
        if (!is_in_range(settings, next))
            continue;
        if (claimed_by(AT_FDCWD, path, owner) && strcmp(owner, uid) != 0 && is_stale(host, owner))
            unlink(path);
        if (symlink(uid, path) < 0 && errno != EEXIST)
            return error_sys(err, "cannot make %s", path);
        if (claimed_by(AT_FDCWD, path, owner) && strcmp(owner, uid) == 0) {
            *user = next;
            return 0;
        }
    }
    return error_set(err, ERR_UNSUPPORTED, "all %d user ids for machines are taken", USERS_MAX);
}

void user_give_back(struct spinel_host *host, const char *uid)
{
    char owner[UID_TEXT];
    DIR *dir = opendir(arena_printf(spinel_arena(host), "%s/users", spinel_own_dir(host)));
    for (const struct dirent *entry; dir && (entry = readdir(dir));)
        if (claimed_by(dirfd(dir), entry->d_name, owner) && strcmp(owner, uid) == 0)
            unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
}
