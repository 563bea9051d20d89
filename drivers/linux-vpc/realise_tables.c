/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The tables. A table is written whole: a transaction that replaces it leaves no state in which
 * some of the old is mixed with some of the new, and a step that comes again, a repair and a
 * rebuild are the same thing.
 *
 * What need not be written is not. While the ruleset's generation is the one under which our last
 * commit was read back (seal.h), nobody has committed anything since, and of what was written from
 * the same text then nothing can differ now: the table of rules is passed over, or if it has
 * sections (compile_firewall.c) all of it but those with another text, and of the other one, which
 * has a chain for each tap, only those chains are made anew whose text or link is another one. That
 * the generation has then moved by our own commit alone proves that what was passed over is still
 * as it was read; if it has not, all is written, once more. So it is if a note of what was read is
 * missing.
 */
#include <string.h>
#include "drivers/linux-vpc/compile.h"
#include "drivers/linux-vpc/link.h"
#include "drivers/linux-vpc/nft.h"
#include "drivers/linux-vpc/realise.h"
#include "drivers/linux-vpc/seal.h"
#include "model/arena.h"
#include "model/digest.h"
#include "model/error.h"
#include "model/text.h"

enum { TURNS = 3 };

enum table { TABLE_RULES, TABLE_SPOOF, TABLE_HOST, TABLES };

struct chain;

struct tables {
    const struct realise *realise;
    const struct link_list *links;
    const struct value *before, *before_spoof; /* entries as they were read last; NULL: no note */
    const struct policy *policy;
    struct compile_sections sections;
    struct text frame; /* the table of rules, its sections empty */
    const char *frame_digest;
    const char **section_marks; /* name and text of each, as the seal says it */
    bool *is_section_written;   /* when the table as a whole is not */
    bool has_sections_written;
    struct chain *chains; /* of the taps that are there */
    size_t chain_count;
    bool is_written[TABLES];
};

const char *realise_host_table(struct arena *arena, const struct network *network)
{
    return arena_printf(arena, "inet " COMPILE_TABLE "_%s", network->uplink);
}

/* ---- what is wanted ----------------------------------------------------------------- */

static bool links_have(void *context, const char *tap)
{
    return link_find(context, tap) != NULL;
}

/* A chain that is wanted. Its mark is what the seal says of it: another text or another link under
 * the tap's name makes another mark. */
struct chain {
    const struct network_nic *nic;
    const char *text;
    const char *mark;
};

static struct chain chain_of(struct arena *arena, const struct network_nic *nic,
                             const struct link *tap)
{
    char digest[DIGEST_TEXT];
    struct text text = TEXT_INIT;
    compile_chain(&text, nic);
    digest_bytes(text.data, text.len, digest);
    struct chain chain = {.nic = nic,
                          .text = arena_text(arena, text.data),
                          .mark =
                              arena_printf(arena, "%s %d %.16s", tap->name, tap->index, digest)};
    text_free(&text);
    return chain;
}

static void chains_compile(struct tables *tables)
{
    struct arena *arena = tables->realise->arena;
    const struct network *network = tables->realise->network;
    tables->chains = arena_array(arena, network->nic_count + 1, sizeof *tables->chains);
    for (size_t i = 0; i < network->nic_count; i++) {
        const struct link *tap = link_find(tables->links, network->nics[i].tap);
        if (tap)
            tables->chains[tables->chain_count++] = chain_of(arena, &network->nics[i], tap);
    }
}

static struct value *chains_marks(const struct tables *tables)
{
    struct arena *arena = tables->realise->arena;
    struct value *marks = value_list(arena);
    for (size_t i = 0; i < tables->chain_count; i++)
        value_append(arena, marks, value_text(arena, tables->chains[i].mark));
    return marks;
}

/* Writes what makes the chains with these marks those that are wanted. */
static void chains_compare(const struct tables *tables, const struct value *marks, struct text *out)
{
    struct arena *arena = tables->realise->arena;
    size_t count = value_is_list(marks) ? marks->count : 0;
    struct names there = names_make(arena, count);
    struct names wanted = names_make(arena, tables->chain_count);
    for (size_t i = 0; i < count; i++)
        names_add(&there, value_item_text(marks, i), marks);
    for (size_t i = 0; i < tables->chain_count; i++) {
        const struct chain *chain = &tables->chains[i];
        names_add(&wanted, chain->nic->tap, chain);
        if (names_find(&there, chain->mark))
            continue;
        compile_chain_removal(out, chain->nic->tap);
        compile_chain_made(out, chain->text);
    }
    for (size_t i = 0; i < count; i++) {
        const char *mark = value_item_text(marks, i);
        const char *tap = arena_text_n(arena, mark, strcspn(mark, " "));
        if (!names_find(&wanted, tap))
            compile_chain_removal(out, tap);
    }
}

