/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What somebody gives cloud-init, on its way into a machine: `cloudInit` of an instance as JSON,
 * behind a byte. What is derived of it reads back as it was meant, with nothing slipped in; the
 * seed's files hold these very texts, its tag nothing of user-data; a seed that was written is
 * found again as it is, and one that was changed is seen. A first byte of 0xf0 and more makes the
 * meta-data as long as the most keys may make it.
 */
#include <fcntl.h>
#include <sodium.h>
#include "drivers/lib/host.h"
#include "model/json.h"
#include "model/report.h"
#include "model/set_build.h"
#include "model/yaml.h"
#include "tests/fuzz/fuzz.h"

static int told_run(struct spinel_host *host, const char *const argv[], char **output,
                    struct error *err);
#define spinel_run told_run
#include "drivers/file/seed.c"
#undef spinel_run

#define UID "0123456789abcdef0123456789abcdef"
#define KEY "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGk2RQzTQMBvyP0Cq0Xy1ZbHcXyC1mG3n0Dq2WfH0S5v"

enum { META_MOST = 64 * 8192 };

static char directory[64];
static struct spinel_host host = {.state_dir = directory,
                                  .own_dir = directory,
                                  .rack_id = "r1",
                                  .key = {1, 2, 3},
                                  .call_fd = -1,
                                  .deadline_ms = INT64_MAX};
static const struct value *asked; /* spec of the seed that is being made */

/* ---- as mkfs.vfat and mcopy ---------------------------------------------------------- */

static void copy_check(const char *from, const char *name)
{
    size_t i = 0;
    while (i < PART_COUNT && strcmp(parts[i].file, name) != 0)
        i++;
    MUST(i < PART_COUNT);
    const char *text = value_get_text(asked, parts[i].field, "");
    int fd = open(from, O_RDONLY | O_CLOEXEC);
    char *held = arena_alloc(host.arena, strlen(text) + 2);
    MUST(fd >= 0 && read(fd, held, strlen(text) + 1) == (ssize_t)strlen(text));
    MUST(strcmp(held, text) == 0);
    close(fd);
}

static int told_run(struct spinel_host *with, const char *const argv[], char **output,
                    struct error *err)
{
    (void)with, (void)output, (void)err;
    if (strcmp(argv[0], "mcopy") != 0)
        return 0;
    int fd = open(argv[2], O_WRONLY | O_APPEND | O_CLOEXEC);
    MUST(fd >= 0 && strncmp(argv[6], "::/", 3) == 0);
    copy_check(argv[5], argv[6] + 3);
    dprintf(fd, "%s\n", argv[6]);
    close(fd);
    return 0;
}

/* ---- the driver ---------------------------------------------------------------------- */

static struct spinel_object seed_seen(void)
{
    struct spinel_object object = {.uid = UID, .absent = true};
    struct error err = ERROR_INIT;
    MUST(seed_look(&host, NULL, &object, &err) == 0);
    return object;
}

static const char *tag_text(void)
{
    struct error err = ERROR_INIT;
    struct spinel_object object = seed_seen();
    const struct value *tag;
    MUST(!object.absent);
    MUST(seed_tag(&host, UID, &tag, &err) == 0);
    return json_text(host.arena, tag);
}

static void seed_try(const struct value *spec)
{
    const struct spinel_op op = {.op = "o",
                                 .uid = UID,
                                 .epoch = 1,
                                 .verb = SPINEL_CREATE,
                                 .kind = "Seed",
                                 .project = "shop",
                                 .name = "web",
                                 .spec = spec};
    struct error err = ERROR_INIT;
    asked = spec;
    MUST(seed_apply(&host, &op, &err) == 0);
    struct spinel_object object = seed_seen();
    MUST(!object.absent && !object.damage && !value_get(object.spec, "userData"));
    const char *secret = value_get_text(spec, "userData", "");
    if (strlen(secret) > 40 && !strstr(value_get_text(spec, "metaData", ""), secret) &&
        !strstr(value_get_text(spec, "networkConfig", ""), secret))
        MUST(!strstr(tag_text(), secret));
    int fd = open(seed_path(&host, UID), O_WRONLY | O_CLOEXEC);
    MUST(fd >= 0 && write(fd, "x", 1) == 1);
    close(fd);
    MUST(seed_seen().damage);
    MUST(seed_remove(&host, seed_path(&host, UID), &err) == 0 && seed_seen().absent);
}

