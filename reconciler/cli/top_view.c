/* SPDX-License-Identifier: MPL-2.0 */
/* The screen of `spinel top`: two lines of sums, tabs, a table, and the keys. */
#include "reconciler/cli/top.h"

#include <locale.h>
#include <ncurses.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model/json.h"
#include "model/text.h"
#include "reconciler/cli/terminal.h"

enum { LINE_SUMS = 1, LINE_TABS = 2, LINE_HEAD = 3, LINE_ROWS = 4, BAR = 10 };

static const struct tab {
    const char *name;
    const char *heads[TOP_COLUMNS];
    int widths[TOP_COLUMNS];  /* the last that is not 0 takes what is left */
    int stretch[TOP_COLUMNS]; /* how what is left is shared */
    const char *empty;
} tabs[TOP_TABS] = {
    [TOP_RESOURCES] = {"Resources",
                       {"KIND", "NAME", "STATE", "GIT", "LOOKED AT"},
                       {12, 30, 12, 10, 12},
                       {0, 2, 1, 0, 1},
                       "Nothing is declared yet."},
    [TOP_OPERATIONS] = {"Operations",
                        {"VERB", "KIND", "NAME", "STATE", "SINCE OR WHY"},
                        {9, 12, 24, 11, 12},
                        {0, 0, 1, 0, 2},
                        "Nothing was done yet."},
    [TOP_DRIFT] = {"Drift",
                   {"OBJECT", "FIELD", "IS", "SHOULD BE", "SINCE", "NOW", "LIKELY CAUSE"},
                   {19, 13, 9, 9, 7, 10, 8},
                   {3, 2, 1, 1, 0, 1, 3},
                   "No drift in the last 24 hours."},
    [TOP_EVENTS] = {"Events", {"AT", "TYPE", "TEXT"}, {9, 19, 30}, {0, 0, 1}, "No events yet."},
};

void top_screen_open(void)
{
    setlocale(LC_CTYPE, ""); /* ncurses counts columns by it */
    setenv("ESCDELAY", "25", 0);
    initscr();
    cbreak();
    noecho();
    keypad(stdscr, TRUE);
    curs_set(0);
    timeout(250);
    if (has_colors() && terminal_has_color(stdout)) {
        start_color();
        use_default_colors();
        init_pair(TOP_GOOD, COLOR_GREEN, -1);
        init_pair(TOP_WARN, COLOR_YELLOW, -1);
        init_pair(TOP_BAD, COLOR_RED, -1);
        init_pair(TOP_FAINT, COLOR_BLUE, -1);
    }
}

void top_screen_close(void)
{
    endwin();
}

static attr_t look_attr(enum top_look look)
{
    static const attr_t plain[] = {
        [TOP_PLAIN] = A_NORMAL, [TOP_GOOD] = A_NORMAL, [TOP_WARN] = A_BOLD,
        [TOP_BAD] = A_BOLD,     [TOP_FAINT] = A_DIM,
    };
    attr_t color = look != TOP_PLAIN && has_colors() && terminal_has_color(stdout)
                       ? (attr_t)COLOR_PAIR(look)
                       : 0;
    return plain[look] | color;
}

/* At most `width` columns of it, filled up with spaces. */
static void cell_draw(int y, int x, int width, const char *text)
{
    if (width <= 0 || x >= COLS)
        return;
    width = x + width > COLS ? COLS - x : width;
    mvprintw(y, x, "%-*s", width, "");
    mvaddnstr(y, x, text ? text : "", width);
}

bool top_row_is_wanted(const struct top_view *view, const struct top_row *row)
{
    if (!view->filter[0])
        return true;
    for (int i = 0; i < TOP_COLUMNS; i++)
        if (row->cells[i] && strcasestr(row->cells[i], view->filter))
            return true;
    return false;
}

/* ---- the head ----------------------------------------------------------------------- */

