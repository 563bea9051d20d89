/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The plan for people. It is written from the document alone, so that a plan that
 * came by socket, or was saved years ago, reads the same. One block a step: symbol,
 * word, identity; then each changed field with its values, its change class and
 * what becomes of it; then what is held, what happens to each machine, and a sum.
 */
#include <string.h>

#include "model/arena.h"
#include "model/diff.h"
#include "model/invariant.h"
#include "model/json.h"
#include "model/kind.h"
#include "reconciler/plan/text.h"

enum { MAX_VALUE_COLUMNS = 40, MAX_PATH_COLUMNS = 28, FIELD_INDENT = 6, NOTE_INDENT = 10 };
/* Bytes of a value's words behind which they are cut, whatever characters they are. */
enum { WORDS_ENOUGH = 4 * MAX_VALUE_COLUMNS };

enum tone { TONE_PLAIN, TONE_ADD, TONE_CHANGE, TONE_REMOVE, TONE_KEEP, TONE_DIM, TONE_BOLD };

struct writer {
    struct text *out;
    struct arena *arena;
    bool color;
    int columns;
};

static const struct {
    const char *action, *symbol;
    enum tone tone;
    const char *sum; /* "2 to create" */
} actions[] = {
    {"create", "+", TONE_ADD, "to create"},      {"update", "~", TONE_CHANGE, "to update"},
    {"restart", "~", TONE_CHANGE, "to restart"}, {"replace", "-/+", TONE_REMOVE, "to replace"},
    {"delete", "-", TONE_REMOVE, "to delete"},   {"adopt", "+", TONE_ADD, "to adopt"},
    {"release", ">", TONE_KEEP, "to release"},
};

enum { ACTIONS = sizeof(actions) / sizeof(*actions) };

/* ---- writing ------------------------------------------------------------------------ */

static void put(const struct writer *writer, enum tone tone, const char *text)
{
    static const char *const codes[] = {
        [TONE_ADD] = "\033[32m",  [TONE_CHANGE] = "\033[33m", [TONE_REMOVE] = "\033[31m",
        [TONE_KEEP] = "\033[36m", [TONE_DIM] = "\033[2m",     [TONE_BOLD] = "\033[1m",
    };
    bool is_toned = writer->color && tone != TONE_PLAIN && *text;

    if (is_toned)
        text_add(writer->out, codes[tone]);
    text_add(writer->out, text);
    if (is_toned)
        text_add(writer->out, "\033[0m");
}

static void put_spaces(const struct writer *writer, int count)
{
    for (int i = 0; i < count; i++)
        text_add_char(writer->out, ' ');
}

/* Words of `text` from column `at`, wrapped to lines that are indented by `indent`. */
static void put_wrapped(const struct writer *writer, enum tone tone, int at, int indent,
                        const char *text)
{
    invariant(at >= 0 && indent >= 0, "text from column %d, indented by %d", at, indent);
    bool is_first = true;

    while (*text) {
        size_t len = strcspn(text, " ");
        const char *word = arena_text_n(writer->arena, text, len);
        int width = text_columns(word);

        if (!is_first && at + 1 + width > writer->columns) {
            text_add_char(writer->out, '\n');
            put_spaces(writer, indent);
            at = indent;
        } else if (!is_first) {
            text_add_char(writer->out, ' ');
            at++;
        }
        put(writer, tone, word);
        at += width;
        is_first = false;
        text += len;
        text += strspn(text, " ");
    }
    text_add_char(writer->out, '\n');
}

/* ---- values ------------------------------------------------------------------------- */

/* Cut to what fits; control characters (a multi-line text) end it as well. */
static const char *cut(struct arena *arena, const char *text)
{
    size_t len = 0, next;

    while (text[len]) {
        if ((unsigned char)text[len] < ' ')
            return arena_printf(arena, "%.*s...", (int)len, text);
        next = len + 1;
        while (((unsigned char)text[next] & 0xC0) == 0x80)
            next++;
        if (next > MAX_VALUE_COLUMNS && text[next])
            return arena_printf(arena, "%.*s...", (int)len, text);
        len = next;
    }
    return text;
}

