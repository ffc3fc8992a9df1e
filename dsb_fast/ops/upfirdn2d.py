"""Upsample, filter, downsample: upfirdn2d and the three functions made of it."""

from __future__ import annotations

import numpy as np

from .. import _kernels
from .._errors import InputError
from . import _arguments as arguments
from . import _device


def _filter_steps(op: str, f):
    """The filter as a list of [h, w] arrays or tensors that are applied one after the other: one, or row and column."""
    if f is None:
        return [np.ones((1, 1), np.float32)]
    if not hasattr(f, "shape"):
        raise InputError(f"{op}: f is a {type(f).__name__}, needs an array; setup_filter makes one of it")
    shape = arguments.shape_of(f)
    if len(shape) not in (1, 2) or 0 in shape:
        raise InputError(f"{op}: f is {shape}, needs [t] or [h, w] as setup_filter makes them")
    return [f] if len(shape) == 2 else [f[None, :], f[:, None]]


def filter_size(op: str, f) -> tuple[int, int]:
    """Taps along x and along y."""
    if f is None:
        return 1, 1
    shape = arguments.shape_of(_filter_steps(op, f)[0])
    return (shape[1], shape[0]) if len(arguments.shape_of(f)) == 2 else (shape[1], shape[1])


def split(steps: list, up, down, padding, gain) -> list[tuple]:
    """(filter, up, down, padding, gain) of each step: a separable filter does x first, then y."""
    if len(steps) == 1:
        return [(steps[0], up, down, padding, gain)]
    left, right, top, bottom = padding
    return [
        (steps[0], (up[0], 1), (down[0], 1), (left, right, 0, 0), 1.0),
        (steps[1], (1, up[1]), (1, down[1]), (0, 0, top, bottom), gain),
    ]


def reference(x, taps, up, down, padding, flip_filter, gain):
    """One step in torch: zeros in, pad or crop, correlate with the (reversed) taps, keep every down-th point."""
    import torch.nn.functional as f

    n, c, h, w = x.shape
    left, right, top, bottom = padding
    x = x.reshape(n, c, h, 1, w, 1)
    x = f.pad(x, [0, up[0] - 1, 0, 0, 0, up[1] - 1]).reshape(n, c, h * up[1], w * up[0])
    x = f.pad(x, [max(left, 0), max(right, 0), max(top, 0), max(bottom, 0)])
    x = x[:, :, max(-top, 0) : x.shape[2] - max(-bottom, 0), max(-left, 0) : x.shape[3] - max(-right, 0)]
    taps = taps if flip_filter else taps.flip([0, 1])
    kernel = taps[None, None].expand(c, 1, -1, -1)
    return f.conv2d(x, kernel, groups=c)[:, :, :: down[1], :: down[0]] * gain if n * c else _empty(x, taps, down)


