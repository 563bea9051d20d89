/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Matching desired resources with known rows. The row of the same identity comes
 * first, then the row of the name that metadata.renamedFrom gives (a move: same
 * uid), then a released row of the same identity (to be adopted). Each row is
 * taken at most once. Sorted arrays and binary search: about linear in the rack.
 */
#include <stdlib.h>
#include <string.h>

#include "model/sort.h"
#include "reconciler/plan/match.h"
#include "model/invariant.h"
#include "model/text.h"

struct row {
    const struct kind *kind;
    const struct known *known;
    bool is_taken;
};

struct name_entry {
    const struct kind *kind;
    const char *project;
    const char *name;
    int priority; /* desired, then left, then a former name, then NAME_PASSES_ON */
    const struct subject *subject;
};

/* Desired, by a name that records still have for another. */
enum { NAME_PASSES_ON = 4 };

struct rows {
    struct row *items;
    size_t count;
    struct row **moving; /* those that an earlier commit gave another name */
    size_t moving_count;
    bool has_tried;
};

static int compare_identity(const struct kind *kind_a, const char *project_a, const char *name_a,
                            const struct kind *kind_b, const char *project_b, const char *name_b)
{
    int order;

    if (kind_a != kind_b) /* each has a rank of its own */
        return kind_a->rank < kind_b->rank ? -1 : 1;
    order = text_compare(project_a, project_b);
    return order ? order : strcmp(name_a, name_b);
}

static int compare_rows(const void *left, const void *right)
{
    const struct row *a = left, *b = right;
    static const int priority[] = {[LIFE_LIVE] = 0, [LIFE_NEW] = 1, [LIFE_RELEASED] = 2};
    int order = compare_identity(a->kind, a->known->project, a->known->name, b->kind,
                                 b->known->project, b->known->name);

    if (order == 0)
        order = priority[a->known->life] - priority[b->known->life];
    return order ? order : strcmp(a->known->uid, b->known->uid);
}

static int compare_names(const void *left, const void *right)
{
    const struct name_entry *a = left, *b = right;
    int order = compare_identity(a->kind, a->project, a->name, b->kind, b->project, b->name);

    if (order == 0)
        order = a->priority - b->priority;
    if (order == 0)
        order = strcmp(a->subject->name, b->subject->name);
    return order;
}

/* A kind that this program does not know (of a newer one) comes last. */
static int kind_rank(const char *name)
{
    const struct kind *kind = kind_find(name);
    return kind ? kind->rank : INT32_MAX;
}

int plan_known_order(const void *left, const void *right)
{
    const struct known *a = left, *b = right;
    int order = strcmp(a->kind, b->kind);

    if (order != 0) {
        int a_rank = kind_rank(a->kind), b_rank = kind_rank(b->kind);

        return a_rank != b_rank ? (a_rank > b_rank) - (a_rank < b_rank) : order;
    }
    order = text_compare(a->project, b->project);
    if (order == 0)
        order = strcmp(a->name, b->name);
    return order ? order : strcmp(a->uid, b->uid);
}

/* Beside the one on record: what it is to be called, or still is; NULL: none. */
static const char *other_name(const struct known *known)
{
    return value_get_text(known->chosen, "becomes", value_get_text(known->chosen, "called", NULL));
}

/* Rows of a kind that this program does not know are left alone. */
static struct rows rows_read(struct arena *arena, const struct plan_input *input)
{
    struct rows rows = {.items = arena_array(arena, input->known_count + 1, sizeof(struct row))};

    for (size_t i = 0; i < input->known_count; i++) {
        const struct kind *kind = kind_find(input->known[i].kind);

        if (kind && input->known[i].life != LIFE_GONE)
            rows.items[rows.count++] = (struct row){kind, &input->known[i], false};
    }
    sort_items(rows.items, rows.count, sizeof(struct row), compare_rows);
    rows.moving = arena_array(arena, rows.count + 1, sizeof(struct row *));
    invariant(rows.count <= input->known_count, "%zu rows of %zu", rows.count, input->known_count);
    for (size_t i = 0; i < rows.count; i++) {
        if (other_name(rows.items[i].known))
            rows.moving[rows.moving_count++] = &rows.items[i];
        rows.has_tried |= known_tried(rows.items[i].known) != NULL;
    }
    return rows;
}

