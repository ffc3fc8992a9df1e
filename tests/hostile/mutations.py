"""Damage to pickles and torch files, drawn from a seed: bytes, lengths, opcodes, names and order."""

from __future__ import annotations

import io
import pickletools
import random
import struct
import zipfile
from collections.abc import Iterator

# What a thief would put into a file: names that run code, reach attributes, or take memory.
GLOBALS = (
    b"cos\nsystem\n", b"cbuiltins\neval\n", b"cbuiltins\nexec\n", b"c__builtin__\ngetattr\n", b"cio\nopen\n",
    b"cnumpy\nload\n", b"ctorch\nload\n", b"ctorch.hub\nload\n", b"cpickle\nloads\n", b"cnumpy\nzeros\n",
    b"ctorch_utils.persistence\n_src_to_module\n", b"ccopyreg\n_reconstructor\n", b"cbuiltins\nbytearray\n",
    b"ctorch.storage\n_load_from_bytes\n", b"ctorch_utils.persistence\n_reconstruct_persistent_obj\n",
    b"c_codecs\nencode\n", b"ccollections\nOrderedDict\n", b"cnumpy\ndtype\n", b"cargparse\nNamespace\n",
)  # fmt: skip
# Opcodes and short sequences that keep a stream decodable more often than chance does.
OPCODES = [code.code.encode("latin-1") for code in pickletools.opcodes]
PIECES = (b"R", b"b", b"\x81", b"t", b"u", b"s", b"a", b"e", b"0", b"1", b"2", b"(", b"]", b"}", b")", b"N", b"Q",
          b"\x94", b"K\x01", b"\x86R", b"\x85R", b"h\x01", b"h\x03", b"h\x10", b"q\x00",
          b"M\xff\xff", b"J\xff\xff\xff\x7f",
          b"\x8a\x09" + b"\xff" * 8 + b"\x00", b"G\x7f\xf8" + bytes(6), b"2" * 40, b"h\x052t" * 9)  # fmt: skip
NUMBERS = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


class Damage:
    """Mutations of ``raw``; ``places`` are where its opcodes begin, those of a pickle inside it too."""

    def __init__(self, raw: bytes, seed: int):
        self.raw, self.random = raw, random.Random(seed)
        self.places = _opcode_places(raw) or [0]
        self.kinds = [self.bytes_, self.cut, self.span, self.opcode, self.length, self.piece, self.name, self.argument]

    def __iter__(self) -> Iterator[bytes]:
        while True:
            yield self.one()

    def one(self) -> bytes:
        """One damaged copy, never equal to the original."""
        while True:
            out = bytearray(self.raw)
            for _ in range(self.random.choice((1, 1, 1, 2, 4))):
                self.random.choice(self.kinds)(out)
            if out != self.raw:
                return bytes(out)

    def at(self, out: bytearray) -> int:
        """Where an opcode begins, most often; anywhere else otherwise."""
        place = self.random.choice(self.places) if self.random.random() < 0.8 else self.random.randrange(len(self.raw))
        return min(place, max(len(out) - 1, 0))

    def bytes_(self, out: bytearray) -> None:
        for _ in range(self.random.choice((1, 1, 2, 8))):
            if out:
                at = self.random.randrange(len(out))
                out[at] ^= 1 << self.random.randrange(8) if self.random.random() < 0.5 else self.random.randrange(256)

    def cut(self, out: bytearray) -> None:
        del out[self.random.randrange(len(out) + 1) :]

    def span(self, out: bytearray) -> None:
        start, size, to = self.at(out), self.random.randrange(1, 200), self.at(out)
        piece = out[start : start + size]
        if self.random.random() < 0.5:
            del out[start : start + size]
        out[to:to] = piece * self.random.choice((1, 1, 3))

    def opcode(self, out: bytearray) -> None:
        at = self.at(out)
        out[at : at + 1] = self.random.choice(OPCODES)

    def length(self, out: bytearray) -> None:
        """The bytes behind an opcode: the length or number that it takes."""
        at, number = self.at(out) + 1, self.random.choice(NUMBERS)
        raw = struct.pack("<Q", number)[: self.random.choice((1, 2, 4, 8))]
        out[at : at + len(raw)] = raw

    def piece(self, out: bytearray) -> None:
        at = self.at(out)
        out[at:at] = self.random.choice(PIECES)

    def name(self, out: bytearray) -> None:
        """A name, called with what is on the stack or with text."""
        call = self.random.choice(
            (b"", b")R", b"X\x01\x00\x00\x00x\x85R", b"h\x01\x85R", b"(h\x01h\x03tR", b"}b", b")\x81}b")
        )
        at = self.at(out)
        out[at:at] = self.random.choice(GLOBALS) + call

    def argument(self, out: bytearray) -> None:
        """Another opcode's bytes in this one's place."""
        here, there = (self.random.randrange(len(self.places) - 1) if len(self.places) > 1 else 0 for _ in "ab")
        start, end = self.places[there], self.places[min(there + 1, len(self.places) - 1)]
        at = min(self.places[here], len(out))
        out[at : min(self.places[min(here + 1, len(self.places) - 1)], len(out))] = self.raw[start:end]


def _opcode_places(raw: bytes) -> list[int]:
    """Of the pickles that follow each other in ``raw`` and of those in their bytes."""
    places: list[int] = []
    stream = io.BytesIO(raw)
    try:
        while stream.read(1) == b"\x80":
            stream.seek(-1, io.SEEK_CUR)
            for _, argument, place in pickletools.genops(stream):
                places.append(place)
                if isinstance(argument, bytes) and argument[:1] == b"\x80":
                    start = raw.index(argument, place)
                    places += [start + inner for inner in _opcode_places(argument)]
    except ValueError:
        pass
    return places


def zip_with(raw: bytes, change) -> bytes:
    """The torch file ``raw`` with its pickle changed and every checksum right."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(zipfile.ZipInfo(name), change(data) if name.endswith("/data.pkl") else data)
    return buffer.getvalue()
