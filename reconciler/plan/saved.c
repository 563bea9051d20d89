/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A saved plan is the document and a digest over it. It names the commit, the world
 * it was made from (an empty one too) and the hash of its steps: apply makes the
 * plan again and goes on only if it is the same.
 */
#include <string.h>

#include "model/invariant.h"
#include "reconciler/plan/plan.h"

static const char schema[] = "spinel/saved-plan/v1";

struct value *plan_save_document(struct arena *arena, const struct value *document)
{
    struct value *out = value_map(arena);
    char digest[DIGEST_TEXT];

    invariant(value_is_map(document), "what is saved is no plan");
    value_set_text(arena, out, "schema", schema);
    value_set_text(arena, out, "digest", digest_value(document, digest));
    value_set(arena, out, "plan", value_copy(arena, document));
    return out;
}

static int check_text(const struct value *document, const char *key, const char **text,
                      struct error *err)
{
    *text = value_get_text(document, key, NULL);
    if (!*text)
        return error_set(err, ERR_INVALID, "the saved plan has no %s", key);
    return 0;
}

int plan_saved_check(const struct value *saved, const char **hash, const char **commit,
                     const char **world, struct error *err)
{
    const struct value *document = value_get(saved, "plan");
    const char *found_hash, *found_commit, *found_world;
    char digest[DIGEST_TEXT];

    if (strcmp(value_get_text(saved, "schema", ""), schema) != 0 || !value_is_map(document)) {
        error_set(err, ERR_INVALID, "this is not a saved plan");
        return error_hint(err, "Write one with: spinel plan -o FILE");
    }
    digest_value(document, digest);
    if (strcmp(digest, value_get_text(saved, "digest", "")) != 0) {
        error_set(err, ERR_INVALID, "the saved plan was altered: its digest does not match");
        return error_hint(err, "Make it again with: spinel plan -o FILE");
    }
    if (check_text(document, "hash", &found_hash, err) != 0 ||
        check_text(document, "commit", &found_commit, err) != 0 ||
        check_text(document, "world", &found_world, err) != 0)
        return ERR_INVALID;
    *hash = found_hash;
    *commit = found_commit;
    *world = found_world;
    return 0;
}