/* The first row of the identity, released or not as asked. */
static struct row *rows_find(const struct rows *rows, const struct kind *kind, const char *project,
                             const char *name, bool is_released)
{
    size_t low = 0, high = rows->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct row *row = &rows->items[middle];

        if (compare_identity(row->kind, row->known->project, row->known->name, kind, project,
                             name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < rows->count; low++) {
        struct row *row = &rows->items[low];

        if (compare_identity(row->kind, row->known->project, row->known->name, kind, project,
                             name) != 0)
            return NULL;
        if ((row->known->life == LIFE_RELEASED) == is_released) {
            invariant(!row->is_taken, "a name is asked for once");
            return row;
        }
    }
    return NULL;
}

/* The row of the name that the manifest was renamed from: the set holds no such name. */
static struct row *find_moved(const struct rows *rows, const struct resource *resource)
{
    const char *former = resource->renamed_from;

    return former ? rows_find(rows, resource->kind, resource->project, former, false) : NULL;
}

/* A commit said renamedFrom, and the next one no longer did before it was carried out. Or one took
 * a rename back, and before that was carried out another wants the name that the object still
 * bears.
 */
static struct row *find_moving(const struct set *set, const struct rows *rows,
                               const struct resource *resource)
{
    for (size_t i = 0; i < rows->moving_count; i++) {
        struct row *row = rows->moving[i];

        if (!row->is_taken && row->kind == resource->kind && row->known->life != LIFE_RELEASED &&
            text_compare(row->known->project, resource->project) == 0 &&
            text_compare(other_name(row->known), resource->name) == 0 &&
            !set_find(set, resource->kind->name, resource->project, row->known->name))
            return row;
    }
    return NULL;
}

static void match_resource(const struct set *set, const struct rows *rows,
                           const struct resource *resource, struct subject *subject)
{
    struct row *row = rows_find(rows, resource->kind, resource->project, resource->name, false);

    *subject = (struct subject){.kind = resource->kind,
                                .project = resource->project,
                                .name = resource->name,
                                .resource = resource};
    if (!row) {
        const char *former = resource->renamed_from;

        row = find_moved(rows, resource);
        if (!row && (row = find_moving(set, rows, resource)))
            former = row->known->name;
        if (row)
            subject->renamed_from = former;
    } else {
        subject->renamed_from = value_get_text(row->known->chosen, "called", NULL);
    }
    if (!row)
        row = rows_find(rows, resource->kind, resource->project, resource->name, true);
    if (!row)
        return;
    invariant(!row->is_taken, "%s has two manifests", row->known->uid);
    row->is_taken = true;
    subject->known = row->known;
}

static void add_left(struct match *match, const struct row *row)
{
    struct subject *subject = &match->subjects[match->count++];
    const struct known *known = row->known;

    invariant(!row->is_taken, "%s has a manifest, and has left Git", known->uid);
    invariant(known->life != LIFE_GONE, "%s is gone, and is to be planned for", known->uid);
    *subject = (struct subject){
        .kind = row->kind,
        .project = known->project,
        .name = known->name,
        .known = known,
        .is_twin = known->life != LIFE_RELEASED &&
                   set_find(match->input->set, known->kind, known->project, known->name),
    };
}

static void add_name(struct match *match, const struct subject *subject, const char *name,
                     int priority)
{
    invariant(name && subject->kind, "%s goes by no name", subject->name);
    match->names[match->name_count++] =
        (struct name_entry){subject->kind, subject->project, name, priority, subject};
}

/* A name that a manifest gives to a new object while a record has it for another one. */
struct passing {
    struct name_entry *name;
    const struct subject *user; /* whose record refers to another one by it; the first */
};

struct passings {
    struct passing *items; /* sorted as names are */
    size_t count;
};

static int compare_passing(const void *key, const void *item)
{
    const struct name_entry *a = key, *b = ((const struct passing *)item)->name;

    return compare_identity(a->kind, a->project, a->name, b->kind, b->project, b->name);
}

static void user_note(const struct passings *passings, const struct subject *user,
                      const struct kind *kind, const char *project, const char *name)
{
    const struct name_entry key = {.kind = kind, .project = project, .name = name};
    struct passing *found =
        bsearch(&key, passings->items, passings->count, sizeof(*passings->items), compare_passing);

    if (found && !found->user)
        found->user = user;
}

/* Notes whom `user` refers to, of a record of its spec. */
static void refs_note(const struct passings *passings, const struct subject *user,
                      const struct field *field, const struct value *value)
{
    if (!field || !value)
        return;
    if (field->ref && value_is_text(value)) {
        const struct kind *kind = kind_find(field->ref);

        user_note(passings, user, kind, user->project, value->text);
        user_note(passings, user, kind, NULL, value->text);
        return;
    }
    for (size_t i = 0; value_is_map(value) && i < value->pair_count; i++)
        refs_note(passings, user, field_child(field, value->pairs[i].key), value->pairs[i].value);
    for (size_t i = 0; value_is_list(value) && i < value->count; i++)
        refs_note(passings, user, field->item, value->items[i]);
}

/* Those who are on record, as applied or as seen, with a reference. What is gone has nothing. */
static void users_find(const struct match *match, const struct passings *passings)
{
    for (size_t i = 0; passings->count > 0 && i < match->count; i++) {
        const struct subject *user = &match->subjects[i];

        if (!user->known || (user->known->observed.known && user->known->observed.absent))
            continue;
        refs_note(passings, user, user->kind->spec, known_applied(user->known));
        refs_note(passings, user, user->kind->spec, known_observed(user->known));
    }
}

static struct passings passings_find(struct arena *arena, struct match *match)
{
    struct passings passings = {0};

    for (size_t i = 0; i + 1 < match->name_count; i++) {
        struct name_entry *name = &match->names[i], *former = name + 1;

        if (!name->subject->resource || name->subject->known || !former->subject->known ||
            compare_identity(name->kind, name->project, name->name, former->kind, former->project,
                             former->name) != 0)
            continue;
        if (!passings.items)
            passings.items = arena_array(arena, match->name_count, sizeof(*passings.items));
        passings.items[passings.count++].name = name;
    }
    return passings;
}

/* Records refer by name. While one still calls an object by the name that it bore before, nothing
 * new is made under that name: what is there would be taken for the new one. */
static void names_in_use(struct arena *arena, struct match *match)
{
    struct passings passings = passings_find(arena, match);

    users_find(match, &passings);
    for (size_t i = 0; i < passings.count; i++) {
        struct name_entry *name = passings.items[i].name, *former = name + 1;
        struct subject *subject = &match->subjects[name->subject - match->subjects];
        const struct subject *user = passings.items[i].user;

        if (!user)
            continue;
        subject->lacks =
            arena_printf(arena, "%s still has %s %s on record by this name",
                         identity_label(arena, user->kind->name, user->project, user->name),
                         former->kind->name, former->subject->name);
        subject->lacks_until = user;
        name->priority = NAME_PASSES_ON;
        match->has_names_in_use = true;
    }
    if (match->has_names_in_use)
        sort_items(match->names, match->name_count, sizeof(struct name_entry), compare_names);
}

static void names_index(struct arena *arena, struct match *match)
{
    size_t room = 2 * match->count + 1;

    for (size_t i = 0; i < match->count; i++) {
        const struct known *known = match->subjects[i].known;
        const struct value *formerly = known ? value_get(known->chosen, "formerly") : NULL;

        room += value_is_list(formerly) ? formerly->count : 0;
    }
    match->names = arena_array(arena, room, sizeof(struct name_entry));
    for (size_t i = 0; i < match->count; i++) {
        const struct subject *subject = &match->subjects[i];
        const struct value *formerly =
            subject->known ? value_get(subject->known->chosen, "formerly") : NULL;

        add_name(match, subject, subject->name, subject->resource ? 0 : 1);
        if (subject->renamed_from)
            add_name(match, subject, subject->renamed_from, 2);
        for (size_t n = 0; value_is_list(formerly) && n < formerly->count; n++)
            if (value_is_text(formerly->items[n]))
                add_name(match, subject, formerly->items[n]->text, 3);
    }
    invariant(match->name_count <= room, "%zu names in room for %zu", match->name_count, room);
    sort_items(match->names, match->name_count, sizeof(struct name_entry), compare_names);
}

/* The first entry of the identity, or NULL. */
static const struct name_entry *name_first(const struct match *match, const struct kind *kind,
                                           const char *project, const char *name)
{
    size_t low = 0, high = match->name_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct name_entry *entry = &match->names[middle];

        if (compare_identity(entry->kind, entry->project, entry->name, kind, project, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == match->name_count)
        return NULL;
    if (compare_identity(match->names[low].kind, match->names[low].project, match->names[low].name,
                         kind, project, name) != 0)
        return NULL;
    return &match->names[low];
}

const struct subject *match_declared(const struct match *match, const struct resource *resource)
{
    const struct name_entry *name =
        name_first(match, resource->kind, resource->project, resource->name);

    invariant(name, "what the set declares was matched");
    while (name->subject->resource != resource) {
        name++;
        invariant(name < match->names + match->name_count, "%s was matched and has no name",
                  resource->name);
    }
    return name->subject;
}

/* Those of the identity are next to one another. */
static const struct name_entry *name_next(const struct match *match, const struct name_entry *name)
{
    const struct name_entry *next = name + 1;

    return next < match->names + match->name_count &&
                   compare_identity(next->kind, next->project, next->name, name->kind,
                                    name->project, name->name) == 0
               ? next
               : NULL;
}

/* The first entry, in `project` or else rack-wide, or NULL. */
static const struct name_entry *name_resolve(const struct match *match, const char *kind_name,
                                             const char *project, const char *name)
{
    const struct kind *kind = kind_find(kind_name);
    const struct name_entry *found;

    invariant(kind, "a field refers to a kind that there is");
    if (!name)
        return NULL;
    found = name_first(match, kind, project, name);
    invariant(!found || found->subject->kind == kind, "%s is asked for as a %s", name, kind_name);
    return found ? found : name_first(match, kind, NULL, name);
}

const struct subject *match_resolve(const struct match *match, const char *kind,
                                    const char *project, const char *name)
{
    const struct name_entry *first = name_resolve(match, kind, project, name);

    return first ? first->subject : NULL;
}

/* Whom a manifest means, of those that have the name of `first`. */
static const struct subject *name_wanted(const struct match *match, const struct name_entry *first)
{
    for (const struct name_entry *entry = first; entry; entry = name_next(match, entry))
        if (entry->priority == NAME_PASSES_ON)
            return entry->subject;
    return first ? first->subject : NULL;
}

const struct subject *match_wanted(const struct match *match, const char *kind, const char *project,
                                   const char *name)
{
    return name_wanted(match, name_resolve(match, kind, project, name));
}

const char *match_present_name(const struct match *match, const char *kind, const char *project,
                               const char *name)
{
    const struct name_entry *first = name_resolve(match, kind, project, name);

    return first && name_wanted(match, first) != first->subject ? first->subject->name : NULL;
}

static const struct value *map_or_null(const struct value *value)
{
    return value_is_map(value) ? value : NULL;
}

const struct value *known_applied(const struct known *known)
{
    return map_or_null(known->applied);
}

const struct value *known_observed(const struct known *known)
{
    return known->observed.known && !known->observed.absent ? map_or_null(known->observed.spec)
                                                            : NULL;
}

const struct value *known_booted(const struct known *known)
{
    return known->observed.known && !known->observed.absent ? map_or_null(known->observed.booted)
                                                            : NULL;
}

bool spec_removes_data(const struct value *spec)
{
    return strcmp(value_get_text(spec, "onRemove", ""), "delete") == 0;
}

bool known_protects(const struct known *known)
{
    return known->protect || value_get_bool(known_observed(known), "protect", false);
}

const struct value *known_tried(const struct known *known)
{
    return known->observed.known ? NULL : map_or_null(known->tried);
}

static bool runs(const struct known *known)
{
    return known && known_booted(known);
}

/* A NIC's or Seed's Instance, by the derived resource or, once it left, by its row. */
static const struct subject *find_owner(const struct match *match, const struct subject *subject)
{
    const struct known *known = subject->known;
    const char *name;

    if (!subject->kind->is_derived)
        return NULL;
    if (subject->resource)
        return match_declared(match, subject->resource->owner);
    name = value_get_text(known->applied, "instance", NULL);
    if (!name)
        name = value_get_text(known_observed(known), "instance", NULL);
    return match_resolve(match, "Instance", subject->project, name);
}

/* The running Instance has the volumes open that it was seen with, or that it was last
 * told to have if its disks were not looked at. */
static void mark_held(const struct match *match, const struct subject *instance)
{
    const struct value *disks = value_get(instance->known->observed.spec, "disks");

    if (!value_is_list(disks))
        disks = value_get(instance->known->applied, "disks");
    for (size_t i = 0; value_is_list(disks) && i < disks->count; i++) {
        const char *name = value_get_text(disks->items[i], "volume", NULL);
        const struct subject *volume = match_resolve(match, "Volume", instance->project, name);

        if (volume)
            match->subjects[volume - match->subjects].holder = instance;
    }
}

/* A machine is started with no volume of which nobody can say what it is now: its pool is not
 * mounted, or the file that lies there bears no valid tag. */
static void volumes_unseen(struct arena *arena, const struct match *match, struct subject *instance)
{
    const struct value *disks = value_get(instance->resource->spec, "disks");

    invariant(value_is_list(disks), "%s was checked and has no list of disks", instance->name);
    for (size_t i = 0; i < disks->count; i++) {
        const char *name = value_get_text(disks->items[i], "volume", NULL);
        const struct subject *volume = match_wanted(match, "Volume", instance->project, name);

        invariant(volume, "a disk of %s is on a volume that nobody declares", instance->name);
        if (!volume->known || volume->known->life != LIFE_LIVE || volume->known->observed.known)
            continue;
        instance->lacks =
            arena_printf(arena, "%s could not be looked at",
                         identity_label(arena, volume->kind->name, volume->project, volume->name));
        instance->lacks_until = volume;
    }
}

static void match_link(struct arena *arena, const struct match *match)
{
    for (size_t i = 0; i < match->count; i++) {
        struct subject *subject = &match->subjects[i];

        subject->owner = find_owner(match, subject);
        subject->is_running = runs(subject->owner ? subject->owner->known : subject->known);
    }
    for (size_t i = 0; i < match->count; i++) {
        struct subject *subject = &match->subjects[i];

        if (strcmp(subject->kind->name, "Instance") != 0)
            continue;
        if (subject->is_running)
            mark_held(match, subject);
        else if (subject->resource && !subject->lacks)
            volumes_unseen(arena, match, subject);
    }
}

static int compare_contests(const void *left, const void *right)
{
    const struct contest *a = left, *b = right;
    int order = strcmp(a->uid, b->uid);

    return order ? order : strcmp(a->path, b->path);
}

static void contests_index(struct arena *arena, struct match *match)
{
    const struct plan_input *input = match->input;

    match->contests = arena_array(arena, input->contest_count + 1, sizeof(struct contest));
    for (size_t i = 0; i < input->contest_count; i++)
        match->contests[i] = input->contests[i];
    qsort(match->contests, input->contest_count, sizeof(struct contest), compare_contests);
}

const struct contest *match_contest(const struct match *match, const char *uid, const char *path)
{
    struct contest key = {.uid = uid, .path = path};

    return bsearch(&key, match->contests, match->input->contest_count, sizeof(key),
                   compare_contests);
}

bool known_was_released(const struct known *known)
{
    return known->life == LIFE_RELEASED && (known->protect || !known->remove_deletes);
}

bool known_is_kept(const struct known *known)
{
    const struct observation *seen = &known->observed;

    return known_was_released(known) && (!seen->known || seen->absent || seen->released);
}

const struct match *match_make(struct arena *arena, const struct plan_input *input)
{
    struct match *match = arena_alloc(arena, sizeof(*match));
    struct rows rows = rows_read(arena, input);

    match->input = input;
    match->has_tried = rows.has_tried;
    match->subjects =
        arena_array(arena, input->set->count + rows.count + 1, sizeof(struct subject));
    for (size_t i = 0; i < input->set->count; i++)
        match_resource(input->set, &rows, input->set->resources[i],
                       &match->subjects[match->count++]);
    match->desired = match->count;
    invariant(match->desired == input->set->count, "%zu resources are %zu subjects",
              input->set->count, match->desired);
    for (size_t i = 0; i < rows.count; i++)
        if (!rows.items[i].is_taken && !known_is_kept(rows.items[i].known))
            add_left(match, &rows.items[i]);
    names_index(arena, match);
    for (size_t i = 0; i < match->count; i++)
        match_read_told(arena, match, &match->subjects[i]);
    names_in_use(arena, match); /* for what no driver has told otherwise */
    contests_index(arena, match);
    match_link(arena, match);
    choose_all(arena, match);
    invariant(match->count <= input->set->count + rows.count, "%zu subjects of %zu and %zu",
              match->count, input->set->count, rows.count);
    return match;
}
