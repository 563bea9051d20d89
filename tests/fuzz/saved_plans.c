/* SPDX-License-Identifier: MPL-2.0 */
/* Plan documents that come from files and sockets: read, checked, shown, saved again. */
#include "model/arena.h"
#include "model/json.h"
#include "reconciler/plan/plan.h"
#include "reconciler/plan/text.h"
#include "tests/fuzz/fuzz.h"

static void show(const struct value *document)
{
    struct text out = TEXT_INIT;
    plan_text(&out, document, (struct plan_text_options){.columns = 80});
    plan_text(&out, document, (struct plan_text_options){.color = true, .columns = 20});
    text_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    struct error err = ERROR_INIT;
    struct value *read = NULL;
    const char *hash = NULL, *commit = NULL, *world = NULL;
    char *text = fuzz_text(data, size);
    if (json_read(arena, text, size, &read, &err) == 0) {
        if (plan_saved_check(read, &hash, &commit, &world, &err) == 0)
            MUST(hash && commit && world);
        /* As if its digest were right: what was altered by who knows how. */
        const struct value *document = value_get(read, "plan");
        document = document ? document : read;
        if (value_is_map(document)) {
            struct value *saved = plan_save_document(arena, document);
            int rc = plan_saved_check(saved, &hash, &commit, &world, &err);
            MUST(rc == 0 || rc == ERR_INVALID);
        }
        show(document);
    }
    free(text);
    arena_free(arena);
    return 0;
}
