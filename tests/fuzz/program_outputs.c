/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What programs print that a driver runs: qemu-img of an image whose header was let through, and
 * whatever else in place of that. The first byte is the status it ends with, 0 for success. What
 * is accepted is a description of one image that leads to no other file.
 */
#include <sys/mman.h>
#include "model/value.h"
#include "tests/fuzz/fuzz.h"

#include "drivers/lib/run.c"
#define spinel_run told_run
static int told_run(struct spinel_host *host, const char *const argv[], char **output,
                    struct error *err);
#include "drivers/file/qcow2.c"
#undef spinel_run

static struct {
    const uint8_t *data;
    size_t size;
    int status;
} told;

/* As spinel_run(), but for the process. */
static int told_run(struct spinel_host *host, const char *const argv[], char **output,
                    struct error *err)
{
    struct text said = TEXT_INIT;
    text_add_n(&said, (const char *)told.data, told.size < OUTPUT_MAX ? told.size : OUTPUT_MAX);
    int result = status_explain(argv[0], told.status, &said, err);
    if (result == 0)
        *output = arena_text(host->arena, said.data);
    text_free(&said);
    return result;
}

/* An image of 1 GiB with nothing behind it. */
static void header_good(unsigned char header[HEADER_BYTES])
{
    memset(header, 0, HEADER_BYTES);
    memcpy(header, (const unsigned char[]){'Q', 'F', 'I', 0xfb}, 4);
    header[AT_VERSION + 3] = 3;
    header[AT_SIZE + 4] = 0x40;
}

static bool leads_elsewhere(const struct value *info)
{
    static const char *const members[] = {"backing-filename", "full-backing-filename"};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (value_get(info, members[i]))
            return true;
    return value_at(info, "format-specific.data.data-file");
}

static void accepted_check(struct arena *arena)
{
    struct error err = ERROR_INIT;
    struct value *info = NULL;
    char *text = fuzz_text(told.data, told.size);
    MUST(told.status == 0 && json_read(arena, text, strlen(text), &info, &err) == 0);
    MUST(strcmp(value_get_text(info, "format", ""), "qcow2") == 0 && !leads_elsewhere(info));
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char path[64];
    unsigned char header[HEADER_BYTES];
    struct error err = ERROR_INIT;
    if (!path[0]) {
        int fd = memfd_create("image", MFD_CLOEXEC);
        header_good(header);
        MUST(fd >= 0 && write(fd, header, sizeof header) == sizeof header);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    if (size == 0)
        return 0;
    struct spinel_host host = {.arena = arena_new()};
    told.data = data + 1;
    told.size = size - 1;
    told.status = data[0] & 0x80 ? data[0] & 0x0f : (data[0] & 0x7f) << 8;
    if (qcow2_check(&host, path, "image", &err) == 0)
        accepted_check(host.arena);
    else
        MUST(err.message[0]);
    arena_free(host.arena);
    return 0;
}
