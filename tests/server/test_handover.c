/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The core's own directory, with the process or the power gone at each call that makes it. The
 * store is found by whoever looks meanwhile, written to, and all of it is there in the end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "reconciler/server/handover.h"
#include "reconciler/store/store.h"

#define USER "nobody"
#define FORMER_USER "daemon"

/* ---- what is lost ------------------------------------------------------------------- */

enum { DEAD = 77, UNDOS = 64 };

/* The names that a directory is yet to be synced for. All that is lost with the power is what
 * changed in some directories, and not in others. */
enum loss { LOSS_NONE, LOSS_IN_STATE, LOSS_IN_DRAFT, LOSS_ALL };

struct undo {
    enum { UNDO_MAKE, UNDO_LINK, UNDO_RENAME, UNDO_UNLINK } verb;
    int dir;  /* that holds the name */
    int file; /* of an unlink */
    char name[64], to[64];
};

static struct {
    bool is_on;
    int calls, dies_at;
    enum loss loss;
    ino_t state;
    struct undo undos[UNDOS];
    size_t count;
} fault;

static ino_t inode_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

int __real_mkdirat(int dir, const char *name, mode_t mode);
int __real_linkat(int dir, const char *name, int to_dir, const char *to, int flags);
int __real_renameat2(int dir, const char *name, int to_dir, const char *to, unsigned flags);
int __real_unlinkat(int dir, const char *name, int flags);
int __real_fsync(int fd);
int __real_fchown(int fd, uid_t user, gid_t group);
int __real_fchmod(int fd, mode_t mode);
int __real_fchownat(int dir, const char *name, uid_t user, gid_t group, int flags);
int __wrap_mkdirat(int dir, const char *name, mode_t mode);
int __wrap_linkat(int dir, const char *name, int to_dir, const char *to, int flags);
int __wrap_renameat2(int dir, const char *name, int to_dir, const char *to, unsigned flags);
int __wrap_unlinkat(int dir, const char *name, int flags);
int __wrap_fsync(int fd);
int __wrap_fchown(int fd, uid_t user, gid_t group);
int __wrap_fchmod(int fd, mode_t mode);
int __wrap_fchownat(int dir, const char *name, uid_t user, gid_t group, int flags);

static void directory_remove(const char *path)
{
    DIR *dir = opendir(path);
    char entry[PATH_MAX];
    for (const struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(entry, sizeof entry, "%s/%s", path, e->d_name);
        if (unlink(entry) != 0)
            directory_remove(entry);
    }
    if (dir)
        closedir(dir);
    rmdir(path);
}

static void directory_remove_at(int dir, const char *name)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "/proc/self/fd/%d/%s", dir, name);
    directory_remove(path);
}

