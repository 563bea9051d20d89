/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The kernel is the only one who knows what the rules are; what nft prints after
 * a commit is kept, and a later print that differs shows what somebody did. The
 * text is read by its lines: libnftables prints one rule a line, and a definition
 * from "set x {" to its closing brace.
 */
#include "drivers/linux-vpc/nft.h"
#include <stdlib.h>
#include <string.h>
#include <nftables/libnftables.h>
#include "drivers/linux-vpc/netns.h"
#include "model/arena.h"
#include "model/error.h"
#include "model/sort.h"
#include "model/text.h"
#include "model/value.h"

static const char *text_or_none(const char *text)
{
    return text ? text : "";
}

/* NULL if what it prints could not be kept: a table that was not heard of must not pass for
 * one that is not there. */
static struct nft_ctx *nft_open(struct error *err)
{
    struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);
    if (nft && nft_ctx_buffer_output(nft) == 0 && nft_ctx_buffer_error(nft) == 0) {
        nft_ctx_output_set_flags(nft, NFT_CTX_OUTPUT_STATELESS);
        return nft;
    }
    error_set(err, ERR_SYSTEM, "cannot open nf_tables");
    if (nft)
        nft_ctx_free(nft);
    return NULL;
}

/* Runs in the current namespace. `*output` (may be NULL) is appended to. */
static int nft_run(const char *commands, struct text *output, bool *is_absent, struct error *err)
{
    struct nft_ctx *nft = nft_open(err);
    if (!nft)
        return err->code;
    int result = 0;
    if (nft_run_cmd_from_buffer(nft, commands) != 0) {
        const char *why = text_or_none(nft_ctx_get_error_buffer(nft));
        *is_absent = strstr(why, "No such file or directory") != NULL;
        result = error_set(err, strstr(why, "Operation not permitted") ? ERR_DENIED : ERR_SYSTEM,
                           "nftables refused the rules: %.*s", (int)strcspn(why, "\n"), why);
    } else if (output) {
        text_add(output, text_or_none(nft_ctx_get_output_buffer(nft)));
    }
    nft_ctx_free(nft);
    return result;
}

static int nft_run_in(const char *netns, const char *commands, struct text *output, bool *is_absent,
                      struct error *err)
{
    int home;
    if (!netns)
        return nft_run(commands, output, is_absent, err);
    if (netns_enter(netns, &home, err) < 0)
        return err->code;
    int result = nft_run(commands, output, is_absent, err);
    netns_leave(home);
    return result;
}

int nft_apply(const char *netns, const char *commands, struct error *err)
{
    bool is_absent;
    return nft_run_in(netns, commands, NULL, &is_absent, err);
}

/* ---- places ------------------------------------------------------------------------- */

static void places_find(struct arena *arena, struct nft_table *table)
{
    table->places = names_make(arena, table->count);
    for (size_t i = 0; i < table->count; i++)
        names_add(&table->places, table->entries[i].place, &table->entries[i]);
}

size_t nft_place(const struct nft_table *table, const char *place, const struct nft_entry **out)
{
    const struct nft_entry *first = names_find(&table->places, place);
    size_t count = 0;
    *out = first;
    while (first && first + count < table->entries + table->count &&
           strcmp(first[count].place, place) == 0)
        count++;
    return count;
}

/* ---- reading ------------------------------------------------------------------------ */

struct nft_reading {
    struct arena *arena;
    struct nft_table *table;
    const char *name;
    const char *place; /* the chain, set or map that we are in, or NULL */
    bool in_chain;
    struct text definition;
    size_t room;
};

static void entry_add(struct nft_reading *reading, const char *comment, const char *text)
{
    struct nft_table *table = reading->table;
    if (table->count == reading->room) {
        size_t room = reading->room ? reading->room * 2 : 32;
        struct nft_entry *more = arena_array(reading->arena, room, sizeof *more);
        if (table->count)
            memcpy(more, table->entries, table->count * sizeof *more);
        table->entries = more;
        reading->room = room;
    }
    table->entries[table->count++] = (struct nft_entry){
        .table = reading->name, .place = reading->place, .comment = comment, .text = text};
}

/* "elements = { b, a }" with its elements in order: the kernel keeps none. */
static char *elements_sorted(struct arena *arena, const char *text)
{
    const char *open = strstr(text, "elements = { ");
    const char *parts[1] = {NULL};
    size_t count = 0;
    size_t room = 1;
    char *rest = arena_text(arena, open ? open + strlen("elements = { ") : "");
    for (const char *c = rest; *c; c++)
        room += *c == ',' || *c == '}';
    const char **items = open ? arena_array(arena, room, sizeof *items) : parts;
    for (char *item = open ? strtok_r(rest, ",}", &rest) : NULL; item;
         item = strtok_r(NULL, ",}", &rest)) {
        item += strspn(item, " ");
        for (size_t end = strlen(item); end && item[end - 1] == ' ';)
            item[--end] = '\0';
        if (*item)
            items[count++] = item;
    }
    if (!open)
        return arena_text(arena, text);
    qsort(items, count, sizeof *items, text_order);
    struct text sorted = TEXT_INIT;
    text_add_n(&sorted, text, (size_t)(open - text));
    text_add(&sorted, "elements = {");
    for (size_t i = 0; i < count; i++)
        text_printf(&sorted, "%s %s", i ? "," : "", items[i]);
    text_add(&sorted, " }");
    char *result = arena_text(arena, sorted.data);
    text_free(&sorted);
    return result;
}

