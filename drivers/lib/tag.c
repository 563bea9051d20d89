/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Ownership tags: one line of canonical JSON with a MAC over itself and over the
 * native id of what carries it. The native id is not in the text, so a tag that was
 * copied along with a file verifies nowhere else.
 */
#include <sodium.h>
#include <string.h>
#include "drivers/lib/host.h"
#include "model/arena.h"
#include "model/digest.h"
#include "model/invariant.h"
#include "model/json.h"

static void tag_mac(struct spinel_host *host, const struct value *tag, const char *native_id,
                    char *mac)
{
    struct text covered = TEXT_INIT;
    invariant(!value_get(tag, "mac"), "a tag of '%s' covers its own MAC", native_id);
    json_write_canonical(&covered, tag);
    text_add_char(&covered, '\n');
    text_add(&covered, native_id);
    digest_keyed(host->key, sizeof host->key, covered.data, covered.len, mac);
    text_free(&covered);
}

char *spinel_tag_make(struct spinel_host *host, const struct spinel_op *op, const char *native_id,
                      const struct value *extra)
{
    struct arena *arena = host->arena;
    invariant(digest_is_uid(op->uid) && op->epoch > 0 && native_id[0],
              "%s '%s', uid %.40s, epoch %llu, is marked on '%s'", op->kind, op->name, op->uid,
              (unsigned long long)op->epoch, native_id);
    struct value *tag = value_map(arena);
    char mac[DIGEST_TEXT];
    value_set_text(arena, tag, "rack", host->rack_id);
    value_set_text(arena, tag, "kind", op->kind);
    value_set_text(arena, tag, "project", op->project);
    value_set_text(arena, tag, "name", op->name);
    value_set_text(arena, tag, "uid", op->uid);
    value_set_int(arena, tag, "epoch", (int64_t)op->epoch);
    value_set_bool(arena, tag, "released", op->verb == SPINEL_RELEASE);
    value_set(arena, tag, "extra", extra ? value_copy(arena, extra) : value_map(arena));
    tag_mac(host, tag, native_id, mac);
    value_set_text(arena, tag, "mac", mac);
    return json_text(arena, tag);
}

static bool tag_is_of(struct spinel_host *host, const struct value *tag, const char *native_id,
                      const char given[DIGEST_TEXT])
{
    char mac[DIGEST_TEXT];
    if (!native_id)
        return false;
    tag_mac(host, tag, native_id, mac);
    return sodium_memcmp(mac, given, DIGEST_TEXT) == 0;
}

const struct value *spinel_tag_read(struct spinel_host *host, const char *text,
                                    const char *native_id)
{
    return spinel_tag_read_either(host, text, native_id, NULL);
}

const struct value *spinel_tag_read_either(struct spinel_host *host, const char *text,
                                           const char *native_id, const char *former)
{
    struct error ignored = ERROR_INIT;
    struct value *tag;
    char given[DIGEST_TEXT] = "";
    if (json_read(host->arena, text, strlen(text), &tag, &ignored) < 0 || !value_is_map(tag))
        return NULL;
    const char *claimed = value_get_text(tag, "mac", "");
    if (strlen(claimed) != DIGEST_TEXT - 1)
        return NULL;
    memcpy(given, claimed, DIGEST_TEXT);
    value_unset(tag, "mac");
    if ((!tag_is_of(host, tag, native_id, given) && !tag_is_of(host, tag, former, given)) ||
        strcmp(value_get_text(tag, "rack", ""), host->rack_id) != 0 ||
        value_get_int(tag, "epoch", 0) < 0 || !value_get_text(tag, "uid", NULL))
        return NULL;
    value_set_text(host->arena, tag, "mac", given);
    return tag;
}

char *spinel_digest(struct spinel_host *host, const void *data, size_t len)
{
    char *hex = arena_alloc(host->arena, DIGEST_TEXT);
    return digest_keyed(host->key, sizeof host->key, data, len, hex);
}