static bool is_default(const struct field *field, const struct value *value)
{
    if (value_is_list(value) && value->count == 0)
        return true;
    if (value_is_map(value) && value->pair_count == 0)
        return true;
    return field && field->fallback && value_equal(field->fallback, value);
}

static const char *scalar_words(struct arena *arena, const struct field *field,
                                const struct value *value)
{
    if (field)
        return diff_value_text(arena, field, value);
    return value_is_text(value) ? value->text : json_text(arena, value);
}

/* An element of a keyed list: "volume data, bus scsi", without its key and defaults. */
static const char *map_words(struct arena *arena, const struct field *field,
                             const struct value *map)
{
    const char *words = "";

    for (size_t i = 0; i < map->pair_count && strlen(words) <= WORDS_ENOUGH; i++) {
        const struct field *child = field ? field_child(field, map->pairs[i].key) : NULL;
        const struct value *value = map->pairs[i].value;

        if (strcmp(map->pairs[i].key, "name") == 0 || is_default(child, value))
            continue;
        words = arena_printf(arena, "%s%s%s %s", words, *words ? ", " : "", map->pairs[i].key,
                             scalar_words(arena, child, value));
    }
    return *words ? words : "{}";
}

static const char *list_words(struct arena *arena, const struct field *field,
                              const struct value *list)
{
    const char *words = "";

    for (size_t i = 0; i < list->count && strlen(words) <= WORDS_ENOUGH; i++)
        words = arena_printf(arena, "%s%s%s", words, i ? ", " : "",
                             scalar_words(arena, field ? field->item : NULL, list->items[i]));
    return *words ? words : "none";
}

static const char *value_words(struct arena *arena, const struct field *field,
                               const struct value *value)
{
    if (!value)
        return "nothing";
    if (value_is_map(value) && value_get(value, "sensitive"))
        return "(sensitive)";
    if (value_is_map(value))
        return cut(arena, map_words(arena, field, value));
    if (value_is_list(value))
        return cut(arena, list_words(arena, field, value));
    return cut(arena, scalar_words(arena, field, value));
}

/* ---- one field ---------------------------------------------------------------------- */

struct line {
    const char *path;
    const char *values;
    const char *note;
};

static const char *short_path(const char *path)
{
    return strncmp(path, "spec.", 5) == 0 ? path + 5 : path;
}

static const char *join(struct arena *arena, const char *a, const char *separator, const char *b)
{
    if (!*a)
        return b;
    return *b ? arena_printf(arena, "%s%s%s", a, separator, b) : a;
}

/* "live, drift, CPU hotplug; 4 reserved at boot" or "restart; deferred: waits ..." */
static const char *note_of(struct arena *arena, const struct value *item)
{
    const char *change = value_get_text(item, "change", "");
    const char *disposition = value_get_text(item, "disposition", "run");
    const char *reason = value_get_text(item, "reason", "");
    const char *note = strcmp(change, "metadata") == 0 ? "record only" : change;

    if (strcmp(value_get_text(item, "cause", ""), "drift") == 0)
        note = join(arena, note, ", ", "drift");
    if (strcmp(disposition, "run") == 0) {
        note = join(arena, note, ", ", value_get_text(item, "means", ""));
        return join(arena, note, "; ", reason);
    }
    return join(arena, note, "; ", join(arena, disposition, ": ", reason));
}

static struct line field_line(struct arena *arena, const struct kind *kind,
                              const struct value *item, bool is_new)
{
    const char *path = value_get_text(item, "path", "");
    const struct field *field = kind ? kind_field(kind, path) : NULL;
    const struct value *from = value_get(item, "from"), *to = value_get(item, "to");
    struct line line = {.path = short_path(path)};

    if (is_new) {
        line.values = value_words(arena, field, to);
        line.note = value_get_text(item, "reason", "");
        return line;
    }
    if (value_is_map(to) && value_get(to, "sensitive"))
        line.values = "(sensitive, changed)";
    else
        line.values = arena_printf(arena, "%s -> %s", value_words(arena, field, from),
                                   value_words(arena, field, to));
    line.note = note_of(arena, item);
    return line;
}

