/* SPDX-License-Identifier: MPL-2.0 */
/* What SQLite maps is there before it is written to, or is not mapped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "reconciler/store/mapping.h"

enum { BYTES = 1 << 20 };

typedef void *(*map_call)(void *at, size_t len, int protection, int flags, int fd, off_t offset);

/* The one that SQLite calls. */
static void *map(int protection, int flags, int fd)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    mappings_reserve();
    errno = 0;
    return ((map_call)vfs->xGetSystemCall(vfs, "mmap"))(NULL, BYTES, protection, flags, fd, 0);
}

static int memory_file(unsigned seals)
{
    int fd = memfd_create("mapping", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_true(fd >= 0 && fcntl(fd, F_ADD_SEALS, seals) == 0);
    return fd;
}

static blkcnt_t blocks_of(int fd)
{
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    return st.st_blocks;
}

static void what_is_written_to_has_its_blocks(void **state)
{
    int fd = memory_file(0);
    (void)state;
    void *at = map(PROT_READ | PROT_WRITE, MAP_SHARED, fd);
    assert_true(at != MAP_FAILED);
    assert_int_equal(blocks_of(fd), BYTES / 512);
    munmap(at, BYTES);
    close(fd);
}

static void what_is_read_or_its_own_has_none(void **state)
{
    int fd = memory_file(F_SEAL_GROW);
    (void)state;
    void *read = map(PROT_READ, MAP_SHARED, fd);
    void *own = map(PROT_READ | PROT_WRITE, MAP_PRIVATE, fd);
    void *nameless = map(PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
    assert_true(read != MAP_FAILED && own != MAP_FAILED && nameless != MAP_FAILED);
    assert_int_equal(blocks_of(fd), 0);
    munmap(read, BYTES);
    munmap(own, BYTES);
    munmap(nameless, BYTES);
    close(fd);
}

static void without_blocks_there_is_no_mapping(void **state)
{
    int fd = memory_file(F_SEAL_GROW);
    (void)state;
    assert_true(map(PROT_READ | PROT_WRITE, MAP_SHARED, fd) == MAP_FAILED);
    assert_int_equal(errno, EPERM);
    close(fd);
}

/* It is mapped, and what comes of that is the file system's word. */
static void a_file_system_that_cannot_reserve_is_not_asked_to(void **state)
{
    int fd = open("/proc/self/comm", O_RDWR | O_CLOEXEC);
    (void)state;
    if (fd < 0 || fallocate(fd, 0, 0, BYTES) == 0 || errno != EOPNOTSUPP) {
        print_message("# SKIP this machine's /proc can be reserved in\n");
        skip();
    }
    assert_true(map(PROT_READ | PROT_WRITE, MAP_SHARED, fd) == MAP_FAILED);
    assert_int_not_equal(errno, EOPNOTSUPP);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_to_has_its_blocks),
        cmocka_unit_test(what_is_read_or_its_own_has_none),
        cmocka_unit_test(without_blocks_there_is_no_mapping),
        cmocka_unit_test(a_file_system_that_cannot_reserve_is_not_asked_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
