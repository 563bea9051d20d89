/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Keys of what resources have in common. A reference to a kind that may stand in a project or
 * rack-wide has a key for each, because which of the two it means is not its own to say.
 */
#include "model/mention.h"
#include "model/invariant.h"

#include <stdio.h>
#include <string.h>

#include "model/kind.h"

/* FNV-1a, with an end mark after each part, so that "a", "bc" is not "ab", "c". */
static uint64_t hash_part(uint64_t hash, const char *part)
{
    for (; part && *part != '\0'; part++)
        hash = (hash ^ (unsigned char)*part) * UINT64_C(1099511628211);
    return (hash ^ 0xff) * UINT64_C(1099511628211);
}

int64_t mention_key(enum mention mention, const char *kind, const char *project, const char *name)
{
    uint64_t hash = (UINT64_C(14695981039346656037) ^ (uint64_t)mention) * UINT64_C(1099511628211);

    hash = hash_part(hash, kind);
    hash = hash_part(hash, project);
    hash = hash_part(hash, name);
    return (int64_t)(hash ^ hash >> 32);
}

struct finding {
    const char *project;
    void (*found)(void *context, const struct mentioned *mentioned);
    void *context;
};

static void tell(const struct finding *finding, enum mention mention, const char *kind,
                 const char *project, const char *name)
{
    struct mentioned mentioned = {mention, mention_key(mention, kind, project, name), kind, project,
                                  name};

    finding->found(finding->context, &mentioned);
}

static void tell_ref(const struct finding *finding, const char *kind_name, const char *name)
{
    const struct kind *kind = kind_find(kind_name);

    invariant(kind && name, "'%s' refers to kind %s, which there is not", name, kind_name);
    if (finding->project && kind->scope != SCOPE_RACK)
        tell(finding, MENTION_REF, kind_name, finding->project, name);
    if (kind->scope != SCOPE_PROJECT)
        tell(finding, MENTION_REF, kind_name, NULL, name);
}

static void refs_walk(const struct finding *finding, const struct field *field,
                      const struct value *value)
{
    if (!field || !value)
        return;
    if (field->ref && value_is_text(value))
        tell_ref(finding, field->ref, value->text);
    if (value_is_map(value))
        for (size_t i = 0; i < value->pair_count; i++)
            refs_walk(finding, field_child(field, value->pairs[i].key), value->pairs[i].value);
    if (value_is_list(value))
        for (size_t i = 0; i < value->count; i++)
            refs_walk(finding, field->item, value->items[i]);
}

void mentions_refs(const struct kind *kind, const char *project, const struct value *spec,
                   void (*found)(void *context, const struct mentioned *mentioned), void *context)
{
    const struct finding finding = {project, found, context};

    refs_walk(&finding, kind->spec, spec);
}

/* ---- claims ------------------------------------------------------------------------- */

static void tell_claim(const struct finding *finding, const char *what, const char *project,
                       const char *text)
{
    if (text)
        tell(finding, MENTION_CLAIM, what, project, text);
}

/* An address is claimed within a VPC, and a VPC lies in one project. */
static void instance_claims(const struct finding *finding, const struct value *spec)
{
    const struct value *nics = value_get(spec, "nics");

    for (size_t i = 0; value_is_list(nics) && i < nics->count; i++) {
        tell_claim(finding, "address", finding->project,
                   value_get_text(nics->items[i], "address", NULL));
        tell_claim(finding, "mac", NULL, value_get_text(nics->items[i], "mac", NULL));
    }
}

static void subnet_place(const struct finding *finding, const struct value *spec)
{
    const char *vpc = value_get_text(spec, "vpc", NULL);

    if (vpc)
        tell(finding, MENTION_PLACE, "VPC", finding->project, vpc);
}

static void floating_claims(const struct finding *finding, const struct value *spec)
{
    tell_claim(finding, "outside", NULL, value_get_text(spec, "address", NULL));
}

/* A forward without an address takes its port on all of them. */
static void forward_claims(const struct finding *finding, const struct value *spec)
{
    char port[32];

    snprintf(port, sizeof(port), "%lld", (long long)value_get_int(spec, "port", 0));
    tell_claim(finding, value_get_text(spec, "protocol", "tcp"), NULL, port);
}

static const struct {
    const char *kind;
    void (*tell)(const struct finding *finding, const struct value *spec);
} claimants[] = {
    {"Instance", instance_claims},
    {"Subnet", subnet_place},
    {"FloatingIP", floating_claims},
    {"PortForward", forward_claims},
};

void mentions_each(const struct resource *resource,
                   void (*found)(void *context, const struct mentioned *mentioned), void *context)
{
    const struct finding finding = {resource->project, found, context};
    const char *kind = resource->kind->name;

    invariant(resource->name && resource->spec, "a %s is asked for keys before it is whole", kind);
    tell(&finding, MENTION_IS, kind, resource->project, resource->name);
    if (resource->renamed_from)
        tell(&finding, MENTION_WAS, kind, resource->project, resource->renamed_from);
    if (resource->project)
        tell(&finding, MENTION_REF, "Project", NULL, resource->project);
    refs_walk(&finding, resource->kind->spec, resource->spec);
    for (size_t i = 0; i < sizeof(claimants) / sizeof(*claimants); i++)
        if (strcmp(claimants[i].kind, kind) == 0)
            claimants[i].tell(&finding, resource->spec);
}