/* ---- sections ----------------------------------------------------------------------- */

static const char *section_mark(const struct tables *tables, const struct compile_section *section)
{
    char digest[DIGEST_TEXT];
    struct text text = TEXT_INIT;
    compile_section(&text, tables->policy, section);
    digest_bytes(text.data, text.len, digest);
    text_free(&text);
    return arena_printf(tables->realise->arena, "%s %.16s", section->name, digest);
}

static void rules_compile(struct tables *tables)
{
    char digest[DIGEST_TEXT];
    struct arena *arena = tables->realise->arena;
    tables->sections = compile_sections(arena, tables->policy);
    size_t count = tables->sections.count;
    compile_frame(&tables->frame, tables->realise->network, tables->policy, &tables->sections);
    tables->frame_digest =
        arena_text(arena, digest_bytes(tables->frame.data, tables->frame.len, digest));
    tables->section_marks = arena_array(arena, count + 1, sizeof *tables->section_marks);
    tables->is_section_written = arena_array(arena, count + 1, sizeof(bool));
    for (size_t i = 0; i < count; i++)
        tables->section_marks[i] = section_mark(tables, &tables->sections.items[i]);
}

static struct value *sections_marks(const struct tables *tables)
{
    struct arena *arena = tables->realise->arena;
    struct value *marks = value_list(arena);
    for (size_t i = 0; i < tables->sections.count; i++)
        value_append(arena, marks, value_text(arena, tables->section_marks[i]));
    return marks;
}

static void table_write(const struct tables *tables, struct text *out)
{
    text_add(out, tables->frame.data);
    for (size_t i = 0; i < tables->sections.count; i++)
        compile_section(out, tables->policy, &tables->sections.items[i]);
}

/* The frame is the same, so that these sections are there: writes those that have another text than
 * `marks` tell, in order. */
static void sections_compare(struct tables *tables, const struct value *marks, struct text *out)
{
    tables->has_sections_written = false;
    for (size_t i = 0; i < tables->sections.count; i++) {
        const struct compile_section *section = &tables->sections.items[i];
        tables->is_section_written[i] =
            strcmp(value_item_text(marks, i), tables->section_marks[i]) != 0;
        if (!tables->is_section_written[i])
            continue;
        tables->has_sections_written = true;
        text_printf(out, "flush chain inet " COMPILE_TABLE " %s\n", section->name);
        compile_section(out, tables->policy, section);
    }
}

/* ---- writing ------------------------------------------------------------------------ */

static int whole_write(struct tables *tables, struct error *err)
{
    struct text text = TEXT_INIT;
    const struct network *network = tables->realise->network;
    table_write(tables, &text);
    compile_spoof(&text, network, links_have, (void *)(size_t)tables->links);
    int result = nft_apply(network->netns, text.data, err);
    text_free(&text);
    tables->is_written[TABLE_RULES] = tables->is_written[TABLE_SPOOF] = true;
    tables->has_sections_written = false;
    return result;
}

/* Of the two tables of the namespace what differs from what `seal` says is there. Should the
 * kernel not take it, all is written. */
static int difference_write(struct tables *tables, const struct value *seal, struct error *err)
{
    struct text change = TEXT_INIT;
    struct error refused = ERROR_INIT;
    int result = 0;
    chains_compare(tables, value_get(seal, "chains"), &change);
    tables->is_written[TABLE_SPOOF] = change.len > 0;
    tables->is_written[TABLE_RULES] =
        strcmp(value_get_text(seal, "rules", ""), tables->frame_digest) != 0;
    if (tables->is_written[TABLE_RULES])
        table_write(tables, &change);
    else
        sections_compare(tables, value_get(seal, "sections"), &change);
    if (change.len && nft_apply(tables->realise->network->netns, change.data, &refused) < 0)
        result = whole_write(tables, err);
    text_free(&change);
    return result;
}

static int host_write(struct tables *tables, struct error *err)
{
    struct text text = TEXT_INIT;
    compile_host(&text, tables->realise->network);
    int result = nft_apply(NULL, text.data, err);
    text_free(&text);
    tables->is_written[TABLE_HOST] = true;
    return result;
}

/* ---- keeping ------------------------------------------------------------------------ */

/* Replaces what `table` has of the sections that were written by what the kernel has of them. */
static int sections_read(const struct tables *tables, struct nft_table *table, struct error *err)
{
    const struct realise *realise = tables->realise;
    for (size_t i = 0; i < tables->sections.count; i++)
        if (tables->is_section_written[i] &&
            nft_read_chain(realise->arena, realise->network->netns, "inet " COMPILE_TABLE,
                           tables->sections.items[i].name, table, err) < 0)
            return err->code;
    return 0;
}

