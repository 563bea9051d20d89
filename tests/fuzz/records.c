/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What drivers wrote of their objects and read back after a crash: records of a VPC and of
 * a machine. The first byte says which.
 */
#include <fcntl.h>
#include <unistd.h>
#include "drivers/linux-vpc/draft.c"
#include "drivers/linux-vpc/kept.c"
#include "drivers/linux-vpc/names.c"
#include "drivers/linux-vpc/records.c"
#include "drivers/qemu/machine_value.c"
#include "tests/fuzz/fuzz.h"

static const char vpc[] = "0123456789abcdef0123456789abcdef";
static char own_dir[64];

static void record_put(const char *text, size_t len)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", own_dir, vpc);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/%s/VPC-%s.json", own_dir, vpc, vpc);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    MUST(fd >= 0 && write(fd, text, len) == (ssize_t)len);
    close(fd);
}

static void records_try(struct arena *arena, const char *text, size_t len)
{
    struct error err = ERROR_INIT;
    struct records records, again;
    if (!own_dir[0])
        fuzz_directory(own_dir);
    record_put(text, len);
    if (records_load(arena, own_dir, vpc, &records, &err) < 0)
        return;
    MUST(records.count == 1 && record_write(own_dir, vpc, &records.items[0], &err) == 0);
    MUST(records_load(arena, own_dir, vpc, &again, &err) == 0);
    MUST(strcmp(again.items[0].name, records.items[0].name) == 0);
    records_find(&records, vpc);
}

static void machine_try(struct arena *arena, const char *text, size_t len)
{
    struct error err = ERROR_INIT;
    struct value *value = NULL;
    struct machine machine, again;
    if (json_read(arena, text, len, &value, &err) < 0 || machine_read(value, &machine, &err) < 0)
        return;
    MUST(machine.disk_count <= MACHINE_DISKS && machine.nic_count <= MACHINE_NICS);
    MUST(machine_read(machine_value(arena, &machine), &again, &err) == 0);
    MUST(again.disk_count == machine.disk_count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct arena *arena = arena_new();
    char *text = fuzz_text(data + 1, size - 1);
    if (data[0] % 2)
        machine_try(arena, text, size - 1);
    else
        records_try(arena, text, size - 1);
    free(text);
    arena_free(arena);
    return 0;
}
