"""What every operator does first: which implementation, which arrays, which numbers."""

from __future__ import annotations

import math
import operator
import sys

import numpy as np

from .. import _kernels
from .._errors import InputError, MissingDependencyError
from . import _device

IMPLEMENTATIONS = ("auto", "native", "torch")


def is_tensor(x) -> bool:
    """Whether ``x`` is a torch tensor; torch is not imported to find out."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(x, torch.Tensor)


def import_torch(op: str):
    """torch, or MissingDependencyError."""
    try:
        import torch
    except ImportError:
        raise MissingDependencyError(
            f"{op}: impl 'torch' needs torch; pip install 'dsb-fast[torch]' brings it, impl 'native' does without"
        ) from None
    return torch


def type_name(x) -> str:
    """float32, bfloat16, ...: alike for tensors and for arrays, whose bfloat16 (of ml_dtypes) goes by its name."""
    if is_tensor(x):
        return str(x.dtype).removeprefix("torch.")
    if _device.device_of(x) is not None:
        return str(x.dtype)  # of a library that numpy can't take arrays of
    return np.asarray(x).dtype.name


def is_bfloat16(x) -> bool:
    """Whether ``x`` is a tensor or an array of bfloat16."""
    return type_name(x) == "bfloat16"


def _why_not_native(x, name: str, bfloat16: bool) -> str:
    """Why ``x`` can't be given to the compiled kernel; '' if it can."""
    if _kernels.native is None:
        return "the compiled extension is not built"
    if is_tensor(x) and x.device.type != "cpu":
        return f"the tensor is on {x.device}, the compiled kernel works on the CPU"
    dtype, known = type_name(x), ("float32", "bfloat16") if bfloat16 else ("float32",)
    return "" if dtype in known else f"{name} is {dtype}, the compiled kernel works in {' and '.join(known)}"


def choose(op: str, impl: str, x, name: str = "x", bfloat16: bool = False, cuda: bool = False) -> str:
    """'native', 'torch' or, for arrays on a CUDA device, 'cuda'.

    ``bfloat16``: the compiled kernel has that too; ``cuda``: there is a CUDA kernel.

    Raises InputError if ``impl`` is unknown or can't take ``x``.
    """
    if impl not in IMPLEMENTATIONS:
        raise InputError(f"{op}: impl '{impl}' is not known; there are {', '.join(IMPLEMENTATIONS)}")
    if _device.device_of(x) is not None:
        return _device.choose(op, impl, x, name, cuda)
    if impl == "torch":
        return "torch"
    reason = _why_not_native(x, name, bfloat16)
    if impl == "native" and reason:
        raise InputError(f"{op}: {reason}; impl 'torch' works")
    if not reason:
        _kernels.active_variant()  # a variant that was forced and can't run is an error here
    return "torch" if reason else "native"


def choose_products(op: str, products: str, impl: str, x) -> str:
    """The ``impl`` to choose from: ``products="bfloat16"`` is of the compiled kernel and float32 images alone.

    Raises InputError if ``products`` is unknown or does not go with the others.
    """
    if products not in ("float32", "bfloat16"):
        raise InputError(f'{op}: products is {products!r}, needs "float32" or "bfloat16"')
    if products == "float32":
        return impl
    on_device = _device.device_of(x) is not None
    if is_bfloat16(x) or on_device or impl == "torch":
        what = (
            "x is bfloat16 already" if is_bfloat16(x) else "x is on a CUDA device" if on_device else 'impl is "torch"'
        )
        raise InputError(f'{op}: products is "bfloat16" and {what}; it needs float32 images and impl="native"')
    return "native"


def as_array(op: str, name: str, value) -> np.ndarray:
    """``value`` as float32 in C order, without a copy where it is that already. Raises InputError for other types."""
    if is_tensor(value):
        value = value.detach().cpu()
        value = (value.float() if is_bfloat16(value) else value).numpy()
    if _device.device_of(value) is not None:
        raise InputError(f"{op}: {name} is on a CUDA device and x is not; they need the same")
    value = np.asarray(value)
    if value.dtype.kind not in "fiu" and not is_bfloat16(value):
        raise InputError(f"{op}: {name} is {value.dtype}, needs floating point")
    return np.ascontiguousarray(value, np.float32)