def _empty(x, taps, down):
    height, width = ((s - t) // d + 1 for s, t, d in zip(x.shape[2:], taps.shape, down[::-1], strict=True))
    return x.new_zeros((*x.shape[:2], height, width))


def upfirdn2d(x, f, up=1, down=1, padding=0, flip_filter=False, gain=1, *, impl="auto"):
    """Insert zeros, pad, filter and keep every ``down``-th point.

    In this order: ``up - 1`` zeros after each sample, padding ``[x before, x after, y before, y after]`` counted on the
    enlarged image (negative crops), FIR filter, every ``down``-th sample from the first. The filter is a true
    convolution unless ``flip_filter``; one-dimensional taps act along x and along y; the result is multiplied by
    ``gain`` once. Output length: ``(n * up + p0 + p1 - taps) // down + 1``.

    ``x``: float ``[N, C, H, W]``; ``f`` from :func:`setup_filter`, or None for a single tap of 1; ``up`` and ``down`` a
    number or [x, y]; ``padding`` a number, [x, y] or all four. Raises InputError that names what does not fit. Matches
    StyleGAN2-ADA's upfirdn2d.

    >>> import numpy as np
    >>> upfirdn2d(np.ones((1, 1, 2, 2), np.float32), None, up=2).shape
    (1, 1, 4, 4)
    """
    return run("upfirdn2d", x, f, up, down, padding, flip_filter, gain, impl)


def run(op: str, x, f, up, down, padding, flip_filter, gain, impl: str):
    """upfirdn2d under the name of the function that the user called."""
    shape = arguments.image_shape(op, x)
    up, down = arguments.factors(op, "up", up), arguments.factors(op, "down", down)
    padding, gain = arguments.paddings(op, padding), arguments.number(op, "gain", gain)
    taps_x, taps_y = filter_size(op, f)
    left, right, top, bottom = padding
    if shape[3] * up[0] + left + right < taps_x or shape[2] * up[1] + top + bottom < taps_y:
        raise InputError(f"{op}: x is {shape}, too small for its padding and a filter of {taps_y} x {taps_x} taps")
    chosen = arguments.choose(op, impl, x, bfloat16=True, cuda=True)
    f = _device.host_taps(op, "f", f) if chosen == "cuda" else f
    steps = split(_filter_steps(op, f), up, down, padding, gain)
    if chosen == "cuda":
        calls = [(taps, *map(list, how), factor) for taps, *how, factor in steps]
        size = (shape[2] * up[1] + top + bottom - taps_y, shape[3] * up[0] + left + right - taps_x)
        result = [*shape[:2], size[0] // down[1] + 1, size[1] // down[0] + 1]
        return _device.call("upfirdn2d", x, result, calls, bool(flip_filter))
    if chosen == "native":
        calls = [(arguments.as_array(op, "f", t), *map(list, how), factor) for t, *how, factor in steps]
        if arguments.is_bfloat16(x):
            bits = arguments.as_bits(op, "x", x)
            return arguments.like_bits(_kernels.native.upfirdn2d_bf16(bits, calls, bool(flip_filter), 0), x)
        y = _kernels.native.upfirdn2d(arguments.as_array(op, "x", x), calls, bool(flip_filter), 0)
        return arguments.like(y, x)
    y = arguments.main_tensor(op, x)
    for taps, *how, factor in steps:
        y = reference(y, arguments.as_tensor(op, "f", taps, y), *how, flip_filter, factor)
    return arguments.like(y, x)


def _with_padding(op: str, f, padding, extra) -> list[int]:
    """``padding`` plus what ``extra(taps)`` says is to be added before and after, per axis."""
    padding = arguments.paddings(op, padding)
    before_after = [side for taps in filter_size(op, f) for side in extra(taps)]
    return [p + e for p, e in zip(padding, before_after, strict=True)]


def filter2d(x, f, padding=0, flip_filter=False, gain=1, *, impl="auto"):
    """:func:`upfirdn2d` that keeps the size: t // 2 points are padded before, (t - 1) // 2 after."""
    padding = _with_padding("filter2d", f, padding, lambda t: (t // 2, (t - 1) // 2))
    return run("filter2d", x, f, 1, 1, padding, flip_filter, gain, impl)


def upsample2d(x, f, up=2, padding=0, flip_filter=False, gain=1, *, impl="auto"):
    """:func:`upfirdn2d` to ``up`` times the size; the gain is multiplied by up_x * up_y.

    (t + up - 1) // 2 points are padded before, (t - up) // 2 after.
    """
    op = "upsample2d"
    up = arguments.factors(op, "up", up)
    factor = iter(up)
    padding = _with_padding(op, f, padding, lambda t: ((t + (u := next(factor)) - 1) // 2, (t - u) // 2))
    return run(op, x, f, up, 1, padding, flip_filter, arguments.number(op, "gain", gain) * up[0] * up[1], impl)


def downsample2d(x, f, down=2, padding=0, flip_filter=False, gain=1, *, impl="auto"):
    """:func:`upfirdn2d` to 1 / ``down`` of the size.

    (t - down + 1) // 2 points are padded before, (t - down) // 2 after.
    """
    op = "downsample2d"
    down = arguments.factors(op, "down", down)
    factor = iter(down)
    padding = _with_padding(op, f, padding, lambda t: ((t - (d := next(factor)) + 1) // 2, (t - d) // 2))
    return run(op, x, f, 1, down, padding, flip_filter, gain, impl)
