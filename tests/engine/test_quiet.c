/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The plan of a rack that is as declared, made row by row, beside the plan of the whole. Over the
 * histories of test_part.c, of all kinds: where rows are found to be quiet, the plan must be the
 * same document; where the plan of the whole has a line, or somebody is unknown, they must not be.
 * Then every field of every row is changed by itself, as Git, the record, the look and the boot
 * would have it.
 */
#include "tests/engine/history.h"

#include "reconciler/plan/quiet.h"

enum { TURNS = 120, GOAL = 60 };

static unsigned draw(struct history *history, unsigned below)
{
    history->random ^= history->random << 13;
    history->random ^= history->random >> 7;
    history->random ^= history->random << 17;
    return (unsigned)(history->random >> 33) % below;
}

/* Rows in an order of their own: the store promises none. */
static const struct plan *quiet_make(struct history *history, const struct plan_input *input)
{
    struct quiet *quiet = quiet_begin(history->world->arena, input);
    size_t first = input->known_count ? draw(history, (unsigned)input->known_count) : 0;
    bool goes_on = true;
    for (size_t i = 0; goes_on && i < input->known_count; i++)
        goes_on = quiet_row(quiet, &input->known[(first + i) % input->known_count]);
    return quiet_end(quiet);
}

struct tally {
    unsigned quiet, left, loud;
};

static void quiet_compare(struct history *history, const struct plan_input *input,
                          struct tally *tally)
{
    const struct plan *whole = plan_make(history->world->arena, input);
    const struct plan *quiet = quiet_make(history, input);
    bool is_loud = whole->step_count || whole->unknown || whole->hold_count;
    if (quiet)
        assert_string_equal(document(history, quiet), document(history, whole));
    assert_false(quiet && is_loud);
    tally->quiet += quiet != NULL;
    tally->left += !quiet && !is_loud;
    tally->loud += is_loud;
}

/* ---- histories ---------------------------------------------------------------------- */

static void item_draw(struct history *history, struct item *item)
{
    static const struct {
        const char *kind, *names;
        bool is_rack;
    } sorts[] = {
        {"Project", "p", true},      {"Pool", "pool", true},       {"Image", "img", false},
        {"SSHKey", "key", false},    {"Volume", "vol", false},     {"VPC", "net", false},
        {"Subnet", "sub", false},    {"Instance", "vm", false},    {"Instance", "vm", false},
        {"Firewall", "wall", false}, {"FloatingIP", "out", false}, {"PortForward", "fwd", false}};
    unsigned sort = draw(history, sizeof(sorts) / sizeof(*sorts));
    *item = (struct item){.kind = sorts[sort].kind, .file = draw(history, FILES)};
    item->project = sorts[sort].is_rack ? -1 : (int)draw(history, 2);
    snprintf(item->name, sizeof(item->name), "%s%u", sorts[sort].names, draw(history, 6));
    for (size_t i = 0; i < sizeof(item->numbers) / sizeof(*item->numbers); i++)
        item->numbers[i] = draw(history, 1000);
}

static struct rack rack_edit(struct history *history)
{
    struct rack next = history->rack;
    unsigned kind = next.count < GOAL / 2 ? 0 : draw(history, 4);
    if (kind < 2 && next.count < GOAL) {
        item_draw(history, &next.items[next.count++]);
        return next;
    }
    struct item *item = &next.items[draw(history, (unsigned)next.count)];
    if (kind == 2)
        *item = next.items[--next.count];
    else
        item->numbers[draw(history, 8)] = draw(history, 1000);
    return next;
}

/* A valid commit that follows; false if none was drawn. */
static bool rack_next(struct history *history)
{
    for (unsigned tries = 0; tries < 20; tries++) {
        struct rack next = rack_edit(history);
        struct report report;
        char commit[65];
        rack_commit(history, &next, commit);
        whole_load(history, commit, &report);
        if (report.count)
            continue;
        history->rack = next;
        memcpy(history->commit, commit, sizeof(commit));
        return true;
    }
    return false;
}

static void what_is_as_declared_has_the_plan_of_the_whole(void **state)
{
    struct history history;
    struct tally settled = {0}, changed = {0};
    unsigned nics = 0, released = 0;
    history_begin(&history, *state, 7);
    for (unsigned i = 0; i < TURNS; i++) {
        struct report report;
        const struct set *before = NULL;
        rest(&history);
        before = whole_load(&history, history.commit, &report);
        struct plan_input input = whole_input(&history, before, history.commit);
        quiet_compare(&history, &input, &settled);
        for (size_t n = 0; n < input.known_count; n++) {
            nics += strcmp(input.known[n].kind, "NIC") == 0;
            released += input.known[n].life == LIFE_RELEASED;
        }
        if (!rack_next(&history))
            continue;
        input =
            whole_input(&history, whole_load(&history, history.commit, &report), history.commit);
        quiet_compare(&history, &input, &changed);
    }
    print_message("# as declared: %u quiet, %u left to the whole, %u NICs and %u released in them; "
                  "changed: %u with lines, %u quiet, %u left; %zu manifests at the end\n",
                  settled.quiet, settled.left, nics, released, changed.loud, changed.quiet,
                  changed.left, history.rack.count);
    assert_int_equal(settled.loud, 0);
    assert_true(nics > TURNS / 2 && released > 0);
    assert_true(settled.quiet > 9 * settled.left);
    assert_true(changed.loud > TURNS / 2);
    history_end(&history);
}

