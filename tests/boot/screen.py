"""Reads what Primer has written on the machine's screen, from QEMU's picture of it or from the memory behind it."""
import os
import re

from runner import TOP

VGA_TEXT, VGA_COLUMNS, VGA_ROWS = 0xb8000, 80, 25
FONT_COLUMNS, FONT_ROWS = 5, 9          # kernel/screen.h; a cell has one more of both


def vga_text(live):
    """The lines of the VGA text screen."""
    path = live.scratch("vga")
    live.command("pmemsave", val=VGA_TEXT, size=2 * VGA_COLUMNS * VGA_ROWS, filename=path)
    with open(path, "rb") as file:
        characters = file.read()[::2].decode("latin-1")
    return [characters[at:at + VGA_COLUMNS] for at in range(0, len(characters), VGA_COLUMNS)]


def _glyphs():
    """{rows of the glyph: character} from kernel/font.c, which has them in the order of ASCII."""
    with open(os.path.join(TOP, "kernel", "font.c")) as file:
        table = file.read().partition("glyphs[")[2].partition("};")[0]
    rows = re.findall(r"\{((?:0x[0-9a-f]{2}(?:, )?){%d})\}" % FONT_ROWS, table)
    return {tuple(int(row, 16) for row in glyph.split(", ")): chr(0x20 + i) for i, glyph in enumerate(rows)}


def framebuffer_text(width, height, pixels):
    """The lines on a framebuffer: each cell compared with the glyphs; "?" is none of them."""
    glyphs = _glyphs()
    scale = 2 if width >= 2 * VGA_COLUMNS * (FONT_COLUMNS + 1) else 1
    cell_width, cell_height = (FONT_COLUMNS + 1) * scale, (FONT_ROWS + 1) * scale

    def cell(left, top):
        rows = []
        for y in range(FONT_ROWS):
            at = ((top + y * scale) * width + left) * 3
            dots = [pixels[at + x * scale * 3] > 96 for x in range(FONT_COLUMNS)]
            rows.append(sum(1 << FONT_COLUMNS - 1 - x for x, dot in enumerate(dots) if dot))
        return glyphs.get(tuple(rows), "?")

    return ["".join(cell(left, top) for left in range(0, width - cell_width + 1, cell_width))
            for top in range(0, height - cell_height + 1, cell_height)]
