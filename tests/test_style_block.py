"""StyleBlock: the bits of the layers that it joins, over sizes, threads, batch and variants; and what it refuses."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from references import ort_broken, ort_graphs, stylegan_ops, variants

from dsb_fast import _kernels, ops
from dsb_fast._library import has_library

pytestmark = pytest.mark.skipif(
    not has_library() or _kernels.native is None,
    reason="libdsb_fast_ort.so is not built: ONNX Runtime's C headers were not there (.ci/ort fetches them)",
)

_CONSTANT = ["weight1", "weight2", "colour_weight"]


def block(n, channels, size, colours=0, seed=0, shared=False, noise="own"):
    """Inputs by name for images of that height and width, which are those of the result."""
    i, m, o = channels
    h, w = size
    array = iter(range(seed, seed + 20))

    def draw(*shape):
        return ort_graphs.array(next(array), *shape)

    planes = {"own": (n, 1, h, w), "one": (h, w)}
    given = {"x": draw(1 if shared else n, i, h, w), "weight1": draw(m, i, 3, 3), "weight2": draw(o, m, 3, 3)}
    given |= {"styles1": draw(n, i), "styles2": draw(n, m), "noise": draw(*planes[noise]) if noise else None}
    given |= {"bias1": draw(m), "noise_gain1": draw(m), "bias2": draw(o), "noise_gain2": draw(o)}
    if colours:
        given |= {"colour_weight": draw(colours, o, 1, 1), "colour_styles": draw(n, o)}
        given["colour_residual"] = draw(n, colours, h, w)
    return given


def made(inputs, threads=1, **how):
    return ort_graphs.run("StyleBlock", inputs, [k for k in _CONSTANT if k in inputs], threads, **how)


def by_layers(inputs, products="float32", act="lrelu", upsample="none", style_offset=1.0):
    """The same of separate operators."""
    x, styles1 = inputs["x"], inputs["styles1"]
    x = np.repeat(x, len(styles1), 0) if len(x) < len(styles1) else x
    if upsample == "bilinear":
        x = ops.upsample_bilinear2d(x, impl="native")
    how = {"impl": "native", "style_offset": style_offset}
    for k in "12":
        after = {"bias": inputs[f"bias{k}"], "noise_gain": inputs[f"noise_gain{k}"], "act": act}
        after["noise"] = inputs["noise"]
        weight, styles = inputs[f"weight{k}"], inputs[f"styles{k}"]
        x = ops.modulated_conv2d(x, weight, styles, padding=1, products=products, **after, **how)
    if "colour_weight" not in inputs:
        return x
    weight, styles, residual = (inputs[f"colour_{name}"] for name in ("weight", "styles", "residual"))
    return ops.modulated_conv2d(x, weight, styles, demodulate=False, residual=residual, **how)


def same(got, expected):
    assert got.shape == expected.shape
    assert np.array_equal(got.view(np.uint32), expected.view(np.uint32))


_SIDE = st.integers(1, 6).map(lambda k: 4 * k)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.integers(1, 5),
    st.tuples(st.integers(1, 35), st.integers(1, 35), st.integers(1, 32)),
    st.tuples(_SIDE, _SIDE),
    st.integers(0, 4),
    st.sampled_from(["float32", "bfloat16"]),
    st.sampled_from(["linear", "relu", "lrelu"]),
    st.sampled_from(["own", "one", None]),
    st.booleans(),
    st.integers(1, 3),
)
@example(3, (5, 17, 19), (64, 68), 3, "float32", "lrelu", "own", False, 2)  # large enough for a sample at a time
@example(3, (16, 16, 32), (64, 64), 0, "bfloat16", "lrelu", "one", True, 2)
@example(2, (8, 130, 140), (16, 16), 0, "float32", "lrelu", "own", False, 2)
def test_bits_of_the_layers(n, channels, size, colours, products, act, noise, shared, threads):
    inputs = block(n, channels, size, colours, sum(channels), shared, noise)
    how = {"products": products, "act": act, "style_offset": 1.0}
    same(made(inputs, threads, **how), by_layers(inputs, **how))


@pytest.mark.parametrize("products", ["float32", "bfloat16"])
@pytest.mark.parametrize("size", [2, 6, 34])
def test_an_enlarged_image(size, products):
    inputs = block(3, (18, 20, 9), (2 * size, 2 * size), 3)
    inputs["x"] = ort_graphs.array(9, 3, 18, size, size)
    how = {"products": products, "upsample": "bilinear", "act": "lrelu", "style_offset": 1.0}
    same(made(inputs, 2, **how), by_layers(inputs, **how))


def test_against_float64():
    inputs = block(2, (7, 9, 5), (12, 8), 3)
    x, noise = inputs["x"].astype(np.float64), inputs["noise"]
    how = (1, 1, [1] * 4, None, True, True)
    for k in "12":
        plane = noise * inputs[f"noise_gain{k}"][:, None, None]
        y = stylegan_ops.modulated_conv2d(x, inputs[f"weight{k}"], inputs[f"styles{k}"], None, *how)
        y = y + plane + inputs[f"bias{k}"][:, None, None]
        x = np.where(y < 0, 0.2 * y, y) * np.sqrt(2)
    styled = x * inputs["colour_styles"][:, :, None, None]
    expected = np.einsum("ko,nohw->nkhw", inputs["colour_weight"][:, :, 0, 0], styled) + inputs["colour_residual"]
    error = made(inputs, act="lrelu") - expected
    assert np.linalg.norm(error) <= 2e-6 * np.linalg.norm(expected)


@pytest.mark.parametrize("products", ["float32", "bfloat16"])
@pytest.mark.parametrize("size", [8, 64])
def test_batch_and_threads_change_nothing(size, products):
    inputs = block(5, (6, 20, 7), (size, size), 3)
    whole = made(inputs, 2, products=products)
    same(made(inputs, 1, products=products), whole)
    each = ("x", "styles1", "styles2", "noise", "colour_styles", "colour_residual")
    for k in range(5):
        one = {name: value[k : k + 1] if name in each else value for name, value in inputs.items()}
        same(made(one, 2, products=products), whole[k : k + 1])


_PROGRAM = """
import hashlib, sys
sys.path[:0] = {paths!r}
import test_style_block as t
from dsb_fast import _kernels
digest = hashlib.sha256()
for size in (8, 20, 64):
    for colours in (0, 3):
        digest.update(t.made(t.block(2, (5, 33, 19), (size, size), colours), act="lrelu"))
        inputs = t.block(2, (5, 33, 19), (size, size), colours)
        how = dict(products="bfloat16", act="relu", style_offset=1.0)
        t.same(t.made(inputs, **how), t.by_layers(inputs, **how))
