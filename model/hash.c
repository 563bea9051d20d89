/* SPDX-License-Identifier: MPL-2.0 */
#include "model/hash.h"

/* So that a test or a simulated rack is the same in each run. */
struct hash_key hash_key_own = {{UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)}};

void hash_key_set(const unsigned char bytes[HASH_KEY_BYTES])
{
    memcpy(hash_key_own.halves, bytes, HASH_KEY_BYTES);
}
