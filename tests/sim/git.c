/* SPDX-License-Identifier: MPL-2.0 */
#include "tests/sim/git.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "model/digest.h"
#include "model/report.h"
#include "model/resource.h"
#include "model/yaml.h"
#include "tests/engine/part_text.h"
#include "tests/sim/sim.h"

static size_t commit_add(struct sim *sim, const struct wish *wish, size_t parent)
{
    struct git *git = &sim->git;
    struct text text = TEXT_INIT;
    char digest[DIGEST_TEXT];
    if (git->count == git->room) {
        git->room = git->room ? 2 * git->room : 32;
        git->commits = reallocarray(git->commits, git->room, sizeof *git->commits);
        if (!git->commits)
            abort();
    }
    struct commit *commit = &git->commits[git->count];
    *commit = (struct commit){.parent = parent, .wish = *wish};
    wish_text(wish, &text);
    text_printf(&text, "# commit %zu after %zu\n", git->count, parent);
    digest_bytes(text.data, text.len, digest);
    snprintf(commit->id, sizeof commit->id, "%.40s", digest);
    commit->text = text_take(&text);
    tally_add(&sim->tally->commits, 1);
    return git->count++;
}

void git_open(struct sim *sim, const struct wish *first)
{
    sim->git.head = commit_add(sim, first, 0);
}

void git_push_wish(struct sim *sim, const struct wish *wish)
{
    sim->git.head = commit_add(sim, wish, sim->git.head);
}

void git_free(struct git *git)
{
    for (size_t i = 0; i < git->count; i++)
        free(git->commits[i].text);
    free(git->commits);
    *git = (struct git){.commits = NULL};
}

const struct commit *git_find(const struct git *git, const char *id)
{
    for (size_t i = git->count; i > 0; i--)
        if (strcmp(git->commits[i - 1].id, id) == 0)
            return &git->commits[i - 1];
    return NULL;
}

/* ---- pushing ------------------------------------------------------------------------ */

static size_t ancestor(const struct git *git, size_t commit, unsigned generations)
{
    while (generations-- > 0 && commit > 0)
        commit = git->commits[commit].parent;
    return commit;
}

static struct wish edited(struct sim *sim, size_t commit, unsigned edits)
{
    struct wish wish = sim->git.commits[commit].wish;
    while (edits-- > 0)
        wish_edit(&wish, sim->swarm.taste, &sim->workload);
    return wish;
}

static bool happens(struct sim *sim, enum fault fault)
{
    return sim_fault(sim, fault, VERBS, PHASES);
}

/* A history beside the present one: of an ancestor, with other edits. */
static size_t branch_off(struct sim *sim)
{
    size_t from = ancestor(&sim->git, sim->git.head, 1 + (unsigned)prng_below(&sim->workload, 3));
    struct wish wish = edited(sim, from, 1 + (unsigned)prng_below(&sim->workload, 3));
    return commit_add(sim, &wish, from);
}

static size_t merge(struct sim *sim)
{
    size_t other = branch_off(sim);
    struct wish wish =
        wish_merge(&sim->git.commits[sim->git.head].wish, &sim->git.commits[other].wish);
    return commit_add(sim, &wish, sim->git.head);
}

static size_t empty(struct sim *sim)
{
    struct wish wish = wish_empty();
    return commit_add(sim, &wish, sim->git.head);
}

static const char shared_volume[] =
    "apiVersion: spinel/v1\nkind: Project\nmetadata: {name: wrong}\nspec: {}\n---\n"
    "apiVersion: spinel/v1\nkind: Volume\nmetadata: {name: vol, project: wrong}\n"
    "spec: {size: 1GiB}\n---\n"
    "apiVersion: spinel/v1\nkind: Instance\nmetadata: {name: vm, project: wrong}\n"
    "spec:\n  cpus: 1\n  memory: 1GiB\n"
    "  disks: [{name: one, volume: vol}, {name: two, volume: vol}]\n";

/* The text no longer says what the wish does: a mistake that must be found before it is planned. */
static void spoil(struct sim *sim, struct commit *commit)
{
    static const char *const wrong[] = {
        "\tspec: {size: 1}\n", "spec: {size: 1GiB, size: 2GiB}\n",
        "kind: Volumne\n",     "a: &x [*x]\n",
        shared_volume,         "apiVersion: spinel/v2\nkind: VPC\n"};
    struct text text = TEXT_INIT;
    text_add(&text, commit->text);
    text_add(&text, "---\n");
    text_add(&text, wrong[prng_below(&sim->workload, sizeof wrong / sizeof *wrong)]);
    free(commit->text);
    commit->text = text_take(&text);
    commit->is_invalid = true;
}

void git_push_plain(struct sim *sim)
{
    struct wish wish = edited(sim, sim->git.head, 1);
    sim->git.head = commit_add(sim, &wish, sim->git.head);
}

void git_push(struct sim *sim)
{
    struct git *git = &sim->git;
    if (happens(sim, FAULT_GIT_REWIND))
        git->head = ancestor(git, git->head, 1 + (unsigned)prng_below(&sim->workload, 4));
    else if (happens(sim, FAULT_GIT_FORCE_PUSH))
        git->head = branch_off(sim);
    else if (happens(sim, FAULT_GIT_MERGE))
        git->head = merge(sim);
    else if (happens(sim, FAULT_GIT_EMPTIED))
        git->head = empty(sim);
    else {
        struct wish wish = edited(sim, git->head, 1 + (unsigned)prng_below(&sim->workload, 3));
        git->head = commit_add(sim, &wish, git->head);
    }
    struct commit *head = &git->commits[git->head];
    head->is_missing |= happens(sim, FAULT_GIT_MISSING);
    head->is_corrupt |= happens(sim, FAULT_GIT_CORRUPT);
    if (!head->is_invalid && happens(sim, FAULT_GIT_INVALID))
        spoil(sim, head);
    TRACE(sim, "git head %.12s commit %zu parent %zu%s%s%s", head->id, git->head, head->parent,
          head->is_missing ? " missing" : "", head->is_corrupt ? " corrupt" : "",
          head->is_invalid ? " invalid" : "");
}

/* ---- reading ------------------------------------------------------------------------ */

int git_load(struct sim *sim, struct arena *arena, const char *id, const struct set **set,
             struct report *report, struct error *err)
{
    const struct commit *commit = git_find(&sim->git, id);
    struct value *docs = NULL;
    if (!commit || commit->is_missing)
        return error_set(err, ERR_NOT_FOUND, "commit %.12s is not in the repository", id);
    if (commit->is_corrupt)
        return error_set(err, ERR_CORRUPT, "commit %.12s: an object is corrupt", id);
    yaml_read(arena, "rack.yaml", commit->text, strlen(commit->text), &docs, report);
    struct set_builder *builder = set_builder_new(arena, report);
    for (size_t i = 0; docs && i < docs->count; i++)
        set_builder_add(builder, docs->items[i]);
    *set = set_builder_finish(builder);
    return 0;
}

static const char *text_of(void *context, const char *id)
{
    const struct sim *sim = context;
    const struct commit *commit = git_find(&sim->git, id);
    return commit && !commit->is_missing && !commit->is_corrupt ? commit->text : NULL;
}

bool git_part(struct sim *sim, struct arena *arena, const struct part_change *change,
              struct part *part)
{
    struct part_text *text = arena_alloc(arena, sizeof *text);
    *text = (struct part_text){text_of, sim};
    return part_text_make(text, sim->host.store, arena, change, part);
}
