/* SPDX-License-Identifier: MPL-2.0 */
#ifndef MODEL_NATIVE_H
#define MODEL_NATIVE_H

#include <stddef.h>

struct arena;
struct value;

/*
 * Names and places of real objects. They derive from the uid alone, never from
 * user text, so that a rename moves nothing and a hostile name reaches nothing.
 * The plan, the drivers and their tests all ask here.
 */

/* Kernel names: at most 15 characters (IFNAMSIZ - 1). `out` holds 16 bytes. */
char *native_link(const char *role, const char *uid, char out[16]);
#define native_bridge(uid, out) native_link("spb", uid, out) /* of a Subnet */
#define native_tap(uid, out) native_link("spt", uid, out)    /* of a NIC */
#define native_uplink(uid, out) native_link("spu", uid, out) /* of a VPC: host side of its veth */
#define native_netns(uid, out) native_link("spn", uid, out)  /* of a VPC: /run/netns/<this> */

/* "02:" and 40 bits of the NIC's uid. `out` holds 18 bytes. */
char *native_mac(const char *uid, char out[18]);

/* Directory of a Pool: its spec.path, or "<state>/pools/<name>" when it has none;
 * `pool` is its spec and may be NULL for the pool that a Volume did not name
 * ("<state>/pools/default"). */
char *native_pool_dir(struct arena *arena, const char *state_dir, const char *name,
                      const struct value *pool);

/* "<pool dir>/<uid>.<format>" */
char *native_volume_path(struct arena *arena, const char *pool_dir, const char *uid,
                         const char *format);

/* "<state>/instances/<uid>": run directory of an Instance; its cloud-init seed is
 * "<state>/seeds/<seed uid>.img"; an Image's bytes are "<state>/images/<digest>". */
char *native_instance_dir(struct arena *arena, const char *state_dir, const char *uid);
char *native_seed_path(struct arena *arena, const char *state_dir, const char *seed_uid);
char *native_image_path(struct arena *arena, const char *state_dir, const char *digest);

#endif
