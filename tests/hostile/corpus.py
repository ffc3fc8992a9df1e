"""Checkpoint files made to hurt a careless reader: each executes, allocates, escapes or lies. None does damage here."""

from __future__ import annotations

import io
import pickle
import struct
import warnings
import zipfile
from collections.abc import Callable

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
RAN: list[Callable[[str], None]] = []


def mark(what: str) -> None:
    """What a trap calls if anything executes it."""
    for call in RAN:
        call(what)
    with open("HOSTILE_MARKER", "w", encoding="ascii") as file:
        file.write(what)


class _Call:
    def __reduce__(self):
        return mark, ("called",)


def call_pickle(protocol: int = 2) -> bytes:
    """A pickle that calls :func:`mark`."""
    return pickle.dumps(_Call(), protocol)


def _legacy(tree: bytes, keys: bytes | None = None, tail: bytes = b"") -> bytes:
    head = pickle.dumps(MAGIC, 2) + pickle.dumps(PROTOCOL, 2) + pickle.dumps({"little_endian": True}, 2)
    return head + tree + (pickle.dumps([], 2) if keys is None else keys) + tail


def _zip(pickle_bytes: bytes, members: dict[str, bytes] | None = None, compression=zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickle_bytes)
        for name, data in (members or {}).items():
            archive.writestr(name, data)
    return buffer.getvalue()


def _text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def _global(module: str, name: str) -> bytes:
    return b"c" + module.encode() + b"\n" + name.encode() + b"\n"


def _int(value: int) -> bytes:
    if value >> 71 not in (0, -1):
        raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        return b"\x8b" + struct.pack("<i", len(raw)) + raw
    raw = value.to_bytes(9, "little", signed=True)
    return b"\x8a\x09" + raw


def _tensor(count: int, shape: list[int], strides: list[int], offset: int = 0, storage: str = "FloatStorage") -> bytes:
    """A pickle of {'conv_1.weight': tensor} over storage '0' of ``count`` values."""
    persistent = b"(" + _text("storage") + _global("torch", storage) + _text("0") + _text("cpu") + _int(count) + b"tQ"
    sizes = b"(" + b"".join(map(_int, shape)) + b"t"
    steps = b"(" + b"".join(map(_int, strides)) + b"t"
    hooks = _global("collections", "OrderedDict") + b")R"
    call = (
        _global("torch._utils", "_rebuild_tensor_v2")
        + b"("
        + persistent
        + _int(offset)
        + sizes
        + steps
        + b"\x89"
        + hooks
    )
    return b"\x80\x02}" + _text("conv_1.weight") + call + b"tRs."


def _bomb() -> bytes:
    return _zip(_tensor(1 << 28, [1 << 28], [1]), {"archive/data/0": b"\0" * (1 << 24)}, zipfile.ZIP_DEFLATED)


def _lying_sizes() -> bytes:
    """The central directory claims more bytes than the file has."""
    raw = bytearray(_zip(_tensor(4, [4], [1]), {"archive/data/0": b"\0" * 16}))
    at = raw.rindex(b"PK\x01\x02")
    struct.pack_into("<II", raw, at + 20, 0x7FFFFFF0, 0x7FFFFFF0)
    return bytes(raw)


def _far_member() -> bytes:
    """The central directory puts a member, by its zip64 field, further away than any file is long."""
    raw = bytearray(_zip(_tensor(4, [4], [1])))
    at, end = raw.rindex(b"PK\x01\x02"), raw.rindex(b"PK\x05\x06")
    extra = struct.pack("<HHQ", 1, 8, 1 << 63)
    struct.pack_into("<H", raw, at + 30, len(extra))
    struct.pack_into("<I", raw, at + 42, 0xFFFFFFFF)
    struct.pack_into("<I", raw, end + 12, end - at + len(extra))
    return bytes(raw[:end] + extra + raw[end:])


def _two_members() -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w") as archive:
        warnings.simplefilter("ignore")  # zipfile itself finds this strange
        for _ in range(2):
            archive.writestr(zipfile.ZipInfo("archive/data.pkl"), _tensor(4, [4], [1]))
    return buffer.getvalue()


def _wrapped(body: bytes) -> bytes:
    return _zip(b"\x80\x02" + body + b".")


def _only_readme() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("README", b"no pickle here")
    return buffer.getvalue()


