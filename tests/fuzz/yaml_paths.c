/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The two ways that YAML is read: whatever the fast one takes, libyaml takes too, for the same
 * documents and places. What was read is written and read back equal, unless that is too long.
 */
#include "model/arena.h"
#include "model/error.h"
#include "model/report.h"
#include "model/text.h"
#include "model/yaml.h"
#include "model/yaml_plain.h"
#include "tests/fuzz/fuzz.h"

static bool is_at(struct position a, struct position b)
{
    return a.line == b.line && a.column == b.column && a.file == b.file;
}

static void same(const struct value *a, const struct value *b)
{
    MUST(a->type == b->type && is_at(a->at, b->at));
    MUST(a->count == b->count && a->pair_count == b->pair_count);
    if (a->type == VALUE_STRING)
        MUST(a->text_len == b->text_len && !memcmp(a->text, b->text, a->text_len + 1));
    for (size_t i = 0; a->type == VALUE_LIST && i < a->count; i++)
        same(a->items[i], b->items[i]);
    for (size_t i = 0; a->type == VALUE_MAP && i < a->pair_count; i++) {
        MUST(!strcmp(a->pairs[i].key, b->pairs[i].key) && is_at(a->pairs[i].at, b->pairs[i].at));
        same(a->pairs[i].value, b->pairs[i].value);
    }
    MUST(a->type == VALUE_LIST || value_equal(a, b));
}

static void written_again(const struct value *document)
{
    struct arena *arena = arena_new();
    struct text yaml = TEXT_INIT;
    struct value *docs = NULL;
    struct report report;
    report_init(&report, arena);
    yaml_write(&yaml, document);
    int rc = yaml_read(arena, "again", yaml.data, yaml.len, &docs, &report);
    if (yaml.len > YAML_MAX_DOCUMENT)
        MUST(rc == ERR_INVALID && strcmp(report.problems[0].code, "too-large") == 0);
    else
        MUST(rc == 0 && docs->count == 1 && value_equal(docs->items[0], document));
    text_free(&yaml);
    arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char name[] = "a.yaml";
    struct arena *arena = arena_new();
    struct report report;
    struct value *slow = NULL;
    char *text = fuzz_text(data, size);
    report_init(&report, arena);
    int rc = yaml_read_any(arena, name, text, size, &slow, &report);
    MUST((rc == 0) == (report.count == 0));
    const struct value *fast = yaml_plain_read(arena, name, text, size);
    if (fast) {
        MUST(rc == 0);
        same(fast, slow);
    }
    for (size_t i = 0; rc == 0 && i < slow->count; i++)
        written_again(slow->items[i]);
    free(text);
    arena_free(arena);
    return 0;
}