static const char *state_text(const struct top_data *data, enum top_look *look)
{
    const struct {
        const char *text;
        enum top_look look;
        bool is_so;
    } states[] = {
        {"no daemon: nothing is healed", TOP_BAD, !data->has_daemon},
        {"nothing was pushed yet", TOP_WARN, !*data->commit},
        {"not as Git says", TOP_BAD, data->drifting > 0},
        {"held: 'spinel plan' says by what", TOP_WARN, data->held > 0},
        {"converging", TOP_WARN, !data->is_converged},
        {"true but for what waits: 'spinel plan' says why", TOP_WARN, data->pending > 0},
    };
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if (states[i].is_so) {
            *look = states[i].look;
            return states[i].text;
        }
    *look = TOP_GOOD;
    return "true to Git";
}

static void head_draw(const struct top_data *data)
{
    char clock[16];
    time_t now = time(NULL);
    struct tm local;
    enum top_look state;
    localtime_r(&now, &local);
    strftime(clock, sizeof clock, "%H:%M:%S", &local);
    const char *text = state_text(data, &state);
    attr_t look = look_attr(state);
    attron(A_BOLD);
    mvprintw(0, 0, "spinel %.30s %.12s ", data->site->name, data->commit ? data->commit : "");
    attroff(A_BOLD);
    attron(look);
    printw("%s", text);
    attroff(look);
    if (getcurx(stdscr) < COLS - 9)
        mvaddstr(0, COLS - 8, clock);
    mvprintw(
        LINE_SUMS, 0,
        "%lld resources: %lld true, %lld pending, %lld drifting, %lld held; %lld fields differ",
        (long long)data->total, (long long)data->good, (long long)data->pending,
        (long long)data->drifting, (long long)data->held, (long long)data->open_drift);
}

static void tabs_draw(const struct top_view *view)
{
    move(LINE_TABS, 0);
    for (int i = 0; i < TOP_TABS; i++) {
        attr_t look = (int)view->tab == i ? A_REVERSE : A_NORMAL;
        attron(look);
        printw(" %d %s ", i + 1, tabs[i].name);
        attroff(look);
    }
    if (view->is_typing || view->filter[0])
        printw("  /%s%s", view->filter, view->is_typing ? "_" : "");
}

/* ---- tables ------------------------------------------------------------------------- */

static int widths_fit(const struct tab *tab, int widths[TOP_COLUMNS])
{
    int last = 0, used = 0, shares = 0;
    for (int i = 0; i < TOP_COLUMNS; i++) {
        widths[i] = tab->widths[i];
        used += widths[i] ? widths[i] + 1 : 0;
        shares += tab->stretch[i];
        last = widths[i] ? i : last;
    }
    for (int i = 0; i < last && COLS > used; i++)
        widths[i] += (COLS - used) * tab->stretch[i] / shares;
    widths[last] = COLS;
    return last;
}

static void row_draw(int y, const struct tab *tab, const char *const cells[], int percent)
{
    int widths[TOP_COLUMNS], x = 0;
    int last = widths_fit(tab, widths);
    for (int i = 0; i <= last; i++) {
        cell_draw(y, x, widths[i], cells[i]);
        x += widths[i] + 1;
    }
    if (percent < 0 || COLS < 40)
        return;
    int done = percent * BAR / 100;
    mvprintw(y, COLS - BAR - 7, " [%.*s%.*s]%3d%%", done, "##########", BAR - done, "          ",
             percent);
}

static void empty_draw(const struct top_view *view, const struct top_data *data)
{
    const char *why = data->problem[0]  ? data->problem
                      : view->filter[0] ? "Nothing matches the filter; Esc clears it."
                                        : tabs[view->tab].empty;
    cell_draw(LINE_ROWS + 1, 2, COLS - 2, why);
}

