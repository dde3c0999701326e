/*
 * The text layer of the screen and its two ways to paint a cell. Called by kernel/console.c only, under its
 * lock.
 *
 * Nothing scrolls: moving a framebuffer is millions of bytes, with interrupts off. Text runs down the
 * screen, goes on at the top, and the line below the newest one is always blank, so that the eye finds the
 * end. Making that line blank is split into single cells too, and costs only as many as were painted there.
 */
#include "kernel/screen.h"
#include "arch/mmu.h"
#include "arch/port.h"
#include "boot/boot_info.h"
#include "kernel/mem.h"

#define MAX_ROWS    128
#define MAX_COLUMNS 255         /* `used` counts them in a byte */
#define TAB         8

#define CELL_COLUMNS (FONT_COLUMNS + 1)
#define CELL_ROWS    (FONT_ROWS + 1)
#define MAX_SCALE    2          /* a larger cell would take too long to paint in one lock hold */

#define VGA_TEXT    0xb8000
#define VGA_COLUMNS 80
#define VGA_ROWS    25
#define VGA_GREY    0x0700      /* attribute byte: light grey on black */
#define VGA_PROBE   0x0755
#define VGA_CRTC    0x3d4       /* index port; data at +1 */
#define VGA_CRTC_CURSOR_START 0x0a
#define VGA_CURSOR_OFF        0x20

enum screen_kind { SCREEN_NONE, SCREEN_FRAMEBUFFER, SCREEN_VGA };

static struct {
    enum screen_kind kind;                      /* these four are fixed after screen_init() */
    unsigned rows, columns;
    volatile uint8_t *pixels;                   /* framebuffer */
    volatile uint16_t *cells;                   /* VGA text */

    /* where the next character goes; column == columns: wrap first */
    unsigned row, column;
    unsigned gap;                               /* the line that is to be blank */
    uint8_t used[MAX_ROWS];                     /* columns painted so far, per line */
    enum { TEXT, ESCAPE, SEQUENCE } parse;      /* inside an ANSI control sequence? */
} screen;

#define CELL_WORDS (CELL_COLUMNS * MAX_SCALE * 4 / 8)

/*
 * Fixed after screen_init(). One line of pixels for each of the 32 possible rows of a glyph, as it is
 * stored. Painting is copying them: as few instructions as it takes, since it is done with a lock held.
 */
static struct {
    /* bytes from line to line of the screen; pixels per dot of a glyph */
    unsigned pitch, scale;
    unsigned line_bytes;                        /* of a cell: 6 or 12 pixels of 3 or 4 bytes, so it is even */
    uint64_t line[1u << FONT_COLUMNS][CELL_WORDS + 1];  /* + 1: a 3-byte pixel is put in as 4 */
} fb;

static void make_lines(unsigned bytes, uint32_t ink)
{
    for (unsigned bits = 0; bits < ARRAY_SIZE(fb.line); bits++) {
        uint8_t *to = (uint8_t *)fb.line[bits];
        for (unsigned pixel = 0; pixel < FONT_COLUMNS * fb.scale; pixel++, to += bytes) {
            uint32_t colour = bits >> (FONT_COLUMNS - 1 - pixel / fb.scale) & 1 ? ink : 0;
            memcpy(to, &colour, sizeof(colour));
        }
    }
}

static void paint_line(volatile uint8_t *to, const uint64_t *line)
{
    unsigned words = fb.line_bytes / 8;
    for (unsigned i = 0; i < words; i++)
        ((volatile uint64_t *)to)[i] = line[i];
    to += words * 8;
    if (fb.line_bytes & 4)
        *(volatile uint32_t *)to = (uint32_t)line[words];
    if (fb.line_bytes & 2)
        *(volatile uint16_t *)to = (uint16_t)line[words];     /* 18 bytes: never both */
}

/* `glyph` NULL: blank. */
static void paint_pixels(unsigned row, unsigned column, const uint8_t *glyph)
{
    volatile uint8_t *to = screen.pixels + row * CELL_ROWS * fb.scale * fb.pitch + column * fb.line_bytes;
    for (unsigned y = 0; y < CELL_ROWS; y++) {
        const uint64_t *line = fb.line[glyph && y < FONT_ROWS ? glyph[y] : 0];
        for (unsigned i = 0; i < fb.scale; i++, to += fb.pitch)
            paint_line(to, line);
    }
}

