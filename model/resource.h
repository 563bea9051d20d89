/* SPDX-License-Identifier: MPL-2.0 */
#ifndef MODEL_RESOURCE_H
#define MODEL_RESOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include "model/digest.h"
#include "model/value.h"

struct arena;
struct kind;
struct report;

/*
 * A resource: one valid manifest, normalised. Defaults are filled in, sizes are
 * bytes, durations seconds, addresses and MACs canonical text, keyed lists are
 * ordered by key and sets by content; so equal meaning is equal bytes.
 *
 * A set: all resources of one revision (or of the files given to `check`),
 * ordered by (kind rank, project, name), references resolved, derived resources
 * (NIC, Seed) added. Lives in the arena it was made in.
 */
struct resource {
    const struct kind *kind;
    const char *project; /* NULL if rack-wide */
    const char *name;
    const char *renamed_from;           /* metadata.renamedFrom, or NULL */
    const struct value *labels;         /* map, never NULL */
    const struct value *annotations;    /* map, never NULL; empty in a set that is watched */
    const struct value *drift_policy;   /* map of "default", "object" or a field's path to "heal",
                                         * "report" or "ignore"; never NULL */
    const struct value *spec;           /* map, normalised, never NULL */
    const struct value *own_spec;       /* spec without what only the whole set can fill in (the
                                         * nic of a PortForward that names none); NULL if equal */
    const struct resource *owner;       /* the resource this one was derived from, or NULL */
    struct position at;                 /* of the document; file names the manifest */
    struct position project_at;         /* of metadata.project, or of the document */
    const struct resource *const *refs; /* what it refers to, in rank order, no duplicates; a
                                         * neighbour may share it */
    size_t ref_count;
};

struct set {
    struct resource **resources;
    size_t count;
    size_t declared; /* without the derived ones */
};

/* Builds a set from parsed documents: give each file's documents, then finish. */
struct set_builder;
struct set_builder *set_builder_new(struct arena *arena, struct report *report);

/* From now on calls `made` with each resource that a document is made into, whole; the set keeps
 * it without what nothing but its normal form has use for, and is smaller for it. */
void set_builder_watch(struct set_builder *builder,
                       void (*made)(void *context, const struct resource *made), void *context);

/* Checks one document against its kind and adds it: what is kept is copied, but for the name
 * of its file. Problems go to the report; whatever can still be used is kept, so that later
 * checks find more. */
void set_builder_add(struct set_builder *builder, const struct value *document);

/* The two halves of it: checks a document by itself, into an arena and a report of its own, and
 * false if nothing can be made of it; adds what was made, a copy. The first may run in any thread.
 */
bool resource_read(struct arena *arena, struct report *report, const struct value *document,
                   struct resource *made);
void set_builder_take(struct set_builder *builder, const struct resource *made);

/* Adds a resource that was checked before (from the parse cache): `normal` is what
 * resource_value() gave, and is copied. */
void set_builder_add_normal(struct set_builder *builder, const struct value *normal,
                            struct position at);

/*
 * Resolves references, derives, checks what only the whole can show: duplicate
 * identities, dangling references, cycles (each link named), overlapping
 * subnets of a VPC, addresses outside their subnet or used twice, one writable
 * volume on two instances. Never NULL; valid only if the report has no problem.
 */
const struct set *set_builder_finish(struct set_builder *builder);

/* What was added so far, in the order of adding, each checked by itself alone. Valid until the
 * next is added. */
struct resource *const *set_builder_added(const struct set_builder *builder, size_t *count);
/* Adds one that another builder was given; its parts are shared and not copied. */
void set_builder_share(struct set_builder *builder, const struct resource *resource);

/* For a builder that is not to be finished. */
void set_builder_drop(struct set_builder *builder);

/* project NULL: rack-wide. NULL if it is not there. */
const struct resource *set_find(const struct set *set, const char *kind, const char *project,
                                const char *name);

/* For qsort() and bsearch() over pointers to resources, as a set is ordered: kind rank, project
 * (none first), name. */
int resource_compare(const void *a, const void *b);

/* As a manifest's reference is resolved: in `project` first (if not NULL), then rack-wide. */
const struct resource *set_resolve(const struct set *set, const char *kind, const char *project,
                                   const char *name);

/* Of kind, project, name, labels and spec, into `hex` (DIGEST_TEXT bytes), which it returns. */
char *resource_digest(const struct resource *resource, char *hex);

/* "Volume shop/db" or "Pool fast", in the arena. */
char *resource_label(struct arena *arena, const struct resource *resource);
char *identity_label(struct arena *arena, const char *kind, const char *project, const char *name);

/* {"apiVersion","kind","metadata":{...},"spec":{...}}: the normal form, without what
 * only the whole set fills in: what set_builder_add_normal() takes. Derived resources
 * (with an owner) are made anew by each set and are not to be added. */
struct value *resource_value(struct arena *arena, const struct resource *resource);

/*
 * The specs of everything `resource` refers to, directly and beyond, as drivers
 * get them: {"Volume":{"db":{"uid"?,"spec":{...}}},...}, keyed by kind and by the
 * name as the manifests write it. `decorate` (may be NULL) is called for each
 * to add "uid" and "chosen".
 */
struct value *resource_refs(struct arena *arena, const struct resource *resource,
                            void (*decorate)(void *context, struct arena *arena,
                                             const struct resource *ref, struct value *entry),
                            void *context);

/* Resources in dependency order (what is referred to comes first); stable. */
const struct resource **set_order(struct arena *arena, const struct set *set);

#endif
