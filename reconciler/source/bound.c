/* SPDX-License-Identifier: MPL-2.0 */
#include "reconciler/source/bound.h"

#include <git2.h>
#include <git2/sys/alloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "model/invariant.h"

static _Thread_local size_t bound_most = SIZE_MAX;
static bool is_installed;

void bound_set(size_t most)
{
    invariant(is_installed, "libgit2 is held to %zu bytes, and does not ask here", most);
    bound_most = most;
}

/* Where in libgit2 it is asked is nothing to us. */
#define FROM const char *file __attribute__((unused)), int line __attribute__((unused))

static void *bound_malloc(size_t size, FROM)
{
    return size > bound_most ? NULL : malloc(size);
}

static void *bound_realloc(void *old, size_t size, FROM)
{
    return size > bound_most ? NULL : realloc(old, size);
}

#if LIBGIT2_VER_MAJOR > 1 || LIBGIT2_VER_MINOR >= 7

static git_allocator bounded = {.gmalloc = bound_malloc, .grealloc = bound_realloc, .gfree = free};

#else

static bool is_beyond(size_t count, size_t size)
{
    return size != 0 && count > bound_most / size;
}

static void *bound_calloc(size_t count, size_t size, FROM)
{
    return is_beyond(count, size) ? NULL : calloc(count, size);
}

static void *bound_realloc_array(void *old, size_t count, size_t size, FROM)
{
    return is_beyond(count, size) ? NULL : reallocarray(old, count, size);
}

static void *bound_malloc_array(size_t count, size_t size, FROM)
{
    return is_beyond(count, size) ? NULL : reallocarray(NULL, count, size);
}

static char *bound_strdup(const char *text, FROM)
{
    return strdup(text);
}

static char *bound_strndup(const char *text, size_t most, FROM)
{
    return strndup(text, most);
}

/* There may be NULs in it, and nothing after it. */
static char *bound_substrdup(const char *bytes, size_t count, FROM)
{
    char *copy = count < bound_most ? malloc(count + 1) : NULL;
    if (!copy)
        return NULL;
    memcpy(copy, bytes, count);
    copy[count] = '\0';
    return copy;
}

static git_allocator bounded = {
    .gmalloc = bound_malloc,
    .gcalloc = bound_calloc,
    .gstrdup = bound_strdup,
    .gstrndup = bound_strndup,
    .gsubstrdup = bound_substrdup,
    .grealloc = bound_realloc,
    .greallocarray = bound_realloc_array,
    .gmallocarray = bound_malloc_array,
    .gfree = free,
};

#endif

void bound_install(void)
{
    is_installed = git_libgit2_opts(GIT_OPT_SET_ALLOCATOR, &bounded) == 0;
}
