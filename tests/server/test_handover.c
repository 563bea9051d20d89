/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The core's own directory, with each call that makes it refused, or the process or the power gone
 * at it. The store is found by whoever looks meanwhile, written to, and all of it is there in the
 * end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "reconciler/server/handover.h"
#include "reconciler/store/store.h"

#define USER "nobody"
#define FORMER_USER "daemon"

/* ---- what is lost or refused -------------------------------------------------------- */

enum { DEAD = 77, REFUSED = 78, UNDOS = 64 };

/* The names that a directory is yet to be synced for. All that is lost with the power is what
 * changed in some directories, and not in others. */
enum refusal { LOSS_NONE, LOSS_IN_STATE, LOSS_IN_DRAFT, LOSS_ALL };

struct undo {
    enum { UNDO_MAKE, UNDO_LINK, UNDO_RENAME, UNDO_UNLINK } verb;
    int dir;  /* that holds the name */
    int file; /* of an unlink */
    char name[64], to[64];
};

static struct {
    bool is_on, lacks_noreplace;
    int calls, due_at;
    int refusal; /* an errno; 0: it dies */
    enum refusal loss;
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

static bool is_refused(void)
{
    if (!fault.is_on || fault.calls++ != fault.due_at)
        return false;
    if (fault.refusal) {
        errno = fault.refusal;
        return true;
    }
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
    if (is_refused())
        return -1;
    struct undo *undo = undo_add(dir, name);
    if (undo)
        undo->verb = UNDO_MAKE;
    return done(undo, __real_mkdirat(dir, name, mode));
}

int __wrap_linkat(int dir, const char *name, int to_dir, const char *to, int flags)
{
    if (is_refused())
        return -1;
    struct undo *undo = undo_add(to_dir, to);
    if (undo)
        undo->verb = UNDO_LINK;
    return done(undo, __real_linkat(dir, name, to_dir, to, flags));
}

int __wrap_renameat2(int dir, const char *name, int to_dir, const char *to, unsigned flags)
{
    if (is_refused())
        return -1;
    if (fault.lacks_noreplace && flags) {
        errno = EINVAL;
        return -1;
    }
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
    if (is_refused())
        return -1;
    rename_is_durable();
    struct undo *undo = flags ? NULL : undo_add(dir, name);
    if (undo)
        undo->verb = UNDO_UNLINK;
    return done(undo, __real_unlinkat(dir, name, flags));
}

int __wrap_fsync(int fd)
{
    size_t kept = 0;
    if (is_refused())
        return -1;
    for (size_t i = 0; i < fault.count; i++)
        if (inode_of(fault.undos[i].dir) != inode_of(fd))
            fault.undos[kept++] = fault.undos[i];
    fault.count = kept;
    return __real_fsync(fd);
}

int __wrap_fchown(int fd, uid_t user, gid_t group)
{
    if (is_refused())
        return -1;
    return __real_fchown(fd, user, group);
}

int __wrap_fchmod(int fd, mode_t mode)
{
    if (is_refused())
        return -1;
    return __real_fchmod(fd, mode);
}

int __wrap_fchownat(int dir, const char *name, uid_t user, gid_t group, int flags)
{
    if (is_refused())
        return -1;
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
static bool hand_over_dies(struct scene *scene, int call, enum refusal loss)
{
    struct stat st;
    int status = -1;
    assert_int_equal(stat(scene->dir, &st), 0);
    pid_t pid = fork();
    if (pid == 0) {
        bool has_moved;
        fault.is_on = true;
        fault.due_at = call;
        fault.loss = loss;
        fault.state = st.st_ino;
        _exit(state_hand_over(scene->dir, NULL, USER, &has_moved, &scene->err) == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 1);
    return WEXITSTATUS(status) == DEAD;
}

/* True if that call was refused, which ends it with a word on where; false if it has fewer. */
static bool hand_over_is_refused(struct scene *scene, int call)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        bool has_moved;
        fault.is_on = true;
        fault.due_at = call;
        fault.refusal = ENOSPC;
        if (state_hand_over(scene->dir, NULL, USER, &has_moved, &scene->err) == 0)
            _exit(fault.calls > call ? 1 : 0);
        _exit(strstr(scene->err.message, scene->dir) ? REFUSED : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 1);
    return WEXITSTATUS(status) == REFUSED;
}

static void assert_refused(struct scene *scene, const char *key_file, const char *user, int code,
                           const char *why)
{
    bool has_moved = true;
    scene->err = (struct error)ERROR_INIT;
    assert_int_equal(state_hand_over(scene->dir, key_file, user, &has_moved, &scene->err), code);
    if (!strstr(scene->err.message, why))
        fail_msg("'%s' does not say '%s'", scene->err.message, why);
    assert_false(has_moved);
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

static void dies_at_each_call(struct scene *scene, enum refusal loss)
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

static void a_move_of_which_any_call_is_refused_leaves_one_whole_store(void **state)
{
    struct scene *scene = scene_of(state);
    int call = 0;
    for (bool is_refused_there = true; is_refused_there; call++) {
        scene_again(scene);
        is_refused_there = hand_over_is_refused(scene, call);
        assert_gone_on_with(scene);
    }
    assert_true(call > 15);
}

static void a_file_system_without_exclusive_renames_will_do(void **state)
{
    struct scene *scene = scene_of(state);
    fact_put(scene, "before");
    fault.lacks_noreplace = true;
    bool has_moved = hand_over(scene);
    fault.lacks_noreplace = false;
    assert_true(has_moved);
    assert_handed_over(scene);
    assert_fact(scene, "before");
}

/* Only who made it knows what it is: it is left, and the store stays where it is. */
static void a_draft_that_is_none_of_ours_is_left_alone(void **state)
{
    struct scene *scene = scene_of(state);
    char path[128];
    fact_put(scene, "before");
    snprintf(path, sizeof path, "%s/core.draft", scene->dir);
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    assert_refused(scene, NULL, USER, ERR_SYSTEM, "cannot open core.draft of a former start");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/core.draft/folder", scene->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_refused(scene, NULL, USER, ERR_SYSTEM, "cannot remove core.draft/folder");
    assert_fact(scene, "before");
    assert_int_equal(rmdir(path), 0);
    assert_gone_on_with(scene);
}

/* A driver makes it later; what is above it is looked at as far as it is there. */
static void a_key_that_is_yet_to_be_made_is_no_obstacle(void **state)
{
    struct scene *scene = scene_of(state);
    char key[128];
    bool has_moved;
    fact_put(scene, "before");
    snprintf(key, sizeof key, "%s/none/yet/key", scene->dir);
    assert_int_equal(state_hand_over(scene->dir, key, USER, &has_moved, &scene->err), 0);
    assert_int_equal(chmod(scene->dir, 0777), 0);
    assert_refused(scene, key, USER, ERR_DENIED, "none/yet/key is in ");
}

static void what_cannot_be_handed_over_is_said(void **state)
{
    struct scene *scene = scene_of(state);
    assert_refused(scene, NULL, "no-such-user", ERR_NOT_FOUND, "has no user no-such-user");
    assert_non_null(strstr(scene->err.hint, "spec.user"));
    assert_int_equal(rmdir(scene->dir), 0);
    assert_refused(scene, NULL, USER, ERR_SYSTEM, "cannot open the state directory");
}

static void socket_put(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%.100s", path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
}

/* Of what the user has in root's directory, a socket goes, a file may stay, and else is asked. */
static void what_a_former_daemon_left_is_told_from_what_somebody_put_there(void **state)
{
    struct scene *scene = scene_of(state);
    const struct passwd *user = getpwnam(USER);
    char sock[128], file[128], folder[128];
    snprintf(sock, sizeof sock, "%s/control.sock", scene->dir);
    snprintf(file, sizeof file, "%s/notes", scene->dir);
    snprintf(folder, sizeof folder, "%s/images", scene->dir);
    hand_over(scene);
    socket_put(sock);
    close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    assert_int_equal(chown(sock, user->pw_uid, user->pw_gid), 0);
    assert_int_equal(chown(file, user->pw_uid, user->pw_gid), 0);
    hand_over(scene);
    assert_int_equal(access(sock, F_OK), -1);
    assert_int_equal(access(file, F_OK), 0);
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(chown(folder, user->pw_uid, user->pw_gid), 0);
    assert_refused(scene, NULL, USER, ERR_DENIED, "images in the state directory belongs to user");
}

/* The user cannot exchange its own link in a directory of root's. */
static void a_link_on_the_way_is_as_safe_as_the_directory_that_holds_it(void **state)
{
    struct scene *scene = scene_of(state);
    struct scene linked = {.err = ERROR_INIT};
    const struct passwd *user = getpwnam(USER);
    char path[128];
    bool has_moved;
    snprintf(path, sizeof path, "%s/state", scene->dir);
    assert_int_equal(mkdir(path, 0755), 0);
    snprintf(linked.dir, sizeof linked.dir, "%.40s/link", scene->dir);
    assert_int_equal(symlink(".", linked.dir), 0);
    assert_int_equal(lchown(linked.dir, user->pw_uid, user->pw_gid), 0);
    strcat(linked.dir, "/state");
    fact_put(&linked, "before");
    assert_true(hand_over(&linked));
    assert_int_equal(chmod(scene->dir, 0777), 0);
    assert_refused(&linked, NULL, USER, ERR_DENIED, "may put another in its place");

    int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(chdir(scene->dir), 0); /* a relative path is what it is in the end */
    int status = state_hand_over("state", NULL, USER, &has_moved, &scene->err);
    assert_int_equal(fchdir(here), 0);
    close(here);
    assert_int_equal(status, ERR_DENIED);
}

static void who_is_not_root_keeps_what_it_has(void **state)
{
    struct scene *scene = scene_of(state);
    int status = -1;
    fact_put(scene, "before");
    pid_t pid = fork();
    if (pid == 0) {
        bool has_moved = true;
        if (seteuid(getpwnam(FORMER_USER)->pw_uid) < 0)
            _exit(1);
        int code = state_hand_over(scene->dir, NULL, USER, &has_moved, &scene->err);
        _exit(seteuid(0) < 0 || code != 0 || has_moved);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_fact(scene, "before");
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
        TEST(a_move_of_which_any_call_is_refused_leaves_one_whole_store),
        TEST(a_file_system_without_exclusive_renames_will_do),
        TEST(a_draft_that_is_none_of_ours_is_left_alone),
        TEST(a_key_that_is_yet_to_be_made_is_no_obstacle),
        TEST(what_cannot_be_handed_over_is_said),
        TEST(what_a_former_daemon_left_is_told_from_what_somebody_put_there),
        TEST(a_link_on_the_way_is_as_safe_as_the_directory_that_holds_it),
        TEST(who_is_not_root_keeps_what_it_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