/* ---- the model ----------------------------------------------------------------------- */

static const struct set *set_of(struct value *cloud_init, struct report *report)
{
    static const char rack[] =
        "apiVersion: spinel/v1\nkind: Project\nmetadata: {name: shop}\nspec: {}\n---\n"
        "apiVersion: spinel/v1\nkind: SSHKey\nmetadata: {project: shop, name: ann}\n"
        "spec: {publicKey: \"" KEY " ann\"}\n---\n"
        "apiVersion: spinel/v1\nkind: Volume\nmetadata: {project: shop, name: db}\n"
        "spec: {size: 1GiB}\n---\n"
        "apiVersion: spinel/v1\nkind: Instance\nmetadata: {project: shop, name: web}\n"
        "spec: {cpus: 1, memory: 64MiB, disks: [{name: root, volume: db}]}\n";
    struct value *docs = NULL;
    MUST(yaml_read(host.arena, "a.yaml", rack, sizeof rack - 1, &docs, report) == 0);
    value_set(host.arena, (struct value *)(uintptr_t)value_get(docs->items[3], "spec"), "cloudInit",
              cloud_init);
    struct set_builder *builder = set_builder_new(host.arena, report);
    for (size_t i = 0; i < docs->count; i++)
        set_builder_add(builder, docs->items[i]);
    return set_builder_finish(builder);
}

/* The keys that meta-data has, and each once, and no others: what it says beyond them would be
 * somebody's addition. */
static void meta_check(const struct value *cloud_init, const char *text)
{
    struct report report;
    struct value *docs = NULL;
    report_init(&report, host.arena);
    MUST(yaml_read(host.arena, "meta-data", text, strlen(text), &docs, &report) == 0);
    MUST(docs->count == 1 && value_is_map(docs->items[0]));
    const struct value *meta = docs->items[0], *keys = value_get(meta, "public-keys");
    MUST(meta->pair_count == (keys ? 3U : 2U) && !report.count);
    MUST(strncmp(value_get_text(meta, "instance-id", ""), "i-", 2) == 0);
    MUST(strcmp(value_get_text(meta, "local-hostname", ""),
                value_get_text(cloud_init, "hostname", "web")) == 0);
    for (size_t i = 0; keys && i < keys->count; i++)
        MUST(strncmp(keys->items[i]->text, KEY, sizeof KEY - 1) == 0);
}

static const struct value *derived_spec(struct value *cloud_init)
{
    struct report report;
    report_init(&report, host.arena);
    const struct set *set = set_of(cloud_init, &report);
    const struct resource *seed = set_find(set, "Seed", "shop", "web");
    if (report.count || !seed)
        return NULL;
    meta_check(cloud_init, value_get_text(seed->spec, "metaData", NULL));
    return seed->spec;
}

static const struct value *lengthened(const struct value *spec)
{
    struct value *longer = value_copy(host.arena, spec);
    struct text text = TEXT_INIT;
    const char *meta = value_get_text(spec, "metaData", "x");
    while (text.len < META_MOST)
        text_add(&text, *meta ? meta : "x");
    value_set_text(host.arena, longer, "metaData", arena_text_n(host.arena, text.data, META_MOST));
    text_free(&text);
    return longer;
}

static void started(void)
{
    struct error err = ERROR_INIT;
    fuzz_directory(directory);
    MUST(sodium_init() >= 0 && ledger_open(directory, &host.ledger, &err) == 0);
    host.arena = arena_new();
    MUST(derived_spec(value_map(host.arena))); /* else nothing is tried */
    arena_free(host.arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = ERROR_INIT;
    struct value *cloud_init = NULL;
    if (!directory[0])
        started();
    if (size == 0)
        return 0;
    host.arena = arena_new();
    if (json_read(host.arena, (const char *)data + 1, size - 1, &cloud_init, &err) == 0) {
        const struct value *spec = derived_spec(cloud_init);
        if (spec)
            seed_try(data[0] >= 0xf0 ? lengthened(spec) : spec);
    }
    arena_free(host.arena);
    return 0;
}
