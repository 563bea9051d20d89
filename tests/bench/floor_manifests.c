/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The floor under reading a commit's manifests: what libgit2 and libyaml take by
 * themselves, on one thread, for the same repository.
 *
 *     floor_manifests head|walk|read|events REPOSITORY
 *
 * head: the repository is opened and its head found; walk: and every tree; read: and every
 * blob; events: and libyaml's events of each, dropped as they come. Prints how many there were.
 */
#include <git2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

static git_repository *repository;
static git_odb *odb;
enum { HEAD, WALK, READ, EVENTS, WORKS };
static int work;
static size_t blobs, bytes, events;

static void fail(const char *doing)
{
    const git_error *last = git_error_last();
    fprintf(stderr, "floor: cannot %s: %s\n", doing, last ? last->message : "?");
    exit(1);
}

static void events_take(const void *data, size_t len)
{
    yaml_parser_t parser;
    yaml_event_t event;
    yaml_event_type_t type;
    yaml_parser_initialize(&parser);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, data, len);
    do {
        if (!yaml_parser_parse(&parser, &event))
            fail("parse");
        type = event.type;
        events++;
        yaml_event_delete(&event);
    } while (type != YAML_STREAM_END_EVENT);
    yaml_parser_delete(&parser);
}

static void blob_take(const git_oid *id)
{
    git_odb_object *object;
    blobs++;
    if (work == WALK)
        return;
    if (git_odb_read(&object, odb, id) < 0)
        fail("read a blob");
    bytes += git_odb_object_size(object);
    if (work == EVENTS)
        events_take(git_odb_object_data(object), git_odb_object_size(object));
    git_odb_object_free(object);
}

static void tree_take(const git_oid *id)
{
    git_tree *tree;
    if (git_tree_lookup(&tree, repository, id) < 0)
        fail("read a tree");
    size_t count = git_tree_entrycount(tree);
    for (size_t i = 0; i < count; i++) {
        const git_tree_entry *entry = git_tree_entry_byindex(tree, i);
        if (git_tree_entry_type(entry) == GIT_OBJECT_TREE)
            tree_take(git_tree_entry_id(entry));
        else
            blob_take(git_tree_entry_id(entry));
    }
    git_tree_free(tree);
}

int main(int argc, char **argv)
{
    static const char *const works[] = {"head", "walk", "read", "events"};
    git_oid head;
    git_commit *commit;
    if (argc != 3)
        return 64;
    while (work < WORKS && strcmp(argv[1], works[work]) != 0)
        work++;
    if (work == WORKS)
        return 64;
    git_libgit2_init();
    if (git_repository_open_bare(&repository, argv[2]) < 0 ||
        git_repository_odb(&odb, repository) < 0 ||
        git_reference_name_to_id(&head, repository, "refs/heads/main") < 0 ||
        git_commit_lookup(&commit, repository, &head) < 0)
        fail("open the repository");
    if (work != HEAD)
        tree_take(git_commit_tree_id(commit));
    printf("%zu blobs, %zu bytes, %zu events\n", blobs, bytes, events);
    return 0;
}
