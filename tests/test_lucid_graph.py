"""The GI-tract generator as a graph of operators of domain dsb_fast alone, against the package's own images and the
same composition of dsb_fast.ops.

tests/data/lucid is described in test_lucid_generator.py; where it has no ``z``, only the synthesis is tested.
"""

from __future__ import annotations

import numpy as np
import pytest
from dsb_fast.export import lucid_graph
from references import lucid_generator, ort_graphs
from references.arrays import close, identical, random
from tolerances import LUCID_IMAGE, OPS

from dsb_fast import _kernels
from dsb_fast._library import has_library

needs_library = pytest.mark.skipif(
    not has_library() or _kernels.native is None,
    reason="libdsb_fast_ort.so is not built: ONNX Runtime's C headers were not there (.ci/ort fetches them)",
)
CHECKPOINTS = ["attn64", "rgba_noconst32", "v190_attn32"]
WITH_MAPPING = ["rgba_noconst32", "v190_attn32"]


def _golden(name, data) -> dict:
    with np.load(data / f"lucid/{name}.npz", allow_pickle=False) as file:
        golden = dict(file)
    golden["noise"] = golden["noise"][..., 0]
    return golden


def _models(golden) -> dict:
    """name -> (model, inputs) of what can be built of a golden file."""
    generator, mapping = (lucid_generator.network(golden, prefix) for prefix in "GS")
    inputs = {"w": golden["styles_S"], "noise": golden["noise"]}
    models = {"synthesis": (lucid_graph.build_fused_synthesis(generator), inputs)}
    if mapping:
        lr_mlp = float(golden["lr_mlp"])
        models["mapping"] = lucid_graph.build_fused_mapping(mapping, lr_mlp), {"z": golden["z"]}
        inputs = {
            "z": golden["z"],
            "noise": golden["noise"],
            "truncation_psi": np.array(golden["trunc_psi"], np.float32),
        }
        models["whole"] = lucid_graph.build_fused(mapping, generator, golden["av_S"], lr_mlp), inputs
    return models


def _run(model, inputs, threads: int = 1) -> np.ndarray:
    return ort_graphs.session(model.SerializeToString(), threads).run(None, inputs)[0]


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_every_node_is_of_our_domain(name, data):
    for model, inputs in _models(_golden(name, data)).values():
        graph = model.graph
        assert graph.node and {node.domain for node in graph.node} == {"dsb_fast"}
        assert not model.functions and not any(a.HasField("g") or a.graphs for n in graph.node for a in n.attribute)
        known = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
        assert {value.name for value in graph.input} == set(inputs)
        for node in graph.node:
            assert set(node.input) - {""} <= known
            assert not known & set(node.output), "a name twice"
            known |= set(node.output)
        assert {value.name for value in graph.output} <= known
        read = {name for node in graph.node for name in node.input}
        assert {tensor.name for tensor in graph.initializer} <= read, "constants that nothing reads"


@needs_library
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_images_are_the_packages(name, data):
    golden = _golden(name, data)
    models = _models(golden)
    assert ("whole" in models) == (name in WITH_MAPPING)
    for part in {"synthesis", "whole"} & set(models):
        model, inputs = models[part]
        one, two = (_run(model, inputs, threads) for threads in (1, 2))
        identical(two, one)
        close(one, golden["img_S_raw"], LUCID_IMAGE)
        expected = [golden["img_S_raw"].shape[1], *golden["img_S_raw"].shape[2:]]
        assert [d.dim_value for d in model.graph.output[0].type.tensor_type.shape.dim[1:]] == expected
        worst = np.abs(one - golden["img_S_raw"]).max() / np.abs(golden["img_S_raw"]).max()
        print(f"{name}, {part}: {worst:.1e}")


@needs_library
@pytest.mark.parametrize("name", WITH_MAPPING)
def test_styles_are_the_packages(name, data):
    golden = _golden(name, data)
    w = _run(*_models(golden)["mapping"])
    close(w, golden["w_S"], OPS)
    mapping = lucid_generator.network(golden, "S")
    identical(w, lucid_generator.mapping(lucid_generator.operators("native"), mapping, golden["z"], golden["lr_mlp"]))


@needs_library
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_the_graph_has_the_bits_of_the_operators(name, data):
    golden = _golden(name, data)
    model, inputs = _models(golden)["synthesis"]
    composed = lucid_generator.synthesis(
        lucid_generator.operators("native"),
        lucid_generator.network(golden, "G"),
        inputs["w"],
        inputs["noise"][..., None],
    )
    identical(_run(model, inputs), composed)


@needs_library
@pytest.mark.parametrize("name", WITH_MAPPING)
def test_a_batch_has_the_bits_of_its_samples(name, data):
    golden = _golden(name, data)
    model, inputs = _models(golden)["whole"]
    inputs = {"z": random(0, 5, golden["z"].shape[1]), "noise": np.abs(random(1, 5, *golden["noise"].shape[1:]))}
    psi, session = {"truncation_psi": np.array(0.5, np.float32)}, ort_graphs.session(model.SerializeToString(), 2)
    together = session.run(None, inputs | psi)[0]
    for part in (slice(0, 0), slice(0, 1), slice(1, 3), slice(4, 5)):
        identical(session.run(None, {k: v[part] for k, v in inputs.items()} | psi)[0], together[part])


@needs_library
def test_psi_moves_styles_between_their_mean_and_themselves(data):
    golden = _golden("v190_attn32", data)
    models = _models(golden)
    (whole, inputs), (synthesis, _) = models["whole"], models["synthesis"]
    blocks = golden["styles_S"].shape[1]
    for psi, styles in ((0, np.repeat(golden["av_S"], len(golden["z"]), 0)), (1, golden["w_S"])):
        image = _run(whole, inputs | {"truncation_psi": np.array(psi, np.float32)})
        rows = {"w": np.repeat(styles[:, None], blocks, axis=1), "noise": golden["noise"]}
        close(image, _run(synthesis, rows), LUCID_IMAGE)


@needs_library
def test_each_block_has_its_own_style(data):
    golden = _golden("attn64", data)
    model, inputs = _models(golden)["synthesis"]
    session, w = ort_graphs.session(model.SerializeToString()), inputs["w"]
    plain = session.run(None, inputs)[0]
    for block in range(w.shape[1]):
        other = w.copy()
        other[:, block] += 1
        assert (session.run(None, inputs | {"w": other})[0] != plain).any()


@needs_library
def test_noise_of_another_batch_is_refused_in_one_line(data):
    model, inputs = _models(_golden("v190_attn32", data))["whole"]
    session = ort_graphs.session(model.SerializeToString())
    with pytest.raises(Exception, match="noise is") as raised:  # ONNX Runtime has a class a status
        session.run(None, inputs | {"noise": np.repeat(inputs["noise"], 2, axis=0)})
    assert "\n" not in str(raised.value)