static void put_field(const struct writer *writer, const struct line *line, int path_width)
{
    invariant(line->path && line->values && line->note, "a field is shown without a value");
    int at = FIELD_INDENT + text_columns(line->path);

    put_spaces(writer, FIELD_INDENT);
    put(writer, TONE_PLAIN, line->path);
    do {
        text_add_char(writer->out, ' ');
        at++;
    } while (at < FIELD_INDENT + path_width + 2);
    put(writer, TONE_PLAIN, line->values);
    at += text_columns(line->values);
    if (!*line->note) {
        text_add_char(writer->out, '\n');
        return;
    }
    if (at + 2 + text_columns(line->note) <= writer->columns) {
        put_spaces(writer, 2);
        at += 2;
    } else {
        text_add_char(writer->out, '\n');
        put_spaces(writer, NOTE_INDENT);
        at = NOTE_INDENT;
    }
    put_wrapped(writer, TONE_DIM, at, NOTE_INDENT, line->note);
}

static void put_fields(const struct writer *writer, const struct value *step)
{
    const struct value *fields = value_get(step, "fields");
    const struct kind *kind = kind_find(value_get_text(step, "kind", ""));
    bool is_new = strcmp(value_get_text(step, "action", ""), "create") == 0;
    size_t count = value_is_list(fields) ? fields->count : 0, shown = 0;
    struct line *lines = arena_array(writer->arena, count + 1, sizeof(*lines));
    int path_width = 0;

    for (size_t i = 0; i < count; i++) {
        const struct value *item = fields->items[i];
        const struct field *field =
            kind ? kind_field(kind, value_get_text(item, "path", "")) : NULL;
        int width;

        if (is_new && is_default(field, value_get(item, "to")))
            continue;
        lines[shown] = field_line(writer->arena, kind, item, is_new);
        width = text_columns(lines[shown++].path);
        if (width > path_width && width <= MAX_PATH_COLUMNS)
            path_width = width;
    }
    invariant(shown <= count && path_width <= MAX_PATH_COLUMNS,
              "%zu fields of %zu, %d columns wide", shown, count, path_width);
    for (size_t i = 0; i < shown; i++)
        put_field(writer, &lines[i], path_width);
}

/* ---- one step ----------------------------------------------------------------------- */

static const char *identity(struct arena *arena, const struct value *step)
{
    const char *project = value_get_text(step, "project", NULL);
    const char *name = value_get_text(step, "name", "?");

    return project ? arena_printf(arena, "%s/%s", project, name) : name;
}

static bool is_told_by_hold(const struct value *step, const struct value *holds)
{
    const char *id = value_get_text(step, "hold", "");
    const char *reason = value_get_text(step, "reason", "");

    for (size_t i = 0; value_is_list(holds) && i < holds->count; i++)
        if (strcmp(value_get_text(holds->items[i], "id", "?"), id) == 0 &&
            strcmp(value_get_text(holds->items[i], "reason", "?"), reason) == 0)
            return true;
    return false;
}

/* Where neither the fields nor the holds below say it. */
static bool wants_reason(const struct value *step, const struct value *holds)
{
    const char *action = value_get_text(step, "action", "");
    const struct value *fields = value_get(step, "fields");
    bool runs = strcmp(value_get_text(step, "disposition", ""), "run") == 0;
    bool is_drift = strcmp(value_get_text(step, "cause", ""), "drift") == 0;

    if (!value_get_text(step, "reason", NULL) || is_told_by_hold(step, holds))
        return false;
    if (strcmp(action, "create") == 0)
        return is_drift || !runs;
    if (strcmp(action, "update") == 0 || strcmp(action, "restart") == 0)
        return !value_is_list(fields) || fields->count == 0 || value_get(step, "renamedFrom");
    return true;
}

