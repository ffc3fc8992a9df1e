"""The operators in ONNX Runtime, a graph of one node each: the bits of dsb_fast.ops and dsb_fast.random, for any shape,
batch and number of threads; what a broken graph says about itself is refused.
"""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from references import ort_broken, ort_graphs

from dsb_fast import _kernels, ops, random
from dsb_fast._library import has_library

pytestmark = pytest.mark.skipif(
    not has_library() or _kernels.native is None,
    reason="libdsb_fast_ort.so is not built: ONNX Runtime's C headers were not there (.ci/ort fetches them)",
)
few = settings(max_examples=20, deadline=None)
_ACTS = ("linear", "relu", "lrelu", "tanh", "sigmoid", "elu", "selu", "softplus", "swish")
_THREADS = st.sampled_from([1, 2])


def _same(got, expected):
    assert got.dtype == expected.dtype and got.shape == expected.shape
    assert got.tobytes() == expected.tobytes()


def _optional(draw, strategy):
    return draw(st.none() | strategy)


@st.composite
def _filters(draw):
    """None, taps of a separable filter, or a full one."""
    index = draw(st.integers(0, 99))
    taps = st.integers(1, 9).map(lambda t: ort_graphs.array(index, t))
    full = st.tuples(st.integers(1, 4), st.integers(1, 5)).map(lambda shape: ort_graphs.array(index, *shape))
    return draw(taps | full)


@st.composite
def _images(draw, least: int = 0):
    """[N, C, H, W], sizes around a vector's width among them."""
    shape = [draw(st.integers(0, 3)), draw(st.integers(least, 5)), draw(st.integers(1, 9))]
    return ort_graphs.array(draw(st.integers(0, 99)), *shape, draw(st.sampled_from([1, 2, 7, 8, 9, 15, 16, 17, 33])))


@few
@given(st.data(), _images(), _filters(), _THREADS, st.booleans())
def test_upfirdn2d(data, x, taps, threads, constant):
    factors = st.lists(st.integers(1, 3), min_size=2, max_size=2)
    up, down = data.draw(factors), data.draw(factors)
    padding = data.draw(st.lists(st.integers(0, 6), min_size=4, max_size=4))
    padding = [p + 8 if k % 2 else p - 1 for k, p in enumerate(padding)]  # some crop, and there is room for any filter
    gain, flip = np.float32(data.draw(st.floats(-2, 2, width=32))).item(), data.draw(st.booleans())
    how = {"up": up, "down": down, "padding": padding, "gain": gain, "flip_filter": int(flip)}
    got = ort_graphs.run("UpFirDn2d", {"x": x, "taps": taps}, ["taps"] if constant else [], threads, **how)
    _same(got, ops.upfirdn2d(x, taps, up, down, padding, flip, gain, impl="native"))


@few
@given(st.data(), _THREADS, st.sampled_from(_ACTS), st.booleans())
def test_bias_act(data, threads, act, defaults):
    shape = [*data.draw(st.lists(st.integers(0, 9), max_size=4)), data.draw(st.sampled_from([1, 7, 8, 16, 17, 33]))]
    x, axis = 3 * ort_graphs.array(0, *shape), data.draw(st.integers(-len(shape), len(shape) - 1))
    b = _optional(data.draw, st.just(ort_graphs.array(1, shape[axis])))
    how = {} if defaults else {"alpha": 0.5, "gain": 1.25, "clamp": data.draw(st.sampled_from([0.0, 0.75, 256.0]))}
    got = ort_graphs.run("BiasAct", {"x": x, "b": b}, (), threads, act=act, axis=axis, **how)
    _same(got, ops.bias_act(x, b, axis, act, **how, impl="native"))


def test_a_large_tensor_without_bias_is_split():
    x = ort_graphs.array(0, 300_001)
    _same(ort_graphs.run("BiasAct", {"x": x}, (), 2, act="swish"), ops.bias_act(x, act="swish", impl="native"))
    _same(ort_graphs.run("BiasAct", {"x": np.float32(2.5)}), np.array(2.5, np.float32))


@few
@given(st.data(), _images(least=1), _THREADS)
def test_modulated_conv2d(data, x, threads):
    draw = data.draw
    n, channels = x.shape[:2]
    weight = ort_graphs.array(1, draw(st.integers(1, 6)), channels, *draw(st.sampled_from([(1, 1), (3, 3), (2, 3)])))
    styles, bias = ort_graphs.array(2, n, channels), _optional(draw, st.just(ort_graphs.array(3, weight.shape[0])))
    f, up, down = _optional(draw, _filters()), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    padding = [p + 3 for p in draw(st.lists(st.integers(0, 2), min_size=4, max_size=4))]
    how = {"up": up, "down": down, "padding": padding}
    demodulate, flip = draw(st.booleans()), draw(st.booleans())

    def expected(noise):
        flags = {"demodulate": demodulate, "flip_weight": flip, "impl": "native"}
        return ops.modulated_conv2d(x, weight, styles, noise, resample_filter=f, **how, **flags)

    size = expected(None).shape[2:]
    noise = draw(st.sampled_from([None, ort_graphs.array(4, n, 1, *size), ort_graphs.array(5, *size)]))
    act, clamp = draw(st.sampled_from(_ACTS)), draw(st.none() | st.just(0.5))
    inputs = {"x": x, "weight": weight, "styles": styles, "noise": noise, "bias": bias, "filter": f}
    flags = {"demodulate": int(demodulate), "flip_weight": int(flip), "act": act, "clamp": clamp}
    got = ort_graphs.run("ModulatedConv2d", inputs, ["weight", "filter"], threads, **how, **flags)
    _same(got, ops.bias_act(expected(noise), bias, act=act, clamp=clamp, impl="native"))