static void table_draw(struct top_view *view, const struct top_data *data)
{
    const struct top_table *table = &data->tables[view->tab];
    size_t *selected = &view->selected[view->tab], *first = &view->first[view->tab];
    size_t room = LINES > LINE_ROWS + 1 ? (size_t)(LINES - LINE_ROWS - 1) : 1, wanted = 0;
    for (size_t i = 0; i < table->count; i++)
        wanted += top_row_is_wanted(view, &table->rows[i]);
    *selected = wanted && *selected >= wanted ? wanted - 1 : wanted ? *selected : 0;
    if (*selected < *first)
        *first = *selected;
    if (*selected >= *first + room)
        *first = *selected - room + 1;
    attron(A_BOLD);
    row_draw(LINE_HEAD, &tabs[view->tab], tabs[view->tab].heads, -1);
    attroff(A_BOLD);
    if (!wanted)
        empty_draw(view, data);
    for (size_t i = 0, at = 0; i < table->count; i++) {
        const struct top_row *row = &table->rows[i];
        if (!top_row_is_wanted(view, row))
            continue;
        if (at >= *first && at < *first + room) {
            attr_t look = look_attr(row->look) | (at == *selected ? A_REVERSE : 0);
            attron(look);
            row_draw(LINE_ROWS + (int)(at - *first), &tabs[view->tab], row->cells, row->percent);
            attroff(look);
        }
        at++;
    }
}

/* ---- one row, help ------------------------------------------------------------------ */

static const struct top_row *row_selected(const struct top_view *view, const struct top_data *data)
{
    const struct top_table *table = &data->tables[view->tab];
    for (size_t i = 0, at = 0; i < table->count; i++)
        if (top_row_is_wanted(view, &table->rows[i]) && at++ == view->selected[view->tab])
            return &table->rows[i];
    return NULL;
}

static void lines_draw(const char *text, size_t first)
{
    int y = LINE_HEAD;
    for (size_t at = 0; *text && y < LINES - 1; at++) {
        size_t len = strcspn(text, "\n");
        if (at >= first)
            mvaddnstr(y++, 0, text, (int)len < COLS ? (int)len : COLS);
        text += len + (text[len] == '\n');
    }
}

static void detail_draw(struct top_view *view, const struct top_data *data)
{
    const struct top_row *row = row_selected(view, data);
    struct text text = TEXT_INIT;
    size_t lines = 0;
    if (row) {
        json_write_pretty(&text, row->detail);
        for (const char *c = text.data; *c; c++)
            lines += *c == '\n';
        if (view->detail_first > lines)
            view->detail_first = lines;
        lines_draw(text.data, view->detail_first);
    }
    text_free(&text);
}

static const char help[] = "Tab, 1-4       the next table, or that one\n"
                           "Up, Down, j, k one row; PageUp, PageDown, Home, End more\n"
                           "Enter          all that is known of a row; Esc or Enter goes back\n"
                           "/              show only rows with a text; Esc clears it\n"
                           "r              read anew now\n"
                           "q              quit\n"
                           "\n"
                           "It shows what the store has, as the daemon writes it. Nothing is\n"
                           "changed from here: 'spinel approve', 'spinel freeze' do that.\n";

static void foot_draw(const struct top_view *view)
{
    const char *keys = view->is_typing ? "type to filter, Enter to keep it, Esc to clear it"
                       : view->has_detail || view->has_help
                           ? "Up/Down scroll  Esc back  q quit"
                           : "Tab tables  Up/Down move  Enter details  / filter  ? help  q quit";
    attron(A_DIM);
    cell_draw(LINES - 1, 0, COLS - 1, keys);
    attroff(A_DIM);
}

void top_draw(struct top_view *view, const struct top_data *data)
{
    erase();
    head_draw(data);
    tabs_draw(view);
    if (view->has_help)
        lines_draw(help, 0);
    else if (view->has_detail)
        detail_draw(view, data);
    else
        table_draw(view, data);
    foot_draw(view);
    refresh();
}
