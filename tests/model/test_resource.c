/* SPDX-License-Identifier: MPL-2.0 */
/* Normal forms, sets, references, what is derived, and the order of things. */
#include "tests/model/manifest.h"

#include "model/set_build.h"

#define NET                                                              \
    PROJECT HEAD("VPC", "net") "spec: {prefixes: [10.0.0.0/16]}\n" HEAD( \
        "Subnet", "a") "spec: {vpc: net, cidr: 10.0.1.0/24}\n"

static const struct resource *found(struct fixture *f, const char *kind, const char *name)
{
    const struct resource *resource = set_find(f->set, kind, "shop", name);

    assert_non_null(resource);
    return resource;
}

static void defaults_units_and_addresses_are_filled_in(void **state)
{
    static const char yaml[] = NET HEAD("Volume", "v") "spec: {size: 1Gi}\n" HEAD(
        "Instance",
        "i") "spec: {cpus: 2, memory: 64MiB, shutdown: {timeout: 45m},"
             " disks: [{name: root, volume: v}],"
             " nics: [{name: b, subnet: a, mac: 02-AA-00-00-00-01}, {name: a, subnet: a}],"
             " cloudInit: {}}\n" HEAD("PortForward",
                                      "p") "spec: {vpc: net, port: 80, instance: i}\n";
    struct fixture *f = *state;
    const struct value *spec;

    fixture_valid(f, yaml);
    assert_int_equal(value_get_int(found(f, "Volume", "v")->spec, "size", 0), 1 << 30);
    assert_string_equal(value_get_text(found(f, "Subnet", "a")->spec, "gateway", ""), "10.0.1.1");
    spec = found(f, "Instance", "i")->spec;
    assert_int_equal(value_get_int(spec, "maxCpus", 0), 2);
    assert_int_equal(value_get_int(spec, "maxMemory", 0), 64 << 20);
    assert_int_equal(value_at_int(spec, "shutdown.timeout", 0), 2700);
    assert_int_equal(value_at_int(spec, "restartPolicy.maxBackoff", 0), 300);
    assert_int_equal(value_at_int(spec, "updatePolicy.window.duration", 0), 7200);
    assert_string_equal(value_at_text(spec, "disks[root].serial", ""), "root");
    assert_string_equal(value_at_text(spec, "nics[b].mac", ""), "02:aa:00:00:00:01");
    assert_string_equal(value_get_text(value_get(spec, "nics")->items[0], "name", ""), "a");
    assert_string_equal(value_at_text(spec, "cloudInit.hostname", ""), "i");
    assert_null(value_get(spec, "kernel"));
    spec = found(f, "PortForward", "p")->spec;
    assert_int_equal(value_get_int(spec, "targetPort", 0), 80);
    assert_string_equal(value_get_text(spec, "nic", ""), "a");
}

static void equal_meaning_is_an_equal_digest(void **state)
{
    static const char *const specs[] = {
        "{cpus: 1, memory: 1GiB, nics: [{name: a, subnet: a}, {name: b, subnet: a}]}",
        "{memory: 1024MiB, nics: [{subnet: a, name: b, connected: true}, {name: a, subnet: a}],"
        " cpus: 0x1, power: \"on\", disks: [], updatePolicy: {window: {}}}",
    };
    struct fixture *f = *state;
    char digest[2][DIGEST_TEXT];

    for (size_t i = 0; i < 2; i++) {
        fixture_valid(
            f, arena_printf(f->arena, "%s%sspec: %s\n", NET, HEAD("Instance", "i"), specs[i]));
        resource_digest(found(f, "Instance", "i"), digest[i]);
    }
    assert_string_equal(digest[0], digest[1]);
    fixture_valid(f, arena_printf(f->arena, "%s%sspec: {cpus: 2, memory: 1GiB}\n", NET,
                                  HEAD("Instance", "i")));
    assert_string_not_equal(digest[0], resource_digest(found(f, "Instance", "i"), digest[1]));
}