/* Entries of one table: as the kernel has them now if it was written, else as they were read
 * after it was. */
static int table_keep(const struct tables *tables, enum table which, const char **comment,
                      struct value *entries, struct error *err)
{
    const struct realise *realise = tables->realise;
    const char *const names[TABLES] = {"inet " COMPILE_TABLE, "netdev " COMPILE_TABLE,
                                       realise_host_table(realise->arena, realise->network)};
    const char *netns = which == TABLE_HOST ? NULL : realise->network->netns;
    struct nft_table table = nft_entries_load(realise->arena, tables->before, names[which]);
    if (tables->is_written[which]) {
        if (nft_read(realise->arena, netns, names[which], &table, err) < 0)
            return err->code;
        *comment = table.comment;
    } else if (which == TABLE_RULES && tables->has_sections_written &&
               sections_read(tables, &table, err) < 0) {
        return err->code;
    }
    nft_entries_save(realise->arena, entries, &table);
    return 0;
}

/* What the kernel made of it, for later comparison. */
static int tables_keep(const struct tables *tables, struct seal *seal, struct error *err)
{
    const struct realise *realise = tables->realise;
    const char *vpc = realise->network->records->vpc;
    const char *host_comment;
    struct value *entries = value_list(realise->arena), *spoof = value_list(realise->arena);
    if (table_keep(tables, TABLE_RULES, &seal->comments[TABLE_RULES], entries, err) < 0 ||
        table_keep(tables, TABLE_HOST, &host_comment, entries, err) < 0)
        return err->code;
    if (tables->is_written[TABLE_SPOOF] &&
        (table_keep(tables, TABLE_SPOOF, &seal->comments[TABLE_SPOOF], spoof, err) < 0 ||
         records_note_file(realise->own_dir, vpc, REALISE_COMMITTED_SPOOF, spoof, err) < 0))
        return err->code;
    return records_note_file(realise->own_dir, vpc, REALISE_COMMITTED, entries, err);
}

/* ---- all together ------------------------------------------------------------------- */

static bool is_written_inside(const struct tables *tables)
{
    return tables->is_written[TABLE_RULES] || tables->is_written[TABLE_SPOOF] ||
           tables->has_sections_written;
}

/* Writes, reads and seals. It is not `*is_settled` if somebody else has committed meanwhile: what
 * was read may then be theirs, and is not sealed. */
static int tables_turn(struct tables *tables, const struct value *old, bool *is_settled,
                       struct error *err)
{
    const struct realise *realise = tables->realise;
    const char *netns = realise->network->netns;
    uint32_t generation = seal_generation(netns);
    bool is_known = tables->before && tables->before_spoof && seal_is_last(old, netns, generation);
    struct seal seal = {
        .netns = netns,
        .links = tables->links,
        .comments = {seal_comment(old, TABLE_RULES), seal_comment(old, TABLE_SPOOF)},
        .rules = tables->frame_digest,
        .sections = sections_marks(tables),
        .chains = chains_marks(tables)};
    if ((is_known ? difference_write(tables, old, err) : whole_write(tables, err)) < 0 ||
        host_write(tables, err) < 0)
        return err->code;
    seal.generation = generation + is_written_inside(tables);
    bool is_ours = seal_generation(netns) == seal.generation;
    if (tables_keep(tables, &seal, err) < 0)
        return err->code;
    *is_settled = generation == 0 || (is_ours && seal_generation(netns) == seal.generation);
    if (!*is_settled || generation == 0) /* 0: this kernel does not tell it */
        return 0;
    return records_note_file(realise->own_dir, realise->network->records->vpc, REALISE_SEAL,
                             seal_make(realise->arena, &seal), err);
}

int realise_tables(const struct realise *realise, const struct policy *policy,
                   const struct link_list *links, struct error *err)
{
    const char *own_dir = realise->own_dir, *vpc = realise->network->records->vpc;
    struct tables tables = {
        .realise = realise, .links = links, .policy = policy, .frame = TEXT_INIT};
    const struct value *seal;
    bool is_settled = false;
    int result = 0;
    if (records_read_file(realise->arena, own_dir, vpc, REALISE_COMMITTED, &tables.before, err) <
            0 ||
        records_read_file(realise->arena, own_dir, vpc, REALISE_COMMITTED_SPOOF,
                          &tables.before_spoof, err) < 0 ||
        records_read_file(realise->arena, own_dir, vpc, REALISE_SEAL, &seal, err) < 0)
        return err->code;
    rules_compile(&tables);
    chains_compile(&tables);
    for (int turn = 0; result == 0 && !is_settled && turn < TURNS; turn++)
        result = tables_turn(&tables, turn == 0 ? seal : NULL, &is_settled, err);
    text_free(&tables.frame);
    return result;
}
