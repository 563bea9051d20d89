/* SPDX-License-Identifier: MPL-2.0 */
#include "drivers/qemu/settings.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/arena.h"
#include "model/error.h"
#include "model/value.h"

static const char *find_program(struct arena *arena, const char *name)
{
    if (strchr(name, '/'))
        return access(name, X_OK) == 0 ? name : NULL;
    const char *path = getenv("PATH");
    for (const char *at = path ? path : "/usr/local/bin:/usr/bin:/bin"; *at;) {
        size_t len = strcspn(at, ":");
        const char *file = arena_printf(arena, "%.*s/%s", (int)len, at, name);
        if (len > 0 && access(file, X_OK) == 0)
            return file;
        at += len + (at[len] == ':');
    }
    return NULL;
}

static int check_range(const char *name, int64_t number, int64_t least, int64_t most,
                       struct error *err)
{
    if (number >= least && number <= most)
        return 0;
    return error_set(err, ERR_INVALID, "setting %s of driver qemu is not %lld to %lld", name,
                     (long long)least, (long long)most);
}

int settings_read(struct arena *arena, const struct value *value, struct settings *settings,
                  struct error *err)
{
    const char *name = value_get_text(value, "qemu", "qemu-system-x86_64");
    struct settings read = {
        .binary = find_program(arena, name),
        .user_base = value_get_int(value, "uidBase", 64000),
        .spare_ports = value_get_int(value, "sparePorts", 8),
        .canary_ms = value_get_int(value, "canaryTimeout", 5000),
        .firmware = value_get_text(value, "firmware", "/usr/share/OVMF/OVMF_CODE_4M.fd"),
        .variables = value_get_text(value, "firmwareVariables", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    };
    if (!read.binary) {
        error_set(err, ERR_UNSUPPORTED, "%s is not installed", name);
        return error_hint(err, "Install it (Debian: apt install qemu-system-x86), or set `qemu` in "
                               "the settings of this driver.");
    }
    if (check_range("uidBase", read.user_base, 0, 2000000000, err) < 0 ||
        check_range("sparePorts", read.spare_ports, 0, 32, err) < 0 ||
        check_range("canaryTimeout", read.canary_ms, 100, 60000, err) < 0)
        return err->code;
    if (geteuid() != 0)
        read.user_base = 0; /* development: nothing to become */
    *settings = read;
    return 0;
}
