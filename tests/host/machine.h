/* A pretended machine for the tests of mm/: RAM and frame descriptors at the stub's DIRECT_BASE and FRAMES_BASE. */
#ifndef TESTS_HOST_MACHINE_H
#define TESTS_HOST_MACHINE_H

#include "boot/boot_info.h"
#include "mm/frame.h"

/* Makes RAM and descriptors of `info` reachable, and nothing else: touching a hole's descriptor is a crash. */
void machine_map(const struct boot_info *info);
/* The same with a small machine of `mib` MiB in one piece, and frame_init(). */
void machine_start(unsigned mib);

#endif
