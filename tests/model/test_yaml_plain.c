/* SPDX-License-Identifier: MPL-2.0 */
/* The fast path of reading YAML beside libyaml, over manifests made at random and damaged at
 * random: whatever the fast one takes, both read alike, to the place of every key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/arena.h"
#include "model/error.h"
#include "model/report.h"
#include "model/text.h"
#include "model/yaml.h"
#include "model/yaml_plain.h"

/* ---- comparing ---------------------------------------------------------------------- */

static bool same_place(struct position a, struct position b)
{
    return a.line == b.line && a.column == b.column && a.file == b.file;
}

static bool same_text(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static bool same(const struct value *a, const struct value *b)
{
    if (a->type != b->type || !same_place(a->at, b->at))
        return false;
    switch (a->type) {
    case VALUE_BOOL:
        return a->boolean == b->boolean;
    case VALUE_INT:
        return a->integer == b->integer;
    case VALUE_STRING:
        return a->text_len == b->text_len && same_text(a->text, b->text);
    case VALUE_LIST:
        for (size_t i = 0; i < a->count && i < b->count; i++)
            if (!same(a->items[i], b->items[i]))
                return false;
        return a->count == b->count;
    case VALUE_MAP:
        for (size_t i = 0; i < a->pair_count && i < b->pair_count; i++)
            if (!same_text(a->pairs[i].key, b->pairs[i].key) ||
                !same_place(a->pairs[i].at, b->pairs[i].at) ||
                !same(a->pairs[i].value, b->pairs[i].value))
                return false;
        return a->pair_count == b->pair_count;
    case VALUE_NULL:
    default:
        return true;
    }
}

/* Whether the fast path took it. */
static bool compare(const char *data, size_t len)
{
    struct arena *arena = arena_new();
    struct report report;
    struct value *slow = NULL;
    report_init(&report, arena);
    const struct value *fast = yaml_plain_read(arena, "f.yaml", data, len);
    if (fast) {
        int status = yaml_read_any(arena, "f.yaml", data, len, &slow, &report);
        struct position nowhere = {0};
        /* The list of documents itself has no place. */
        if (status != 0 || report.count || !same_place(slow->at, nowhere) || !same(fast, slow)) {
            printf("# read differently (%s):\n%.*s\n",
                   report.count ? report.problems[0].message : "", (int)(len < 4000 ? len : 4000),
                   data);
            fail();
        }
    }
    arena_free(arena);
    return fast != NULL;
}

/* ---- making ------------------------------------------------------------------------- */

static uint64_t seed = 20261127;

static unsigned draw(unsigned below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % below;
}

static const char *pick(const char *const *words, size_t count)
{
    return words[draw((unsigned)count)];
}

#define PICK(words) pick(words, sizeof(words) / sizeof *(words))

static void scalar_add(struct text *out, bool in_flow)
{
    static const char *const plain[] = {"a",          "512MiB",   "true",        "no",    "12",
                                        "0x1f",       "-7",       "10.0.0.0/16", "null",  "a-b",
                                        "1.5",        "role=web", "two words",   "a - b", "x@y + z",
                                        "2026-01-31", "False"};
    static const char *const block[] = {
        "two words",    "a:b",        "it's",      "a  b",    "x, y",    "a#b",
        "http://h/p?q", "\"quoted\"", "'single'",  "\"\"",    "a: b",    "a:",
        "[a]b",         "~",          "\"a\\nb\"", "'it''s'", "*a",      "&a b",
        "!t x",         "%d",         "@x",        "- a",     "-",       "? x",
        "| ",           ">",          "\"a\" b",   "k#",      "\xc3\xa9"};
    text_add(out, in_flow || draw(3) ? PICK(plain) : PICK(block));
}

static void comment_add(struct text *out)
{
    static const char *const ends[] = {"", "", "", "", "  ", " # why", "# no", " #", "\t", "\r"};
    text_add(out, draw(3) ? "" : PICK(ends));
}

static void key_add(struct text *out)
{
    static const char *const keys[] = {"name", "spec", "a",     "a/b.c", "x-y",
                                       "1",    "size", "key-9", "k_k"};
    static const char *const odd[] = {"<<", "\"q\"", "a b", "", "?", "-k"};
    text_add(out, draw(40) ? PICK(keys) : PICK(odd));
    text_add(out, draw(60) ? ":" : " :");
}

static void flow_add(struct text *out, int depth)
{
    unsigned choice = draw(depth > 2 ? 1 : 4), count = draw(4);
    if (choice < 2) {
        scalar_add(out, draw(8));
        return;
    }
    text_add(out, choice == 2 ? "[" : "{");
    for (unsigned i = 0; i < count; i++) {
        text_add(out, i ? (draw(5) ? ", " : ",") : (draw(5) ? "" : " "));
        if (choice == 3) {
            key_add(out);
            text_add(out, draw(20) ? " " : "");
        }
        flow_add(out, depth + 1);
    }
    text_add(out, draw(30) ? "" : ",");
    text_add(out, choice == 2 ? "]" : "}");
}

static void indent_add(struct text *out, unsigned indent)
{
    if (!draw(60))
        indent += draw(3);
    for (unsigned i = 0; i < indent; i++)
        text_add_char(out, ' ');
}

static void block_add(struct text *out, unsigned indent, int depth, bool is_begun);

static void inline_add(struct text *out)
{
    if (draw(3))
        scalar_add(out, false);
    else
        flow_add(out, 0);
    comment_add(out);
    text_add_char(out, '\n');
    if (!draw(12))
        text_add(out, draw(2) ? "\n" : "   # a comment\n");
}

static void list_add(struct text *out, unsigned indent, int depth)
{
    for (unsigned i = 0, count = 1 + draw(3); i < count; i++) {
        indent_add(out, indent);
        text_add(out, draw(12) ? "- " : "-   ");
        if (draw(2))
            inline_add(out);
        else
            block_add(out, indent + 2, depth + 1, true);
    }
}

static void block_add(struct text *out, unsigned indent, int depth, bool is_begun)
{
    for (unsigned i = 0, count = 1 + draw(4); i < count; i++) {
        if (i || !is_begun)
            indent_add(out, indent);
        key_add(out);
        if (depth > 4 || draw(3)) {
            text_add(out, draw(20) ? " " : "");
            inline_add(out);
            continue;
        }
        comment_add(out);
        text_add_char(out, '\n');
        if (draw(2))
            block_add(out, indent + 1 + draw(3), depth + 1, false);
        else
            list_add(out, indent + draw(3), depth + 1);
    }
}

static void damage(struct text *text)
{
    static const char bytes[] = " \n:-#{}[],\"'a\t\\&*!|>%@`?\x01\x80";
    for (unsigned i = draw(3); i > 0 && text->len > 0; i--) {
        size_t at = draw((unsigned)text->len);
        if (draw(8))
            text->data[at] = bytes[draw(sizeof bytes - 1)];
        else
            text->data[text->len = at] = '\0';
    }
}

static void fast_path_reads_what_libyaml_reads(void **state)
{
    unsigned taken = 0, left = 0;
    (void)state;
    for (int i = 0; i < 100000; i++) {
        struct text text = TEXT_INIT;
        for (unsigned n = 1 + draw(10) / 8; n > 0; n--) {
            text_add(&text, draw(3) ? "" : draw(9) ? "---\n" : "--- \n");
            block_add(&text, 0, 0, false);
        }
        if (draw(2))
            damage(&text);
        if (compare(text.data, text.len))
            taken++;
        else
            left++;
        text_free(&text);
    }
    printf("# %u taken, %u left\n", taken, left);
    assert_true(taken > 8000 && left > 8000); /* both were tried */
}

static void assert_taken(const char *text, bool is_taken)
{
    if (compare(text, strlen(text)) != is_taken)
        printf("# %s:\n%s\n", is_taken ? "not taken" : "taken", text);
    assert_int_equal(compare(text, strlen(text)), is_taken);
}

static void fast_path_takes_the_style_of_our_examples(void **state)
{
    (void)state;
    assert_taken("apiVersion: spinel/v1\nkind: Volume\nmetadata:\n  name: v1\n  labels:\n"
                 "    tier: t0 # the first\nspec:\n  size: 64MiB\n",
                 true);
    assert_taken("# two\n---\nkind: A\nmetadata: {name: web-1, labels: {role: web}}\n---\nkind: B\n"
                 "spec:\n  disks: [{name: data, volume: web-1-data}]\n",
                 true);
    assert_taken("spec:\n  nics:\n  - name: eth0\n    subnet: apps\n  - {name: eth1}\n", true);
    assert_taken("cloudInit:\n  sshKeys:\n    - \"ssh-ed25519 AAAA x@y\"\n", true);
    assert_taken("", true);
    assert_taken("a: &x 1\n", false);
    assert_taken("a: 1\na: 2\n", false);
    assert_taken("a: |\n  text\n", false);
    assert_taken("a: two\n  lines\n", false);
    assert_taken("a:\n", false);
    assert_taken("- a\n", false);
}

/* A firewall of thousands of rules is one text. Of a map of many keys each is compared with all
 * before it: those are libyaml's. */
static void fast_path_takes_long_texts_and_no_large_maps(void **state)
{
    struct text text = TEXT_INIT;
    (void)state;
    text_add(&text, "rules:\n");
    while (text.len < 1 << 19)
        text_printf(&text, "- {name: r%zu, ports: [%zu, 80-90]}\n- name: s\n  deny: true\n",
                    text.len, text.len);
    assert_taken(text.data, true);
    while (text.len <= 1 << 20)
        text_add(&text, "- and more\n");
    assert_taken(text.data, false);
    for (int keys = 255; keys < 258; keys++) {
        text_reset(&text);
        for (int i = 0; i < keys; i++)
            text_printf(&text, "k%d: 1\n", i);
        assert_taken(text.data, keys <= 256);
    }
    text_free(&text);
}

/* `items` of one value each in flow lists, a document for each hundred thousand. */
static void lists_add(struct text *out, size_t items, const char *last)
{
    while (items > 0) {
        size_t some = items < 100000 ? items : 100000;
        text_add(out, "---\na: [");
        for (size_t i = 2; i < some; i++)
            text_add(out, "1,");
        text_printf(out, "%s]\n", last);
        items -= some;
    }
}

static void values_end_where_libyaml_ends_them(void **state)
{
    (void)state;
    for (size_t count = 131071; count < 131074; count++) {
        struct arena *arena = arena_new();
        struct text text = TEXT_INIT;
        struct report report;
        struct value *docs = NULL;
        lists_add(&text, count, "1");
        assert_taken(text.data, count <= 131072);
        report_init(&report, arena);
        assert_int_equal(yaml_read_any(arena, "f.yaml", text.data, text.len, &docs, &report),
                         count <= 131072 ? 0 : ERR_INVALID);
        text_free(&text);
        arena_free(arena);
    }
}

static void too_many_values_are_refused_once_with_their_place(void **state)
{
    struct arena *arena = arena_new();
    struct text text = TEXT_INIT;
    struct report report;
    struct value *docs = NULL;
    (void)state;
    lists_add(&text, 400000, "\"\\x41\"");
    report_init(&report, arena);
    assert_int_equal(yaml_read(arena, "f.yaml", text.data, text.len, &docs, &report), ERR_INVALID);
    assert_int_equal(docs->count, 1);
    assert_int_equal(report.count, 1);
    assert_string_equal(report.problems[0].code, "too-large");
    assert_string_equal(report.problems[0].message,
                        "over 131072 values in one file, each a hundred bytes of memory; split it "
                        "into several");
    assert_int_equal(report.problems[0].at.line, 4);
    text_free(&text);
    arena_free(arena);
}

/* Ten thousand volumes in one file, as short as they can be written. */
static void a_large_file_of_small_documents_is_read(void **state)
{
    struct text text = TEXT_INIT;
    (void)state;
    for (int i = 0; i < 10000; i++)
        text_printf(&text,
                    "---\napiVersion: spinel/v1\nkind: Volume\nmetadata: {project: p, name: v%d}\n"
                    "spec: {size: 1GiB}\n",
                    i);
    assert_true(text.len < 1 << 20);
    assert_taken(text.data, true);
    text_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fast_path_reads_what_libyaml_reads),
        cmocka_unit_test(fast_path_takes_the_style_of_our_examples),
        cmocka_unit_test(fast_path_takes_long_texts_and_no_large_maps),
        cmocka_unit_test(values_end_where_libyaml_ends_them),
        cmocka_unit_test(too_many_values_are_refused_once_with_their_place),
        cmocka_unit_test(a_large_file_of_small_documents_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
