/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Digests by libsodium's BLAKE2b. What is hashed from several fields carries the
 * length of each, so that no two different lists of fields give the same bytes.
 */
#include "model/digest.h"

#include <sodium.h>
#include <string.h>

#include "model/arena.h"
#include "model/invariant.h"
#include "model/json.h"
#include "model/text.h"
#include "model/value.h"

/* Only lengths that it does not take are refused, and those are ours. */
static void hashed(int rc)
{
    invariant(rc == 0, "libsodium would not hash");
}

/* As sodium_bin2hex(), which takes as long as the digest: it hides what it writes from an
 * observer of time, and a digest is no secret. */
char *hex_write(const void *bytes, size_t count, char *hex)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *from = bytes;

    for (size_t i = 0; i < count; i++) {
        hex[2 * i] = digits[from[i] >> 4];
        hex[2 * i + 1] = digits[from[i] & 15];
    }
    hex[2 * count] = '\0';
    return hex;
}

/* One more than what a digit is worth; 0: it is none. */
static const unsigned char digit_worth[256] = {
    ['0'] = 1, ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9, ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
};

bool hex_read(const char *hex, void *bytes, size_t count)
{
    unsigned char *to = bytes;

    for (size_t i = 0; i < count; i++) {
        unsigned high = digit_worth[(unsigned char)hex[2 * i]];
        unsigned low = high ? digit_worth[(unsigned char)hex[2 * i + 1]] : 0;

        if (low == 0)
            return false;
        to[i] = (unsigned char)((high - 1) << 4 | (low - 1));
    }
    return hex[2 * count] == '\0';
}

char *digest_hex(const uint8_t hash[DIGEST_BYTES], char *hex)
{
    return hex_write(hash, DIGEST_BYTES, hex);
}

char *digest_keyed(const void *key, size_t key_len, const void *data, size_t len, char *hex)
{
    unsigned char hash[DIGEST_BYTES];

    invariant(!key || (key_len >= 16 && key_len <= 64), "a key of %zu bytes", key_len);
    hashed(crypto_generichash(hash, sizeof(hash), data, len, key, key ? key_len : 0));
    return digest_hex(hash, hex);
}

char *digest_bytes(const void *data, size_t len, char *hex)
{
    return digest_keyed(NULL, 0, data, len, hex);
}

void digest_raw(const void *data, size_t len, uint8_t digest[DIGEST_BYTES])
{
    hashed(crypto_generichash(digest, DIGEST_BYTES, data, len, NULL, 0));
}

struct digest_sum {
    crypto_generichash_state *state; /* wants more alignment than an arena gives */
};

struct digest_sum *digest_sum_new(struct arena *arena)
{
    size_t alignment = _Alignof(crypto_generichash_state);
    struct digest_sum *sum = arena_alloc(arena, sizeof(*sum));
    uintptr_t room = (uintptr_t)arena_alloc(arena, sizeof(*sum->state) + alignment);

    sum->state = (crypto_generichash_state *)((room + alignment - 1) & ~(alignment - 1));
    hashed(crypto_generichash_init(sum->state, NULL, 0, DIGEST_BYTES));
    return sum;
}

void digest_sum_add(struct digest_sum *sum, const void *data, size_t len)
{
    hashed(crypto_generichash_update(sum->state, data, len));
}

char *digest_sum_end(struct digest_sum *sum, char *hex)
{
    unsigned char hash[DIGEST_BYTES];

    hashed(crypto_generichash_final(sum->state, hash, sizeof(hash)));
    return digest_hex(hash, hex);
}

char *digest_value(const struct value *value, char *hex)
{
    struct text text = TEXT_INIT;

    json_write_canonical(&text, value);
    digest_bytes(text.data, text.len, hex);
    text_free(&text);
    return hex;
}

static void hash_number(crypto_generichash_state *state, uint64_t number)
{
    unsigned char bytes[8];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)(number >> (8 * i));
    hashed(crypto_generichash_update(state, bytes, sizeof(bytes)));
}

static void hash_text(crypto_generichash_state *state, const char *text)
{
    size_t len = text ? strlen(text) : 0;

    hash_number(state, text ? len + 1 : 0);
    hashed(crypto_generichash_update(state, (const unsigned char *)text, len));
}

char *digest_uid(const uint8_t seed[32], const char *kind, const char *project, const char *name,
                 uint64_t incarnation, char *uid)
{
    crypto_generichash_state state;
    unsigned char hash[16];

    invariant(seed && kind && kind[0] && name && name[0], "a uid of a %s without a name",
              kind ? kind : "thing");
    hashed(crypto_generichash_init(&state, seed, 32, sizeof(hash)));
    hash_text(&state, "spinel/uid/v1");
    hash_text(&state, kind);
    hash_text(&state, project);
    hash_text(&state, name);
    hash_number(&state, incarnation);
    hashed(crypto_generichash_final(&state, hash, sizeof(hash)));
    return sodium_bin2hex(uid, UID_TEXT, hash, sizeof(hash));
}

bool digest_is_uid(const char *text)
{
    return text && strlen(text) == UID_TEXT - 1 && strspn(text, "0123456789abcdef") == UID_TEXT - 1;
}

char *digest_op(const char *uid, uint64_t epoch, const char *verb, const struct value *arguments,
                char *op)
{
    crypto_generichash_state state;
    unsigned char hash[DIGEST_BYTES];
    char inner[DIGEST_TEXT];

    invariant(uid && uid[0] && verb && verb[0], "an operation without a verb, or on nobody: %s",
              verb ? verb : "");
    hashed(crypto_generichash_init(&state, NULL, 0, sizeof(hash)));
    hash_text(&state, "spinel/op/v1");
    hash_text(&state, uid);
    hash_number(&state, epoch);
    hash_text(&state, verb);
    hash_text(&state, digest_value(arguments, inner));
    hashed(crypto_generichash_final(&state, hash, sizeof(hash)));
    return sodium_bin2hex(op, DIGEST_TEXT, hash, sizeof(hash));
}
