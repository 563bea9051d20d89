/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The property that every peer broke somewhere: after an apply nothing is left to
 * run. For each field of each kind, as the kinds' own data lists them, one manifest
 * is changed there and back, carried out as planned, and planned again. What is
 * deferred to a restart must be gone after one.
 */
#include "tests/plan/world.h"

#define DIGEST_A "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define DIGEST_B "sha256:2222222222222222222222222222222222222222222222222222222222222222"
#define KEY_A "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f a"
#define KEY_B "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB8eHRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgEA b"

static const char *const base = DOC("Project", "name: shop", "{description: one}") DOC(
    "SSHKey", "name: main", "{publicKey: \"" KEY_A "\"}") DOC("SSHKey", "name: alt",
                                                              "{publicKey: \"" KEY_B "\"}")
    DOC("Pool", "name: main", "{path: /srv/one}") DOC("Pool", "name: alt", "{path: /srv/two}") DOC(
        "Image", "name: main", "{url: \"https://example.org/a\", digest: \"" DIGEST_A "\"}")
        DOC("Image", "name: alt",
            "{url: \"https://example.org/b\", digest: \"" DIGEST_B
            "\"}") VOLUME("main", "size: 1GiB, image: main, pool: main") VOLUME("alt", "size: 1GiB")
            VOLUME("third", "size: 1GiB") DOC("VPC", "project: shop, name: main",
                                              "{prefixes: [10.0.0.0/16]}")
                DOC("VPC", "project: shop, name: alt", "{prefixes: [10.0.0.0/16]}") DOC(
                    "Subnet", "project: shop, name: main", "{vpc: main, cidr: 10.0.1.0/24}")
                    DOC("Subnet", "project: shop, name: alt", "{vpc: main, cidr: 10.0.2.0/24}") DOC(
                        "Firewall", "project: shop, name: main",
                        "{vpc: main, rules: [{name: web, targets: [{instance: main}], hosts: "
                        "[{cidr: 10.0.0.0/8}], "
                        "protocols: [{protocol: tcp, ports: [80]}]}]}")
                        INSTANCE(
                            "main",
                            "cpus: 2, maxCpus: 4, memory: 256MiB, maxMemory: 512MiB, "
                            "disks: [{name: root, volume: main, bootOrder: 1}, {name: two, volume: "
                            "third}], "
                            "nics: [{name: eth0, subnet: main}], kernel: {image: main}, "
                            "cloudInit: {userData: one, sshKeys: [main], instanceIdPolicy: bump}")
                            INSTANCE("alt",
                                     "cpus: 1, memory: 256MiB, nics: [{name: eth0, subnet: main}]")
                                DOC("FloatingIP", "project: shop, name: main",
                                    "{address: 192.0.2.1, vpc: main, instance: main}")
                                    DOC("PortForward", "project: shop, name: main",
                                        "{vpc: main, port: 8080, instance: main}");

static const struct {
    const char *format;
    const char *candidates[3]; /* JSON */
} by_format[] = {
    {"address", {"\"10.0.1.77\"", "\"10.0.1.254\"", "\"192.0.2.9\""}},
    {"cidr", {"\"10.0.0.0/15\"", "\"10.0.1.0/25\"", "\"10.0.9.0/24\""}},
    {"mac", {"\"02:00:00:00:00:77\""}},
    {"url", {"\"https://example.org/other\""}},
    {"digest", {"\"" DIGEST_B "\""}},
    {"path", {"\"/srv/other\""}},
    {"ssh-key", {"\"" KEY_B "\""}},
    {"time-of-day", {"\"03:30\""}},
    {"ports", {"\"443\""}},
};

struct sweep {
    struct world *w;
    const struct resource *resource; /* of the base */
    unsigned tried, refused;
};

/* ---- candidates --------------------------------------------------------------------- */

struct candidates {
    const struct value *items[16];
    size_t count;
};

static void add(struct candidates *list, const struct value *value)
{
    if (list->count < sizeof(list->items) / sizeof(*list->items))
        list->items[list->count++] = value;
}

