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


def _conv(words, constant=("weight", "filter"), *, x=_X, weight=_W, styles=None, noise=None, bias=None, f=None, **how):
    styles = np.ones((2, 3), np.float32) if styles is None else styles
    inputs = {"x": x, "weight": weight, "styles": styles, "noise": noise, "bias": bias, "filter": f}
    return "ModulatedConv2d", inputs, constant, how, words


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
    "styles of another batch": _conv("styles is [1, 3]", styles=_f32(1, 3)),
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
