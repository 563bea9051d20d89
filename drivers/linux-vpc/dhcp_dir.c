/* SPDX-License-Identifier: MPL-2.0 */
#include "drivers/linux-vpc/dhcp_dir.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "drivers/linux-vpc/dhcp.h"
#include "model/arena.h"
#include "model/digest.h"
#include "model/durable.h"
#include "model/error.h"
#include "model/text.h"

enum { FILE_MAX = 4 << 20 };

char *dhcp_path(struct arena *arena, const struct network *network, const char *name)
{
    return arena_printf(arena, RUN_DIR "/%s%s%s", network->netns, name ? "/" : "",
                        name ? name : "");
}

/* What dnsmasq's own user may have put there is looked at before it is read: a link would show what
 * only root may see, a pipe would keep us waiting. */
static int file_open(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink <= 1))
        return fd;
    close(fd);
    return -1;
}

char *dhcp_file_text(struct arena *arena, const char *path)
{
    char buffer[4096];
    ssize_t got;
    struct text text = TEXT_INIT;
    int fd = file_open(path);
    while (fd >= 0 && text.len < FILE_MAX && (got = read(fd, buffer, sizeof buffer)) > 0)
        text_add_n(&text, buffer, (size_t)got);
    if (fd >= 0)
        close(fd);
    char *copy = arena_text(arena, text.data);
    text_free(&text);
    return copy;
}

int dhcp_file_update(struct arena *arena, const char *path, const char *content,
                     const struct passwd *owner, struct error *err)
{
    if (access(path, F_OK) == 0 && strcmp(dhcp_file_text(arena, path), content) == 0)
        return 0;
    char *draft = arena_printf(arena, "%s.new", path);
    int fd = fresh_open(AT_FDCWD, draft, O_WRONLY);
    if (fd < 0)
        return error_sys(err, "cannot write %s", draft);
    int result = 1;
    if (write_all(fd, content, strlen(content)) < 0 ||
        fchown(fd, owner->pw_uid, owner->pw_gid) < 0 || rename(draft, path) < 0)
        result = error_sys(err, "cannot write %s", path);
    close(fd);
    return result;
}

/* An earlier version gave it to dnsmasq's user, who may have left there what is no file of theirs:
 * dnsmasq opens its log while it still is root. */
static void links_remove(int dir_fd)
{
    struct stat st;
    DIR *dir = fdopendir(dup(dir_fd));
    for (const struct dirent *entry; dir && (entry = readdir(dir));)
        if (fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            (!S_ISREG(st.st_mode) || st.st_nlink > 1))
            unlinkat(dir_fd, entry->d_name, 0); /* "." and ".." do not go */
    if (dir)
        closedir(dir);
}

int dhcp_dir_prepare(struct arena *arena, const struct network *network, struct error *err)
{
    struct stat st;
    const char *dir = dhcp_path(arena, network, NULL);
    if ((mkdir(RUN_DIR, 0755) < 0 && errno != EEXIST) || (mkdir(dir, 0711) < 0 && errno != EEXIST))
        return error_sys(err, "cannot make %s", dir);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || fchown(fd, geteuid(), getegid()) < 0 ||
        fchmod(fd, 0711) < 0)
        error_sys(err, "cannot make %s our own", dir);
    else if (st.st_uid != geteuid())
        links_remove(fd);
    if (fd >= 0)
        close(fd);
    return err->code;
}

int dhcp_dir_remove(struct arena *arena, const struct network *network, struct error *err)
{
    const char *path = dhcp_path(arena, network, NULL);
    DIR *dir = opendir(path);
    for (const struct dirent *entry; dir && (entry = readdir(dir));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
    if (rmdir(path) < 0 && errno != ENOENT)
        return error_sys(err, "cannot remove %s", path);
    rmdir(RUN_DIR); /* the last one out; refused while another VPC has files there */
    return 0;
}

struct dhcp_file {
    const char *name;
    void (*write)(struct text *out, const struct network *network);
};

static const struct dhcp_file dhcp_files[] = {
    {"hosts", dhcp_write_hosts},
    {"options", dhcp_write_options},
    {"names", dhcp_write_names},
};

enum { DHCP_FILES = sizeof dhcp_files / sizeof *dhcp_files };

static char *file_wanted(struct arena *arena, const struct network *network,
                         const struct dhcp_file *file)
{
    struct text text = TEXT_INIT;
    file->write(&text, network);
    char *copy = arena_text(arena, text.data);
    text_free(&text);
    return copy;
}

int dhcp_files_update(struct arena *arena, const struct network *network,
                      const struct passwd *owner, struct error *err)
{
    int changed = 0;
    for (size_t i = 0; i < DHCP_FILES; i++) {
        const char *path = dhcp_path(arena, network, dhcp_files[i].name);
        int written =
            dhcp_file_update(arena, path, file_wanted(arena, network, &dhcp_files[i]), owner, err);
        if (written < 0)
            return written;
        changed |= written;
    }
    return changed;
}

/* ---- what was read ------------------------------------------------------------------ */

/* What each of them should say. */
static void files_wanted(struct arena *arena, const struct network *network,
                         const char *wanted[DHCP_FILES])
{
    for (size_t i = 0; i < DHCP_FILES; i++)
        wanted[i] = file_wanted(arena, network, &dhcp_files[i]);
}

static char *files_digest(const char *const wanted[DHCP_FILES], char *hex)
{
    struct text text = TEXT_INIT;
    for (size_t i = 0; i < DHCP_FILES; i++)
        text_printf(&text, "%s\n%s\n", dhcp_files[i].name, wanted[i]);
    digest_bytes(text.data, text.len, hex);
    text_free(&text);
    return hex;
}

static bool are_read(struct arena *arena, const struct network *network,
                     const char *const wanted[DHCP_FILES])
{
    char digest[DIGEST_TEXT];
    return strcmp(dhcp_file_text(arena, dhcp_path(arena, network, DHCP_READ)),
                  files_digest(wanted, digest)) == 0;
}

bool dhcp_is_read(struct arena *arena, const struct network *network)
{
    const char *wanted[DHCP_FILES];
    files_wanted(arena, network, wanted);
    return are_read(arena, network, wanted);
}

int dhcp_have_read(struct arena *arena, const struct network *network, const struct passwd *owner,
                   struct error *err)
{
    char digest[DIGEST_TEXT];
    const char *wanted[DHCP_FILES];
    files_wanted(arena, network, wanted);
    int written = dhcp_file_update(arena, dhcp_path(arena, network, DHCP_READ),
                                   files_digest(wanted, digest), owner, err);
    return written < 0 ? written : 0;
}

void dhcp_unread(struct arena *arena, const struct network *network)
{
    unlink(dhcp_path(arena, network, DHCP_READ));
}

bool dhcp_files_are_right(struct arena *arena, const struct network *network)
{
    const char *read = dhcp_path(arena, network, DHCP_READ), *wanted[DHCP_FILES];
    files_wanted(arena, network, wanted);
    for (size_t i = 0; i < DHCP_FILES; i++)
        if (strcmp(dhcp_file_text(arena, dhcp_path(arena, network, dhcp_files[i].name)),
                   wanted[i]) != 0)
            return false;
    /* A dnsmasq that was started and not signalled yet has no such file. */
    return access(read, F_OK) != 0 || are_read(arena, network, wanted);
}