FILES: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "text": lambda: b"hello, I am a checkpoint",
    "plain_pickle": lambda: pickle.dumps({"state_dict": {}}, 4),
    "call_plain": call_pickle,
    "call_zip": lambda: _zip(call_pickle()),
    "call_zip_protocol_4": lambda: _zip(call_pickle(4)),
    "call_legacy_tree": lambda: _legacy(call_pickle()),
    "call_legacy_first": lambda: call_pickle() + _legacy(pickle.dumps({}, 2)),
    "call_legacy_keys": lambda: _legacy(pickle.dumps({}, 2), call_pickle()),
    "os_system": lambda: _wrapped(_global("os", "system") + b"(" + _text("touch HOSTILE_MARKER") + b"tR"),
    "eval": lambda: _wrapped(_global("builtins", "eval") + b"(" + _text("open('HOSTILE_MARKER','w')") + b"tR"),
    "inst_opcode": lambda: _wrapped(b"(" + _text("touch HOSTILE_MARKER") + b"ios\nsystem\n"),
    "obj_opcode": lambda: _wrapped(b"(" + _global("os", "system") + _text("touch HOSTILE_MARKER") + b"o"),
    "stack_global": lambda: _wrapped(b"\x8c\x02os\x8c\x06system\x93(" + _text("touch HOSTILE_MARKER") + b"tR"),
    "dotted_global": lambda: _wrapped(b"\x8c\x0bcollections\x8c\x19OrderedDict.__init__.x.y.z\x93"),
    "extension_registry": lambda: _wrapped(b"\x82\x01"),
    "build_on_symbol": lambda: _wrapped(_global("torch._utils", "_rebuild_tensor_v2") + b"}" + _text("a") + b"K\x01sb"),
    "call_of_text": lambda: _wrapped(_text("os.system") + b")R"),
    "torch_load_from_bytes": lambda: _wrapped(_global("torch.storage", "_load_from_bytes") + b"(C\x00tR"),
    "memo_of_2_31": lambda: _wrapped(b"}r" + struct.pack("<I", (1 << 31) - 1) + b"0h\x07"),
    "bytes_of_2_62": lambda: _wrapped(b"\x8e" + struct.pack("<Q", 1 << 62)),
    "long_of_2_31": lambda: _wrapped(b"\x8b" + struct.pack("<i", (1 << 31) - 1)),
    "key_of_5000_digits": lambda: _wrapped(b"}" + _int(10**5000) + b"K\x01s"),
    "legacy_count_of_5000_digits": lambda: _legacy(_tensor(10**5000, [4], [1]), pickle.dumps(["0"], 2), bytes(24)),
    "many_digits": lambda: _wrapped(b"I" + b"9" * 1_000_000 + b"\n"),
    "deep_tuple_as_key": lambda: _wrapped(b"})" + b"\x85" * 200_000 + b"K\x01s"),
    "deep_lists": lambda: _wrapped(b"]" * 200_000 + b"a" * 199_999),
    "list_as_key": lambda: _wrapped(b"}]K\x01s"),
    "no_stop": lambda: _zip(b"\x80\x02}"),
    "stack_underflow": lambda: _wrapped(b"0000"),
    "mark_missing": lambda: _wrapped(b"}u"),
    "frozen_mark": lambda: _wrapped(b"(R"),
    "unknown_persistent": lambda: _wrapped(_text("module") + b"Q"),
    "storage_missing": lambda: _zip(_tensor(4, [4], [1])),
    "storage_short": lambda: _zip(_tensor(1 << 40, [1 << 40], [1]), {"archive/data/0": b"\0" * 16}),
    "storage_of_objects": lambda: _zip(_tensor(4, [4], [1], storage="Tensor"), {"archive/data/0": b"\0" * 16}),
    "shape_beyond_storage": lambda: _zip(_tensor(4, [1 << 40], [0]), {"archive/data/0": b"\0" * 16}),
    "stride_beyond_storage": lambda: _zip(_tensor(4, [2, 2], [1, 100]), {"archive/data/0": b"\0" * 16}),
    "offset_beyond_storage": lambda: _zip(_tensor(4, [2], [1], offset=3), {"archive/data/0": b"\0" * 16}),
    "negative_offset": lambda: _zip(_tensor(4, [2], [1], offset=-1), {"archive/data/0": b"\0" * 16}),
    "negative_shape": lambda: _zip(_tensor(4, [-2], [1]), {"archive/data/0": b"\0" * 16}),
    "negative_stride": lambda: _zip(_tensor(4, [2], [-1], offset=1), {"archive/data/0": b"\0" * 16}),
    "many_dimensions": lambda: _zip(_tensor(4, [1] * 300, [1] * 300), {"archive/data/0": b"\0" * 16}),
    "negative_count": lambda: _zip(_tensor(-1, [0], [1]), {"archive/data/0": b""}),
    "legacy_count_huge": lambda: _legacy(
        _tensor(1 << 50, [1 << 50], [1]), pickle.dumps(["0"], 2), struct.pack("<q", 1 << 50)
    ),
    "legacy_key_unknown": lambda: _legacy(_tensor(4, [4], [1]), pickle.dumps(["1"], 2), b"\0" * 24),
    "legacy_key_twice": lambda: _legacy(_tensor(4, [4], [1]), pickle.dumps(["0", "0"], 2), b"\0" * 48),
    "legacy_no_storages": lambda: _legacy(_tensor(4, [4], [1])),
    "deflate_bomb": _bomb,
    "lying_sizes": _lying_sizes,
    "far_member": _far_member,
    "two_members": _two_members,
    "escaping_member": lambda: _zip(_tensor(4, [4], [1]), {"../HOSTILE_MARKER": b"x", "archive/data/0": b"\0" * 16}),
    "absolute_member": lambda: _zip(_tensor(4, [4], [1]), {"/HOSTILE_MARKER": b"x", "archive/data/0": b"\0" * 16}),
    "torchscript": lambda: _zip(_tensor(4, [4], [1]), {"archive/code/x.py": b"x", "archive/data/0": b"\0" * 16}),
    "no_pickle": _only_readme,
    "big_endian_lie": lambda: _zip(
        _tensor(4, [4], [1]), {"archive/byteorder": b"middle", "archive/data/0": b"\0" * 16}
    ),
}