def as_bits(op: str, name: str, value) -> np.ndarray:
    """``value`` in bfloat16 as the compiled kernels take it: the bits, uint16 in C order.

    Not copied where it is bfloat16 already, else rounded to nearest, ties to even. Raises InputError for other types.
    """
    if not is_bfloat16(value):
        return _kernels.native.round_bf16(as_array(op, name, value), 0)
    if is_tensor(value):
        return value.detach().cpu().contiguous().view(sys.modules["torch"].int16).numpy().view(np.uint16)
    return np.ascontiguousarray(value).view(np.uint16)


def like_bits(bits: np.ndarray, x):
    """bfloat16 ``bits``, uint16, as the kind that ``x``, bfloat16 too, is."""
    if is_tensor(x):
        torch = sys.modules["torch"]
        return torch.from_numpy(bits.view(np.int16)).view(torch.bfloat16)
    return bits.view(np.asarray(x).dtype)


def _tensor(torch, value):
    """``value`` as a detached tensor. Raises TypeError for what torch has no type for."""
    if is_tensor(value):
        return value.detach()
    array = np.require(value, requirements="CW")  # torch warns of arrays that can't be written
    return (
        torch.from_numpy(array.view(np.int16)).view(torch.bfloat16) if is_bfloat16(array) else torch.from_numpy(array)
    )


def as_tensor(op: str, name: str, value, like):
    """``value`` as a tensor of ``like``'s type and device."""
    torch = import_torch(op)
    try:
        return _tensor(torch, value).to(device=like.device, dtype=like.dtype)
    except TypeError:
        raise InputError(f"{op}: {name} is no array of numbers") from None


def main_tensor(op: str, x, name: str = "x"):
    """``x`` as a detached floating-point tensor; bfloat16 as float32, to be rounded once, by :func:`like`."""
    torch = import_torch(op)
    tensor = _tensor(torch, x)
    if not tensor.is_floating_point():
        raise InputError(f"{op}: {name} is {type_name(tensor)}, needs floating point")
    return tensor.float() if is_bfloat16(x) else tensor


def kind_of(result, x):
    """``result``, array or tensor of whatever type, as the kind that ``x`` is."""
    if is_tensor(x):
        return result if is_tensor(result) else sys.modules["torch"].from_numpy(result)
    return result.numpy() if is_tensor(result) else result


def like(result, x):
    """``result``, array or tensor, as the kind and, for bfloat16, the type that ``x`` is."""
    if is_tensor(result) and is_bfloat16(x):
        torch = sys.modules["torch"]
        result = result.to(torch.bfloat16)
        return result if is_tensor(x) else like_bits(result.view(torch.int16).numpy(), x)
    return kind_of(result, x)


def shape_of(value) -> list[int]:
    """Shape as a list, for messages too."""
    return list(value.shape if hasattr(value, "shape") else np.shape(value))


def image_shape(op: str, x, name: str = "x") -> list[int]:
    """The shape of an image batch. Raises InputError."""
    shape = shape_of(x)
    if len(shape) != 4:
        raise InputError(f"{op}: {name} is {shape}, needs [N, C, H, W]")
    return shape


def _integers(op: str, name: str, value, counts: tuple[int, ...]) -> list[int]:
    values = list(value) if isinstance(value, (list, tuple)) else [value]
    if len(values) not in counts:
        raise InputError(f"{op}: {name} is {value!r}; it needs {' or '.join(map(str, counts))} whole numbers")
    try:
        return [operator.index(v) for v in values]
    except TypeError:
        raise InputError(f"{op}: {name} is {value!r}; it needs whole numbers") from None


def factors(op: str, name: str, value) -> tuple[int, int]:
    """A factor, or a pair [x, y]. Raises InputError below 1."""
    values = _integers(op, name, value, (1, 2))
    if min(values) < 1:
        raise InputError(f"{op}: {name} is {value!r}; it must be at least 1")
    return values[0], values[-1]


def paddings(op: str, value) -> tuple[int, int, int, int]:
    """[x before, x after, y before, y after] from one number, a pair [x, y] or all four; negative crops."""
    values = _integers(op, "padding", value, (1, 2, 4))
    if len(values) == 4:
        return tuple(values)
    return values[0], values[0], values[-1], values[-1]


def number(op: str, name: str, value) -> float:
    """A finite number. Raises InputError."""
    try:
        value = float(value)
    except (TypeError, ValueError):
        raise InputError(f"{op}: {name} is {value!r}; it needs a number") from None
    if not math.isfinite(value):
        raise InputError(f"{op}: {name} is {value}; it needs a finite number")
    return value