/* The text between the quotes of the last `comment "..."` of a line; "" if none. */
static const char *comment_of(struct arena *arena, const char *line)
{
    const char *found = NULL;
    for (const char *next = line; (next = strstr(next, "comment \"")); next++)
        found = next + strlen("comment \"");
    return found ? arena_text_n(arena, found, strcspn(found, "\"")) : "";
}

static void place_begin(struct nft_reading *reading, char *line)
{
    reading->in_chain = strncmp(line, "chain ", 6) == 0;
    char *name = strchr(line, ' ') + 1;
    reading->place = arena_text_n(reading->arena, name, strcspn(name, " "));
    text_reset(&reading->definition);
    text_printf(&reading->definition, "%.*s", (int)strcspn(line, " "), line);
}

static void place_end(struct nft_reading *reading)
{
    entry_add(reading, NULL, elements_sorted(reading->arena, reading->definition.data));
    reading->place = NULL;
    reading->in_chain = false;
}

static void line_read(struct nft_reading *reading, char *line)
{
    size_t len = strlen(line);
    bool opens = len > 2 && strcmp(line + len - 2, " {") == 0;
    if (len == 0 || strncmp(line, "table ", 6) == 0)
        return;
    if (!reading->place && strncmp(line, "comment \"", 9) == 0)
        reading->table->comment = comment_of(reading->arena, line);
    else if (!reading->place && opens)
        place_begin(reading, line);
    else if (strcmp(line, "}") == 0 && reading->place)
        place_end(reading);
    else if (reading->in_chain && strncmp(line, "type ", 5) != 0)
        entry_add(reading, comment_of(reading->arena, line), arena_text(reading->arena, line));
    else if (reading->place)
        text_printf(&reading->definition, " %s", line);
}

/* What "list `what`" prints of the table of that name. */
static int list_read(struct arena *arena, const char *netns, const char *name, const char *what,
                     struct nft_table *out, struct error *err)
{
    struct nft_table found = {.comment = ""};
    struct text listing = TEXT_INIT;
    struct error why = ERROR_INIT;
    bool is_absent = false;
    int result =
        nft_run_in(netns, arena_printf(arena, "list %s", what), &listing, &is_absent, &why);
    found.is_present = result == 0;
    if (result < 0 && !is_absent)
        *err = why;
    else
        result = 0;
    struct nft_reading reading = {
        .arena = arena, .table = &found, .name = arena_text(arena, name), .definition = TEXT_INIT};
    char *rest = listing.len ? listing.data : NULL;
    for (char *line = rest ? strtok_r(rest, "\n", &rest) : NULL; line;
         line = strtok_r(NULL, "\n", &rest))
        line_read(&reading, line + strspn(line, "\t "));
    text_free(&reading.definition);
    text_free(&listing);
    if (result == 0)
        *out = found;
    return result;
}

int nft_read(struct arena *arena, const char *netns, const char *table, struct nft_table *out,
             struct error *err)
{
    int result = list_read(arena, netns, table, arena_printf(arena, "table %s", table), out, err);
    if (result == 0)
        places_find(arena, out);
    return result;
}

/* The entries of `table` with those of `chain` in the place of what it had of it; at the end if it
 * had nothing. */
static void chain_replace(struct arena *arena, struct nft_table *table, const char *chain,
                          const struct nft_table *read)
{
    const struct nft_entry *old;
    size_t old_count = nft_place(table, chain, &old);
    size_t at = old_count ? (size_t)(old - table->entries) : table->count;
    size_t rest = table->count - at - old_count;
    struct nft_entry *entries = arena_array(arena, at + read->count + rest + 1, sizeof *entries);
    if (at)
        memcpy(entries, table->entries, at * sizeof *entries);
    if (read->count)
        memcpy(entries + at, read->entries, read->count * sizeof *entries);
    if (rest)
        memcpy(entries + at + read->count, old + old_count, rest * sizeof *entries);
    table->entries = entries;
    table->count = at + read->count + rest;
    places_find(arena, table);
}

int nft_read_chain(struct arena *arena, const char *netns, const char *name, const char *chain,
                   struct nft_table *table, struct error *err)
{
    struct nft_table read;
    const char *what = arena_printf(arena, "chain %s %s", name, chain);
    if (list_read(arena, netns, name, what, &read, err) < 0)
        return err->code;
    chain_replace(arena, table, chain, &read);
    return 0;
}