static void undo_run(const struct undo *undo)
{
    switch (undo->verb) {
    case UNDO_MAKE:
        directory_remove_at(undo->dir, undo->name);
        return;
    case UNDO_LINK:
        __real_unlinkat(undo->dir, undo->name, 0);
        return;
    case UNDO_RENAME:
        __real_renameat2(undo->dir, undo->to, undo->dir, undo->name, 0);
        return;
    case UNDO_UNLINK: /* the last name of a file that was empty, or of a directory */
        if (__real_linkat(undo->file, "", undo->dir, undo->name, AT_EMPTY_PATH) < 0)
            close(openat(undo->dir, undo->name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        return;
    }
}

static void die_if_due(void)
{
    if (!fault.is_on || fault.calls++ != fault.dies_at)
        return;
    while (fault.count-- > 0) {
        const struct undo *undo = &fault.undos[fault.count];
        bool is_in_state = inode_of(undo->dir) == fault.state;
        if (fault.loss & (is_in_state ? LOSS_IN_STATE : LOSS_IN_DRAFT))
            undo_run(undo);
    }
    _exit(DEAD);
}

/* The directory that a name is in, and its last part. */
static int parent_open(int dir, const char *name, char last[64])
{
    char parent[64] = ".";
    const char *slash = strrchr(name, '/');
    if (slash)
        snprintf(parent, sizeof parent, "%.*s", (int)(slash - name), name);
    snprintf(last, 64, "%s", slash ? slash + 1 : name);
    return openat(dir, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static struct undo *undo_add(int dir, const char *name)
{
    struct undo *undo = &fault.undos[fault.count];
    if (!fault.is_on || fault.count == UNDOS)
        return NULL;
    undo->dir = parent_open(dir, name, undo->name);
    undo->file = openat(undo->dir, undo->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    return undo;
}

static int done(struct undo *undo, int status)
{
    if (undo && status == 0)
        fault.count++;
    return status;
}

int __wrap_mkdirat(int dir, const char *name, mode_t mode)
{
    die_if_due();
    struct undo *undo = undo_add(dir, name);
    if (undo)
        undo->verb = UNDO_MAKE;
    return done(undo, __real_mkdirat(dir, name, mode));
}

int __wrap_linkat(int dir, const char *name, int to_dir, const char *to, int flags)
{
    die_if_due();
    struct undo *undo = undo_add(to_dir, to);
    if (undo)
        undo->verb = UNDO_LINK;
    return done(undo, __real_linkat(dir, name, to_dir, to, flags));
}

int __wrap_renameat2(int dir, const char *name, int to_dir, const char *to, unsigned flags)
{
    die_if_due();
    struct undo *undo = undo_add(dir, name);
    if (undo) {
        undo->verb = UNDO_RENAME;
        snprintf(undo->to, sizeof undo->to, "%s", to);
    }
    return done(undo, __real_renameat2(dir, name, to_dir, to, flags));
}

/* Within a directory, too, what comes later may be kept and what came before not. */
static void rename_is_durable(void)
{
    for (size_t i = 0; i < fault.count; i++)
        if (fault.undos[i].verb == UNDO_RENAME)
            _exit(1);
}

int __wrap_unlinkat(int dir, const char *name, int flags)
{
    die_if_due();
    rename_is_durable();
    struct undo *undo = flags ? NULL : undo_add(dir, name);
    if (undo)
        undo->verb = UNDO_UNLINK;
    return done(undo, __real_unlinkat(dir, name, flags));
}

int __wrap_fsync(int fd)
{
    size_t kept = 0;
    die_if_due();
    for (size_t i = 0; i < fault.count; i++)
        if (inode_of(fault.undos[i].dir) != inode_of(fd))
            fault.undos[kept++] = fault.undos[i];
    fault.count = kept;
    return __real_fsync(fd);
}

int __wrap_fchown(int fd, uid_t user, gid_t group)
{
    die_if_due();
    return __real_fchown(fd, user, group);
}

int __wrap_fchmod(int fd, mode_t mode)
{
    die_if_due();
    return __real_fchmod(fd, mode);
}

int __wrap_fchownat(int dir, const char *name, uid_t user, gid_t group, int flags)
{
    die_if_due();
    return __real_fchownat(dir, name, user, group, flags);
}

/* ---- a site ------------------------------------------------------------------------- */

struct scene {
    char dir[64];
    struct error err;
};

static int set_up(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);
    if (geteuid() != 0 || !getpwnam(USER) || !getpwnam(FORMER_USER)) {
        free(scene);
        *state = NULL;
        return 0;
    }
    snprintf(scene->dir, sizeof scene->dir, "%s/spinel-handover-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(scene->dir));
    *state = scene;
    return 0;
}

static struct scene *scene_of(void **state)
{
    if (!*state) {
        print_message("SKIP: needs root, and the users " USER " and " FORMER_USER "\n");
        skip();
    }
    return *state;
}

static int tear_down(void **state)
{
    struct scene *scene = *state;
    if (scene)
        directory_remove(scene->dir);
    free(scene);
    return 0;
}

static struct store *store_of(struct scene *scene, enum store_mode mode)
{
    struct store *store = NULL;
    if (store_open(scene->dir, mode, &store, &scene->err) < 0)
        fail_msg("%s", scene->err.message);
    return store;
}

static void fact_put(struct scene *scene, const char *name)
{
    struct store *store = store_of(scene, STORE_WRITE);
    assert_int_equal(store_fact_put(store, name, "known", &scene->err), 0);
    store_close(store);
}

static void assert_fact(struct scene *scene, const char *name)
{
    struct store *store = store_of(scene, STORE_READ);
    struct arena *arena = arena_new();
    const char *text = NULL;
    assert_int_equal(store_fact_get(store, arena, name, &text, &scene->err), 0);
    assert_non_null(text);
    assert_string_equal(text, "known");
    arena_free(arena);
    store_close(store);
}

static bool hand_over(struct scene *scene)
{
    bool has_moved = false;
    if (state_hand_over(scene->dir, NULL, USER, &has_moved, &scene->err) < 0)
        fail_msg("%s", scene->err.message);
    return has_moved;
}

/* True if it died at that call; false if it has fewer. */
static bool hand_over_dies(struct scene *scene, int call, enum loss loss)
{
    struct stat st;
    int status = -1;
    assert_int_equal(stat(scene->dir, &st), 0);
    pid_t pid = fork();
    if (pid == 0) {
        bool has_moved;
        fault.is_on = true;
        fault.dies_at = call;
        fault.loss = loss;
        fault.state = st.st_ino;
        _exit(state_hand_over(scene->dir, NULL, USER, &has_moved, &scene->err) == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 1);
    return WEXITSTATUS(status) == DEAD;
}

static int names_count(const char *path)
{
    int count = 0;
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir))
        count += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(dir);
    return count;
}

static void assert_handed_over(struct scene *scene)
{
    static const char *const names[] = {"", "/spinel.db", "/rack"};
    const struct passwd *user = getpwnam(USER);
    char path[128];
    struct stat st;
    assert_int_equal(names_count(scene->dir), 1);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/core%s", scene->dir, names[i]);
        assert_int_equal(lstat(path, &st), 0);
        assert_int_equal(st.st_uid, user->pw_uid);
        assert_true(S_ISDIR(st.st_mode) || st.st_nlink == 1);
    }
}

/* Someone works on the store before the next start. */
static void assert_gone_on_with(struct scene *scene)
{
    assert_fact(scene, "before");
    fact_put(scene, "between");
    hand_over(scene);
    assert_handed_over(scene);
    assert_fact(scene, "before");
    assert_fact(scene, "between");
}

static void scene_again(struct scene *scene)
{
    directory_remove(scene->dir);
    assert_int_equal(mkdir(scene->dir, 0755), 0);
    fact_put(scene, "before");
}

/* ---- tests -------------------------------------------------------------------------- */

static void what_lies_in_the_state_directory_moves_once(void **state)
{
    struct scene *scene = scene_of(state);
    fact_put(scene, "before");
    assert_true(hand_over(scene));
    assert_handed_over(scene);
    assert_fact(scene, "before");
    assert_false(hand_over(scene));
    assert_handed_over(scene);
}

static void dies_at_each_call(struct scene *scene, enum loss loss)
{
    int call = 0;
    for (bool has_died = true; has_died; call++) {
        scene_again(scene);
        has_died = hand_over_dies(scene, call, loss);
        assert_gone_on_with(scene);
    }
    assert_true(call > 15);
}

static void a_move_that_dies_at_any_call_leaves_one_whole_store(void **state)
{
    dies_at_each_call(scene_of(state), LOSS_NONE);
}

static void a_power_loss_at_any_call_leaves_one_whole_store(void **state)
{
    struct scene *scene = scene_of(state);
    dies_at_each_call(scene, LOSS_IN_STATE);
    dies_at_each_call(scene, LOSS_IN_DRAFT);
    dies_at_each_call(scene, LOSS_ALL);
}

static void a_second_death_leaves_one_whole_store(void **state)
{
    struct scene *scene = scene_of(state);
    for (int call = 0;; call += 3) {
        scene_again(scene);
        if (!hand_over_dies(scene, call, LOSS_NONE))
            break;
        for (int next = 0; next < 12 && hand_over_dies(scene, next, LOSS_ALL); next++)
            assert_fact(scene, "before");
        assert_gone_on_with(scene);
    }
}

static void a_store_of_another_user_is_given_whole_after_any_death(void **state)
{
    struct scene *scene = scene_of(state);
    int call = 0;
    for (bool has_died = true; has_died; call++) {
        bool has_moved;
        scene_again(scene);
        assert_int_equal(state_hand_over(scene->dir, NULL, FORMER_USER, &has_moved, &scene->err),
                         0);
        has_died = hand_over_dies(scene, call, LOSS_ALL);
        assert_gone_on_with(scene);
    }
    assert_true(call > 5);
}

/* Of a start that died: what it holds may be older than what has its names now. */
static void a_draft_is_thrown_away(void **state)
{
    struct scene *scene = scene_of(state);
    char path[128];
    fact_put(scene, "before");
    snprintf(path, sizeof path, "%s/core.draft", scene->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/core.draft/spinel.db", scene->dir);
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    assert_gone_on_with(scene);
}

static void a_store_that_is_written_to_does_not_move(void **state)
{
    struct scene *scene = scene_of(state);
    bool has_moved;
    struct store *store = store_of(scene, STORE_WRITE);
    assert_int_equal(state_hand_over(scene->dir, NULL, USER, &has_moved, &scene->err), ERR_BUSY);
    assert_int_equal(store_fact_put(store, "before", "known", &scene->err), 0);
    store_close(store);
    assert_gone_on_with(scene);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_lies_in_the_state_directory_moves_once),
        TEST(a_move_that_dies_at_any_call_leaves_one_whole_store),
        TEST(a_power_loss_at_any_call_leaves_one_whole_store),
        TEST(a_second_death_leaves_one_whole_store),
        TEST(a_store_of_another_user_is_given_whole_after_any_death),
        TEST(a_draft_is_thrown_away),
        TEST(a_store_that_is_written_to_does_not_move),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
