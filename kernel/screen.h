/*
 * Text on the screen: a framebuffer in which the kernel paints its own glyphs, or VGA text. One caller,
 * kernel/console.c, whose lock protects all of it.
 */
#ifndef KERNEL_SCREEN_H
#define KERNEL_SCREEN_H

#include "kernel/types.h"

struct boot_info;

#define FONT_ROWS    9          /* a glyph: 7 rows above the baseline, 2 below; one byte per row, bit 4 leftmost */
#define FONT_COLUMNS 5

/* The glyph of a character; a box for what the font lacks. kernel/font.c */
const uint8_t *font_glyph(char c);

/* Finds the screen and clears it. Boot, CPU 0, once devices can be mapped. */
void screen_init(const struct boot_info *info);

/*
 * Takes one character and does a bounded piece of work, at most one cell. False: the piece went into making
 * room; offer the same character again. Knows \n, \r, \t, \b, and skips ANSI control sequences.
 */
bool screen_put(char c);

/* How many screen_put() fit into one short lock hold: at most about 1,500 instructions. 0: no screen. */
unsigned screen_burst(void);

#endif
