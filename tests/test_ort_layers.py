"""The layers of the GI-tract network in ONNX Runtime: the bits of dsb_fast.ops, for any shape, batch and threads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import TensorProto
from references import ort_graphs
from references.arrays import identical, random

from dsb_fast import _kernels, ops
from dsb_fast._library import has_library

pytestmark = pytest.mark.skipif(
    not has_library() or _kernels.native is None,
    reason="libdsb_fast_ort.so is not built: ONNX Runtime's C headers were not there (.ci/ort fetches them)",
)
few = settings(max_examples=20, deadline=None)
threads = st.sampled_from([1, 2])
batch = st.integers(0, 3)
channels = st.sampled_from([1, 3, 5, 16, 17])
sizes = st.sampled_from([1, 2, 7, 8, 9, 15, 16, 17, 33])
activations = st.sampled_from(["linear", "relu", "lrelu", "tanh", "swish", "gelu"])
images = st.tuples(batch, st.sampled_from([0, 1, 3, 17]), st.one_of(st.just(0), sizes), sizes)


def _float(value) -> float:
    """What an attribute makes of a number."""
    return np.float32(value).item()


@few
@given(images, threads)
def test_upsample_blur_and_norm(shape, threads):
    x, g, b = random(0, *shape), random(1, shape[1]), random(2, shape[1])
    identical(ort_graphs.run("UpsampleBilinear2d", {"x": x}, (), threads), ops.upsample_bilinear2d(x, impl="native"))
    identical(ort_graphs.run("Blur2d", {"x": x}, (), threads), ops.blur2d(x, impl="native"))
    inputs = {"x": x, "g": g, "b": b}
    identical(ort_graphs.run("ChannelNorm", inputs, "gb", threads), ops.channel_norm(x, g, b, impl="native"))
    got = ort_graphs.run("ChannelNorm", inputs, (), threads, eps=0.25)
    identical(got, ops.channel_norm(x, g, b, 0.25, impl="native"))
    got = ort_graphs.run("ChannelNorm", inputs, (), threads, eps=0.25, eps_to="deviation")
    identical(got, ops.channel_norm(x, g, b, 0.25, "deviation", impl="native"))
    got = ort_graphs.run("InstanceNorm", inputs, "gb", threads, eps=0.25)
    identical(got, ops.instance_norm(x, g, b, 0.25, impl="native"))


@few
@given(
    batch, channels, sizes, sizes, st.sampled_from([(1, 1), (3, 3), (2, 5)]), st.integers(2, 4), st.booleans(),
    st.booleans(), threads,
)  # fmt: skip
def test_depthwise_conv2d(n, c, h, w, kernel, padding, flat, constant, threads):
    x, weight = random(0, n, c, h, w), random(1, c, *([] if flat else [1]), *kernel)
    inputs = {"x": x, "weight": weight}
    got = ort_graphs.run("DepthwiseConv2d", inputs, ["weight"] if constant else [], threads, padding=padding)
    identical(got, ops.depthwise_conv2d(x, weight, padding, impl="native"))


@few
@given(
    batch, channels, channels, sizes, sizes, activations, st.booleans(), st.booleans(), st.booleans(),
    st.sampled_from([None, 1.0, -0.7]), threads,
)  # fmt: skip
def test_conv1x1(n, i, o, h, w, act, with_bias, with_residual, flat, gain, threads):
    x, weight = random(0, n, i, h, w), random(1, o, i, *([] if flat else [1, 1]))
    bias, residual = random(2, o) if with_bias else None, random(3, n, o, h, w) if with_residual else None
    inputs = {"x": x, "weight": weight, "bias": bias, "residual": residual}
    how = {"act": act, "alpha": 0.25}
    got = ort_graphs.run("Conv1x1", inputs, ["weight"] + ["bias"] * with_bias, threads, gain=gain, **how)
    gain = 1 if gain is None else _float(gain)
    identical(got, ops.conv1x1(x, weight, bias, gain=gain, residual=residual, **how, impl="native"))


@few
@given(batch, st.integers(1, 3), channels, channels, sizes, sizes, st.booleans(), threads)
def test_linear_attention(n, heads, features, values, h, w, scaled, threads):
    q, k = random(0, n, heads * features, h, w), random(1, n, heads * features, h, w)
    v = random(2, n, heads * values, h, w)
    how = {"q_scale": 0.5, "k_scale": 0.25, "out_scale": 3.0} if scaled else {}
    got = ort_graphs.run("LinearAttention", {"q": q, "k": k, "v": v}, (), threads, heads=heads, **how)
    identical(got, ops.linear_attention(q, k, v, heads, **how, impl="native"))


@few
@given(
    st.integers(0, 9), channels, st.sampled_from([1, 15, 16, 63, 64, 65, 130]), activations, st.booleans(),
    st.sampled_from([{}, {"weight_gain": 0.1, "bias_gain": 0.01, "gain": 1.5}]), st.sampled_from([None, 0, 2, "mean"]),
    threads,
)  # fmt: skip
def test_dense(n, i, o, act, with_bias, gains, row, threads):
    weight, bias = random(1, o, i), random(2, o) if with_bias else None
    x = random(0, n, i) if row is None else random(0, n, 3, i)
    inputs, given_row = {"x": x, "weight": weight, "bias": bias}, row if isinstance(row, int) else None
    taken = x.mean(1) if row == "mean" else x if row is None else x[:, row]
    expected = ops.dense(taken, weight, bias, **{k: _float(v) for k, v in gains.items()}, act=act, impl="native")
    constant = ["weight", "bias"]
    identical(ort_graphs.run("Dense", inputs, constant, threads, act=act, row=given_row, **gains), expected)
    shape = [o, 1, 1] if o % 5 else [o // 5, 5]
    got = ort_graphs.run("Dense", inputs, constant, threads, act=act, row=given_row, shape=shape, **gains)
    identical(got, expected.reshape(n, *shape))


@few
@given(batch, st.sampled_from([0, 1, 7, 16, 17, 512]), st.sampled_from(["l2", "rms"]), st.floats(-1, 2, width=32))
def test_normalize_latent_and_truncate(n, length, kind, psi):
    z, mean = random(0, n, length) * 3, random(1, length)
    identical(ort_graphs.run("NormalizeLatent", {"z": z}, (), kind=kind), ops.normalize_latent(z, kind, impl="native"))
    expected = mean + np.float32(psi) * (z - mean)
    for given_psi in (np.float32(psi), np.array([psi], np.float32)):
        identical(ort_graphs.run("Truncate", {"w": z, "mean": mean, "psi": given_psi}, ["mean"]), expected)
    rows = np.stack([z, z], axis=1)
    got = ort_graphs.run("Truncate", {"w": rows, "mean": mean, "psi": np.float32(psi)}, ["mean"])
    identical(got, np.stack([expected, expected], axis=1))


@few
@given(batch, st.integers(1, 40), st.integers(0, 9), st.integers(0, 9), threads)
def test_noise_plane(n, size, taller, wider, threads):
    noise = random(0, n, size + taller, size + wider)
    got = ort_graphs.run("NoisePlane", {"noise": noise}, (), threads, size=size)
    identical(got, np.ascontiguousarray(noise[:, None, :size, :size].swapaxes(2, 3)))


@few
@given(images, st.sampled_from([(255.0, 0.5), (127.5, 128.0)]), threads)
def test_uint8_image(shape, levels, threads):
    image, (scale, offset) = random(0, *shape), levels
    got = ort_graphs.run("Uint8Image", {"image": image}, (), threads, scale=scale, offset=offset)
    identical(got, ops.to_uint8(image, scale, offset, impl="native"))


@few
@given(
    st.integers(0, 3), channels, channels, sizes, st.sampled_from([(1, 1), (2, 1), (1, 2)]),
    st.sampled_from(["", "x", "styles"]), st.booleans(), st.booleans(), st.sampled_from([0.0, 1.0, -0.5]), threads,
)  # fmt: skip
def test_modulated_conv2d_with_all_its_inputs(
    n, i, o, size, factors, shared, with_gain, with_residual, offset, threads
):
    (up, down), f = factors, ops.setup_filter([1, 3, 3, 1])
    x, weight = random(0, 1 if shared == "x" else n, i, size, size + 1), random(1, o, i, 3, 3)
    styles = random(2, 1 if shared == "styles" else n, i)
    result = [s * up // down for s in x.shape[2:]]
    assume(min(result) > 0)
    noise, noise_gain = random(3, n, 1, *result), random(4, o) if with_gain else None
    residual, bias = random(5, n, o, *result) if with_residual else None, random(6, o)
    inputs = {"x": x, "weight": weight, "styles": styles, "noise": noise, "bias": bias, "filter": f}
    inputs |= {"noise_gain": noise_gain, "residual": residual}
    how = {"up": up, "down": down, "act": "lrelu", "gain": 1.25}
    got = ort_graphs.run(
        "ModulatedConv2d", inputs, ["weight", "filter"], threads, padding=[1] * 4, style_offset=offset, **how
    )
    every = np.repeat(x, n, axis=0) if shared == "x" else x
    each = np.repeat(styles, n, axis=0) if shared == "styles" else styles
    expected = ops.modulated_conv2d(
        every, weight, each, noise, resample_filter=f, padding=1, noise_gain=noise_gain, bias=bias,
        residual=residual, style_offset=offset, **how, impl="native",
    )  # fmt: skip
    identical(got, expected)


def test_work_is_split():
    """Tensors of several tasks each, so that two threads take part."""
    x, weight = random(0, 2, 24, 96, 100), random(1, 48, 24)
    q, k, v = random(2, 2, 64, 40, 41), random(3, 2, 64, 40, 41), random(4, 2, 64, 40, 41)
    for op, inputs, constant, how in (
        ("UpsampleBilinear2d", {"x": x}, (), {}),
        ("Blur2d", {"x": x}, (), {}),
        ("ChannelNorm", {"x": x, "g": weight[:, 0][:24], "b": weight[:, 1][:24]}, (), {}),
        ("InstanceNorm", {"x": x, "g": weight[:, 0][:24], "b": weight[:, 1][:24]}, (), {}),
        ("DepthwiseConv2d", {"x": x, "w": random(5, 24, 3, 3)}, (), {"padding": 1}),
        ("Conv1x1", {"x": x, "w": weight}, ["w"], {"act": "gelu"}),
        ("LinearAttention", {"q": q, "k": k, "v": v}, (), {"heads": 4}),
        ("Dense", {"x": random(6, 40, 600), "w": random(7, 600, 600)}, ["w"], {}),
        ("Uint8Image", {"x": random(8, 40, 3, 64, 65)}, (), {"scale": 255.0, "offset": 0.5}),
        ("NoisePlane", {"x": random(9, 9, 300, 301)}, (), {"size": 299}),
    ):
        one, two = (ort_graphs.run(op, inputs, constant, number, **how) for number in (1, 2))
        identical(two, one)


def test_sizes_are_inferred_where_they_are_known():
    image, flat = np.zeros((2, 3, 8, 6), np.float32), np.zeros((2, 5), np.float32)

    def inferred(op, inputs, sizes, **attributes):
        graph = ort_graphs.one_node(op, inputs, (), sizes, **attributes)
        return ort_graphs.session(graph).get_outputs()[0].shape

    assert inferred("UpsampleBilinear2d", {"x": image}, {"x": ["N", 3, 8, 6]}) == ["N", 3, 16, 12]
    for unknown in (["N", 3, "H", 6], [None, 3, 8, 6], None):
        assert inferred("UpsampleBilinear2d", {"x": image}, {"x": unknown})[2:] != [16, 12]
    assert inferred("Blur2d", {"x": image}, {"x": ["N", "C", 8, 6]}) == ["N", "C", 8, 6]
    norm = {"x": image, "g": image[0, :, 0, 0], "b": image[0, :, 0, 0]}
    for op in ("ChannelNorm", "InstanceNorm"):
        assert inferred(op, norm, {"x": ["N", 3, 8, 6]}) == ["N", 3, 8, 6]
    attention = {"q": image, "k": image, "v": image}
    assert inferred("LinearAttention", attention, {"v": ["N", 3, 8, 6]}, heads=1) == ["N", 3, 8, 6]
    assert inferred("NormalizeLatent", {"z": flat}, {"z": ["N", 5]}, kind="l2") == ["N", 5]
    truncated = {"w": flat, "mean": flat[0], "psi": np.float32(1)}
    assert inferred("Truncate", truncated, {"w": ["N", 5]}) == ["N", 5]
    assert inferred("Uint8Image", {"x": image}, {"x": ["N", 3, 8, 6]}, scale=1.0, offset=0.0) == ["N", 8, 6, 3]


def test_a_chain_of_layers():
    """Types and sizes of tensors between the nodes, grey levels last."""
    x, weight, b = random(0, 2, 4, 9, 8), random(1, 3, 4), random(2, 3)
    nodes = [
        ort_graphs.node("UpsampleBilinear2d", ["x"], "larger"),
        ort_graphs.node("Conv1x1", ["larger", "w", "", "r"], "mixed", act="lrelu"),
        ort_graphs.node("Blur2d", ["mixed"], "smooth"),
        ort_graphs.node("ChannelNorm", ["smooth", "b", "b"], "even"),
        ort_graphs.node("Uint8Image", ["even"], scale=127.5, offset=128.0),
    ]
    inputs = {"x": x, "w": weight, "r": random(3, 2, 3, 18, 16), "b": b}
    graph = ort_graphs.model(nodes, inputs, "wb", output=TensorProto.UINT8)
    y = ops.conv1x1(ops.upsample_bilinear2d(x), weight, act="lrelu", residual=inputs["r"], impl="native")
    y = ops.channel_norm(ops.blur2d(y, impl="native"), b, b, impl="native")
    for number in (1, 2):
        got = ort_graphs.session(graph, number).run(None, ort_graphs.feeds(inputs, "wb"))[0]
        identical(got, ops.to_uint8(y, 127.5, 128, impl="native"))
