/* SPDX-License-Identifier: MPL-2.0 */
/* A rack on the file driver, which may have a small file system below it. */
#ifndef TESTS_DRIVER_FILE_RACK_H
#define TESTS_DRIVER_FILE_RACK_H

#include <sys/mount.h>
#include "tests/driver/rack.h"

static inline int setup(void **state)
{
    struct rack *rack = rack_new("file");
    rack_start(rack, NULL);
    *state = rack;
    return 0;
}

static inline int teardown(void **state)
{
    struct rack *rack = *state;
    umount2(arena_printf(rack->arena, "%s/small", rack->dir), MNT_DETACH);
    rack_free(rack);
    return 0;
}

/* A file system of so many bytes and names, which is gone with the rack. */
static inline void small_mount(struct rack *rack, const char *dir, const char *most)
{
    if (mkdir(dir, 0755) < 0 && errno != EEXIST)
        fail_msg("%s", dir);
    if (mount("tmpfs", dir, "tmpfs", 0, most) < 0) {
        print_message("# SKIP cannot mount a small tmpfs here\n");
        rack->started = NULL;
        skip();
    }
    assert_int_equal(chmod(dir, 0755), 0);
}

#endif
