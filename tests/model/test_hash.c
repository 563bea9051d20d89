/* SPDX-License-Identifier: MPL-2.0 */
/* The hash beside libsodium's, and the tables under keys that come one after another or are made to
 * meet. What is counted is how far a search goes, never time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "model/arena.h"
#include "model/error.h"
#include "model/intern.c"
#include "model/json.h"
#include "model/packed.h"

enum { KEYS = 30000, FAR = 100, UID = 33 };

static const unsigned char key_bytes[HASH_KEY_BYTES] = "no key of a rack";

static void it_is_siphash_of_the_key_and_the_bytes(void **state)
{
    unsigned char bytes[300], theirs[crypto_shorthash_BYTES];
    struct hash_key key, before = hash_key_own;
    (void)state;
    assert_int_equal(crypto_shorthash_KEYBYTES, HASH_KEY_BYTES);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 7 + 200);
    hash_key_set(key_bytes);
    key = hash_key_own;
    hash_key_own = before;
    for (size_t len = 0; len < sizeof bytes; len++) {
        uint64_t ours = htole64(hash_bytes_by(&key, bytes, len));
        crypto_shorthash(theirs, bytes, len, key_bytes);
        assert_memory_equal(&ours, theirs, sizeof ours);
        assert_int_not_equal(hash_bytes(bytes, len), hash_bytes_by(&key, bytes, len));
    }
}

/* ---- tables ------------------------------------------------------------------------- */

/* The longest row of taken slots: no search goes farther. */
static size_t longest(const bool *taken, size_t count)
{
    size_t longest = 0, row = 0;
    for (size_t i = 0; i < 2 * count; i++) { /* round the end */
        row = taken[i % count] ? row + 1 : 0;
        longest = row > longest ? row : longest;
    }
    return longest;
}

static void uids_in_a_row_do_not_crowd_a_packed_table(void **state)
{
    struct uid {
        char text[UID];
    };
    struct packed table = PACKED_OF(struct uid, text);
    (void)state;
    for (int i = 0; i < KEYS; i++) {
        struct uid uid;
        snprintf(uid.text, sizeof uid.text, "%032x", i);
        packed_add(&table, uid.text);
    }
    bool *taken = test_calloc(table.slot_count, sizeof *taken);
    for (size_t i = 0; i < table.slot_count; i++)
        taken[i] = table.slots[i] != 0;
    assert_in_range(longest(taken, table.slot_count), 1, FAR);
    test_free(taken);
    packed_clear(&table);
}

struct item {
    int64_t number;
    UT_hash_handle hh;
};

/* The hash that uthash brings along has no key: what it puts in one bucket is found by trying. */
static void keys_that_meet_in_the_bucket_of_a_known_hash_part_in_ours(void **state)
{
    enum { MET = 200, BUCKETS = 4096 };
    struct item *items = test_calloc(MET, sizeof *items), *table = NULL;
    size_t count = 0, most = 0;
    (void)state;
    for (int64_t number = 0; count < MET; number++) {
        unsigned known;
        HASH_JEN(&number, sizeof number, known);
        if (known % BUCKETS)
            continue;
        items[count].number = number;
        HASH_ADD(hh, table, number, sizeof number, &items[count]);
        count++;
    }
    for (unsigned i = 0; i < table->hh.tbl->num_buckets; i++)
        most = table->hh.tbl->buckets[i].count > most ? table->hh.tbl->buckets[i].count : most;
    assert_in_range(most, 1, MET / 10);
    HASH_CLEAR(hh, table);
    test_free(items);
}

static size_t intern_longest(const struct table *table)
{
    bool *taken = test_calloc(table->room, sizeof *taken);
    for (size_t i = 0; i < table->room; i++)
        taken[i] = table->slots[i].item != NULL;
    size_t found = longest(taken, table->room);
    test_free(taken);
    return found;
}

/* Whose words were the same would have one hash by any key. */
static void values_that_differ_in_shape_alone_differ_in_hash(void **state)
{
    static const char *const texts[] = {
        "[\"ab\"]",
        "[\"a\",\"b\"]",
        "[[\"a\"],\"b\"]",
        "[[\"a\",\"b\"]]",
        "[[],\"a\",\"b\"]",
        "[\"a\",[\"b\"]]",
        "[{\"a\":\"b\"}]",
        "{\"a\":[\"b\"]}",
        "{\"a\":\"b\"}",
        "{\"ab\":\"\"}",
        "{\"\":\"ab\"}",
        "[null]",
        "[[]]",
        "[{}]",
        "[[],[]]",
        "[\"\"]",
        "[1]",
        "[true]",
        "[false]",
        "[0]",
        "[\"\",\"\"]",
        "[null,null]",
        "[[[]]]",
        "{\"a\":{},\"b\":1}",
        "{\"a\":{\"b\":1}}",
    };
    enum { TEXTS = sizeof texts / sizeof *texts };
    struct arena *arena = arena_new();
    uint64_t hashes[TEXTS];
    (void)state;
    for (size_t i = 0; i < TEXTS; i++) {
        struct error err = ERROR_INIT;
        struct value *value = NULL;
        assert_int_equal(json_read(arena, texts[i], strlen(texts[i]), &value, &err), 0);
        hashes[i] = value_hash(value);
        assert_true(hashes[i] == value_hash(value_copy(arena, value)));
        for (size_t k = 0; k < i; k++)
            if (hashes[k] == hashes[i])
                fail_msg("%s has the hash of %s", texts[i], texts[k]);
    }
    arena_free(arena);
}

static void texts_in_a_row_do_not_crowd_what_is_kept_once(void **state)
{
    struct arena *arena = arena_new();
    struct intern *intern = intern_new(arena);
    (void)state;
    for (int i = 0; i < KEYS; i++) {
        char uid[UID];
        snprintf(uid, sizeof uid, "%032x", i);
        intern_text(intern, uid);
    }
    assert_in_range(intern_longest(&intern->texts), 1, FAR);
    intern_close(intern);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_siphash_of_the_key_and_the_bytes),
        cmocka_unit_test(uids_in_a_row_do_not_crowd_a_packed_table),
        cmocka_unit_test(keys_that_meet_in_the_bucket_of_a_known_hash_part_in_ours),
        cmocka_unit_test(values_that_differ_in_shape_alone_differ_in_hash),
        cmocka_unit_test(texts_in_a_row_do_not_crowd_what_is_kept_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
