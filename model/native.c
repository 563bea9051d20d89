/* SPDX-License-Identifier: MPL-2.0 */
/* Names and places from uids: random digits, cut to what the kernel can hold. */
#include "model/native.h"

#include <stdio.h>
#include <string.h>

#include "model/arena.h"
#include "model/invariant.h"
#include "model/value.h"

char *native_link(const char *role, const char *uid, char out[16])
{
    invariant(strlen(role) == 3 && strlen(uid) >= 12, "%s of uid '%s'", role, uid);
    snprintf(out, 16, "%.3s%.12s", role, uid);
    return out;
}

char *native_mac(const char *uid, char out[18])
{
    invariant(strlen(uid) >= 10, "a MAC of uid '%s'", uid);
    snprintf(out, 18, "02:%.2s:%.2s:%.2s:%.2s:%.2s", uid, uid + 2, uid + 4, uid + 6, uid + 8);
    return out;
}

char *native_pool_dir(struct arena *arena, const char *state_dir, const char *name,
                      const struct value *pool)
{
    const char *path = value_get_text(pool, "path", NULL);

    if (path)
        return arena_text_n(arena, path, strlen(path));
    return arena_printf(arena, "%s/pools/%s", state_dir, pool && name ? name : "default");
}

char *native_volume_path(struct arena *arena, const char *pool_dir, const char *uid,
                         const char *format)
{
    return arena_printf(arena, "%s/%s.%s", pool_dir, uid, format);
}

char *native_instance_dir(struct arena *arena, const char *state_dir, const char *uid)
{
    return arena_printf(arena, "%s/instances/%s", state_dir, uid);
}

char *native_seed_path(struct arena *arena, const char *state_dir, const char *seed_uid)
{
    return arena_printf(arena, "%s/seeds/%s.img", state_dir, seed_uid);
}

char *native_image_path(struct arena *arena, const char *state_dir, const char *digest)
{
    const char *hex = strchr(digest, ':');

    return arena_printf(arena, "%s/images/%s", state_dir, hex ? hex + 1 : digest);
}
