"""Graphs that lie about themselves: name -> (operator, inputs, constant ones, attributes, words of the refusal)."""

from __future__ import annotations

import numpy as np

try:
    from references import ort_graphs
except ImportError:  # run as a program
    import ort_graphs

_X = np.ones((2, 3, 4, 5), np.float32)
_W = np.ones((4, 3, 3, 3), np.float32)
_F = np.ones((2, 2), np.float32)
_ROWLESS = np.ones((1 << 20, 3, 0, 5), np.float32)
_COLUMN = np.ones((1, 1 << 16, 1, 1), np.float32)
_HUGE = 1 << 40
_NAN, _INFINITE = float("nan"), float("inf")


def _f32(*shape):
    return np.ones(shape, np.float32)


def _i64(value):
    return np.array(value, np.int64)


def _upfirdn(words, x=_X, taps=_F, constant=(), **attributes):
    return "UpFirDn2d", {"x": x, "taps": taps}, constant, attributes, words


def _bias_act(words, x=_X, b=None, **attributes):
    return "BiasAct", {"x": x, "b": b}, (), attributes, words


def _conv(
    words,
    constant=("weight", "filter"),
    *,
    x=_X,
    weight=_W,
    styles=None,
    noise=None,
    bias=None,
    f=None,
    noise_gain=None,
    residual=None,
    **how,
):
    styles = np.ones((2, 3), np.float32) if styles is None else styles
    inputs = {"x": x, "weight": weight, "styles": styles, "noise": noise, "bias": bias, "filter": f}
    inputs |= {"noise_gain": noise_gain, "residual": residual}
    return "ModulatedConv2d", inputs, constant, how, words


def _layer(op, words, *constant, x=_X, **rest):
    """A layer of the GI-tract network: arrays and None are inputs, ``constant`` some of them, the rest attributes."""
    inputs = {"x": x} | {k: v for k, v in rest.items() if v is None or isinstance(v, (np.ndarray, np.generic))}
    return op, inputs, constant, {k: v for k, v in rest.items() if k not in inputs}, words


_ROWS, _MATRIX, _ONE = _f32(2, 3), _f32(4, 3), np.float32(1)


def _conv1x1(words, *constant, weight=_MATRIX, **rest):
    return _layer("Conv1x1", words, *(constant or ["weight"]), weight=weight, **rest)


def _dense(words, *constant, x=_ROWS, weight=_MATRIX, bias=None, **rest):
    return _layer("Dense", words, *(constant or ["weight", "bias"]), x=x, weight=weight, bias=bias, **rest)


def _attention(words, x=_X, k=_X, v=_X, heads=3, **rest):
    return _layer("LinearAttention", words, x=x, k=k, v=v, heads=heads, **rest)


_WIDE = {"to_q": _f32(6, 3), "to_k": _f32(6, 3), "to_v": _f32(6, 3), "to_out": _f32(3, 6)}


def _block(words, *constant, heads=2, source=_X, **rest):
    given = {"source": source} | _WIDE | {"q_bias": None, "v_bias": None, "out_bias": None, "residual": None}
    biases = [k for k in ("q_bias", "v_bias", "out_bias") if rest.get(k) is not None]
    how = {} if heads is None else {"heads": heads}
    return _layer("Attention", words, *(constant or [*_WIDE, *biases]), **how, **(given | rest))


def _feed_forward(words, *constant, **rest):
    given = {"w1": _f32(5, 3), "w2": _f32(4, 5), "b1": None, "b2": None, "residual": None}
    biases = [k for k in ("b1", "b2") if rest.get(k) is not None]
    return _layer("FeedForward", words, *(constant or ["w1", "w2", *biases]), **(given | rest))


def _truncate(words, x=_ROWS, mean=_ROWS[0], psi=_ONE):
    return _layer("Truncate", words, x=x, mean=mean, psi=psi)


def _philox(words, op="PhiloxNormal", constant=(), seed=0, start=0, count=1, **attributes):
    inputs = {k: v if isinstance(v, np.ndarray) else _i64(v) for k, v in zip("abc", (seed, start, count), strict=True)}
    return op, inputs, constant, {"shape": [4], **attributes}, words


def _microvolt(words, signal=_X, **attributes):
    return "Microvolt", {"signal": signal}, (), attributes, words