static void add_texts(struct world *w, struct candidates *list, const struct field *field)
{
    for (size_t i = 0; field->allowed && i < field->allowed->count; i++)
        add(list, field->allowed->items[i]);
    for (size_t i = 0; field->format && i < sizeof(by_format) / sizeof(*by_format); i++)
        for (size_t c = 0; strcmp(by_format[i].format, field->format) == 0 && c < 3; c++)
            if (by_format[i].candidates[c])
                add(list,
                    json(w, arena_printf(w->arena, "[%s]", by_format[i].candidates[c]))->items[0]);
    if (field->ref)
        add(list, value_text(w->arena, "alt"));
    add(list, value_text(w->arena, "other"));
    add(list, value_text(w->arena, "eth0"));
    add(list, value_text(w->arena, "pc-q35-8.0"));
}

static struct candidates candidates_of(struct world *w, const struct field *field,
                                       const struct value *now)
{
    struct candidates list = {0}, inner;

    switch (field->type) {
    case FIELD_BOOL:
        add(&list, value_bool(w->arena, !(now && now->boolean)));
        break;
    case FIELD_INT:
        add(&list, value_int(w->arena, now ? now->integer * 2 : 2));
        add(&list, value_int(w->arena, now ? now->integer - 1 : 100));
        add(&list, value_int(w->arena, now ? now->integer / 2 : 1000000000));
        add(&list, value_int(w->arena, now ? now->integer + 1 : 1000000000));
        break;
    case FIELD_STRING:
        add_texts(w, &list, field);
        break;
    case FIELD_LIST:
        inner = candidates_of(w, field->item, NULL);
        for (size_t i = 0; i < inner.count; i++) {
            struct value *one = value_list(w->arena);

            value_append(w->arena, one, (struct value *)(size_t)inner.items[i]);
            add(&list, one);
        }
        break;
    case FIELD_MAP:
        add(&list, json(w, "{\"tier\":\"front\"}"));
        break;
    }
    add(&list, NULL); /* take it out */
    return list;
}

/* ---- one change --------------------------------------------------------------------- */

static const struct value *declared_at(const struct sweep *sweep, const char *path)
{
    return value_at(sweep->resource->spec, strncmp(path, "spec.", 5) == 0 ? path + 5 : path);
}

static const char *manifests_with(struct sweep *sweep, const char *path, const struct value *value)
{
    struct text yaml = TEXT_INIT;
    const struct set *set = sweep->w->input.set;
    const char *text;

    for (size_t i = 0; i < set->count; i++) {
        const struct kind *kind = set->resources[i]->kind;
        struct value *document, *spec;

        if (set->resources[i]->owner)
            continue;
        document = value_copy(sweep->w->arena, resource_value(sweep->w->arena, set->resources[i]));
        spec = (struct value *)(size_t)value_get(document, "spec");
        if (set->resources[i] == sweep->resource)
            spec_put(sweep->w->arena, kind, spec, path, value);
        value_set(sweep->w->arena, document, "spec", as_written(sweep->w->arena, kind->spec, spec));
        text_add(&yaml, "---\n");
        yaml_write(&yaml, document);
    }
    text = arena_text(sweep->w->arena, yaml.data);
    text_free(&yaml);
    return text;
}

static void assert_nothing_runs(const struct world *w, const char *when, const char *what)
{
    if (w->plan->run == 0)
        return;
    for (size_t i = 0; i < w->plan->step_count; i++)
        for (size_t f = 0; f < w->plan->steps[i].field_count; f++)
            print_error("left: %s %s %s\n", w->plan->steps[i].kind->name, w->plan->steps[i].name,
                        w->plan->steps[i].fields[f].path);
    fail_msg("%s of %s, %zu steps are left to run", when, what, w->plan->run);
}

static bool waits_for_restart(const struct world *w)
{
    for (size_t i = 0; i < w->plan->step_count; i++)
        for (size_t f = 0; f < w->plan->steps[i].field_count; f++)
            if (w->plan->steps[i].fields[f].change == CHANGE_RESTART &&
                w->plan->steps[i].fields[f].disposition == DEFERRED)
                return true;
    return false;
}

