/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What an instance brings with it: a NIC for each of its nics, a Seed for its
 * cloudInit. They are resources of their own, so that the plan, the drivers and
 * the drift viewer treat them like any other, and they go with their instance.
 */
#include <string.h>

#include "model/arena.h"
#include "model/digest.h"
#include "model/invariant.h"
#include "model/set_build.h"
#include "model/text.h"
#include "model/yaml.h"

static struct value *shared(const struct value *value)
{
    return (struct value *)(uintptr_t)value;
}

static struct resource *derived(struct arena *arena, const struct resource *owner, const char *kind,
                                struct position at)
{
    struct resource *resource = arena_alloc(arena, sizeof(*resource));

    resource->kind = kind_find(kind);
    invariant(resource->kind && resource->kind->is_derived, "%s of %s is no derived kind", kind,
              owner->name);
    resource->project = owner->project;
    resource->labels = owner->labels;
    resource->annotations = value_map(arena);
    resource->drift_policy = owner->drift_policy;
    resource->owner = owner;
    resource->at = at;
    resource->project_at = owner->project_at;
    return resource;
}

/* Takes `key` over, if it is there. */
static void take(struct arena *arena, struct value *spec, const struct value *from, const char *key)
{
    const struct value *value = value_get(from, key);

    if (value)
        value_push(arena, spec, key, shared(value));
}

static struct resource *nic_derive(struct arena *arena, const struct resource *instance,
                                   const struct value *nic)
{
    const char *interface = value_get_text(nic, "name", "");
    struct resource *resource = derived(arena, instance, "NIC", value_place(instance, nic));
    struct value *spec = value_map(arena);

    resource->name = arena_printf(arena, "%s.%s", instance->name, interface);
    if (instance->renamed_from)
        resource->renamed_from = arena_printf(arena, "%s.%s", instance->renamed_from, interface);
    value_set_text(arena, spec, "instance", instance->name);
    value_set_text(arena, spec, "interface", interface);
    take(arena, spec, nic, "subnet");
    take(arena, spec, nic, "address");
    take(arena, spec, nic, "mac");
    value_push(arena, spec, "labels", shared(instance->labels));
    resource->spec = spec;
    return resource;
}

static struct value *public_keys(struct arena *arena, const struct set *set,
                                 const struct resource *instance, const struct value *cloud_init)
{
    const struct value *names = value_get(cloud_init, "sshKeys");
    struct value *keys = value_list(arena);

    for (size_t i = 0; value_is_list(names) && i < names->count; i++) {
        const struct resource *key = set_target(set, instance, "SSHKey", names->items[i]->text);

        if (key)
            value_append(arena, keys, shared(value_get(key->spec, "publicKey")));
    }
    return keys;
}

/* frozen: as long as the instance has its name; bump: as long as the content is. */
static char *instance_id(struct arena *arena, const struct resource *instance,
                         const struct value *cloud_init, const struct value *keys)
{
    struct value *source = value_map(arena);
    char hex[DIGEST_TEXT];

    value_set_text(arena, source, "project", instance->project);
    value_set_text(arena, source, "name", instance->name);
    if (strcmp(value_get_text(cloud_init, "instanceIdPolicy", "frozen"), "bump") == 0) {
        take(arena, source, cloud_init, "userData");
        take(arena, source, cloud_init, "networkConfig");
        take(arena, source, cloud_init, "hostname");
        value_push(arena, source, "keys", shared(keys));
    }
    return arena_printf(arena, "i-%.16s", digest_value(source, hex));
}

static struct value *meta_data(struct arena *arena, const char *id, const char *hostname,
                               struct value *keys)
{
    struct value *meta = value_map(arena);
    struct text text = TEXT_INIT;
    struct value *written;

    value_set_text(arena, meta, "instance-id", id);
    value_set_text(arena, meta, "local-hostname", hostname);
    if (keys->count > 0)
        value_set(arena, meta, "public-keys", keys);
    yaml_write(&text, meta);
    written = value_text_n(arena, text.data, text.len);
    text_free(&text);
    return written;
}

static struct resource *seed_derive(struct arena *arena, const struct set *set,
                                    const struct resource *instance, const struct value *cloud_init)
{
    struct resource *resource = derived(arena, instance, "Seed", value_place(instance, cloud_init));
    struct value *keys = public_keys(arena, set, instance, cloud_init);
    const char *id = instance_id(arena, instance, cloud_init, keys);
    struct value *spec = value_map(arena);

    resource->name = instance->name;
    resource->renamed_from = instance->renamed_from;
    value_set_text(arena, spec, "instance", instance->name);
    value_set_text(arena, spec, "instanceId", id);
    value_set(arena, spec, "metaData",
              meta_data(arena, id, value_get_text(cloud_init, "hostname", instance->name), keys));
    take(arena, spec, cloud_init, "userData");
    take(arena, spec, cloud_init, "networkConfig");
    resource->spec = spec;
    return resource;
}

void instance_derive(struct arena *arena, const struct set *declared,
                     const struct resource *instance, struct resource_list *list)
{
    const struct value *nics = value_get(instance->spec, "nics");
    const struct value *cloud_init = value_get(instance->spec, "cloudInit");

    for (size_t i = 0; value_is_list(nics) && i < nics->count; i++)
        if (value_get(nics->items[i], "name"))
            resource_append(arena, list, nic_derive(arena, instance, nics->items[i]));
    if (cloud_init)
        resource_append(arena, list, seed_derive(arena, declared, instance, cloud_init));
}
