/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Who needs whom: the references that specs make, of all objects at once, found when
 * they are first asked for after a view was made.
 */
#include "reconciler/server/web_view.h"

#include <string.h>

#include "model/kind.h"

struct named {
    const char *label;
    struct shown *shown;
    UT_hash_handle hh;
};

struct finding {
    struct view *view;
    struct named *names;
    struct shown *from;
    size_t room;
};

static const char *label_of(struct arena *arena, const char *kind, const char *project,
                            const char *name)
{
    return arena_printf(arena, "%s %s/%s", kind, project ? project : "", name);
}

static struct shown *named_find(const struct finding *finding, const char *kind,
                                const char *project, const char *name)
{
    struct named *named;
    const char *label = label_of(finding->view->arena, kind, project, name);
    HASH_FIND_STR(finding->names, label, named);
    return named ? named->shown : NULL;
}

static void edge_add(struct finding *finding, struct shown *to)
{
    struct view *view = finding->view;
    for (size_t i = view->edge_count; i-- > 0 && view->edges[i].from == finding->from;)
        if (view->edges[i].to == to)
            return;
    view->edges =
        arena_grow(view->arena, view->edges, view->edge_count, &finding->room, sizeof *view->edges);
    view->edges[view->edge_count++] = (struct edge){finding->from, to};
}

static void refs_find(struct finding *finding, const struct field *field, const struct value *value)
{
    if (!value)
        return;
    if (field->ref && value_is_text(value)) {
        const char *project = shown_text(finding->from, "project");
        struct shown *to = named_find(finding, field->ref, project, value->text);
        to = to || !project ? to : named_find(finding, field->ref, NULL, value->text);
        if (to && to != finding->from)
            edge_add(finding, to);
    }
    for (size_t i = 0; field->item && value_is_list(value) && i < value->count; i++)
        refs_find(finding, field->item, value->items[i]);
    for (size_t i = 0; value_is_map(value) && i < field->field_count; i++)
        refs_find(finding, field->fields[i], value_get(value, field->fields[i]->name));
}

static void edges_find(struct view *view)
{
    struct finding finding = {.view = view};
    struct named *named = arena_array(view->arena, view->count + 1, sizeof *named);
    for (size_t i = 0; i < view->count; i++) {
        const char *kind = shown_text(&view->shown[i], "kind");
        const char *name = shown_text(&view->shown[i], "name");
        if (!kind || !name)
            continue;
        named[i].shown = &view->shown[i];
        named[i].label = label_of(view->arena, kind, shown_text(&view->shown[i], "project"), name);
        HASH_ADD_KEYPTR(hh, finding.names, named[i].label, strlen(named[i].label), &named[i]);
    }
    view->edges = arena_array(view->arena, 1, sizeof *view->edges);
    view->edge_count = 0;
    for (size_t i = 0; i < view->count; i++) {
        const struct known *row = view->shown[i].row;
        const struct kind *kind = kind_find(shown_text(&view->shown[i], "kind"));
        finding.from = &view->shown[i];
        if (kind && row)
            refs_find(&finding, kind->spec, row->applied ? row->applied : row->observed.spec);
    }
    HASH_CLEAR(hh, finding.names);
}

void tree_put(struct view *view, struct arena *arena, struct value *document,
              const struct shown *shown)
{
    struct value *needs = value_set(arena, document, "needs", value_list(arena));
    struct value *needed = value_set(arena, document, "neededBy", value_list(arena));
    if (!view->edges)
        edges_find(view);
    for (size_t i = 0; i < view->edge_count; i++) {
        if (view->edges[i].from == shown)
            value_append(arena, needs, shown_value(arena, view->edges[i].to));
        if (view->edges[i].to == shown)
            value_append(arena, needed, shown_value(arena, view->edges[i].from));
    }
}
