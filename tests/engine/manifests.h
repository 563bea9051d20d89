/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_ENGINE_MANIFESTS_H
#define TESTS_ENGINE_MANIFESTS_H

/* Manifests as the tests of the engine write them. */
#define POOL "apiVersion: spinel/v1\nkind: Pool\nmetadata: {name: fast}\nspec: {}\n---\n"
#define PROJECT "apiVersion: spinel/v1\nkind: Project\nmetadata: {name: shop}\nspec: {}\n---\n"
#define KEPT(name, spec)                                                               \
    "apiVersion: spinel/v1\nkind: Volume\nmetadata: {project: shop, name: " name "}\n" \
    "spec: {pool: fast, " spec "}\n---\n"
#define VOLUME(name, size) KEPT(name, "size: " size ", onRemove: delete")
#define RENAMED(name, from)                                                      \
    "apiVersion: spinel/v1\nkind: Volume\nmetadata: {project: shop, name: " name \
    ", renamedFrom: " from "}\nspec: {size: 1GiB, pool: fast, onRemove: delete}\n---\n"
#define VPC(name)                                                                   \
    "apiVersion: spinel/v1\nkind: VPC\nmetadata: {project: shop, name: " name "}\n" \
    "spec: {prefixes: [10.0.0.0/16]}\n---\n"
#define SUBNET(name, cidr)                                                             \
    "apiVersion: spinel/v1\nkind: Subnet\nmetadata: {project: shop, name: " name "}\n" \
    "spec: {vpc: net, cidr: " cidr "}\n---\n"
#define NETWORK POOL PROJECT VPC("net") SUBNET("front", "10.0.1.0/24") SUBNET("back", "10.0.2.0/24")
#define MACHINE(spec)                                                               \
    "apiVersion: spinel/v1\nkind: Instance\nmetadata: {project: shop, name: web}\n" \
    "spec: {cpus: 1, memory: 256MiB, " spec "}\n---\n"
#define IMAGE                                                                               \
    "apiVersion: spinel/v1\nkind: Image\nmetadata: {name: os}\nspec: {path: /os,"           \
    " digest: \"sha256:0000000000000000000000000000000000000000000000000000000000000000\"," \
    " format: raw}\n---\n"

#endif
