"""Arrays on a CUDA device: which ones are, what runs there, and what comes out."""

from __future__ import annotations

import contextlib
import functools
import sys
import weakref

import numpy as np

from .._errors import GenerationError, InputError
from . import _arguments as arguments

TYPES = ("float32", "float16", "bfloat16")
_CUDA = 2  # DLPack's number of CUDA devices


@functools.cache
def module():
    """The compiled CUDA kernels, or None where they are not built."""
    try:
        from .. import _cuda
    except ImportError:
        return None
    return _cuda


def device_of(x) -> int | None:
    """Number of the CUDA device that ``x`` is on, None for anything elsewhere; no library is imported to find out."""
    if isinstance(x, np.ndarray):
        return None
    if arguments.is_tensor(x):
        return x.get_device() if x.device.type == "cuda" else None
    if not hasattr(x, "__dlpack_device__"):
        return None
    kind, number = x.__dlpack_device__()
    return int(number) if int(kind) == _CUDA else None


def why_not(x, name: str, kernel: bool) -> str:
    """Why ``x``, on a CUDA device, can't be given to the CUDA kernels; '' if it can. ``kernel``: there is one."""
    if not kernel:
        return "the operator has no CUDA kernel"
    if arguments.is_tensor(x) and sys.modules["torch"].compiler.is_compiling():
        return "torch.compile takes torch's own operators"
    if module() is None:
        return "the CUDA kernels are not built (DSB_CUDA=1 builds them)"
    dtype = arguments.type_name(x)
    return "" if dtype in TYPES else f"{name} is {dtype}, the CUDA kernels work in {', '.join(TYPES)}"


def choose(op: str, impl: str, x, name: str, kernel: bool) -> str:
    """'cuda' or 'torch' for an array on a CUDA device. Raises InputError where neither can take it."""
    reason = "impl is 'torch'" if impl == "torch" else why_not(x, name, kernel)
    if not reason:
        return "cuda"
    if not arguments.is_tensor(x):
        raise InputError(f"{op}: {name} is on CUDA device {device_of(x)} and no torch tensor, and {reason}; one works")
    if impl == "native":
        raise InputError(f"{op}: {name} is on {x.device}, and {reason}; impl 'torch' works")
    return "torch"


def _stream(x) -> int:
    """Address of the stream that ``x``'s library is working on; 0 for the default one."""
    if arguments.is_tensor(x):
        return sys.modules["torch"].cuda.current_stream(x.device).cuda_stream
    cupy = sys.modules.get("cupy")
    return cupy.cuda.get_current_stream().ptr if cupy is not None and isinstance(x, cupy.ndarray) else 0


def _empty(x, shape, dtype: str | None):
    """Room for a result in torch's memory, in the order of axes that ``x`` has; None for another library's ``x``."""
    if not arguments.is_tensor(x):
        return None
    torch = sys.modules["torch"]
    last = dtype is None and x.ndim == 4 and not x.is_contiguous()
    last = last and x.is_contiguous(memory_format=torch.channels_last)
    order = torch.channels_last if last else torch.contiguous_format
    return torch.empty(shape, dtype=getattr(torch, dtype) if dtype else x.dtype, device=x.device, memory_format=order)


def _as_kind(array, x):
    """An array of ours as what the library of ``x`` calls one; as it is where that can't take it."""
    if arguments.is_tensor(x):
        return array
    library = x.__array_namespace__() if hasattr(x, "__array_namespace__") else None
    library = library or sys.modules.get(type(x).__module__.partition(".")[0])
    take = getattr(library, "from_dlpack", None)
    return take(array) if take else array


class _Ordered:
    """A torch tensor for the kernels' stream, which is torch's current one: nothing has to wait for anything.

    torch does not see that the streams are the same, and would record an event and wait for it with every tensor.
    """

    def __init__(self, tensor):
        self._tensor = tensor.detach()

    def __dlpack__(self, stream=None, **options):
        return self._tensor.__dlpack__(stream=None if stream is None else -1, **options)


def _current(x):
    """The device of ``x`` as torch's current one: torch exports tensors of no other."""
    torch = sys.modules.get("torch")
    if not arguments.is_tensor(x) or x.device.type != "cuda" or x.device.index == torch.cuda.current_device():
        return contextlib.nullcontext()
    return torch.cuda.device(x.device)


def _ordered(value):
    return _Ordered(value) if arguments.is_tensor(value) else value


def call(op: str, x, shape, *args, dtype: str | None = None, **options):
    """The kernel ``op`` on ``x`` and the rest of its arguments, on the stream that ``x``'s library is working on.

    ``shape`` and ``dtype``, by default that of ``x``, are the result's. Returns the kind that ``x`` is, None where the
    kernel found what is not a number. Raises InputError for what does not fit, GenerationError if CUDA fails.
    """
    out = _empty(x, shape, dtype)
    y = made(op, op, x, x, *args, **options, out=out)
    if y is None:
        return None
    return _as_kind(y, x) if out is None else out


def made(op: str, name: str, x, *args, **options):
    """What ``name`` of the module makes on the stream that ``x``'s library is working on. Raises as :func:`call`."""
    options = {key: _ordered(value) for key, value in options.items()} | {"stream": _stream(x)}
    try:
        with _current(x):
            return getattr(module(), name)(*map(_ordered, args), **options)
    except ValueError as error:
        raise InputError(f"{op}: {error}") from None
    except RuntimeError as error:
        raise GenerationError(f"{op}: {error}") from None


def operand(op: str, name: str, value, x, same_type: bool = False):
    """A further argument beside ``x``: tensors are brought to its device, and to a type that the kernels read."""
    if value is None or not arguments.is_tensor(x):
        return value
    if not same_type and arguments.is_tensor(value) and arguments.type_name(value) in TYPES:
        return value.detach().to(x.device)
    return arguments.as_tensor(op, name, value, x if same_type else x.new_empty(0, dtype=sys.modules["torch"].float32))


_taps: dict[int, tuple] = {}


def host_taps(op: str, name: str, taps):
    """A filter as a host array, None for None. Of a tensor on a device it is fetched once, until that is written to.

    Fetching waits for the device, which networks that keep their filters there would do in every layer.
    """
    if taps is None:
        return None
    if not arguments.is_tensor(taps):
        if device_of(taps) is not None:
            raise InputError(f"{op}: {name} is on a CUDA device; it needs a host array, as setup_filter makes them")
        return arguments.as_array(op, name, taps)
    key, version = id(taps), 0 if taps.is_inference() else taps._version
    found = _taps.get(key)
    if found is None or found[0]() is not taps or found[1] != version:
        reference = weakref.ref(taps, lambda _: _taps.pop(key, None))
        found = _taps[key] = (reference, version, arguments.as_array(op, name, taps).copy())
    return found[2]