static void an_instance_brings_its_nics_and_its_seed(void **state)
{
    static const char yaml[] = NET
        "---\napiVersion: spinel/v1\nkind: SSHKey\nmetadata: {name: me}\n"
        "spec: {publicKey: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
        "AAAAAAAAA me}\n---\napiVersion: spinel/v1\nkind: Instance\n"
        "metadata: {project: shop, name: i, labels: {role: web}}\n"
        "spec: {cpus: 1, memory: 64MiB, nics: [{name: eth0, subnet: a, address: 10.0.1.9}],"
        " cloudInit: {sshKeys: [me], userData: secret}}\n";
    struct fixture *f = *state;
    const struct resource *nic, *seed, *instance;
    struct value *docs;
    const char *meta;

    fixture_valid(f, yaml);
    instance = found(f, "Instance", "i");
    nic = found(f, "NIC", "i.eth0");
    seed = found(f, "Seed", "i");
    assert_int_equal(f->set->count - f->set->declared, 2);
    assert_ptr_equal(nic->owner, instance);
    assert_string_equal(value_get_text(nic->spec, "address", ""), "10.0.1.9");
    assert_null(value_get(nic->spec, "mac"));
    assert_string_equal(value_at_text(nic->spec, "labels.role", ""), "web");
    assert_ptr_equal(instance->refs[instance->ref_count - 2], nic);
    assert_ptr_equal(instance->refs[instance->ref_count - 1], seed);
    meta = value_get_text(seed->spec, "metaData", "");
    assert_int_equal(yaml_read(f->arena, "meta", meta, strlen(meta), &docs, &f->report), 0);
    assert_string_equal(value_get_text(docs->items[0], "instance-id", ""),
                        value_get_text(seed->spec, "instanceId", "?"));
    assert_string_equal(value_get_text(docs->items[0], "local-hostname", ""), "i");
    assert_int_equal(value_get(docs->items[0], "public-keys")->count, 1);
}

static const char *instance_id(struct fixture *f, const char *policy, const char *user_data)
{
    fixture_valid(f, arena_printf(f->arena,
                                  "%s%sspec: {cpus: 1, memory: 64MiB, cloudInit: "
                                  "{instanceIdPolicy: %s, userData: \"%s\"}}\n",
                                  NET, HEAD("Instance", "i"), policy, user_data));
    return value_get_text(found(f, "Seed", "i")->spec, "instanceId", "");
}

static void only_a_bumped_instance_id_follows_the_content(void **state)
{
    struct fixture *f = *state;

    assert_string_equal(instance_id(f, "frozen", "a"), instance_id(f, "frozen", "b"));
    assert_string_not_equal(instance_id(f, "bump", "a"), instance_id(f, "bump", "b"));
}

static void the_parse_cache_gives_the_same_set(void **state)
{
    static const char yaml[] =
        NET HEAD("Instance",
                 "i") "spec: {cpus: 1, memory: 64MiB, nics: [{name: eth0, subnet: a}], cloudInit: "
                      "{}}\n" HEAD("PortForward", "p") "spec: {vpc: net, port: 80, instance: i}\n";
    struct fixture *f = *state;
    struct set_builder *builder = set_builder_new(f->arena, &f->report);
    const struct set *again;

    fixture_valid(f, yaml);
    for (size_t i = 0; i < f->set->count; i++) {
        const struct resource *resource = f->set->resources[i];
        char *json = json_text(f->arena, resource_value(f->arena, resource));
        struct error err = ERROR_INIT;
        struct value *normal;

        if (resource->owner)
            continue;
        assert_int_equal(json_read(f->arena, json, strlen(json), &normal, &err), 0);
        set_builder_add_normal(builder, normal, resource->at);
    }
    again = set_builder_finish(builder);
    assert_int_equal(f->report.count, 0);
    assert_int_equal(again->count, f->set->count);
    assert_int_equal(again->declared, f->set->declared);
    for (size_t i = 0; i < again->count; i++) {
        char hex[2][DIGEST_TEXT];

        assert_string_equal(resource_digest(again->resources[i], hex[0]),
                            resource_digest(f->set->resources[i], hex[1]));
    }
}

static void references_look_at_home_and_then_rack_wide(void **state)
{
    struct fixture *f = *state;
    char *own = arena_printf(f->arena, "spec: {path: /i, digest: \"sha256:%064d\"}\n", 1);

    fixture_valid(
        f, arena_printf(f->arena,
                        "%s---\napiVersion: spinel/v1\nkind: Image\nmetadata: {name: rack}\n%s"
                        "---\napiVersion: spinel/v1\nkind: Image\nmetadata: {name: both}\n%s%s%s",
                        PROJECT, own, own, HEAD("Image", "both"), own));
    assert_null(set_resolve(f->set, "Image", "shop", "rack")->project);
    assert_string_equal(set_resolve(f->set, "Image", "shop", "both")->project, "shop");
    assert_null(set_resolve(f->set, "Image", NULL, "both")->project);
    assert_null(set_resolve(f->set, "Image", "shop", "none"));
}

