/* SPDX-License-Identifier: MPL-2.0 */
/* What git says to its hooks of a push: lines of two ids and a reference. */
#include <sys/mman.h>
#include <unistd.h>
#include "reconciler/source/receive.h"
#include "tests/fuzz/fuzz.h"

static bool is_id(const char *id)
{
    size_t len = id ? strspn(id, "0123456789abcdef") : 40;
    return (len == 40 || len == 64) && (!id || id[len] == '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    struct arena *arena = arena_new();
    struct ref_update *updates = NULL;
    struct error err = ERROR_INIT;
    size_t count = 0;
    fd = fd < 0 ? memfd_create("lines", MFD_CLOEXEC) : fd;
    MUST(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
    MUST(lseek(fd, 0, SEEK_SET) == 0);
    if (receive_read(arena, fd, &updates, &count, &err) < 0)
        MUST(err.message[0]);
    for (size_t i = 0; i < count; i++) {
        MUST(updates[i].ref && updates[i].ref[0] && !strchr(updates[i].ref, '\n'));
        MUST(is_id(updates[i].old) && is_id(updates[i].new));
    }
    arena_free(arena);
    return 0;
}