/* ---- one difference ----------------------------------------------------------------- */

/* One leaf of a spec, by number, to something else; false if it has not so many. */
static bool leaf_change(struct value *value, size_t *at)
{
    switch (value->type) {
    case VALUE_MAP:
        for (size_t i = 0; i < value->pair_count; i++)
            if (leaf_change(value->pairs[i].value, at))
                return true;
        return false;
    case VALUE_LIST:
        for (size_t i = 0; i < value->count; i++)
            if (leaf_change(value->items[i], at))
                return true;
        return false;
    case VALUE_BOOL:
        value->boolean ^= *at == 0;
        break;
    case VALUE_INT:
        value->integer += *at == 0;
        break;
    case VALUE_STRING:
        if (*at == 0) {
            value->text = "other";
            value->text_len = strlen("other");
        }
        break;
    case VALUE_NULL:
    default:
        return false;
    }
    return (*at)-- == 0;
}

static const struct value **place_of(struct known *row, unsigned which)
{
    const struct value **const places[] = {&row->applied, &row->observed.spec,
                                           &row->observed.booted, &row->labels, &row->chosen};
    return which < sizeof(places) / sizeof(*places) ? places[which] : NULL;
}

static void row_disturb(struct history *history, const struct plan_input *input, size_t i,
                        struct tally *tally)
{
    struct known *row = (struct known *)(size_t)&input->known[i];
    const struct known before = *row;
    for (unsigned which = 0; place_of(row, which); which++) {
        bool is_more = *place_of(row, which) != NULL;
        for (size_t leaf = 0; is_more; leaf++) {
            size_t at = leaf;
            struct value *changed = value_copy(history->world->arena, *place_of(row, which));
            is_more = leaf_change(changed, &at);
            *place_of(row, which) = changed;
            quiet_compare(history, input, tally);
            *row = before;
        }
    }
    row->observed.known = false;
    quiet_compare(history, input, tally);
    *row = before;
    row->observed.absent = true;
    row->observed.spec = row->observed.booted = NULL;
    quiet_compare(history, input, tally);
    *row = before;
    row->observed.epoch++;
    quiet_compare(history, input, tally);
    *row = before;
    row->observed.released = true;
    quiet_compare(history, input, tally);
    *row = before;
    for (enum lifecycle life = LIFE_NEW; life < LIFE_GONE; life++) {
        row->life = life;
        quiet_compare(history, input, tally);
        *row = before;
    }
    row->protect = !row->protect;
    quiet_compare(history, input, tally);
    *row = before;
}

static void no_difference_is_overlooked(void **state)
{
    struct history history;
    struct tally tally = {0};
    struct report report;
    history_begin(&history, *state, 15);
    for (unsigned i = 0; i < 200 && history.rack.count < GOAL / 2; i++)
        rack_next(&history);
    rest(&history);
    const struct set *set = whole_load(&history, history.commit, &report);
    struct plan_input input = whole_input(&history, set, history.commit);
    unsigned seeds = 0;
    for (size_t i = 0; i < input.known_count; i++) {
        seeds += strcmp(input.known[i].kind, "Seed") == 0;
        row_disturb(&history, &input, i, &tally);
    }
    for (size_t i = 0; i < input.known_count; i++) { /* one that has no row */
        struct plan_input fewer = input;
        struct known *rows = arena_array(history.world->arena, input.known_count, sizeof(*rows));
        fewer.known = rows;
        fewer.known_count = 0;
        for (size_t n = 0; n < input.known_count; n++)
            if (n != i)
                rows[fewer.known_count++] = input.known[n];
        quiet_compare(&history, &fewer, &tally);
    }
    print_message("# %zu rows: %u changes with lines, %u quiet, %u left to the whole\n",
                  input.known_count, tally.loud, tally.quiet, tally.left);
    assert_true(tally.loud > 5 * input.known_count && seeds > 0);
    history_end(&history);
}

int main(void)
{
    const struct CMUnitTest tests[] = {CASE(what_is_as_declared_has_the_plan_of_the_whole),
                                       CASE(no_difference_is_overlooked)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
