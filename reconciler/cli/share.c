/* SPDX-License-Identifier: MPL-2.0 */
/* Files that come with the program. The Makefile puts the small ones into it. */
#include "reconciler/cli/share.h"

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include "model/invariant.h"

struct share_file {
    const char *name, *text;
    size_t len;
};

/* Made by model/embed.sh. */
extern const struct share_file share_files[];
extern const uint64_t share_files_count;

const char *share_text(const char *name)
{
    uint64_t at = 0;

    while (at < share_files_count && strcmp(share_files[at].name, name) != 0)
        at++;
    invariant(at < share_files_count, "the Makefile does not embed %s", name);
    return share_files[at].text;
}

const char *share_program(struct arena *arena)
{
    char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof(path));

    return len > 0 ? arena_text_n(arena, path, (size_t)len) : "spinel";
}

const char *share_find(struct arena *arena, const char *tree, const char *installed)
{
    const char *program = share_program(arena);
    const char *slash = strrchr(program, '/');
    int len = slash ? (int)(slash - program) : 0;
    const char *path = arena_printf(arena, "%.*s/../%s", len, program, tree);

    if (access(path, F_OK) == 0)
        return path;
    path = arena_printf(arena, "%.*s/../share/spinel/%s", len, program, installed);
    return access(path, F_OK) == 0 ? path : NULL;
}
