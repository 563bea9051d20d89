/* SPDX-License-Identifier: MPL-2.0 */
/* The command line, whole, and the rules of slots. Set GOLDEN=1 to write the golden files anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "drivers/qemu/argv.c"
#include "drivers/qemu/machine.c"
#include "drivers/qemu/machine_value.c"
#include "model/text.h"

#define DISK_UID "d15c0000000000000000000000000001"
#define NIC_UID "01c00000000000000000000000000001"
#define VPC_UID "09c00000000000000000000000000001"

static const char spec_json[] =
    "{\"cpus\":2,\"maxCpus\":4,\"memory\":268435456,\"maxMemory\":1073741824,"
    "\"machine\":\"pc-q35-7.2\",\"kernel\":{\"image\":\"linux\",\"cmdline\":\"console=ttyS0\"},"
    "\"disks\":[{\"name\":\"data\",\"volume\":\"db\",\"bus\":\"scsi\"},"
    "{\"name\":\"extra\",\"volume\":\"db\"},"
    "{\"name\":\"root\",\"volume\":\"db\",\"bootOrder\":1,\"serial\":\"R,1\"}],"
    "\"nics\":[{\"name\":\"eth0\",\"subnet\":\"lan\"}]}";

static const char refs_json[] =
    "{\"Volume\":{\"db\":{\"uid\":\"" DISK_UID
    "\",\"spec\":{\"format\":\"qcow2\",\"pool\":\"fast\"}}},"
    "\"Pool\":{\"fast\":{\"uid\":\"aa\",\"spec\":{\"path\":\"/fast\"}}},"
    "\"NIC\":{\"web-1.eth0\":{\"uid\":\"" NIC_UID "\",\"spec\":{\"address\":\"10.0.0.5\"}}},"
    "\"Subnet\":{\"lan\":{\"uid\":\"bb\",\"spec\":{\"vpc\":\"main\"}}},"
    "\"VPC\":{\"main\":{\"uid\":\"" VPC_UID "\",\"spec\":{}}},"
    "\"Seed\":{\"web-1\":{\"uid\":\"5eed\",\"spec\":{}}},"
    "\"Image\":{\"linux\":{\"uid\":\"cc\",\"spec\":{\"digest\":\"sha256:beef\"}}}}";

static struct value *parse(struct arena *arena, const char *json)
{
    struct error err = ERROR_INIT;
    struct value *value = NULL;
    assert_int_equal(json_read(arena, json, strlen(json), &value, &err), 0);
    return value;
}

static struct spinel_op op_make(struct arena *arena)
{
    return (struct spinel_op){.uid = "a0000000b000c000d000e00000000001",
                              .project = "shop",
                              .name = "web-1",
                              .kind = "Instance",
                              .spec = parse(arena, spec_json),
                              .refs = parse(arena, refs_json)};
}

static struct machine machine_make(struct arena *arena)
{
    struct spinel_op op = op_make(arena);
    struct machine machine;
    struct error err = ERROR_INIT;
    assert_int_equal(machine_from_op(arena, "/state", &op, &machine, &err), 0);
    machine.spare_ports = 2;
    machine_place(&machine, NULL);
    return machine;
}

static void compare_golden(const char *path, const char *text)
{
    if (getenv("GOLDEN")) {
        FILE *out = fopen(path, "w");
        assert_non_null(out);
        fputs(text, out);
        fclose(out);
    }
    char expected[16384] = "";
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    expected[fread(expected, 1, sizeof expected - 1, in)] = '\0';
    fclose(in);
    assert_string_equal(text, expected);
}

static void command_line_is_as_reviewed(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    struct machine machine = machine_make(arena);
    struct text text = TEXT_INIT;
    char **argv = argv_build(arena, "/usr/bin/qemu-system-x86_64", "tcg", &machine);
    for (char **at = argv; *at; at++)
        text_printf(&text, "%s%c", *at, at[0][0] == '-' && at[1] && at[1][0] != '-' ? ' ' : '\n');
    compare_golden("tests/qemu/golden/argv.txt", text.data);
    text_free(&text);
    arena_free(arena);
}

static void nothing_is_opened_by_a_path_of_ours(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    struct machine machine = machine_make(arena);
    for (char **at = argv_build(arena, "qemu", "kvm", &machine); *at; at++) {
        assert_null(strstr(*at, "/state"));
        assert_null(strstr(*at, "/fast"));
    }
    arena_free(arena);
}

static void references_become_native_names_and_paths(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    struct machine machine = machine_make(arena);
    assert_string_equal(machine.disks[0].path, "/fast/" DISK_UID ".qcow2");
    assert_string_equal(machine.kernel, "/state/images/beef");
    assert_string_equal(machine.seed, "/state/seeds/5eed.img");
    assert_string_equal(machine.nics[0].tap, "spt01c000000000");
    assert_string_equal(machine.nics[0].netns, "spn09c000000000");
    assert_string_equal(machine.nics[0].mac, "02:01:c0:00:00:00");
    arena_free(arena);
}

static void missing_reference_is_named(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    struct spinel_op op = op_make(arena);
    struct machine machine;
    struct error err = ERROR_INIT;
    value_unset((struct value *)(uintptr_t)op.refs, "VPC");
    assert_int_equal(machine_from_op(arena, "/state", &op, &machine, &err), ERR_INVALID);
    assert_non_null(strstr(err.message, "VPC main"));
    arena_free(arena);
}

static void first_in_boot_order_takes_the_first_port(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    struct machine machine = machine_make(arena);
    assert_int_equal(machine_find_disk(&machine, "root")->slot, 0);
    assert_int_equal(machine_find_disk(&machine, "extra")->slot, 1);
    assert_int_equal(machine_find_disk(&machine, "data")->slot, SLOT_SCSI);
    assert_int_equal(machine.nics[0].slot, 2);
    assert_int_equal(machine.ports, 5);
    arena_free(arena);
}

static void devices_keep_their_slots_when_others_leave(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    struct machine before = machine_make(arena), after = before;
    machine_drop_disk(&after, machine_find_disk(&after, "root"));
    for (size_t i = 0; i < after.disk_count; i++)
        after.disks[i].slot = SLOT_NONE;
    after.nics[0].slot = SLOT_NONE;
    machine_place(&after, &before);
    assert_int_equal(machine_find_disk(&after, "extra")->slot, 1);
    assert_int_equal(after.nics[0].slot, 2);
    assert_int_equal(machine_free_slot(&after, "virtio"), 0);
    arena_free(arena);
}

static void full_machine_has_no_free_slot(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    struct machine machine = machine_make(arena);
    machine.ports = 3;
    assert_int_equal(machine_free_slot(&machine, "virtio"), SLOT_NONE);
    assert_int_equal(machine_free_slot(&machine, "scsi"), SLOT_SCSI + 1);
    arena_free(arena);
}

static void machine_survives_its_record(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    struct machine machine = machine_make(arena), back;
    struct error err = ERROR_INIT;
    const char *text = json_text(arena, machine_value(arena, &machine));
    assert_int_equal(machine_read(parse(arena, text), &back, &err), 0);
    assert_string_equal(json_text(arena, machine_value(arena, &back)), text);
    arena_free(arena);
}

static void record_with_a_slot_out_of_range_is_corrupt(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    struct machine machine = machine_make(arena), back;
    struct error err = ERROR_INIT;
    machine.disks[0].slot = 4711;
    assert_int_equal(machine_read(machine_value(arena, &machine), &back, &err), ERR_CORRUPT);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(command_line_is_as_reviewed),
        cmocka_unit_test(nothing_is_opened_by_a_path_of_ours),
        cmocka_unit_test(references_become_native_names_and_paths),
        cmocka_unit_test(missing_reference_is_named),
        cmocka_unit_test(first_in_boot_order_takes_the_first_port),
        cmocka_unit_test(devices_keep_their_slots_when_others_leave),
        cmocka_unit_test(full_machine_has_no_free_slot),
        cmocka_unit_test(machine_survives_its_record),
        cmocka_unit_test(record_with_a_slot_out_of_range_is_corrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
