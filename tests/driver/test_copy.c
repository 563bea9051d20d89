/* SPDX-License-Identifier: MPL-2.0 */
/* A copy is whole or an error, also on a disk that cannot tell where its holes are. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>
#include "drivers/lib/host.h"

static off_t lseek_failing(int fd, off_t at, int whence)
{
    if (whence != SEEK_HOLE)
        return lseek(fd, at, whence);
    errno = EIO;
    return -1;
}

#define lseek lseek_failing
#include "drivers/file/copy.c"
#undef lseek

static void a_hole_that_cannot_be_found_is_an_error(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    struct spinel_host host = {.deadline_ms = INT64_MAX, .call_fd = -1};
    int from = memfd_create("from", MFD_CLOEXEC), to = memfd_create("to", MFD_CLOEXEC);
    assert_int_equal(write(from, "bytes", 5), 5);
    assert_true(file_copy(&host, from, "from", to, &err) < 0);
    assert_int_equal(err.sys_errno, EIO);
    close(from);
    close(to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_hole_that_cannot_be_found_is_an_error)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