static size_t action_index(const char *action)
{
    size_t i = 0;

    while (i < ACTIONS && strcmp(actions[i].action, action) != 0)
        i++;
    return i;
}

static void put_step(const struct writer *writer, const struct value *step,
                     const struct value *holds)
{
    const char *action = value_get_text(step, "action", "");
    const char *disposition = value_get_text(step, "disposition", "run");
    const char *hold = value_get_text(step, "hold", NULL);
    size_t index = action_index(action);
    enum tone tone = index < ACTIONS ? actions[index].tone : TONE_PLAIN;
    const char *symbol = index < ACTIONS ? actions[index].symbol : "?";

    put(writer, tone, arena_printf(writer->arena, "%3s %-8s", symbol, action));
    put(writer, TONE_BOLD,
        arena_printf(writer->arena, " %s %s", value_get_text(step, "kind", "?"),
                     identity(writer->arena, step)));
    if (hold && strcmp(disposition, "held") == 0)
        put(writer, TONE_REMOVE, arena_printf(writer->arena, "  [%s %s]", disposition, hold));
    else if (hold)
        put(writer, TONE_CHANGE, arena_printf(writer->arena, "  [approved %s]", hold));
    else if (strcmp(disposition, "run") != 0)
        put(writer, TONE_CHANGE, arena_printf(writer->arena, "  [%s]", disposition));
    text_add_char(writer->out, '\n');
    if (wants_reason(step, holds)) {
        put_spaces(writer, FIELD_INDENT);
        put_wrapped(writer, TONE_DIM, FIELD_INDENT, FIELD_INDENT,
                    value_get_text(step, "reason", ""));
    }
    put_fields(writer, step);
    text_add_char(writer->out, '\n');
}

/* ---- after the steps ---------------------------------------------------------------- */

static void put_holds(const struct writer *writer, const struct value *holds)
{
    if (!value_is_list(holds) || holds->count == 0)
        return;
    put(writer, TONE_BOLD, "Held, until a person decides:\n");
    for (size_t i = 0; i < holds->count; i++) {
        const struct value *hold = holds->items[i];
        const char *id = value_get_text(hold, "id", "?");
        int64_t steps = value_get_int(hold, "steps", 0);

        put_spaces(writer, 2);
        put_wrapped(writer, TONE_PLAIN, 2, 4,
                    arena_printf(writer->arena, "%s (%lld step%s): %s",
                                 value_get_text(hold, "rule", "?"), (long long)steps,
                                 steps == 1 ? "" : "s", value_get_text(hold, "reason", "")));
        put_spaces(writer, 4);
        put(writer, TONE_BOLD,
            value_get_bool(hold, "approvable", false)
                ? arena_printf(writer->arena, "spinel approve %s", id)
                : arena_printf(writer->arena, "cannot be approved (%s)", id));
        text_add_char(writer->out, '\n');
    }
    text_add_char(writer->out, '\n');
}

/* Fields that a restart would bring and that wait for one: "maxCpus, machine". */
static const char *waiting_for_restart(struct arena *arena, const struct value *step)
{
    const struct value *fields = value_get(step, "fields");
    const char *words = "";

    for (size_t i = 0; value_is_list(fields) && i < fields->count; i++) {
        const struct value *item = fields->items[i];

        if (strcmp(value_get_text(item, "change", ""), "restart") == 0 &&
            strcmp(value_get_text(item, "disposition", "run"), "run") != 0)
            words = join(arena, words, ", ", short_path(value_get_text(item, "path", "")));
    }
    return words;
}

static bool touches_machine(const struct value *step)
{
    const char *impact = value_get_text(step, "impact", NULL);

    return impact && (strcmp(impact, "none") != 0 || value_get_bool(step, "running", false));
}