static size_t place(const struct resource **order, size_t count, const struct resource *resource)
{
    for (size_t i = 0; i < count; i++)
        if (order[i] == resource)
            return i;
    return count;
}

static void what_is_referred_to_comes_first(void **state)
{
    static const char yaml[] = NET HEAD(
        "Firewall", "f") "spec: {vpc: net, rules: [{name: r, hosts: [{instance: i}, {subnet: "
                         "a}]}]}\n" HEAD("Instance", "i") "spec: {cpus: 1, memory: 64MiB, nics: "
                                                          "[{name: n, subnet: a}]}\n";
    struct fixture *f = *state;
    const struct resource **order;

    fixture_valid(f, yaml);
    order = set_order(f->arena, f->set);
    for (size_t i = 0; i < f->set->count; i++)
        for (size_t n = 0; n < order[i]->ref_count; n++)
            assert_true(place(order, f->set->count, order[i]->refs[n]) < i);
    for (size_t n = 0; n < found(f, "Firewall", "f")->ref_count; n++)
        assert_string_not_equal(found(f, "Firewall", "f")->refs[n]->kind->name, "Instance");
}

static void decorate(void *context, struct arena *arena, const struct resource *ref,
                     struct value *entry)
{
    (void)context;
    value_set_text(arena, entry, "uid", ref->name);
}

static void drivers_get_everything_that_is_referred_to(void **state)
{
    static const char yaml[] =
        NET HEAD("Instance", "i") "spec: {cpus: 1, memory: 64MiB, nics: [{name: n, subnet: a}]}\n";
    struct fixture *f = *state;
    struct value *refs;

    fixture_valid(f, yaml);
    refs = resource_refs(f->arena, found(f, "Instance", "i"), decorate, NULL);
    assert_string_equal(value_at_text(refs, "VPC.net.uid", ""), "net");
    assert_string_equal(value_at_text(refs, "Subnet.a.spec.cidr", ""), "10.0.1.0/24");
    assert_string_equal(value_at_text(value_get(refs, "NIC")->pairs[0].value, "uid", ""), "i.n");
}

/* No kind that there is can refer in a circle, so the links are made by hand. */
static void a_cycle_is_named_link_by_link(void **state)
{
    static const char yaml[] = PROJECT HEAD("Volume", "a") "spec: {size: 1GiB}\n" HEAD(
        "Volume", "b") "spec: {size: 1GiB}\n" HEAD("Volume", "c") "spec: {size: 1GiB}\n";
    struct fixture *f = *state;
    struct checker checker = {.arena = f->arena, .report = &f->report};

    fixture_valid(f, yaml);
    const struct resource *const a = f->set->resources[1], *const b = f->set->resources[2];
    f->set->resources[1]->refs = &b;
    f->set->resources[2]->refs = &a;
    f->set->resources[3]->refs = &a; /* c is behind the circle */
    set_check_cycles(&checker, f->set);
    assert_int_equal(f->report.count, 1);
    assert_string_equal(f->report.problems[0].code, "cycle");
    assert_string_equal(
        f->report.problems[0].message,
        "references go in a circle: Volume shop/a -> Volume shop/b -> Volume shop/a");
    assert_non_null(set_order(f->arena, f->set));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(defaults_units_and_addresses_are_filled_in),
        MODEL_TEST(equal_meaning_is_an_equal_digest),
        MODEL_TEST(an_instance_brings_its_nics_and_its_seed),
        MODEL_TEST(only_a_bumped_instance_id_follows_the_content),
        MODEL_TEST(the_parse_cache_gives_the_same_set),
        MODEL_TEST(references_look_at_home_and_then_rack_wide),
        MODEL_TEST(what_is_referred_to_comes_first),
        MODEL_TEST(drivers_get_everything_that_is_referred_to),
        MODEL_TEST(a_cycle_is_named_link_by_link),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