@few
@given(st.data(), st.integers(0, 2**64 - 1), st.integers(0, 2**63 - 1), st.integers(0, 5), _THREADS)
def test_philox(data, seed, start, count, threads):
    shape = data.draw(st.lists(st.integers(1, 40), min_size=1, max_size=3))
    stream, constant = data.draw(st.sampled_from([0, 1, 4, 2**32 - 1])), data.draw(st.sampled_from(["", "abc"]))
    seed_type = np.uint64 if seed >= 2**63 else data.draw(st.sampled_from([np.uint64, np.int64]))
    inputs = {"a": seed_type(seed), "b": np.array([start], np.int64), "c": np.int64(count)}
    got = ort_graphs.run("PhiloxNormal", inputs, constant, threads, shape=shape, stream=stream)
    _same(got, random.normal(seed, start, count, shape, stream))
    low = np.float32(data.draw(st.floats(-4, 0.5, width=32))).item()
    got = ort_graphs.run("PhiloxUniform", inputs, constant, threads, shape=shape, stream=stream, low=low)
    _same(got, random.uniform(seed, start, count, shape, stream, low))


def test_philox_of_the_last_sample_and_of_many_pieces():
    last = np.uint64(2**64 - 1)
    got = ort_graphs.run("PhiloxNormal", {"a": last, "b": last, "c": np.uint64(1)}, shape=[5])
    _same(got, random.normal(2**64 - 1, 2**64 - 1, 1, 5))
    inputs = {"a": np.int64(3), "b": np.int64(7), "c": np.int64(5)}
    _same(ort_graphs.run("PhiloxUniform", inputs, (), 2, shape=[200_003]), random.uniform(3, 7, 5, 200_003))


@few
@given(st.lists(st.integers(0, 5), max_size=3), st.sampled_from([1, 8, 15, 16, 17, 300_001]), _THREADS)
def test_microvolt(shape, last, threads):
    signal = 3 * ort_graphs.array(0, *shape, last)
    expected = np.empty(signal.shape, np.int16)
    assert _kernels.native.microvolt(signal, 6000.0, expected)
    _same(ort_graphs.run("Microvolt", {"signal": signal}, (), threads, scale=6000.0), expected)


@pytest.mark.parametrize("threads", [1, 2])
def test_one_session_takes_any_batch_and_size(threads):
    weight, f = ort_graphs.array(0, 7, 6, 3, 3), ops.setup_filter([1, 3, 3, 1])
    names = {"x": np.zeros((1, 6, 2, 2), np.float32), "weight": weight, "styles": np.zeros((1, 6), np.float32)}
    names |= {"noise": None, "bias": None, "filter": f}
    graph = ort_graphs.one_node("ModulatedConv2d", names, ["weight", "filter"], up=2, padding=[1] * 4)
    session = ort_graphs.session(graph, threads)
    for n, h, w in ((5, 9, 17), (0, 4, 4), (1, 4, 4), (33, 3, 8), (2, 16, 16)):
        x, styles = ort_graphs.array(1, n, 6, h, w), ort_graphs.array(2, n, 6)
        expected = ops.modulated_conv2d(x, weight, styles, up=2, padding=1, resample_filter=f, impl="native")
        for _ in range(2):
            _same(session.run(None, {"x": x, "styles": styles})[0], expected)


def test_a_chain_of_operators():
    """Types and sizes of tensors between nodes, also behind a node whose inputs in the middle are left out."""
    weight, b, f = ort_graphs.array(0, 4, 3, 3, 3), ort_graphs.array(1, 4), ops.setup_filter([1, 2, 1])
    nodes = [
        ort_graphs.node("ModulatedConv2d", ["x", "w", "s", "", "b"], "convolved", padding=[1] * 4, act="lrelu"),
        ort_graphs.node("UpFirDn2d", ["convolved", "f"], "filtered", up=[2, 2], down=[1, 1], padding=[1] * 4),
        ort_graphs.node("BiasAct", ["filtered", ""], "bounded", act="tanh"),
        helper.make_node("Relu", ["bounded"], ["positive"]),
        ort_graphs.node("Microvolt", ["positive"], scale=6000.0),
    ]
    inputs = {"x": ort_graphs.array(2, 2, 3, 9, 9), "s": ort_graphs.array(3, 2, 3), "w": weight, "b": b, "f": f}
    graph = ort_graphs.model(nodes, inputs, "wbf", output=TensorProto.INT16)
    y = ops.modulated_conv2d(inputs["x"], weight, inputs["s"], padding=1, impl="native")
    y = ops.upfirdn2d(ops.bias_act(y, b, act="lrelu", impl="native"), f, up=2, padding=1, impl="native")
    expected = (np.maximum(ops.bias_act(y, act="tanh", impl="native"), 0) * np.float32(6000)).astype(np.int16)
    for threads in (1, 2):
        _same(ort_graphs.session(graph, threads).run(None, ort_graphs.feeds(inputs, "wbf"))[0], expected)


