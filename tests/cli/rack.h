/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_CLI_RACK_H
#define TESTS_CLI_RACK_H

/* A repository and rows of a store for commands that read them; no driver is ever started. */
#include "tests/cli/run.h"

#define UID(digit) digit digit digit digit digit digit digit digit
#define UID_VPC UID("aaaa")
#define UID_WEB UID("bbbb")
#define UID_NIC UID("cccc")
#define UID_DATA UID("dddd")
#define UID_OLD UID("eeee")

#define DOC(kind, meta, spec) \
    "---\napiVersion: spinel/v1\nkind: " kind "\nmetadata: {" meta "}\nspec: " spec "\n"
#define MANIFESTS                                                                             \
    DOC("Project", "name: shop", "{}")                                                        \
    DOC("VPC", "project: shop, name: net", "{prefixes: [10.0.0.0/16]}")                       \
    DOC("Subnet", "project: shop, name: front", "{vpc: net, cidr: 10.0.1.0/24}")              \
    DOC("Volume", "project: shop, name: data", "{size: 1GiB}")                                \
    DOC("Instance", "project: shop, name: web-1",                                             \
        "{cpus: 2, memory: 256MiB, disks: [{name: root, volume: data}], nics: [{name: eth0, " \
        "subnet: front}], cloudInit: {userData: hunter2}}")

/* The branch's head declares this; returns the commit. */
SCENE_FN char *commit_put(struct scene *scene, const char *manifests)
{
    file_put(scene, "a.yaml", manifests);
    shell(scene, "[ -d manifests.git ] || git init -q --bare -b main manifests.git\n"
                 "mkdir -p drivers; printf '#!/bin/false\\n' >drivers/sim; chmod 755 drivers/sim\n"
                 "export GIT_DIR=$PWD/manifests.git\n"
                 "blob=$(git hash-object -w a.yaml)\n"
                 "tree=$(printf '100644 blob %s\\ta.yaml\\n' $blob | git mktree)\n"
                 "commit=$(git commit-tree $tree -m 'A rack')\n"
                 "git update-ref refs/heads/main $commit; printf %s $commit >commit\n");
    return file_get(scene, "commit");
}

struct object {
    const char *kind, *project, *name, *uid;
    const char *applied, *observed, *booted, *status; /* JSON; NULL: none */
    enum lifecycle life;
};

SCENE_FN void object_put(struct scene *scene, struct store *store, const struct object *object)
{
#define JSON_OR_NULL(text) ((text) ? json(scene, text) : NULL)
    const struct known known = {.uid = object->uid,
                                .kind = object->kind,
                                .project = object->project,
                                .name = object->name,
                                .life = object->life,
                                .generation = 1,
                                .epoch = 2,
                                .chosen = json(scene, "{}"),
                                .applied = JSON_OR_NULL(object->applied)};
    const struct observation seen = {.known = true,
                                     .epoch = 2,
                                     .at = 1700000000,
                                     .spec = JSON_OR_NULL(object->observed),
                                     .booted = JSON_OR_NULL(object->booted),
                                     .status = JSON_OR_NULL(object->status)};
    if (store_object_put(store, &known, &scene->err) != 0 ||
        (object->observed &&
         store_observation_put(store, object->uid, &seen, "e", &scene->err) != 0))
        fail_msg("%s", scene->err.message);
}

SCENE_FN int64_t revision_put(struct scene *scene, struct store *store, const char *commit,
                              const char *state, int64_t converged_at)
{
    const struct revision revision = {.commit = commit,
                                      .parent = "",
                                      .author = "Ann <ann@example.org>",
                                      .subject = "A rack",
                                      .pushed_by = "ann",
                                      .state = state,
                                      .message = strcmp(state, "refused") ? "" : "no such kind",
                                      .at = 1700000000,
                                      .converged_at = converged_at,
                                      .resources = 5};
    int64_t id = 0;
    if (store_revision_add(store, &revision, &id, &scene->err) != 0)
        fail_msg("%s", scene->err.message);
    if (converged_at && store_revision_state(store, id, state, converged_at, &scene->err) != 0)
        fail_msg("%s", scene->err.message);
    return id;
}

#define WEB_SPEC                                                                       \
    "{\"cpus\":2,\"memory\":268435456,\"power\":\"on\",\"disks\":[{\"name\":\"root\"," \
    "\"volume\":\"data\"}],\"nics\":[{\"name\":\"eth0\",\"subnet\":\"front\"}],"       \
    "\"cloudInit\":{\"userData\":\"keyed:00\"}}"

/* A rack that was applied, and a volume that was released. */
SCENE_FN void rack_put(struct scene *scene, struct store *store)
{
    const struct object objects[] = {
        {.kind = "VPC",
         .project = "shop",
         .name = "net",
         .uid = UID_VPC,
         .life = LIFE_LIVE,
         .applied = "{\"prefixes\":[\"10.0.0.0/16\"],\"mtu\":1500}",
         .observed = "{\"prefixes\":[\"10.0.0.0/16\"],\"mtu\":9000}"},
        {.kind = "Volume",
         .project = "shop",
         .name = "data",
         .uid = UID_DATA,
         .life = LIFE_LIVE,
         .applied = "{\"size\":1073741824}",
         .observed = "{\"size\":1073741824}",
         .status = "{\"state\":\"missing\"}"},
        {.kind = "Instance",
         .project = "shop",
         .name = "web-1",
         .uid = UID_WEB,
         .life = LIFE_LIVE,
         .applied = WEB_SPEC,
         .observed = "{\"cpus\":1,\"memory\":268435456,\"power\":\"on\",\"disks\":[{\"name\":"
                     "\"root\",\"volume\":\"data\"},{\"name\":\"extra\",\"volume\":\"more\"},"
                     "{\"volume\":\"nameless\"}]}",
         .booted = "{\"cpus\":2,\"memory\":268435456}",
         .status = "{\"state\":\"running\",\"address\":null,\"exit\":{\"reason\":\"crash\"}}"},
        {.kind = "NIC",
         .project = "shop",
         .name = "web-1.eth0",
         .uid = UID_NIC,
         .life = LIFE_LIVE,
         .applied = "{\"subnet\":\"front\"}"},
        {.kind = "Volume",
         .project = "shop",
         .name = "old",
         .uid = UID_OLD,
         .life = LIFE_RELEASED,
         .applied = "{\"size\":1024}",
         .observed = "{\"size\":1024}"},
        {.kind = "Pool", .name = "fast", .uid = UID("ffff"), .life = LIFE_LIVE, .applied = "{}"},
        {.kind = "Volume",
         .project = "blog",
         .name = "data",
         .uid = UID("9999"),
         .life = LIFE_LIVE,
         .applied = "{\"size\":1024}"},
    };
    for (size_t i = 0; i < sizeof objects / sizeof *objects; i++)
        object_put(scene, store, &objects[i]);
}

#endif
