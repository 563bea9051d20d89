/* SPDX-License-Identifier: MPL-2.0 */
#include "tests/sim/prng.h"

#include <string.h>

uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void prng_seed(struct prng *prng, uint64_t *state)
{
    for (size_t i = 0; i < 4; i++)
        prng->s[i] = splitmix64(state);
}

static uint64_t rotate(uint64_t x, int by)
{
    return (x << by) | (x >> (64 - by));
}

uint64_t prng_next(struct prng *prng)
{
    uint64_t *s = prng->s, result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t prng_below(struct prng *prng, uint64_t n)
{
    return prng_next(prng) % n; /* the bias is of no matter here */
}

int64_t prng_between(struct prng *prng, int64_t low, int64_t high)
{
    return low + (int64_t)prng_below(prng, (uint64_t)(high - low) + 1);
}

bool prng_chance(struct prng *prng, unsigned per_mille)
{
    return prng_below(prng, 1000) < per_mille;
}

int64_t prng_heavy(struct prng *prng, int64_t typical)
{
    int64_t value = prng_between(prng, typical / 2, typical * 2);
    while (value < typical * 100 && prng_chance(prng, 100))
        value *= 4;
    return value;
}

void prng_fill(struct prng *prng, void *out, size_t len)
{
    uint8_t *at = out;
    while (len > 0) {
        uint64_t bits = prng_next(prng);
        size_t some = len < sizeof bits ? len : sizeof bits;
        memcpy(at, &bits, some);
        at += some;
        len -= some;
    }
}
