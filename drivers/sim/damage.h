/* SPDX-License-Identifier: MPL-2.0 */
#ifndef SIM_DAMAGE_H
#define SIM_DAMAGE_H

/* `sim --world FILE list|set|delete`: what somebody does behind Spinel's back. Returns
 * the exit status. */
int damage_main(int argc, char **argv);

#endif