BROKEN = {
    "up of one number": _upfirdn("attribute up needs 2", up=[2]),
    "up no list": _upfirdn("attribute up needs 2", up=2),
    "up no integers": _upfirdn("attribute up needs 2", up=[2.0, 2.0]),
    "up zero": _upfirdn("attribute up has 0", up=[0, 1]),
    "up negative": _upfirdn("attribute up has -1", up=[1, -1]),
    "up beyond bounds": _upfirdn("attribute up has", up=[1, _HUGE]),
    "up too large for x": _upfirdn("values of 120", up=[1000, 1000]),
    "down zero": _upfirdn("attribute down has 0", down=[0, 1]),
    "down beyond bounds": _upfirdn("attribute down has", down=[-(1 << 63), 1]),
    "padding of three": _upfirdn("attribute padding needs 4", padding=[1, 1, 1]),
    "padding beyond bounds": _upfirdn("attribute padding has", padding=[1, 1, _HUGE, 1]),
    "padding out of proportion": _upfirdn("values of 120", padding=[1 << 20] * 4),
    "padding that crops all": _upfirdn("too small", padding=[-3, -3, 0, 0]),
    "flip_filter of 2": _upfirdn("attribute flip_filter is 2", flip_filter=2),
    "flip_filter in words": _upfirdn("attribute flip_filter is no integer", flip_filter="yes"),
    "gain an integer": _upfirdn("attribute gain is no floating", gain=2),
    "gain not a number": _upfirdn("attribute gain is not finite", gain=_NAN),
    "gain infinite": _upfirdn("attribute gain is not finite", gain=_INFINITE),
    "x of rank 3": _upfirdn("needs four dimensions", x=_f32(3, 4, 5)),
    "x empty with huge sizes": _upfirdn("too large", x=np.ones((0, 1 << 30, 1 << 30, 1), np.float32)),
    "x without rows, padded out of proportion": _upfirdn("values of 0", x=_ROWLESS, padding=[0, 0, 3, 3]),
    "x constant and out of proportion": _upfirdn("values of 120", constant=("x", "taps"), up=[1000, 1000]),
    "taps of rank 0": _upfirdn("the filter is []", taps=_f32()),
    "taps of rank 3": _upfirdn("the filter is [1, 2, 2]", taps=_f32(1, 2, 2)),
    "no taps": _upfirdn("the filter is [0]", taps=_f32(0)),
    "a filter without columns": _upfirdn("the filter is [2, 0]", taps=_f32(2, 0)),
    "more taps than points": _upfirdn("too small", taps=_f32(9)),
    "taps left out": _upfirdn("input", taps=None),
    "x of integers": _upfirdn("Type", x=np.ones((1, 1, 4, 4), np.int64)),
    "act unknown": _bias_act("attribute act is", act="mish"),
    "act a number": _bias_act("attribute act is no text", act=3),
    "act no text at all": _bias_act("attribute act is '??  ?'", act=b"\xff\xfe\n\x1b\x7f"),
    "act very long": _bias_act("attribute act is", act="x" * 100_000),
    "alpha in words": _bias_act("attribute alpha is no floating", alpha="0.2"),
    "clamp negative": _bias_act("attribute clamp is negative", clamp=-1.0),
    "clamp not a number": _bias_act("attribute clamp is not finite", clamp=_NAN),
    "axis beyond bounds": _bias_act("attribute axis is", axis=_HUGE),
    "axis that x lacks": _bias_act("no axis 4", b=_f32(3), axis=4),
    "axis that x lacks, from the end": _bias_act("no axis -5", b=_f32(3), axis=-5),
    "b too short": _bias_act("b is [2]", b=_f32(2)),
    "b empty": _bias_act("b is [0]", b=_f32(0)),
    "b of rank 2": _bias_act("b is [1, 3]", b=_f32(1, 3)),
    "b for a scalar": _bias_act("no axis 1", x=_f32(), b=_f32(1)),
    "weight no constant": _conv("weight must be constant", ()),
    "weight left out": _conv("input", weight=None),
    "weight of rank 3": _conv("weight is [4, 3, 9]", weight=_f32(4, 3, 9)),
    "weight without outputs": _conv("weight is [0, 3, 3, 3]", weight=_f32(0, 3, 3, 3)),
    "weight without taps": _conv("weight is [1073741824, 3, 0, 3]", weight=np.ones((1 << 30, 3, 0, 3), np.float32)),
    "weight of other channels": _conv("input channels differ", weight=_f32(4, 2, 3, 3)),
    "weight larger than x": _conv("too small", weight=_f32(1, 3, 5, 5)),
    "styles of other channels": _conv("styles is [2, 4]", styles=_f32(2, 4)),
    "styles of another batch": _conv("styles is [3, 3]", styles=_f32(3, 3)),
    "styles of rank 1": _conv("styles is [6]", styles=_f32(6)),
    "noise of another size": _conv("noise is [2, 1, 4, 5]", noise=_f32(2, 1, 4, 5)),
    "noise of another batch": _conv("noise is [1, 1, 2, 3]", noise=_f32(1, 1, 2, 3)),
    "noise of rank 1": _conv("noise is [6]", noise=_f32(6)),
    "bias too long": _conv("bias is [5]", bias=_f32(5)),
    "bias empty": _conv("bias is [0]", bias=_f32(0)),
    "filter no constant": _conv("filter must be constant", ("weight",), f=_F),
    "filter of rank 3": _conv("the filter is [1, 2, 2]", f=_f32(1, 2, 2)),
    "filter without taps": _conv("the filter is [0]", f=_f32(0)),
    "conv up zero": _conv("attribute up is 0", up=0),
    "conv up a list": _conv("attribute up is no integer", up=[2, 2]),
    "conv up beyond bounds": _conv("attribute up is", up=_HUGE),
    "conv up out of proportion": _conv("values of 120", up=1024),
    "conv up out of proportion on the way": _conv("values of 120", up=1024, down=1024),
    "conv down negative": _conv("attribute down is -2", down=-2),
    "conv padding that crops all": _conv("too small", padding=[-2, -2, -2, -2]),
    "conv padding out of proportion": _conv("values of 120", padding=[1 << 20] * 4),
    "conv act unknown": _conv("attribute act is", act="LRELU"),
    "one image for styles out of proportion": _conv("values of 1003000", ("x", "weight", "styles"),
                                                    x=_f32(1, 1, 1000, 1000), weight=_f32(1, 1, 1, 1),
                                                    styles=_f32(3000, 1)),
    "conv x without rows, padded": _conv("values of 0", x=_ROWLESS, styles=_f32(1 << 20, 3), padding=[0, 0, 3, 3]),
    "noise_gain too long": _conv("noise_gain is [5]", noise_gain=_f32(5)),
    "residual of another size": _conv("residual is [2, 4, 4, 5]", residual=_f32(2, 4, 4, 5)),
    "residual for one sample": _conv("residual is [1, 4, 2, 3]", residual=_f32(1, 4, 2, 3)),
    "style_offset infinite": _conv("attribute style_offset is not finite", style_offset=_INFINITE),
    "style_offset an integer": _conv("attribute style_offset is no floating", style_offset=1),
    "demodulate of 2": _conv("attribute demodulate is 2", demodulate=2),
    "shape missing": _philox("attribute shape is missing", shape=None),
    "shape no list": _philox("attribute shape needs", shape=4),
    "shape negative": _philox("attribute shape has -4", shape=[-4]),
    "shape zero": _philox("attribute shape has 0", shape=[4, 0]),
    "shape too large": _philox("too many values", shape=[1 << 20, 1 << 20]),
    "shape that overflows": _philox("too many values", shape=[1 << 30] * 5),
    "stream negative": _philox("attribute stream is -1", stream=-1),
    "stream beyond 32 bits": _philox("attribute stream is", stream=1 << 32),
    "seed negative": _philox("seed is -1", seed=-1),
    "seed of floating point": _philox("seed must be int64 or uint64", seed=_f32()),
    "seed of two numbers": _philox("seed is [2]", seed=_i64([1, 2])),
    "seed of rank 2": _philox("seed is [1, 1]", seed=_i64([[1]])),
    "start empty": _philox("start is [0]", start=_i64([])),
    "start past the last number": _philox("past the last", start=np.array(2**64 - 1, np.uint64), count=2),
    "count negative": _philox("count is -1", count=-1),
    "count out of proportion": _philox("too many for one run", count=_HUGE),
    "count that overflows": _philox("too many for one run", count=(1 << 63) - 1, shape=[1 << 20]),
    "count constant and out of proportion": _philox("too many for one run", constant=("a", "b", "c"), count=_HUGE),
    "low above high": _philox("low must be below high", "PhiloxUniform", low=2.0),
    "low not a number": _philox("attribute low is not finite", "PhiloxUniform", low=_NAN),
    "a range beyond float32": _philox("low must be below high", "PhiloxUniform", low=-3e38, high=3e38),
    "scale missing": _microvolt("attribute scale is missing"),
    "scale in words": _microvolt("attribute scale is no floating", scale="6000"),
    "scale infinite": _microvolt("attribute scale is not finite", scale=_INFINITE),
    "a signal that is no number": _microvolt("not numbers", signal=np.array([0, _NAN], np.float32), scale=1.0),
    "upsampled x of rank 3": _layer("UpsampleBilinear2d", "needs four dimensions", x=_f32(3, 4, 5)),
    "upsampled x with huge sizes": _layer("UpsampleBilinear2d", "too large", x=np.ones((1, 0, 1 << 30, 1 << 30), "f4")),
    "blurred x of rank 5": _layer("Blur2d", "needs four dimensions", x=_f32(1, 1, 3, 4, 5)),
    "g too short": _layer("ChannelNorm", "g is [2], needs [3]", g=_f32(2), b=_f32(3)),
    "b of rank 4": _layer("ChannelNorm", "b is [1, 3, 1, 1], needs [3]", g=_f32(3), b=_f32(1, 3, 1, 1)),
    "eps negative": _layer("ChannelNorm", "attribute eps is negative", g=_f32(3), b=_f32(3), eps=-1.0),
    "eps_to unknown": _layer("ChannelNorm", "eps_to is neither", g=_f32(3), b=_f32(3), eps_to="mean"),
    "g of an instance norm too short": _layer("InstanceNorm", "g is [2], needs [3]", g=_f32(2), b=_f32(3)),
    "eps of an instance norm negative": _layer("InstanceNorm", "eps is negative", g=_f32(3), b=_f32(3), eps=-1.0),
    "normalised x of rank 2": _layer("ChannelNorm", "needs four dimensions", x=_f32(2, 3), g=_f32(3), b=_f32(3)),
    "depthwise weight of other channels": _layer("DepthwiseConv2d", "weight is [4, 3, 3]", weight=_f32(4, 3, 3)),
    "depthwise weight of rank 2": _layer("DepthwiseConv2d", "weight is [3, 3]", weight=_f32(3, 3)),
    "depthwise weight with inputs": _layer("DepthwiseConv2d", "weight is [3, 3, 3, 3]", weight=_f32(3, 3, 3, 3)),
    "depthwise weight without taps": _layer("DepthwiseConv2d", "size of at least 1", weight=_f32(3, 0, 3)),
    "depthwise weight larger than x": _layer("DepthwiseConv2d", "too small", weight=_f32(3, 7, 7), padding=1),
    "depthwise padding negative": _layer("DepthwiseConv2d", "padding is -1", weight=_f32(3, 3, 3), padding=-1),
    "depthwise padding a list": _layer("DepthwiseConv2d", "padding is no integer", weight=_f32(3, 3, 3), padding=[1]),
    "depthwise padding out of proportion": _layer("DepthwiseConv2d", "values of 120", weight=_f32(3, 3, 3),
                                                  padding=1 << 20),
    "depthwise padding under a large kernel": _layer("DepthwiseConv2d", "values of 120", weight=_f32(3, 1, 20001),
                                                     padding=10000),
    "conv1x1 weight no constant": _conv1x1("weight must be constant", "bias"),
    "conv1x1 weight left out": _conv1x1("input", weight=None),
    "conv1x1 weight of rank 3": _conv1x1("weight is [4, 3, 1]", weight=_f32(4, 3, 1)),
    "conv1x1 weight of 3 x 3": _conv1x1("weight is [4, 3, 3, 3]", weight=_W),
    "conv1x1 weight without outputs": _conv1x1("no size of it can be 0", weight=_f32(0, 3)),
    "conv1x1 weight of other channels": _conv1x1("input channels differ", weight=_f32(4, 2)),
    "conv1x1 outputs out of proportion": _conv1x1("values of 1000", x=_f32(1, 1, 1, 1000), weight=_f32(1 << 17, 1)),
    "conv1x1 bias too long": _conv1x1("bias is [5], needs [4]", bias=_f32(5)),
    "conv1x1 residual as x": _conv1x1("residual is [2, 3, 4, 5]", bias=None, residual=_X),
    "conv1x1 act unknown": _conv1x1("attribute act is", act="mish"),
    "heads missing": _layer("LinearAttention", "attribute heads is missing", k=_X, v=_X),
    "heads zero": _attention("attribute heads is 0", heads=0),
    "heads that do not share the channels": _attention("3 channels can't be shared by 2 heads", heads=2),
    "k of another shape": _attention("k is [2, 3, 5, 4]", k=_f32(2, 3, 5, 4)),
    "v of another batch": _attention("v is [1, 3, 4, 5]", v=_f32(1, 3, 4, 5)),
    "q of rank 3": _attention("q is [3, 4, 5]", x=_f32(3, 4, 5)),
    "features and values out of proportion": _attention("values of 262144", x=_COLUMN, k=_COLUMN,
                                                        v=_f32(1, 1 << 18, 1, 1), heads=1),
    "q_scale not a number": _attention("attribute q_scale is not finite", q_scale=_NAN),
    "attention weight no constant": _block("to_q must be constant", "to_k", "to_v", "to_out"),
    "attention weight left out": _block("input", to_v=None),
    "attention weight of rank 3": _block("to_q is [6, 3, 1]", to_q=_f32(6, 3, 1)),
    "attention weight of nine taps": _block("to_q is [6, 3, 3, 3]", to_q=_f32(6, 3, 3, 3)),
    "attention weight without outputs": _block("no size of it can be 0", to_out=_f32(0, 6)),
    "attention weight of other channels": _block("to_v is [6, 4], needs [6, 3]", to_v=_f32(6, 4)),
    "attention k of other features": _block("to_k is [4, 3], needs [6, 3]", to_k=_f32(4, 3)),
    "attention out of other values": _block("to_out is [3, 4], needs [3, 6]", to_out=_f32(3, 4)),
    "attention heads missing": _block("attribute heads is missing", heads=None),
    "attention heads zero": _block("attribute heads is 0", heads=0),
    "attention heads that do not share": _block("6 channels can't be shared by 4 heads", heads=4),
    "attention act unknown": _block("attribute act is 'relu'", act="relu"),
    "attention scale infinite": _block("attribute k_scale is not finite", k_scale=_INFINITE),
    "attention bias too long": _block("v_bias is [7]", v_bias=_f32(7)),
    "attention bias no constant": _block("out_bias must be constant", *_WIDE, out_bias=_f32(3)),
    "attention x of other channels": _block("x is [2, 4, 4, 5]", x=_f32(2, 4, 4, 5)),
    "attention source of another size": _block("source is [2, 3, 5, 4]", source=_f32(2, 3, 5, 4)),
    "attention residual of another batch": _block("residual is [1, 3, 4, 5]", residual=_f32(1, 3, 4, 5)),
    "attention context out of proportion": _block("values of", heads=1, x=_f32(1, 1, 1, 1), source=_f32(1, 1, 1, 1),
                                                  to_q=_f32(1 << 15, 1), to_k=_f32(1 << 15, 1), to_v=_f32(1, 1),
                                                  to_out=_f32(1 << 14, 1)),
    "feed-forward weight no constant": _feed_forward("w2 must be constant", "w1"),
    "feed-forward weight left out": _feed_forward("input", w1=None),
    "feed-forward weight of rank 1": _feed_forward("w1 is [5]", w1=_f32(5)),
    "feed-forward weights that do not meet": _feed_forward("w2 is [4, 6], needs [4, 5]", w2=_f32(4, 6)),
    "feed-forward bias too long": _feed_forward("b1 is [6]", b1=_f32(6)),
    "feed-forward x of other channels": _feed_forward("x is [2, 4, 4, 5]", x=_f32(2, 4, 4, 5)),
    "feed-forward residual of another size": _feed_forward("residual is [2, 4, 5, 4]", residual=_f32(2, 4, 5, 4)),
    "feed-forward slope not a number": _feed_forward("attribute slope is not finite", slope=_NAN),
    "dense weight no constant": _dense("weight must be constant", "bias"),
    "dense bias no constant": _dense("bias must be constant", "weight", bias=_f32(4)),
    "dense weight of rank 4": _dense("weight is [4, 3, 1, 1]", weight=_f32(4, 3, 1, 1)),
    "dense weight without inputs": _dense("no size of it can be 0", weight=np.ones((1 << 30, 0), np.float32)),
    "dense bias too short": _dense("bias is [3], needs [4]", bias=_f32(3)),
    "dense x of other features": _dense("x is [2, 5]", x=_f32(2, 5)),
    "dense x of rank 1": _dense("x is [3]", x=_f32(3)),
    "row that x lacks": _dense("too few rows", x=_f32(2, 4, 3), row=4),
    "row of an x without any": _dense("too few rows", row=1),
    "no rows to take the mean of": _dense("too few rows", x=_f32(2, 0, 3)),
    "row negative": _dense("attribute row is -1", x=_f32(2, 4, 3), row=-1),
    "shape of other outputs": _dense("attribute shape is [2, 3]", shape=[2, 3]),
    "shape that overflows outputs": _dense("attribute shape is", shape=[1 << 20] * 4),
    "shape of many dimensions": _dense("attribute shape has 9 dimensions", shape=[4] + [1] * 8),
    "outputs out of proportion": _dense("values of 1000", x=_f32(1000, 1), weight=_f32(1 << 17, 1)),
    "weight_gain in words": _dense("attribute weight_gain is no floating", weight_gain="1"),
    "kind missing": _layer("NormalizeLatent", "attribute kind is ''", x=_f32(2, 3)),
    "kind unknown": _layer("NormalizeLatent", "attribute kind is 'l1'", x=_f32(2, 3), kind="l1"),
    "z of rank 4": _layer("NormalizeLatent", "z is [2, 3, 4, 5]", kind="l2"),
    "mean of other features": _truncate("mean is [2], needs [3]", mean=_f32(2)),
    "mean of rank 2": _truncate("mean is [1, 3], needs [3]", mean=_f32(1, 3)),
    "psi of two numbers": _truncate("psi is [2]", psi=_f32(2)),
    "psi of rank 2": _truncate("psi is [1, 1]", psi=_f32(1, 1)),
    "w a number": _truncate("w is []", x=_f32()),
    "size missing": _layer("NoisePlane", "attribute size is missing", x=_f32(2, 4, 4)),
    "size beyond the noise": _layer("NoisePlane", "both at least 5", x=_f32(2, 5, 4), size=5),
    "size zero": _layer("NoisePlane", "attribute size is 0", x=_f32(2, 4, 4), size=0),
    "noise of rank 4": _layer("NoisePlane", "noise is [2, 3, 4, 5]", size=3),
    "image of rank 3": _layer("Uint8Image", "image is [3, 4, 5]", x=_f32(3, 4, 5), scale=255.0, offset=0.5),
    "offset missing": _layer("Uint8Image", "attribute offset is missing", scale=255.0),
    "an image that is no number": _layer("Uint8Image", "not numbers", x=_NAN * _X, scale=1.0, offset=0.0),
    "an operator that is not there": ("Microvolts", {"signal": _X}, (), {"scale": 1.0}, "Microvolts"),
    "an input too many": ("Microvolt", {"signal": _X, "more": _X}, (), {"scale": 1.0}, "Microvolt"),
}  # fmt: skip


def refusal(op: str, inputs: dict, constant, attributes: dict, words: str) -> str:
    """The one line that the session says, when it is made or run; '' if it runs, or the line lacks ``words``."""
    constant = [name for name in constant if inputs.get(name) is not None]
    graph = ort_graphs.one_node(op, inputs, constant, **attributes)
    try:
        ort_graphs.session(graph).run(None, ort_graphs.feeds(inputs, constant))
    except Exception as error:  # ONNX Runtime has a class a status
        line = str(error)
        return line if words in line and "\n" not in line else ""
    return ""
