/* SPDX-License-Identifier: MPL-2.0 */
#ifndef MODEL_DIGEST_H
#define MODEL_DIGEST_H

#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

struct value;

/* BLAKE2b (RFC 7693) by libsodium, as lower-case hexadecimal text. */
enum { DIGEST_BYTES = 32, DIGEST_TEXT = 65, UID_BYTES = 16, UID_TEXT = 33 };

/* Two lower-case digits for each byte, and a NUL. Returns `hex`. */
char *hex_write(const void *bytes, size_t count, char *hex);
/* What hex_write() has written; false if the text is not that of so many bytes. */
bool hex_read(const char *hex, void *bytes, size_t count);

/* BLAKE2b-256 of bytes, of the canonical form of a value. Return `hex`
 * (DIGEST_TEXT bytes). */
char *digest_bytes(const void *data, size_t len, char *hex);
char *digest_value(const struct value *value, char *hex);

/* The digest of bytes as it is, where many are kept; and its text. */
void digest_raw(const void *data, size_t len, uint8_t digest[DIGEST_BYTES]);
char *digest_hex(const uint8_t digest[DIGEST_BYTES], char *hex);

/* The same of bytes that come in parts; lives in the arena. digest_sum_end() returns `hex`. */
struct arena;
struct digest_sum;
struct digest_sum *digest_sum_new(struct arena *arena);
void digest_sum_add(struct digest_sum *sum, const void *data, size_t len);
char *digest_sum_end(struct digest_sum *sum, char *hex);

/* Keyed BLAKE2b-256: for tags, and for sensitive values that may be compared but
 * never shown. `key_len` is 16 to 64. */
char *digest_keyed(const void *key, size_t key_len, const void *data, size_t len, char *hex);

/* The 128-bit uid (32 hexadecimal digits, UID_TEXT bytes) of the `incarnation`-th
 * object that bears this identity on the rack whose random seed is `seed`. */
char *digest_uid(const uint8_t seed[32], const char *kind, const char *project, const char *name,
                 uint64_t incarnation, char *uid);

/* Whether a text is one: such as it is part of paths and of kernel names. NULL is none. */
bool digest_is_uid(const char *text);

/* op_key of an intent: BLAKE2b(uid, epoch, verb, digest of its arguments), hex,
 * DIGEST_TEXT bytes. */
char *digest_op(const char *uid, uint64_t epoch, const char *verb, const struct value *arguments,
                char *op);

#endif
