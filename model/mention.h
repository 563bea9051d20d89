/* SPDX-License-Identifier: MPL-2.0 */
#ifndef MODEL_MENTION_H
#define MODEL_MENTION_H

#include <stdint.h>
#include "model/resource.h"

/*
 * What a resource has in common with others, as keys. Each follows from the resource's own
 * manifest and from nothing else, so that a change of one manifest changes its own keys only:
 *
 *   MENTION_IS       its identity
 *   MENTION_REF      an identity that it refers to, or would if there were one
 *   MENTION_WAS      the identity that it is renamed from
 *   MENTION_PLACE    a Subnet: the VPC that it lies in
 *   MENTION_CLAIM    what only one may have: an address, a MAC, a port
 *
 * All checks of a whole set (set_builder_finish()) that look at two resources look at two that
 * share a key, or that are led to from one another by keys: a new check needs its key here.
 * tests/engine/test_part.c holds a plan of a change, which relies on it, to the plan of the whole.
 *
 * A key is a number. Two texts may have one number: then a neighbour is found that is none.
 */
enum mention { MENTION_IS, MENTION_REF, MENTION_WAS, MENTION_PLACE, MENTION_CLAIM };

/* Of an identity; project NULL: rack-wide. */
int64_t mention_key(enum mention mention, const char *kind, const char *project, const char *name);

/* Calls `found` with each key of a declared resource; some may come more than once. `kind`,
 * `project` and `name` are given for MENTION_IS, MENTION_REF, MENTION_WAS and MENTION_PLACE. */
struct mentioned {
    enum mention mention;
    int64_t key;
    const char *kind, *project, *name;
};
void mentions_each(const struct resource *resource,
                   void (*found)(void *context, const struct mentioned *mentioned), void *context);

/* Calls `found` with each reference that a spec of a kind makes by its x-ref fields. */
void mentions_refs(const struct kind *kind, const char *project, const struct value *spec,
                   void (*found)(void *context, const struct mentioned *mentioned), void *context);

#endif
