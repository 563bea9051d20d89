/* SPDX-License-Identifier: MPL-2.0 */
#ifndef MODEL_SET_BUILD_H
#define MODEL_SET_BUILD_H

#include "model/check.h"
#include "model/resource.h"

/* The parts of a set's making. Private to the model. */

/* Fills in what follows from a resource's own spec (maxCpus, gateway, ...). */
void resource_complete(struct checker *checker, struct resource *resource);

/* Checks of one resource by itself that a schema cannot say (exactly one of);
 * `given` is its spec as the manifest has it, and may be NULL. */
void resource_check(struct checker *checker, const struct resource *resource,
                    const struct value *given);

/* A spec's value by path; where a problem with it is shown: its own place, or the
 * resource's when it stands in no manifest (a default). */
struct position resource_place(const struct resource *resource, const char *path);
struct position value_place(const struct resource *resource, const struct value *value);

/* Fills in the nic of a FloatingIP or PortForward that names none. */
void set_complete(struct checker *checker, const struct set *set);

/* The NICs and the Seed of an instance, appended with resource_append. */
struct resource_list {
    struct resource **items;
    size_t count;
    size_t room;
};
void resource_append(struct arena *arena, struct resource_list *list, struct resource *resource);
void instance_derive(struct arena *arena, const struct set *declared,
                     const struct resource *instance, struct resource_list *list);

/* Resolves what `resource` refers to; dangling references are reported. `before` was resolved just
 * before, or is NULL: if it refers to the same, they share that. */
void resource_resolve(struct checker *checker, const struct set *set, struct resource *resource,
                      const struct resource *before);

/* Reports each project that is missing, once for each file. */
void set_check_projects(struct checker *checker, const struct set *set);

/* Reports each cycle of references once, link by link. */
void set_check_cycles(struct checker *checker, const struct set *set);

/* What only the whole can show: networks and addresses, then machines. */
void set_check_networks(struct checker *checker, const struct set *set);
void set_check_machines(struct checker *checker, const struct set *set);

/* What `resource` means by `name`, or NULL; `name` may be NULL. */
const struct resource *set_target(const struct set *set, const struct resource *resource,
                                  const char *kind, const char *name);

#endif
