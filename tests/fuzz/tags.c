/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Ownership tags. As they come, none may verify; signed anew with our key, whatever they
 * say must be harmless: somebody may have had the key, or an older version wrote it.
 */
#include <sodium.h>
#include "drivers/file/mark.c"
#include "drivers/file/staging.c"
#include "drivers/lib/tag.c"
#include "tests/fuzz/fuzz.h"

static const char native[] = "a.raw:17";

static char *signed_again(struct spinel_host *host, const char *text, size_t len)
{
    struct error err = ERROR_INIT;
    struct value *tag = NULL;
    char mac[DIGEST_TEXT];
    if (json_read(host->arena, text, len, &tag, &err) < 0 || !value_is_map(tag))
        return NULL;
    value_unset(tag, "mac");
    tag_mac(host, tag, native, mac);
    value_set_text(host->arena, tag, "mac", mac);
    return json_text(host->arena, tag);
}

static void tag_use(struct spinel_host *host, const struct value *tag)
{
    const struct spinel_op op = {.uid = "0", .epoch = 5, .kind = "Volume", .name = "db"};
    struct spinel_object object = {.uid = "0"};
    struct error err = ERROR_INIT;
    char etag[64];
    mark_fill(&object, tag);
    MUST(object.kind && object.name);
    (void)mark_admit(tag, &op, &err);
    mark_etag("/nonexistent", tag, etag);
    MUST(spinel_tag_read(host, json_text(host->arena, tag), native));
    MUST(!spinel_tag_read(host, json_text(host->arena, tag), "another:17"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct spinel_host host = {.key = {1, 2, 3}, .rack_id = "r1", .arena = arena_new()};
    char *text = fuzz_text(data, size);
    MUST(!spinel_tag_read(&host, text, native));
    const char *good = signed_again(&host, text, size);
    const struct value *tag = good ? spinel_tag_read(&host, good, native) : NULL;
    if (tag)
        tag_use(&host, tag);
    free(text);
    arena_free(host.arena);
    return 0;
}
