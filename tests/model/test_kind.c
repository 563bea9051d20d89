/* SPDX-License-Identifier: MPL-2.0 */
/* The kinds as data: found as people type them, explained, and valid as JSON Schema. */
#include "tests/model/manifest.h"

#include <unistd.h>

#include "model/site.h"

static void kinds_are_found_in_any_case_and_number(void **state)
{
    (void)state;
    assert_string_equal(kind_find_loose("vpcs")->name, "VPC");
    assert_string_equal(kind_find_loose("instance")->name, "Instance");
    assert_null(kind_find("instance"));
    assert_null(kind_find_loose("gizmo"));
}

static void fields_are_found_by_path(void **state)
{
    const struct kind *instance = kind_find("Instance");

    (void)state;
    assert_string_equal(kind_field(instance, "cpus")->at_most, "spec.maxCpus");
    assert_string_equal(kind_field(instance, "spec.disks[root].volume")->ref, "Volume");
    assert_ptr_equal(kind_field(instance, "disks.volume"), kind_field(instance, "disks[].volume"));
    assert_int_equal(kind_field(instance, "disks.name")->change, CHANGE_LIVE_IF); /* inherited */
    assert_null(kind_field(instance, "disks.colour"));
    assert_true(kind_field(kind_find("Firewall"), "rules.hosts.instance")->ref_weak);
}

/* What plan, differ and drivers count on, for every field of every kind. */
static void check_fields(const struct field *field)
{
    if (field->ref)
        assert_non_null(kind_find(field->ref));
    if (field->list_key)
        assert_true(field_child(field, field->list_key)->is_required);
    if (field->parent && field->name && field->parent->name)
        assert_non_null(field->doc);
    for (size_t i = 0; i < field->field_count; i++)
        check_fields(field->fields[i]);
    if (field->item)
        check_fields(field->item);
}

static void every_field_is_whole(void **state)
{
    size_t count;
    const struct kind *const *kinds = kinds_get(&count);

    (void)state;
    assert_true(count >= 14);
    for (size_t i = 0; i < count; i++) {
        check_fields(kinds[i]->spec);
        assert_true(i == 0 || kinds[i - 1]->rank < kinds[i]->rank);
    }
}

static void explain_tells_type_range_and_change(void **state)
{
    struct text text = TEXT_INIT;

    (void)state;
    assert_int_equal(kind_explain(&text, kind_find("Volume"), "spec.size", false), 0);
    assert_non_null(strstr(text.data, "size, required"));
    assert_non_null(strstr(text.data, "at least 64KiB"));
    assert_non_null(strstr(text.data, "grows only"));
    text_reset(&text);
    assert_int_equal(kind_explain(&text, kind_find("Volume"), "spec.colour", false), -1);
    assert_int_equal(text.len, 0);
    kind_manual(&text, kind_find("Instance"));
    assert_non_null(strstr(text.data, "| `nics[].address` | address |"));
    text_free(&text);
}

static const char validator[] =
    "import json,sys\n"
    "try:\n    import jsonschema\n"
    "except ImportError:\n    sys.exit(77)\n"
    "for line in open(sys.argv[1]):\n"
    "    jsonschema.Draft202012Validator.check_schema(json.loads(line))\n";

static void schemas_are_valid_draft_2020_12(void **state)
{
    struct fixture *f = *state;
    char path[] = "/tmp/spinel-schema-XXXXXX";
    struct text lines = TEXT_INIT;
    size_t count;
    const struct kind *const *kinds = kinds_get(&count);
    int file = mkstemp(path);
    int status;

    assert_true(file >= 0);
    for (size_t i = 0; i < count; i++) {
        json_write(&lines, kind_schema(f->arena, kinds[i]));
        text_add_char(&lines, '\n');
    }
    assert_int_equal(write(file, lines.data, lines.len), lines.len);
    close(file);
    status = system(arena_printf(f->arena, "python3 -c '%s' %s", validator, path));
    unlink(path);
    text_free(&lines);
    if (WIFEXITED(status) && (WEXITSTATUS(status) == 77 || WEXITSTATUS(status) == 127)) {
        print_message("SKIP: python3-jsonschema is not installed\n");
        skip();
    }
    assert_int_equal(status, 0);
}

static void a_site_file_has_absolute_paths_and_defaults(void **state)
{
    static const char yaml[] =
        "apiVersion: spinel/v1\nkind: Site\nmetadata: {name: lab}\nspec:\n"
        "  repository: {path: ./manifests.git}\n  stateDir: state\n  driverDirs: [/a, b]\n"
        "  drivers: {default: sim, volume: file}\n  settings: {sim: {seed: 7}}\n";
    struct fixture *f = *state;
    struct site *site;

    assert_int_equal(
        site_read(f->arena, "x/spinel.yaml", "/srv/lab", yaml, strlen(yaml), &site, &f->report), 0);
    assert_string_equal(site->repository.path, "/srv/lab/manifests.git");
    assert_string_equal(site->repository.branch, "main");
    assert_string_equal(site->state_dir, "/srv/lab/state");
    assert_string_equal(site->key_file, "/srv/lab/spinel.key");
    assert_string_equal(site->driver_dirs[1], "/srv/lab/b");
    assert_string_equal(site_driver(site, "volume"), "file");
    assert_string_equal(site_driver(site, "network"), "sim");
    assert_int_equal(value_get_int(site_settings(site, "sim"), "seed", 0), 7);
    assert_int_equal(site->resync_s, 300);
    assert_int_equal(site->budget.percent, 5);
    assert_null(site->user);
}

static void a_manifest_is_no_site_file(void **state)
{
    static const char yaml[] = "apiVersion: spinel/v1\nkind: Pool\nmetadata: {name: lab}\n";
    struct fixture *f = *state;
    struct site *site = NULL;

    assert_int_equal(site_read(f->arena, "s", NULL, yaml, strlen(yaml), &site, &f->report),
                     ERR_INVALID);
    assert_null(site);
    assert_int_equal(f->report.count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(kinds_are_found_in_any_case_and_number),
        MODEL_TEST(fields_are_found_by_path),
        MODEL_TEST(every_field_is_whole),
        MODEL_TEST(explain_tells_type_range_and_change),
        MODEL_TEST(schemas_are_valid_draft_2020_12),
        MODEL_TEST(a_site_file_has_absolute_paths_and_defaults),
        MODEL_TEST(a_manifest_is_no_site_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