static void put_impact(const struct writer *writer, const struct value *steps)
{
    bool is_first = true;

    for (size_t i = 0; i < steps->count; i++) {
        const struct value *step = steps->items[i];
        const char *waiting, *words;

        if (!touches_machine(step))
            continue;
        if (is_first)
            put(writer, TONE_BOLD, "What happens to machines:\n");
        is_first = false;
        waiting = waiting_for_restart(writer->arena, step);
        words = arena_printf(writer->arena, "%s: %s", identity(writer->arena, step),
                             value_get_text(step, "impact", ""));
        if (*waiting)
            words =
                arena_printf(writer->arena, "%s, and a restart is pending for %s", words, waiting);
        put_spaces(writer, 2);
        put_wrapped(writer, TONE_PLAIN, 2, 4, words);
    }
    if (!is_first)
        text_add_char(writer->out, '\n');
}

const char *plan_summary_text(struct arena *arena, const struct value *summary)
{
    static const char *const counters[] = {"deferred", "held", "reported"};
    int64_t run = value_get_int(summary, "run", 0);
    const char *words = "";

    for (size_t i = 0; i < ACTIONS; i++) {
        int64_t count = value_get_int(summary, actions[i].action, 0);

        if (count)
            words = join(arena, words, ", ",
                         arena_printf(arena, "%lld %s", (long long)count, actions[i].sum));
    }
    words = arena_printf(arena, "%s%s", words, *words ? ". " : "");
    words = run ? arena_printf(arena, "%s%lld step%s would run", words, (long long)run,
                               run == 1 ? "" : "s")
                : arena_printf(arena, "%sNothing would run now", words);
    for (size_t i = 0; i < sizeof(counters) / sizeof(*counters); i++) {
        int64_t count = value_get_int(summary, counters[i], 0);

        if (count)
            words = arena_printf(arena, "%s, %lld %s", words, (long long)count, counters[i]);
    }
    return arena_printf(arena, "%s.", words);
}

static void put_summary(const struct writer *writer, const struct value *summary)
{
    put_wrapped(writer, TONE_BOLD, 0, 0,
                arena_printf(writer->arena, "Plan: %s", plan_summary_text(writer->arena, summary)));
}

static void put_empty(const struct writer *writer, const struct value *document)
{
    const char *commit = value_get_text(document, "commit", "");
    int64_t unknown = value_at_int(document, "observed.unknown", 0);

    put(writer, TONE_BOLD, "No changes.");
    if (unknown)
        text_printf(writer->out, " But %lld object%s of %.12s could not be looked at.\n",
                    (long long)unknown, unknown == 1 ? "" : "s", commit);
    else if (*commit && value_get_int(document, "resources", 1) == 0)
        text_printf(writer->out, " %.12s declares nothing.\n", commit);
    else if (*commit)
        text_printf(writer->out, " The rack matches %.12s.\n", commit);
    else
        text_add(writer->out, " Nothing is declared yet.\n");
}

void plan_text(struct text *out, const struct value *document, struct plan_text_options options)
{
    struct writer writer = {out, arena_new(), options.color,
                            options.columns > 0 ? options.columns : 80};
    const struct value *steps = value_get(document, "steps");
    const char *commit = value_get_text(document, "commit", "");
    const char *at = value_at_text(document, "observed.at", NULL);

    if (!value_is_list(steps) || steps->count == 0) {
        put_empty(&writer, document);
        arena_free(writer.arena);
        return;
    }
    put(&writer, TONE_BOLD, arena_printf(writer.arena, "Plan for %.12s", commit));
    text_printf(out, ", %s %s\n\n", at ? "observed" : "nothing observed", at ? at : "yet");
    for (size_t i = 0; i < steps->count; i++)
        put_step(&writer, steps->items[i], value_get(document, "holds"));
    put_holds(&writer, value_get(document, "holds"));
    put_impact(&writer, steps);
    put_summary(&writer, value_get(document, "summary"));
    arena_free(writer.arena);
}