print(_kernels.active_variant(), digest.hexdigest())
"""


@pytest.mark.variant_independent  # goes through the variants by itself
def test_variants_agree(tmp_path):
    """All of them with FMA in float32; scalar rounds products and sums apart. Each has the bits of its own layers."""
    digests = {}
    program = _PROGRAM.format(paths=[os.path.dirname(__file__)])
    for name, words in variants.each(program, tmp_path):
        (digests[name],) = words
    digests.pop("scalar")
    assert len(set(digests.values())) <= 1, digests


def _changed(words, attributes=None, constant=(), **inputs):
    given = block(2, (3, 4, 5), (8, 8), 3) | inputs
    return "StyleBlock", given, constant or _CONSTANT, attributes or {}, words


REFUSED = {
    "a weight that is fed": _changed("weight1 must be constant", constant=["weight2", "colour_weight"]),
    "other taps": _changed("needs to be [out, in, 3, 3]", weight2=np.ones((5, 4, 1, 1), np.float32)),
    "weights that do not follow": _changed("does not go into the other", weight2=np.ones((5, 3, 3, 3), np.float32)),
    "sizes": _changed("multiples of 4", x=np.ones((2, 3, 8, 6), np.float32)),
    "channels": _changed("input channels differ", x=np.ones((2, 2, 8, 8), np.float32)),
    "styles": _changed("styles2 is", styles2=np.ones((1, 4), np.float32)),
    "noise": _changed("noise is", noise=np.ones((2, 1, 8, 4), np.float32)),
    "bias": _changed("bias2 is", bias2=np.ones(4, np.float32)),
    "five colours": _changed("at most 4 colours", colour_weight=np.ones((5, 5, 1, 1), np.float32)),
    "colours of other channels": _changed("at most 4 colours", colour_weight=np.ones((3, 4, 1, 1), np.float32)),
    "no colour styles": _changed("needs colour_styles", colour_styles=None),
    "residual": _changed("colour_residual is", colour_residual=np.ones((2, 1, 8, 8), np.float32)),
    "an activation of many terms": _changed("linear, relu or lrelu", {"act": "tanh"}),
    "products": _changed("products", {"products": "float16"}),
    "upsample": _changed("upsample", {"upsample": "nearest"}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name):
    assert ort_broken.refusal(*REFUSED[name])


def test_a_constant_start_is_kept_from_run_to_run():
    inputs = {"x": ort_graphs.array(0, 1, 5, 4, 4), "weight": ort_graphs.array(1, 6, 5, 3, 3)}
    inputs["styles"] = np.ones((1, 5), np.float32)
    expected = ops.modulated_conv2d(*inputs.values(), padding=1, demodulate=False, impl="native")
    session = ort_graphs.session(ort_graphs.one_node("ModulatedConv2d", inputs, inputs, padding=[1] * 4, demodulate=0))
    for _ in range(3):
        same(session.run(None, {})[0], expected)
