/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A socket's address holds 107 characters. A state directory may be deeper: it is
 * opened, and the socket is reached through /proc/self/fd.
 */
#include "reconciler/server/address.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "reconciler/store/home.h"

static const char socket_name[] = "control.sock";
enum { BACKLOG = 64, SOCKET_MODE = 0660 };

struct place {
    int dir; /* open while the address is used */
    struct sockaddr_un address;
};

static int place_open(const char *state_dir, struct place *place, struct error *err)
{
    char home[PATH_MAX];
    store_home(state_dir, home);
    place->dir = open(home, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (place->dir < 0)
        return error_sys(err, "cannot open the state directory %s", home);
    place->address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(place->address.sun_path, sizeof place->address.sun_path, "/proc/self/fd/%d/%s",
             place->dir, socket_name);
    return 0;
}

int control_connect(const char *state_dir, int *fd, struct error *err)
{
    struct place place;
    struct error missing = ERROR_INIT;
    if (place_open(state_dir, &place, &missing) < 0)
        return error_set(err, ERR_NOT_FOUND, "no daemon is up: %s", missing.message);
    int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int status = 0;
    if (made < 0) {
        status = error_sys(err, "cannot make a socket");
    } else if (connect(made, (struct sockaddr *)&place.address, sizeof place.address) < 0) {
        if (errno == ENOENT || errno == ECONNREFUSED)
            status = error_set(err, ERR_NOT_FOUND, "no daemon is up on %s", state_dir);
        else
            status = error_sys(err, "cannot reach the daemon by %s/%s", state_dir, socket_name);
        if (status == ERR_DENIED)
            error_hint(err, "Run as root, or as a member of the group 'spinel'.");
        close(made);
    }
    close(place.dir);
    if (status == 0)
        *fd = made;
    return status;
}

static int socket_share(int dir, struct error *err)
{
    const struct group *group = getgrnam("spinel");
    if (group && fchownat(dir, socket_name, (uid_t)-1, group->gr_gid, 0) < 0 && errno != EPERM)
        return error_sys(err, "cannot give %s to group spinel", socket_name);
    if (fchmodat(dir, socket_name, SOCKET_MODE, 0) < 0)
        return error_sys(err, "cannot set the mode of %s", socket_name);
    return 0;
}

int control_listen(const char *state_dir, int *fd, struct error *err)
{
    struct place place;
    int status = place_open(state_dir, &place, err);
    if (status < 0)
        return status;
    unlinkat(place.dir, socket_name, 0);
    mode_t mask = umask(0177);
    int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (made < 0 || bind(made, (struct sockaddr *)&place.address, sizeof place.address) < 0 ||
        listen(made, BACKLOG) < 0)
        status = error_sys(err, "cannot listen on %s/%s", state_dir, socket_name);
    umask(mask);
    if (status == 0)
        status = socket_share(place.dir, err);
    if (status < 0 && made >= 0)
        close(made);
    close(place.dir);
    if (status == 0)
        *fd = made;
    return status;
}

void control_forget(const char *state_dir)
{
    struct place place;
    struct error err = ERROR_INIT;
    if (place_open(state_dir, &place, &err) < 0)
        return;
    unlinkat(place.dir, socket_name, 0);
    close(place.dir);
}