/* A restart brings what waited for it, all of it. */
static void restart_guest(struct world *w, const char *what)
{
    world_stop(w, "main", "guest-shutdown");
    world_apply(w);
    assert_nothing_runs(w, "after the restart", what);
    assert_false(waits_for_restart(w));
}

static bool try_change(struct sweep *sweep, const char *path, const struct value *value)
{
    struct world *w = sweep->w;
    const struct set *before = w->input.set;
    const char *there = manifests_with(sweep, path, value);
    const char *back = manifests_with(sweep, path, declared_at(sweep, path));
    const char *what = arena_printf(w->arena, "%s %s", sweep->resource->kind->name, path);
    struct report report;

    world_try_declare(w, there, &report);
    if (report.count) {
        w->input.set = before;
        return false;
    }
    world_apply(w);
    assert_nothing_runs(w, "after the change", what);
    if (waits_for_restart(w))
        restart_guest(w, what);
    world_declare(w, back);
    world_apply(w);
    assert_nothing_runs(w, "after the way back", what);
    if (waits_for_restart(w))
        restart_guest(w, what);
    w->input.set = before;
    return true;
}

static void sweep_leaf(struct sweep *sweep, const struct field *field, const char *path)
{
    const struct value *now = declared_at(sweep, path);
    struct candidates list = candidates_of(sweep->w, field, now);

    for (size_t i = 0; i < list.count; i++)
        if (!value_equal(list.items[i], now) && try_change(sweep, path, list.items[i])) {
            sweep->tried++;
            return;
        }
    sweep->refused++;
    print_message("# no valid change found for %s %s\n", sweep->resource->kind->name, path);
}

static void sweep_field(struct sweep *sweep, const struct field *field, const char *path)
{
    struct arena *arena = sweep->w->arena;
    const struct value *now = declared_at(sweep, path);

    if (field->list_key) {
        const char *key =
            now && now->count ? value_get_text(now->items[0], field->list_key, NULL) : NULL;

        if (key)
            sweep_field(sweep, field->item, arena_printf(arena, "%s[%s]", path, key));
        return;
    }
    if (field->type != FIELD_MAP || field->is_open) {
        sweep_leaf(sweep, field, path);
        return;
    }
    for (size_t i = 0; i < field->field_count; i++)
        if (!field->parent || !field->parent->list_key ||
            strcmp(field->fields[i]->name, field->parent->list_key) != 0)
            sweep_field(sweep, field->fields[i],
                        arena_printf(arena, "%s.%s", path, field->fields[i]->name));
}

static void after_an_apply_nothing_is_left_for_any_field_of_any_kind(void **state)
{
    struct world *w = *state;
    struct sweep sweep = {.w = w};
    const struct set *set;

    w->input.policy = (struct plan_policy){1000, 100, 100};
    world_converge(w, base);
    set = w->input.set;
    for (size_t i = 0; i < set->count; i++) {
        if (set->resources[i]->owner || strcmp(set->resources[i]->name, "alt") == 0 ||
            strcmp(set->resources[i]->name, "third") == 0)
            continue;
        sweep.resource = set->resources[i];
        w->input.set = set;
        sweep_field(&sweep, sweep.resource->kind->spec, "spec");
    }
    print_message("# %u fields changed there and back, %u could not be\n", sweep.tried,
                  sweep.refused);
    assert_true(sweep.tried >= 70);
}

static void a_new_element_and_its_removal_leave_nothing(void **state)
{
    static const char *const paths[] = {"spec.disks[more]", "spec.nics[eth1]"};
    static const char *const elements[] = {"{\"name\":\"more\",\"volume\":\"alt\"}",
                                           "{\"name\":\"eth1\",\"subnet\":\"alt\"}"};
    struct world *w = *state;
    struct sweep sweep = {.w = w};

    w->input.policy = (struct plan_policy){1000, 100, 100};
    world_converge(w, base);
    sweep.resource = set_find(w->input.set, "Instance", "shop", "main");
    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
        assert_true(try_change(&sweep, paths[i], json(w, elements[i])));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(after_an_apply_nothing_is_left_for_any_field_of_any_kind),
        TEST(a_new_element_and_its_removal_leave_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
