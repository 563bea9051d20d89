/* SPDX-License-Identifier: MPL-2.0 */
/* A place for a target's files. It is removed when the process ends by itself. */
#include "tests/fuzz/fuzz.h"

#include <ftw.h>
#include <unistd.h>

static char made[4][64];
static size_t made_count;

static int entry_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void directories_remove(void)
{
    for (size_t i = 0; i < made_count; i++)
        nftw(made[i], entry_remove, 16, FTW_DEPTH | FTW_PHYS);
}

char *fuzz_directory(char *path)
{
    snprintf(path, 64, "%s/spinel-fuzz-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    if (!mkdtemp(path) || made_count == sizeof made / sizeof *made)
        abort();
    memcpy(made[made_count++], path, 64);
    if (made_count == 1)
        atexit(directories_remove);
    return path;
}