static void paint(unsigned row, unsigned column, char c)
{
    if (screen.kind == SCREEN_VGA)
        screen.cells[row * VGA_COLUMNS + column] = VGA_GREY | (uint8_t)c;
    else
        paint_pixels(row, column, c == ' ' ? NULL : font_glyph(c));
}

static void next_line(void)
{
    screen.column = 0;
    screen.row = screen.row + 1 < screen.rows ? screen.row + 1 : 0;
    screen.gap = screen.row + 1 < screen.rows ? screen.row + 1 : 0;
}

/*
 * Enough of ECMA-48, 5.4 not to print what a program meant for a terminal: ESC, and if '[' follows, up to a
 * letter.
 */
static bool in_sequence(char c)
{
    if (screen.parse == ESCAPE)
        screen.parse = c == '[' ? SEQUENCE : TEXT;
    else if (screen.parse == SEQUENCE)
        screen.parse = c >= 0x40 && c <= 0x7e ? TEXT : SEQUENCE;
    else if (c == 0x1b)
        screen.parse = ESCAPE;
    else
        return false;
    return true;
}

bool screen_put(char c)
{
    if (screen.used[screen.gap] > 0) {
        paint(screen.gap, --screen.used[screen.gap], ' ');
        return false;
    }
    if (in_sequence(c))
        return true;

    switch (c) {
    case '\n':
        next_line();
        return true;
    case '\r':
        screen.column = 0;
        return true;
    case '\b':
        screen.column -= screen.column > 0;
        return true;
    case '\t':
        screen.column = (unsigned)min_u64(align_up(screen.column + 1, TAB), screen.columns);
        return true;
    case '\0':
    case '\a':
        return true;
    }
    if (screen.column >= screen.columns) {
        next_line();
        return false;
    }
    paint(screen.row, screen.column++, c);
    if (screen.used[screen.row] < screen.column)
        screen.used[screen.row] = (uint8_t)screen.column;
    return true;
}

unsigned screen_burst(void)
{
    switch (screen.kind) {
    case SCREEN_FRAMEBUFFER: return 1;
    case SCREEN_VGA:         return 16;
    default:                 return 0;
    }
}

static void framebuffer_init(const struct boot_framebuffer *info)
{
    uint64_t size = (uint64_t)info->pitch * info->height;
    unsigned bytes = info->bits_per_pixel / 8;
    fb.pitch = info->pitch;
    fb.scale = info->width >= VGA_COLUMNS * CELL_COLUMNS * MAX_SCALE ? MAX_SCALE : 1;
    fb.line_bytes = CELL_COLUMNS * fb.scale * bytes;
    make_lines(bytes, 0xd0u << info->red_shift | 0xd0u << info->green_shift | 0xd0u << info->blue_shift);
    screen.columns = (unsigned)min_u64(info->width / (CELL_COLUMNS * fb.scale), MAX_COLUMNS);
    screen.rows = (unsigned)min_u64(info->height / (CELL_ROWS * fb.scale), MAX_ROWS);
    if (screen.columns == 0 || screen.rows < 2)
        return;         /* too small for a line and its gap */

    screen.pixels = mmu_map_device(paddr(info->address), size);
    for (uint64_t i = 0; i + 4 <= size; i += 4)
        *(volatile uint32_t *)(screen.pixels + i) = 0;
    screen.kind = SCREEN_FRAMEBUFFER;
}

/* Where no VGA decodes the address, what is written there does not come back. */
static void vga_init(void)
{
    screen.cells = mmu_map_device(paddr(VGA_TEXT), VGA_ROWS * VGA_COLUMNS * sizeof(*screen.cells));
    screen.cells[0] = VGA_PROBE;
    if (screen.cells[0] != VGA_PROBE)
        return;
    for (unsigned i = 0; i < VGA_ROWS * VGA_COLUMNS; i++)
        screen.cells[i] = VGA_GREY | ' ';
    outb(VGA_CRTC, VGA_CRTC_CURSOR_START);
    outb(VGA_CRTC + 1, VGA_CURSOR_OFF);
    screen.columns = VGA_COLUMNS;
    screen.rows = VGA_ROWS;
    screen.kind = SCREEN_VGA;
}

void screen_init(const struct boot_info *info)
{
    const struct boot_framebuffer *given = &info->framebuffer;
    if (!given->address)
        vga_init();
    else if (given->bits_per_pixel == 32 || given->bits_per_pixel == 24)
        framebuffer_init(given);
    screen.gap = 1;
}
