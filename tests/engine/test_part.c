/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The plan of a change, made of a part of the rack, beside the plan of the whole: histories drawn
 * from a seed, of manifests that often clash, are renamed, swap what they hold and leave. Each
 * commit is loaded and planned in full; where the part is taken its plan must be the same document
 * byte for byte, and a commit with a problem must never be taken. PART_TURNS and PART_SEED draw
 * more and others.
 */
#include "tests/engine/history.h"

enum { GOAL = 50 };

static unsigned draw(struct history *history, unsigned below)
{
    history->random ^= history->random << 13;
    history->random ^= history->random >> 7;
    history->random ^= history->random << 17;
    return (unsigned)(history->random >> 33) % below;
}

static const struct {
    const char *kind, *names;
    unsigned name_count, weight;
    bool is_rack, is_either;
} sorts[] = {
    {"Project", "p", 2, 1, true, false},        {"Pool", "pool", 2, 1, true, false},
    {"Image", "img", 2, 2, false, true},        {"SSHKey", "key", 2, 2, false, true},
    {"Volume", "vol", 8, 8, false, false},      {"VPC", "net", 2, 2, false, false},
    {"Subnet", "sub", 4, 4, false, false},      {"Instance", "vm", 5, 8, false, false},
    {"Firewall", "wall", 2, 2, false, false},   {"FloatingIP", "out", 3, 3, false, false},
    {"PortForward", "fwd", 3, 3, false, false},
};
enum { SORTS = sizeof(sorts) / sizeof(*sorts) };

static void item_roll(struct history *history, struct item *item)
{
    for (size_t i = 0; i < sizeof(item->numbers) / sizeof(*item->numbers); i++)
        item->numbers[i] = draw(history, 1000);
}

static void item_draw(struct history *history, struct item *item)
{
    unsigned at = draw(history, 36), sort = 0;
    while (at >= sorts[sort].weight) {
        at -= sorts[sort].weight;
        sort++;
    }
    *item = (struct item){.kind = sorts[sort].kind, .file = draw(history, FILES)};
    bool is_rack = sorts[sort].is_rack || (sorts[sort].is_either && draw(history, 2));
    item->project = is_rack ? -1 : (int)draw(history, 2);
    snprintf(item->name, sizeof(item->name), "%s%u", sorts[sort].names,
             draw(history, sorts[sort].name_count));
    item_roll(history, item);
}

/* Machines whose first disk is the volume follow it to its new name. */
static void users_follow(struct rack *rack, const struct item *volume, char was)
{
    for (size_t i = 0; i < rack->count; i++) {
        struct item *user = &rack->items[i];
        if (strcmp(user->kind, "Instance") == 0 && user->project == volume->project &&
            user->numbers[2] % 8 == (unsigned)(was - '0'))
            user->numbers[2] = (unsigned)(volume->name[3] - '0');
    }
}

/* ---- edits -------------------------------------------------------------------------- */

static void edit(struct history *history, struct rack *rack)
{
    struct item *item = rack->count ? &rack->items[draw(history, (unsigned)rack->count)] : NULL;
    bool is_small = rack->count < GOAL;
    unsigned kind = draw(history, 14);
    if (!item || (kind < (is_small ? 6u : 3u) && rack->count < ITEMS_MAX)) {
        item_draw(history, &rack->items[rack->count++]);
    } else if (kind < (is_small ? 7u : 8u)) {
        *item = rack->items[--rack->count];
    } else if (kind < 11) {
        item->numbers[draw(history, 8)] = draw(history, 1000);
    } else if (kind == 11) {
        item_roll(history, item);
    } else if (kind == 12) {
        char was = item->name[strlen(item->name) - 1];
        memcpy(item->renamed_from, item->name, sizeof(item->name));
        item->name[strlen(item->name) - 1] = (char)('0' + draw(history, 8));
        if (strcmp(item->kind, "Volume") == 0)
            users_follow(rack, item, was);
    } else {
        item->file = draw(history, FILES);
        item->renamed_from[0] = '\0';
        if (draw(history, 3) == 0) { /* from any name, in use or not */
            memcpy(item->renamed_from, item->name, sizeof(item->name));
            item->renamed_from[strlen(item->name) - 1] = (char)('0' + draw(history, 8));
        }
    }
}

/* ---- a history ---------------------------------------------------------------------- */

static bool turn(struct history *history, const struct plan *settled)
{
    struct rack next = history->rack;
    for (unsigned edits = 1 + draw(history, 3); edits > 0; edits--)
        edit(history, &next);
    return rack_try(history, settled, next);
}

static unsigned setting(const char *name, unsigned fallback)
{
    const char *text = getenv(name);
    return text ? (unsigned)strtoul(text, NULL, 10) : fallback;
}

/* A rack to begin with: what can be added is. */
static void history_grow(struct history *history)
{
    for (unsigned i = 0; i < 1000 && history->rack.count < GOAL; i++) {
        struct rack next = history->rack;
        struct report report;
        char commit[65];
        item_draw(history, &next.items[next.count++]);
        rack_commit(history, &next, commit);
        whole_load(history, commit, &report);
        if (report.count)
            continue;
        history->rack = next;
        memcpy(history->commit, commit, sizeof(commit));
    }
}

static void the_plan_of_a_part_is_the_plan_of_the_whole(void **state)
{
    struct history history;
    unsigned turns = setting("PART_TURNS", 300);
    history_begin(&history, *state, setting("PART_SEED", 1));
    history_grow(&history);
    for (unsigned i = 0; i < turns; i++) {
        const struct plan *settled = rest(&history);
        assert_int_equal(settled->step_count, 0);
        for (unsigned tries = 0; tries < 3; tries++) {
            struct rack before = history.rack;
            char commit[65];
            memcpy(commit, history.commit, sizeof(commit));
            turn(&history, settled);
            history.rack = before;
            memcpy(history.commit, commit, sizeof(commit));
        }
        for (unsigned tries = 0; tries < 8 && !turn(&history, settled); tries++)
            ; /* that is the one to go on from */
    }
    print_message("# %u taken, %u left to the whole, %u not valid; steps: %u create, %u update, %u"
                  " restart, %u delete, %u release, %u adopt; %u rests with other names before; "
                  "%zu manifests at the end\n",
                  history.taken, history.left, history.refused, history.steps[ACTION_CREATE],
                  history.steps[ACTION_UPDATE], history.steps[ACTION_RESTART],
                  history.steps[ACTION_DELETE], history.steps[ACTION_RELEASE],
                  history.steps[ACTION_ADOPT], history.renamed, history.rack.count);
    assert_true(history.taken > turns / 2);
    assert_true(history.refused > turns / 8);
    assert_true(history.left < history.taken / 8);
    history_end(&history);
}

int main(void)
{
    const struct CMUnitTest tests[] = {CASE(the_plan_of_a_part_is_the_plan_of_the_whole)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
