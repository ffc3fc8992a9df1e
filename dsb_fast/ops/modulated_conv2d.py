"""The modulated convolution of StyleGAN2."""

from __future__ import annotations

from .. import _kernels
from .._errors import InputError
from . import _arguments as arguments
from . import _device
from . import upfirdn2d as resample
from .bias_act import epilogue, native_epilogue
from .bias_act import reference as bias_act_reference
from .packed_weight import PackedWeight


def resampling_padding(padding, taps: tuple[int, int], up: int, down: int) -> list[int]:
    """[x before, x after, y before, y after] of the enlarged image: ``padding`` plus what the filter needs."""
    extra = []
    for t in taps:
        before = ((t + up - 1) // 2 if up > 1 else 0) + ((t - down + 1) // 2 if down > 1 else 0)
        after = ((t - up) // 2 if up > 1 else 0) + ((t - down) // 2 if down > 1 else 0)
        extra += [before, after]
    return [p + e for p, e in zip(padding, extra, strict=True)]


def reference(x, weight, styles, noise, up, down, padding, f, demodulate, flip_weight):
    """The same in torch: modulate the weights of each sample, one grouped convolution, resampling around it."""
    from torch.nn import functional

    def fir(value, up_to, down_by, pad, gain):
        for taps, *how, factor in resample.split(f, (up_to, up_to), (down_by, down_by), pad, gain):
            value = resample.reference(value, taps, *how, False, factor)
        return value

    n, channels = x.shape[:2]
    w = weight[None] * styles[:, None, :, None, None]
    if demodulate:
        w = w / (w.square().sum(dim=[2, 3, 4], keepdim=True) + 1e-8).sqrt()
    if up > 1:
        x = fir(x, up, 1, padding, float(up * up))
    else:
        one = x.new_ones((1, 1))
        x = resample.reference(x, one, (1, 1), (1, 1), padding, False, 1.0)
    w = w if flip_weight else w.flip([3, 4])
    grouped = x.reshape(1, n * channels, *x.shape[2:])
    if n:
        y = functional.conv2d(grouped, w.reshape(-1, *w.shape[2:]), groups=n)
        y = y.reshape(n, weight.shape[0], *y.shape[2:])
    else:
        y = x.new_zeros((0, weight.shape[0], x.shape[2] - w.shape[3] + 1, x.shape[3] - w.shape[4] + 1))
    if down > 1:
        y = fir(y, 1, down, (0, 0, 0, 0), 1.0)
    return y if noise is None else y + noise


def reference_bf16(x, weight, styles, noise, up, down, padding, f, demodulate, flip_weight):
    """What :func:`reference` is in bfloat16, in float32 tensors: the products are made of rounded numbers."""
    from torch.nn import functional

    def rounded(value):
        return value.bfloat16().float()

    weight = rounded(weight)
    one = x.new_ones((1, 1))
    x = x * styles[:, :, None, None]
    for taps, *how, gain in resample.split(f if up > 1 else [one], (up, up), (1, 1), padding, float(up * up)):
        x = resample.reference(x, taps, *how, False, gain)
    y = functional.conv2d(rounded(x), weight if flip_weight else weight.flip([2, 3]))
    if down > 1:
        for taps, *how, gain in resample.split(f, (1, 1), (down, down), (0, 0, 0, 0), 1.0):
            y = resample.reference(y, taps, *how, False, gain)
    if demodulate:
        y = y / (styles.square() @ weight.square().sum([2, 3]).T + 1e-8).sqrt()[:, :, None, None]
    return y if noise is None else y + noise


def _check(op: str, x, weight, styles, up: int, down: int, padding, taps) -> tuple[int, int]:
    """Height and width of the result. Raises InputError that names what does not fit."""
    shape, w, s = arguments.image_shape(op, x), arguments.shape_of(weight), arguments.shape_of(styles)
    if len(w) != 4 or 0 in w[2:]:
        raise InputError(f"{op}: weight is {w}, needs [out, in, h, w]")
    if w[1] != shape[1]:
        raise InputError(f"{op}: weight is {w}, x is {shape} and needs [{w[0]}, {shape[1]}, {w[2]}, {w[3]}]")
    if s != [shape[0], shape[1]]:
        raise InputError(f"{op}: styles is {s}, x is {shape} and needs [{shape[0]}, {shape[1]}]")
    size = []
    for n, t, k, before, after in ((shape[2], taps[1], w[2], *padding[2:]), (shape[3], taps[0], w[3], *padding[:2])):
        enlarged = n * up + before + after - ((t - 1) if up > 1 else 0)
        convolved = enlarged - k + 1 - ((t - 1) if down > 1 else 0)
        if enlarged < 1 or convolved < 1:
            raise InputError(f"{op}: x is {shape}, too small for a weight of {w} with this padding")
        size.append((convolved - 1) // down + 1)
    return size[0], size[1]


def _check_epilogue(op: str, shape: list[int], noise, residual, **per_channel) -> None:
    """What is added, and the arrays with a value an output channel, against the result's ``shape``.

    Raises InputError.
    """
    n, channels, height, width = shape
    if noise is not None and arguments.shape_of(noise) not in ([n, 1, height, width], [height, width]):
        raise InputError(
            f"{op}: noise is {arguments.shape_of(noise)}, needs [{n}, 1, {height}, {width}] or [{height}, {width}]"
        )
    if residual is not None and (given := arguments.shape_of(residual)) != shape:
        raise InputError(f"{op}: residual is {given}, needs the shape of the result, {shape}")
    for name, value in per_channel.items():
        if value is not None and (given := arguments.shape_of(value)) != [channels]:
            raise InputError(f"{op}: {name} is {given}, the result is {shape} and needs [{channels}]")


def modulated_conv2d(
    x,
    weight,
    styles,
    noise=None,
    up=1,
    down=1,
    padding=0,
    resample_filter=None,
    demodulate=True,
    flip_weight=True,
    *,
    noise_gain=None,
    bias=None,
    act="linear",
    alpha=None,
    gain=None,
    clamp=None,
    style_offset=0.0,
    residual=None,
    products="float32",
    impl="auto",
):
    """A convolution whose weights are scaled by a style per sample and input channel.

    ``y = conv(x, w')`` with ``w' = weight * style``, each output filter divided by ``sqrt(sum(w'^2) + 1e-8)`` if
    ``demodulate`` (Karras et al., "Analyzing and improving the image quality of StyleGAN", CVPR 2020, eq. 1, 3). ``up``
    and ``down`` resample with ``resample_filter`` (from :func:`setup_filter`, or None); ``padding`` is counted on the
    enlarged image and applied once, at the beginning. ``noise`` is added at the end. What usually
    follows can be done in the same pass: an output channel takes the noise times its ``noise_gain``, then comes
    :func:`bias_act` with ``bias``, ``act``, ``alpha``, ``gain``, ``clamp`` and its defaults, and ``residual`` is added
    last. The factor of an input channel is ``styles + style_offset`` (stylegan2-pytorch has an offset of 1).

    ``x``: float ``[N, I, H, W]``; ``weight``: ``[O, I, h, w]``, or a :class:`PackedWeight` of that; ``styles``:
    ``[N, I]``; ``noise``: ``[N, 1, H', W']`` or ``[H', W']`` of the output's size;
    ``products="bfloat16"`` rounds what 3 x 3 taps multiply, at the points of the
    Winograd algorithm (docs/image-kernels.md), and is of float32 images with ``impl="native"``;
    ``padding``: a number, [x, y] or [x before, x after, y before, y after];
    ``flip_weight`` true is a correlation; ``noise_gain`` and ``bias``: ``[O]`` or None; ``residual``: as the result, or
    None. Returns ``[N, O, H', W']``.
    Raises InputError that names what does not fit. Matches StyleGAN2-ADA's modulated_conv2d, which has no keyword-only
    arguments.

    >>> import numpy as np
    >>> x, w, s = np.ones((1, 2, 4, 4), "f4"), np.ones((3, 2, 3, 3), "f4"), np.ones((1, 2), "f4")
    >>> modulated_conv2d(x, w, s, padding=1).shape
    (1, 3, 4, 4)
    """
    op = "modulated_conv2d"
    packed, weight = (weight, weight.weight) if isinstance(weight, PackedWeight) else (None, weight)
    (up, up_y), (down, down_y) = arguments.factors(op, "up", up), arguments.factors(op, "down", down)
    if up != up_y or down != down_y:
        raise InputError(f"{op}: up and down are one number each")
    given = arguments.paddings(op, padding)
    taps = resample.filter_size(op, resample_filter)
    padding = resampling_padding(given, taps, up, down)
    height, width = _check(op, x, weight, styles, up, down, padding, taps)
    how, style_offset = epilogue(op, act, alpha, gain, clamp), arguments.number(op, "style_offset", style_offset)
    result = [arguments.shape_of(x)[0], arguments.shape_of(weight)[0], height, width]
    _check_epilogue(op, result, noise, residual, noise_gain=noise_gain, bias=bias)
    bf16 = arguments.is_bfloat16(x)
    impl = arguments.choose_products(op, products, impl, x)
    chosen = arguments.choose(op, impl, x, bfloat16=True, cuda=True)
    if chosen == "cuda":
        operands = {"styles": styles, "noise": noise, "noise_gain": noise_gain, "bias": bias}
        use = {
            "up": up, "down": down, "padding": padding, "demodulate": bool(demodulate),
            "resample_filter": _device.host_taps(op, "resample_filter", resample_filter),
            "flip_weight": bool(flip_weight),
        }  # fmt: skip
        given = {name: _device.operand(op, name, value, x) for name, value in operands.items()}
        kept = _device.operand(op, "weight", weight, x) if packed is None else packed.on_device(op, x, use)
        act, alpha, gain, clamp = native_epilogue(*how)
        return _device.call(
            op, x, result, kept, **given, **use, act=act, alpha=alpha, gain=gain, clamp=clamp,
            style_offset=style_offset, residual=_device.operand(op, "residual", residual, x, same_type=True),
        )  # fmt: skip
    steps = resample._filter_steps(op, resample_filter)
    if chosen == "native":
        convert = arguments.as_bits if bf16 else arguments.as_array
        arrays = [convert(op, name, v) for name, v in (("x", x), ("weight", weight))]
        styles = arguments.as_array(op, "styles", styles)
        noise, noise_gain, bias, residual = (
            None if v is None else arguments.as_array(op, name, v)
            for name, v in (("noise", noise), ("noise_gain", noise_gain), ("bias", bias), ("residual", residual))
        )
        filters = [] if resample_filter is None else [arguments.as_array(op, "resample_filter", f) for f in steps]
        kernel = _kernels.native.modulated_conv2d_bf16 if bf16 else _kernels.native.modulated_conv2d
        y = kernel(
            *arrays, styles, noise, up, down, list(given), filters, bool(demodulate), bool(flip_weight), 0,
            noise_gain, bias, *native_epilogue(*how), style_offset, residual, products == "bfloat16",
        )  # fmt: skip
        return arguments.like_bits(y, x) if bf16 else arguments.like(y, x)
    tensor = arguments.main_tensor(op, x)
    weight, styles = (arguments.as_tensor(op, k, v, tensor) for k, v in (("weight", weight), ("styles", styles)))
    noise, noise_gain, bias, residual = (
        None if v is None else arguments.as_tensor(op, name, v, tensor)
        for name, v in (("noise", noise), ("noise_gain", noise_gain), ("bias", bias), ("residual", residual))
    )
    if noise is not None and noise_gain is not None:
        noise = noise * noise_gain[:, None, None]
    filters = [arguments.as_tensor(op, "resample_filter", f, tensor) for f in steps]
    styles = styles + style_offset
    compute = reference_bf16 if bf16 else reference
    y = compute(tensor, weight, styles, noise, up, down, padding, filters, demodulate, flip_weight)
    y = bias_act_reference(y, bias, 1, *how)
    return arguments.like(y if residual is None else y + residual, x)
