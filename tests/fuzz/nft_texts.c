/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What nft prints of a table that somebody edited: read by lines, compared with what was
 * kept, and told in a manifest's words where that can be done. A line "====" parts what is
 * expected from what is observed.
 */
#define text_order decompiled_order
#include "drivers/linux-vpc/decompile.c"
#undef text_order
#include "drivers/linux-vpc/names.c"
#include "drivers/linux-vpc/netns.c"
#include "drivers/linux-vpc/nft.c"
#include "tests/fuzz/fuzz.h"

static struct nft_table table_read(struct arena *arena, const char *listing, size_t len)
{
    struct nft_table table = {.is_present = true, .comment = ""};
    struct nft_reading reading = {
        .arena = arena, .table = &table, .name = "inet spinel", .definition = TEXT_INIT};
    char *rest = arena_text_n(arena, listing, len);
    for (char *line = *rest ? strtok_r(rest, "\n", &rest) : NULL; line;
         line = strtok_r(NULL, "\n", &rest))
        line_read(&reading, line + strspn(line, "\t "));
    text_free(&reading.definition);
    return table;
}

static void change_tell(struct arena *arena, const struct nft_change *change)
{
    struct decompiled told;
    const char *a = change->expected ? change->expected->text : "accept";
    const char *b = change->observed ? change->observed->text : "accept";
    if (decompile_rule(arena, a, b, &told))
        MUST(told.verdict);
    decompile_shown(arena, b);
    decompile_element(arena, b, "tcp . 80");
    decompile_element_count(b);
}

/* What is kept of a table reads back as the table. */
static void keep(struct arena *arena, const struct nft_table *table)
{
    struct nft_change *changes;
    struct value *list = value_list(arena);
    nft_entries_save(arena, list, table);
    struct nft_table again = nft_entries_load(arena, list, "inet spinel");
    MUST(again.count == table->count && nft_compare(arena, table, &again, &changes) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    char *text = fuzz_text(data, size);
    const char *line = strstr(text, "====");
    size_t first = line ? (size_t)(line - text) : strlen(text);
    struct nft_table expected = table_read(arena, text, first);
    const char *second = line ? line + 4 : text + first;
    struct nft_table observed = table_read(arena, second, strlen(second));
    struct nft_change *changes;
    size_t count = nft_compare(arena, &expected, &observed, &changes);
    for (size_t i = 0; i < count; i++)
        change_tell(arena, &changes[i]);
    keep(arena, &expected);
    free(text);
    arena_free(arena);
    return 0;
}
