/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_SIM_PRNG_H
#define TESTS_SIM_PRNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * xoshiro256**, seeded by SplitMix64 (Blackman and Vigna). A run has several
 * independent streams, so that one draw more of one does not shift the others.
 */
struct prng {
    uint64_t s[4];
};

uint64_t splitmix64(uint64_t *state);
/* Takes four numbers of `state`, which goes on to the next stream. */
void prng_seed(struct prng *prng, uint64_t *state);
uint64_t prng_next(struct prng *prng);
/* 0 to n - 1; n is not 0. */
uint64_t prng_below(struct prng *prng, uint64_t n);
/* `low` to `high`, both of them included. */
int64_t prng_between(struct prng *prng, int64_t low, int64_t high);
bool prng_chance(struct prng *prng, unsigned per_mille);
/* Mostly about `typical`, at times a hundred times that. */
int64_t prng_heavy(struct prng *prng, int64_t typical);
void prng_fill(struct prng *prng, void *out, size_t len);

#endif
