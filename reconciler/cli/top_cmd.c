/* SPDX-License-Identifier: MPL-2.0 */
/* `spinel top`: the rack, live, on a whole terminal. */
#include "reconciler/cli/command.h"

#include <ncurses.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reconciler/cli/interrupt.h"
#include "reconciler/cli/site.h"
#include "reconciler/cli/top.h"

enum { ESCAPE = 27, CTRL_L = 12, DELETE = 127, CTRL_H = 8 };

static void filter_key(struct top_view *view, int key)
{
    size_t len = strlen(view->filter);
    if (key == ESCAPE)
        view->filter[0] = '\0';
    if (key == ESCAPE || key == '\n' || key == KEY_ENTER)
        view->is_typing = false;
    else if ((key == KEY_BACKSPACE || key == DELETE || key == CTRL_H) && len)
        view->filter[len - 1] = '\0';
    else if (key >= ' ' && key < DELETE && len + 1 < sizeof view->filter) {
        view->filter[len] = (char)key;
        view->filter[len + 1] = '\0';
    }
}

static void move_by(size_t *at, long by)
{
    *at = by < 0 && *at < (size_t)-by ? 0 : *at + (size_t)by;
}

/* True for a key that moves: in the table, or in what is shown of one row. */
static bool move_key(struct top_view *view, int key)
{
    size_t *at = view->has_detail ? &view->detail_first : &view->selected[view->tab];
    long page = LINES > 8 ? LINES - 6 : 2;
    const struct {
        int key, other;
        long by;
    } moves[] = {
        {KEY_UP, 'k', -1},      {KEY_DOWN, 'j', 1},       {KEY_PPAGE, 'b', -page},
        {KEY_NPAGE, ' ', page}, {KEY_HOME, 'g', -100000}, {KEY_END, 'G', 100000},
    };
    for (size_t i = 0; i < sizeof moves / sizeof *moves; i++)
        if (key == moves[i].key || key == moves[i].other) {
            move_by(at, moves[i].by);
            return true;
        }
    return false;
}

static void tab_set(struct top_view *view, int tab)
{
    view->tab = (enum top_tab)((tab + TOP_TABS) % TOP_TABS);
    view->has_detail = false;
}

/* False: the person leaves. */
static bool key_take(struct top_view *view, struct top_data *data, int key)
{
    if (view->is_typing) {
        filter_key(view, key);
        return true;
    }
    if (view->has_help && key != 'q') {
        view->has_help = false;
        return true;
    }
    if (move_key(view, key))
        return true;
    if (key >= '1' && key < '1' + TOP_TABS) {
        tab_set(view, key - '1');
        return true;
    }
    switch (key) {
    case 'q':
        return false;
    case '\t':
    case KEY_RIGHT:
        tab_set(view, (int)view->tab + 1);
        break;
    case KEY_BTAB:
    case KEY_LEFT:
        tab_set(view, (int)view->tab - 1);
        break;
    case '\n':
    case KEY_ENTER:
        view->has_detail = !view->has_detail;
        view->detail_first = 0;
        break;
    case ESCAPE:
        if (!view->has_detail)
            view->filter[0] = '\0';
        view->has_detail = false;
        break;
    case '/':
        view->has_detail = false;
        view->is_typing = true;
        break;
    case '?':
    case 'h':
        view->has_help = true;
        break;
    case 'r':
    case CTRL_L:
        data->is_stale = true;
        clear();
        break;
    default:
        break;
    }
    return true;
}

static int top_run(struct cli *cli)
{
    struct error err = ERROR_INIT;
    struct top_data data = {0};
    struct top_view view = {0};
    bool goes_on = true;
    const char *term = getenv("TERM");
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || !term || !strcmp(term, "dumb"))
        return usage_error(cli, "it needs a terminal; 'spinel status' and 'spinel drift' do not");
    if (site_find(cli, &data.site, &err) < 0)
        return fail(cli, &err);
    interrupt_catch();
    top_screen_open();
    while (goes_on && !*interrupt_flag()) {
        top_refresh(&data);
        top_draw(&view, &data);
        int key = getch();
        if (key != ERR && key != KEY_RESIZE)
            goes_on = key_take(&view, &data, key);
    }
    top_screen_close();
    top_data_free(&data);
    return EXIT_OK;
}

const struct command top_command = {
    .name = "top",
    .group = "Look",
    .operands = "",
    .help = "watch resources, operations and drift live, on the whole terminal",
    .details = "Keys: Tab or 1 to 4 for the tables, arrows to move, Enter for details,\n"
               "/ to filter, ? for help, q to quit.",
    .run = top_run,
};
