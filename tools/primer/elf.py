"""Symbols of an ELF64 little-endian file (System V gABI, chapter 4), without needing binutils on the host."""
import struct

PT_LOAD = 1
SHT_SYMTAB = 2
SHF_EXECINSTR = 4
STT_NOTYPE, STT_FUNC = 0, 2


class ElfError(Exception):
    pass


class Elf:
    def __init__(self, path):
        self.path = path
        with open(path, "rb") as file:
            self._data = file.read()
        if self._data[:6] != b"\x7fELF\x02\x01":
            raise ElfError("%s is not an ELF64 little-endian file" % path)
        self._symbols = None
        try:
            self._read_sections()
        except (struct.error, IndexError, ValueError) as error:
            raise ElfError("%s is damaged: %s" % (path, error)) from error

    def _read_sections(self):
        offset, = struct.unpack_from("<Q", self._data, 0x28)
        entry_size, count, _ = struct.unpack_from("<HHH", self._data, 0x3a)
        sections = [struct.unpack_from("<IIQQQQIIQQ", self._data, offset + i * entry_size) for i in range(count)]
        self._executable = {i for i, section in enumerate(sections) if section[2] & SHF_EXECINSTR}
        self._list = []
        for _, kind, _, _, start, size, link, _, _, step in sections:
            if kind != SHT_SYMTAB:
                continue
            strings = sections[link][4]
            for at in range(start, start + size, step):
                name, info, _, section, value, length = struct.unpack_from("<IBBHQQ", self._data, at)
                begin = strings + name
                text = self._data[begin:self._data.index(b"\0", begin)].decode()
                self._list.append((text, info & 15, section, value, length))

    def symbol(self, name):
        """The address of a symbol; ElfError if there is none of that name."""
        if self._symbols is None:
            self._symbols = {text: value for text, _, section, value, _ in self._list if section != 0}
        if name not in self._symbols:
            raise ElfError("%s has no symbol %s" % (self.path, name))
        return self._symbols[name]

    def text_symbols(self):
        """(name, address) of functions and of labels in assembly code."""
        return [(text, value) for text, kind, section, value, _ in self._list
                if kind in (STT_NOTYPE, STT_FUNC) and section in self._executable]

    def bytes_at(self, address, length):
        """What the file has for an address; ElfError if no segment of the file has it."""
        offset, = struct.unpack_from("<Q", self._data, 0x20)
        entry_size, count = struct.unpack_from("<HH", self._data, 0x36)
        for at in range(offset, offset + entry_size * count, entry_size):
            kind, _, start, base, _, size = struct.unpack_from("<IIQQQQ", self._data, at)
            if kind == PT_LOAD and base <= address < base + size:
                begin = start + address - base
                return self._data[begin:begin + min(length, base + size - address)]
        raise ElfError("%s has nothing at address %#x" % (self.path, address))
