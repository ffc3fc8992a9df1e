"""A pickle stream read as inert data.

The stream is decoded by :mod:`pickletools`, which executes nothing, and run on a stack machine that knows only
containers, numbers and text. A global name is looked up in the caller's table; a name that is not in it ends the read.
Python's own unpickler is not used: even with ``find_class`` overridden it sets attributes of whatever object it is
pointed at, and lets a stream ask for a memo of any size.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from dsb_fast._errors import CheckpointError

_KEYS = (str, int, float, bytes, bool, type(None))
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple, "EMPTY_SET": set}
_LITERALS = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
    "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
}  # fmt: skip
_MARK = object()
_MOST_BITS = 1024  # of a number: longer ones can't even be written in an error


class Symbol:
    """A global name of the stream, with the function that stands for it here."""

    def __init__(self, name: str, make: Callable[..., Any]):
        self.name, self.make = name, make


class _Machine:
    def __init__(self, symbols: Mapping[str, Callable[..., Any]], persistent: Callable[[Any], Any] | None):
        self.symbols, self.persistent = symbols, persistent
        self.stream: BinaryIO | None = None
        self.copied = 0
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, stream: BinaryIO) -> Any:
        self.stream = stream
        for opcode, argument, _ in pickletools.genops(stream):
            name = opcode.name
            if name == "STOP":
                return self.pop()
            if name in _LITERALS:
                if type(argument) is int and argument.bit_length() > _MOST_BITS:
                    raise CheckpointError(f"its pickle has a number of {argument.bit_length()} bits")
                self.stack.append(argument)
            elif name in _CONSTANTS:
                self.stack.append(_CONSTANTS[name])
            elif name in _EMPTY:
                self.stack.append(_EMPTY[name]())
            else:
                step = getattr(self, "op_" + name.lower(), None)
                if step is None:
                    raise CheckpointError(f"its pickle uses {name}, which no tensor file needs")
                step(argument)
        raise CheckpointError("its pickle has no end")

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise CheckpointError("its pickle is malformed")
        return value

    def top(self, kind: type) -> Any:
        if not isinstance(self.stack[-1], kind):
            raise CheckpointError("its pickle is malformed")
        return self.stack[-1]

    def pop_mark(self) -> list[Any]:
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise CheckpointError("its pickle is malformed")
        values = self.stack[at + 1 :]
        del self.stack[at:]
        return values

    def op_proto(self, _):
        pass

    op_frame = op_proto

    def op_mark(self, _):
        self.stack.append(_MARK)

    def op_pop(self, _):
        self.stack.pop()

    def op_pop_mark(self, _):
        self.pop_mark()

    def op_tuple(self, _):
        self.stack.append(tuple(self.pop_mark()))

    def op_tuple1(self, _):
        self.stack.append((self.pop(),))

    def op_tuple2(self, _):
        second, first = self.pop(), self.pop()
        self.stack.append((first, second))

    def op_tuple3(self, _):
        third, second, first = self.pop(), self.pop(), self.pop()
        self.stack.append((first, second, third))

    def op_list(self, _):
        self.stack.append(self.pop_mark())

    def op_dict(self, _):
        items = self.pop_mark()
        self.stack.append({})
        self.set_items(items)

    def op_append(self, _):
        value = self.pop()
        self.top(list).append(value)

    def op_appends(self, _):
        values = self.pop_mark()
        self.top(list).extend(values)

    def op_additems(self, _):
        values = self.pop_mark()
        if not all(isinstance(value, _KEYS) for value in values):
            raise CheckpointError("its pickle has a set of something other than text and numbers")
        self.top(set).update(values)

    def op_setitem(self, _):
        value, key = self.pop(), self.pop()
        self.set_items([key, value])

    def op_setitems(self, _):
        self.set_items(self.pop_mark())

    def set_items(self, items: list[Any]) -> None:
        target = self.top(dict)
        if len(items) % 2 or not all(isinstance(key, _KEYS) for key in items[::2]):
            raise CheckpointError("its pickle has a dictionary with keys other than text and numbers")
        target.update(zip(items[::2], items[1::2], strict=True))

    def op_binput(self, index):
        self.memo[int(index)] = self.stack[-1]

    op_long_binput = op_put = op_binput

    def op_memoize(self, _):
        self.memo[len(self.memo)] = self.stack[-1]

    def op_binget(self, index):
        self.stack.append(self.memo[int(index)])

    op_long_binget = op_get = op_binget

    def op_dup(self, _):
        self.stack.append(self.stack[-1])

    def push_symbol(self, module: str, name: str) -> None:
        full = f"{module}.{name}"
        if full not in self.symbols:
            raise CheckpointError(f"it asks for {full[:200]!r}, which no tensor file needs; nothing was executed")
        self.stack.append(Symbol(full, self.symbols[full]))

    def op_global(self, argument):
        module, _, name = argument.partition(" ")
        self.push_symbol(module, name)

    def op_stack_global(self, _):
        name, module = self.pop(), self.pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            raise CheckpointError("its pickle is malformed")
        self.push_symbol(module, name)

    def op_reduce(self, _):
        arguments, symbol = self.pop(), self.pop()
        if not (isinstance(symbol, Symbol) and isinstance(arguments, tuple)):
            raise CheckpointError("its pickle is malformed")
        # What is called may copy what it is given; an element takes a byte of the stream, so one use each fits.
        self.copied += sum(len(value) for value in arguments if isinstance(value, (list, tuple, set, dict)))
        if self.copied > self.stream.tell():
            raise CheckpointError("its pickle copies one list again and again, which no tensor file does")
        try:
            self.stack.append(symbol.make(*arguments))
        except (TypeError, ValueError, AttributeError) as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(f"its pickle calls {symbol.name} with arguments that do not fit") from None

    op_newobj = op_reduce

    def op_build(self, _):
        state = self.pop()
        target = self.stack[-1]
        if isinstance(target, dict):
            return  # attributes of a state dict, such as _metadata: not data
        if not hasattr(target, "build_state"):
            raise CheckpointError("its pickle sets the state of something that has none")
        target.build_state(state)

    def op_binpersid(self, _):
        if self.persistent is None:
            raise CheckpointError("its pickle refers to something outside itself")
        self.stack.append(self.persistent(self.pop()))


def load(
    stream: BinaryIO,
    symbols: Mapping[str, Callable[..., Any]],
    persistent: Callable[[Any], Any] | None = None,
) -> Any:
    """One pickle from ``stream``, which is left just behind it.

    ``symbols`` maps global names ("module.name") to the functions called in their place; ``persistent`` turns a
    persistent id into an object. Raises CheckpointError for anything else than data.
    """
    try:
        return _Machine(symbols, persistent).run(stream)
    except CheckpointError:
        raise
    except (ValueError, IndexError, KeyError, EOFError, TypeError, UnicodeError, OverflowError, Warning):
        raise CheckpointError("its pickle is damaged or cut off") from None