/* ---- keeping ------------------------------------------------------------------------ */

void nft_entries_save(struct arena *arena, struct value *list, const struct nft_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct nft_entry *entry = &table->entries[i];
        struct value *value = value_append(arena, list, value_map(arena));
        value_set_text(arena, value, "table", entry->table);
        value_set_text(arena, value, "place", entry->place);
        if (entry->comment)
            value_set_text(arena, value, "comment", entry->comment);
        value_set_text(arena, value, "text", entry->text);
    }
}

struct nft_table nft_entries_load(struct arena *arena, const struct value *list, const char *table)
{
    struct nft_table found = {.is_present = true, .comment = ""};
    size_t count = value_is_list(list) ? list->count : 0;
    found.entries = arena_array(arena, count + 1, sizeof *found.entries);
    for (size_t i = 0; i < count; i++) {
        const struct value *value = list->items[i];
        struct nft_entry entry = {
            .table = value_get_text(value, "table", ""),
            .place = value_get_text(value, "place", ""),
            .comment = value_get_text(value, "comment", NULL),
            .text = value_get_text(value, "text", ""),
        };
        if (strcmp(entry.table, table) == 0)
            found.entries[found.count++] = entry;
    }
    places_find(arena, &found);
    return found;
}

/* ---- comparing ---------------------------------------------------------------------- */

struct nft_pairing {
    const struct nft_table *expected;
    const struct nft_table *observed;
    size_t from; /* those observed before it are done */
    bool *expected_done;
    bool *observed_done;
    struct nft_change *changes;
    size_t count;
};

static bool comment_same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

enum pairing { PAIR_EQUAL, PAIR_COMMENT, PAIR_PLACE };

static bool pairs_with(const struct nft_entry *a, const struct nft_entry *b, enum pairing how)
{
    if (strcmp(a->place, b->place) != 0 || !a->comment != !b->comment)
        return false;
    if (how == PAIR_EQUAL)
        return comment_same(a->comment, b->comment) && strcmp(a->text, b->text) == 0;
    return how == PAIR_PLACE || comment_same(a->comment, b->comment);
}

static void pair_up(struct nft_pairing *pairing, enum pairing how)
{
    for (size_t i = 0; i < pairing->expected->count; i++) {
        const struct nft_entry *expected = &pairing->expected->entries[i];
        while (pairing->from < pairing->observed->count && pairing->observed_done[pairing->from])
            pairing->from++;
        for (size_t n = pairing->from; n < pairing->observed->count && !pairing->expected_done[i];
             n++) {
            const struct nft_entry *observed = &pairing->observed->entries[n];
            if (pairing->observed_done[n] || !pairs_with(expected, observed, how))
                continue;
            pairing->expected_done[i] = pairing->observed_done[n] = true;
            if (how != PAIR_EQUAL)
                pairing->changes[pairing->count++] = (struct nft_change){expected, observed};
        }
    }
}

static void leftovers_add(struct nft_pairing *pairing)
{
    for (size_t i = 0; i < pairing->expected->count; i++)
        if (!pairing->expected_done[i])
            pairing->changes[pairing->count++] =
                (struct nft_change){.expected = &pairing->expected->entries[i]};
    for (size_t n = 0; n < pairing->observed->count; n++)
        if (!pairing->observed_done[n])
            pairing->changes[pairing->count++] =
                (struct nft_change){.observed = &pairing->observed->entries[n]};
}

/* The same entries, but the rules of a chain in another order: first match wins, so
 * that is another policy. The first one out of place stands for all. */
static void moved_add(struct nft_pairing *pairing)
{
    for (size_t i = 0; i < pairing->expected->count && i < pairing->observed->count; i++) {
        const struct nft_entry *expected = &pairing->expected->entries[i];
        const struct nft_entry *observed = &pairing->observed->entries[i];
        if (expected->comment && strcmp(expected->text, observed->text) != 0) {
            pairing->changes[pairing->count++] = (struct nft_change){expected, observed};
            return;
        }
    }
}

size_t nft_compare(struct arena *arena, const struct nft_table *expected,
                   const struct nft_table *observed, struct nft_change **out)
{
    size_t room = expected->count + observed->count + 1;
    struct nft_pairing pairing = {
        .expected = expected,
        .observed = observed,
        .expected_done = arena_array(arena, room, sizeof(bool)),
        .observed_done = arena_array(arena, room, sizeof(bool)),
        .changes = arena_array(arena, room, sizeof(struct nft_change)),
    };
    pair_up(&pairing, PAIR_EQUAL);
    pair_up(&pairing, PAIR_COMMENT);
    pair_up(&pairing, PAIR_PLACE);
    leftovers_add(&pairing);
    if (pairing.count == 0)
        moved_add(&pairing);
    *out = pairing.changes;
    return pairing.count;
}
