/* SPDX-License-Identifier: MPL-2.0 */
#ifndef MODEL_HASH_H
#define MODEL_HASH_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "model/invariant.h"

/*
 * What tables find their items by: SipHash-2-4 with a key of the process. Drivers choose uids, who
 * pushes chooses names; without the key nobody can choose those that meet in one slot, which would
 * make of each search a walk over all. A table may show nothing of its slots' order: it is another
 * in each process.
 */
enum { HASH_KEY_BYTES = 16 };

struct hash_key {
    uint64_t halves[2];
};

/* The key of this process: a constant until hash_key_set(). */
extern struct hash_key hash_key_own;

/* Sets it to random bytes: once, by main(), before there is a table or another thread. */
void hash_key_set(const unsigned char bytes[HASH_KEY_BYTES]);

/* A hash that is being made. */
struct hash {
    uint64_t v[4];
};

static inline struct hash hash_begin(const struct hash_key *key)
{
    return (struct hash){{
        key->halves[0] ^ UINT64_C(0x736f6d6570736575),
        key->halves[1] ^ UINT64_C(0x646f72616e646f6d),
        key->halves[0] ^ UINT64_C(0x6c7967656e657261),
        key->halves[1] ^ UINT64_C(0x7465646279746573),
    }};
}

static inline uint64_t hash_turn(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

static inline void hash_round(struct hash *hash)
{
    uint64_t *v = hash->v;

    v[0] += v[1];
    v[2] += v[3];
    v[1] = hash_turn(v[1], 13) ^ v[0];
    v[3] = hash_turn(v[3], 16) ^ v[2];
    v[0] = hash_turn(v[0], 32) + v[3];
    v[2] += v[1];
    v[3] = hash_turn(v[3], 21) ^ v[0];
    v[1] = hash_turn(v[1], 17) ^ v[2];
    v[2] = hash_turn(v[2], 32);
}

static inline void hash_word(struct hash *hash, uint64_t word)
{
    hash->v[3] ^= word;
    hash_round(hash);
    hash_round(hash);
    hash->v[0] ^= word;
}

/* Of several, the lengths are to be told beside: "a", "bc" is not "ab", "c". */
static inline void hash_add(struct hash *hash, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;
    uint64_t last = (uint64_t)len << 56;

    for (uint64_t word; len >= sizeof word; at += sizeof word, len -= sizeof word) {
        memcpy(&word, at, sizeof word);
        hash_word(hash, le64toh(word));
    }
    for (unsigned i = 0; i < len; i++)
        last |= (uint64_t)at[i] << 8 * i;
    hash_word(hash, last);
}

static inline uint64_t hash_end(struct hash *hash)
{
    hash->v[2] ^= 0xff;
    for (int i = 0; i < 4; i++)
        hash_round(hash);
    return hash->v[0] ^ hash->v[1] ^ hash->v[2] ^ hash->v[3];
}

static inline uint64_t hash_bytes_by(const struct hash_key *key, const void *bytes, size_t len)
{
    struct hash hash = hash_begin(key);

    hash_add(&hash, bytes, len);
    return hash_end(&hash);
}

static inline uint64_t hash_bytes(const void *bytes, size_t len)
{
    return hash_bytes_by(&hash_key_own, bytes, len);
}

static inline uint64_t hash_text(const char *text)
{
    return hash_bytes(text, strlen(text));
}

/* uthash, which would hash without a key, and exit without a word when memory runs out. */
#define HASH_FUNCTION(bytes, len, hash) ((hash) = (unsigned)hash_bytes(bytes, len))
#define uthash_fatal(message) memory_out()
#include <uthash.h>

#endif