def test_sizes_are_inferred_where_they_are_known():
    x = np.zeros((1, 3, 8, 6), np.float32)
    full = {"up": [2, 3], "down": [1, 2], "padding": [1, 2, 3, 4]}

    def inferred(op, inputs, sizes, **attributes):
        graph = ort_graphs.one_node(op, inputs, ["taps"], {"x": sizes}, **attributes)
        return ort_graphs.session(graph).get_outputs()[0].shape

    filtered = {"x": x, "taps": np.ones(4, np.float32)}
    height, width = ops.upfirdn2d(x, filtered["taps"], **full).shape[2:]
    assert inferred("UpFirDn2d", filtered, ["N", 3, 8, 6], **full) == ["N", 3, height, width]
    assert inferred("UpFirDn2d", filtered, ["N", "C", 8, 6], **full) == ["N", "C", height, width]
    for unknown in (["N", 3, "H", 6], [None, 3, 8, 6]):
        assert inferred("UpFirDn2d", filtered, unknown, **full) != ["N", 3, height, width]
    assert inferred("Microvolt", {"x": x}, ["N", 3, 8, 6], scale=1.0) == ["N", 3, 8, 6]


def test_no_size_is_inferred_that_a_run_could_belie():
    """A tensor of unknown rank, or with a dimension without size and name, looks like a scalar or a size of -1."""
    x, f = np.ones((2, 3, 4, 4), np.float32), np.ones((1, 1), np.float32)
    for sizes in (None, [None] * 4):
        graph = ort_graphs.one_node("Microvolt", {"x": x}, (), {"x": sizes}, scale=2.0)
        _same(ort_graphs.session(graph).run(None, {"x": x})[0], np.full(x.shape, 2, np.int16))
        graph = ort_graphs.one_node("UpFirDn2d", {"x": x, "taps": f}, ["taps"], {"x": sizes}, up=[1, 1], down=[2, 2])
        _same(ort_graphs.session(graph).run(None, {"x": x})[0], x[:, :, ::2, ::2])


@pytest.mark.parametrize("name", ort_broken.BROKEN)
def test_broken_graphs_are_refused_in_one_line(name):
    assert ort_broken.refusal(*ort_broken.BROKEN[name])


@pytest.mark.parametrize("threads", [1, 2])
def test_denormals_are_kept_whatever_the_session_has_set(threads):
    tiny = np.full((1, 4, 1, 40), 1e-40, np.float32)
    graph = ort_graphs.one_node("BiasAct", {"x": tiny, "b": np.zeros(4, np.float32)})
    session = ort_graphs.session(graph, threads, set_denormal_as_zero="1")
    _same(session.run(None, {"x": tiny, "b": np.zeros(4, np.float32)})[0], tiny)


@pytest.mark.parametrize("threads", [1, 2])
def test_work_stays_on_the_threads_of_the_session(threads):
    inputs = {"x": ort_graphs.array(0, 4, 32, 64, 64), "weight": ort_graphs.array(1, 64, 32, 3, 3)}
    inputs["styles"] = ort_graphs.array(2, 4, 32)
    session = ort_graphs.session(ort_graphs.one_node("ModulatedConv2d", inputs, ["weight"]), threads)
    running, seen = threading.Event(), []

    def watch():
        running.set()
        while running.is_set():
            seen.append(len(os.listdir("/proc/self/task")))

    watcher = threading.Thread(target=watch)
    watcher.start()
    running.wait()
    before = len(os.listdir("/proc/self/task"))
    session.run(None, ort_graphs.feeds(inputs, ["weight"]))
    running.clear()
    watcher.join()
    assert seen and max(seen) == before


def test_sessions_run_at_the_same_time():
    x, f = ort_graphs.array(0, 2, 8, 40, 40), ops.setup_filter([1, 3, 3, 1])
    session = ort_graphs.session(ort_graphs.one_node("UpFirDn2d", {"x": x, "taps": f}, ["taps"], padding=[2] * 4), 2)
    expected, wrong = session.run(None, {"x": x})[0].tobytes(), []

    def work():
        wrong.extend(k for k in range(20) if session.run(None, {"x": x})[0].tobytes() != expected)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong
