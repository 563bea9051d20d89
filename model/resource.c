/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One resource: how it is named, digested and written, and what follows from its
 * own spec alone.
 */
#include "model/resource.h"

#include <string.h>

#include "model/arena.h"
#include "model/invariant.h"
#include "model/json.h"
#include "model/kind.h"
#include "model/net.h"
#include "model/set_build.h"
#include "model/text.h"

char *identity_label(struct arena *arena, const char *kind, const char *project, const char *name)
{
    if (!project)
        return arena_printf(arena, "%s %s", kind, name);
    return arena_printf(arena, "%s %s/%s", kind, project, name);
}

char *resource_label(struct arena *arena, const struct resource *resource)
{
    return identity_label(arena, resource->kind->name, resource->project, resource->name);
}

char *resource_digest(const struct resource *resource, char *hex)
{
    struct text text = TEXT_INIT;

    invariant(resource->name && value_is_map(resource->labels) && value_is_map(resource->spec),
              "a %s is digested before it is whole", resource->kind->name);
    text_printf(&text, "%s\n%s\n%s\n", resource->kind->name,
                resource->project ? resource->project : "", resource->name);
    json_write_canonical(&text, resource->labels);
    text_add_char(&text, '\n');
    json_write_canonical(&text, resource->spec);
    digest_bytes(text.data, text.len, hex);
    text_free(&text);
    return hex;
}

/* Values are shared once built; what is put into a new tree stays unchanged there. */
static struct value *shared(const struct value *value)
{
    return (struct value *)(uintptr_t)value;
}

struct value *resource_value(struct arena *arena, const struct resource *resource)
{
    struct value *root = value_map(arena);
    struct value *metadata = value_map(arena);
    const struct value *spec = resource->own_spec ? resource->own_spec : resource->spec;

    invariant(resource->name && value_is_map(spec) && resource->labels && resource->drift_policy,
              "a %s is shown before it is whole", resource->kind->name);

    value_set_text(arena, root, "apiVersion", "spinel/v1");
    value_set_text(arena, root, "kind", resource->kind->name);
    value_set(arena, root, "metadata", metadata);
    if (resource->project)
        value_set_text(arena, metadata, "project", resource->project);
    value_set_text(arena, metadata, "name", resource->name);
    if (resource->labels->pair_count > 0)
        value_set(arena, metadata, "labels", shared(resource->labels));
    if (resource->annotations->pair_count > 0)
        value_set(arena, metadata, "annotations", shared(resource->annotations));
    if (resource->drift_policy->pair_count > 0)
        value_set(arena, metadata, "driftPolicy", shared(resource->drift_policy));
    if (resource->renamed_from)
        value_set_text(arena, metadata, "renamedFrom", resource->renamed_from);
    value_set(arena, root, "spec", shared(spec));
    return root;
}

struct position value_place(const struct resource *resource, const struct value *value)
{
    if (!value || value->at.line == 0)
        return resource->at;
    /* Equal specs are kept once, whichever file they were found in first. */
    return (struct position){resource->at.file, value->at.line, value->at.column};
}

struct position resource_place(const struct resource *resource, const char *path)
{
    return value_place(resource, value_at(resource->spec, path));
}

/* Sets `to` as a copy of `from` where it is left out. */
static void copy_default(struct arena *arena, struct value *map, const char *to, const char *from)
{
    const struct value *value = value_get(map, from);
    struct value *copy;

    if (!value || value_get(map, to))
        return;
    copy = value_copy(arena, value);
    copy->at = (struct position){0};
    value_push(arena, map, to, copy);
}

static void complete_instance(struct arena *arena, struct resource *resource, struct value *spec)
{
    const struct value *disks = value_get(spec, "disks");
    struct value *cloud_init = shared(value_get(spec, "cloudInit"));

    copy_default(arena, spec, "maxCpus", "cpus");
    copy_default(arena, spec, "maxMemory", "memory");
    for (size_t i = 0; value_is_list(disks) && i < disks->count; i++)
        copy_default(arena, disks->items[i], "serial", "name");
    if (cloud_init && !value_get(cloud_init, "hostname"))
        value_set_text(arena, cloud_init, "hostname", resource->name);
}

static void complete_subnet(struct arena *arena, struct resource *resource, struct value *spec)
{
    const char *cidr = value_get_text(spec, "cidr", NULL);
    struct error err = ERROR_INIT;
    char buf[ADDRESS_MAX_TEXT];
    struct address gateway;
    struct prefix prefix;

    (void)resource;
    if (!cidr || value_get(spec, "gateway") || prefix_read(cidr, &prefix, &err) < 0 ||
        prefix_nth(&prefix, 1, &gateway, &err) < 0)
        return;
    value_set_text(arena, spec, "gateway", address_text(&gateway, buf));
}

static void complete_forward(struct arena *arena, struct resource *resource, struct value *spec)
{
    (void)resource;
    copy_default(arena, spec, "targetPort", "port");
}

void resource_complete(struct checker *checker, struct resource *resource)
{
    static const struct {
        const char *kind;
        void (*complete)(struct arena *, struct resource *, struct value *);
    } rules[] = {
        {"Instance", complete_instance},
        {"Subnet", complete_subnet},
        {"PortForward", complete_forward},
    };

    invariant(value_is_map(resource->spec), "a %s is completed and has no spec",
              resource->kind->name);
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        if (text_equal(rules[i].kind, resource->kind->name))
            rules[i].complete(checker->arena, resource, shared(resource->spec));
}
