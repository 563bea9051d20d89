/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_SIM_GIT_H
#define TESTS_SIM_GIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "tests/sim/wish.h"

struct sim;
struct arena;
struct set;
struct report;
struct error;
struct part;
struct part_change;

/*
 * Generated history. A commit is a wish and its text, which the real parser reads;
 * reading it can fail as reading from an object database can.
 */
struct commit {
    char id[41];
    size_t parent;
    struct wish wish;
    char *text;
    bool is_missing, is_corrupt, is_invalid;
};

struct git {
    struct commit *commits;
    size_t count, room;
    size_t head;
};

void git_open(struct sim *sim, const struct wish *first);
void git_free(struct git *git);
/* Somebody pushes; the head may go anywhere. */
void git_push(struct sim *sim);
/* A last push that is a plain, valid edit. */
void git_push_plain(struct sim *sim);
/* Somebody pushes just this. */
void git_push_wish(struct sim *sim, const struct wish *wish);
const struct commit *git_find(const struct git *git, const char *id);
/* The part that a commit concerns; false: the whole is to be loaded. */
bool git_part(struct sim *sim, struct arena *arena, const struct part_change *change,
              struct part *part);
int git_load(struct sim *sim, struct arena *arena, const char *id, const struct set **set,
             struct report *report, struct error *err);

#endif
