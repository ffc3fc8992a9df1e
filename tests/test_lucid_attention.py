"""Attention of the versions between 1.5.10 and 1.9.0: the package's own images, the same bits in any batch, and the
version that a checkpoint is read as.

tests/data/lucid/models/v160_attn32, v180_attn32 and v184_attn32 were made by the classes of stylegan2-pytorch 1.6.0,
1.8.0 and 1.8.4 (state dicts of S, G, SE and GE, without the discriminator; random weights, 32 pixels, capacity 1,
latent 24, attention at layers 1 and 2), and so were the numbers in tests/data/lucid/golden, in float64. 1.7.0 made the
same of the first, 1.8.1, 1.8.5 and 1.8.7 of the second, 1.8.3 of the third. Activations before the attention are about
0.01, so that it shows where the norm's 1e-5 goes: 1.8.8 makes images of the second that are 24 % off.
"""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from dsb_fast.export import lucid, lucid_graph, lucid_parts, lucid_portable, onnx_file, torch_file
from references import images, lucid_generator, ort_graphs
from references.arrays import close, identical, random
from tolerances import LUCID_IMAGE, OPS

import dsb_fast

NAMES = {"v160_attn32": "1.6", "v180_attn32": "1.8.0", "v184_attn32": "1.8.3"}
NETWORKS = {"plain": "S", "ema": "SE"}
BUILDERS = {
    "portable": (lucid_portable.build, lucid_portable.build_mapping, lucid_portable.build_synthesis),
    "fused": (lucid_graph.build_fused, lucid_graph.build_fused_mapping, lucid_graph.build_fused_synthesis),
}


def _models(data, name: str, flavour: str, network: str = "plain") -> dict:
    """The graphs of a checkpoint, with the attention that its reader found."""
    checkpoint, mean = lucid.load(images.folder(data, name))[0], images.golden(data, name)["av_S"]
    assert checkpoint.attention == NAMES.get(name, "1.9")
    part, (whole, mapping, synthesis) = checkpoint.network(network), BUILDERS[flavour]
    return {
        "whole": whole(part.mapping, part.generator, mean, checkpoint.lr_mlp, checkpoint.attention),
        "mapping": mapping(part.mapping, checkpoint.lr_mlp),
        "synthesis": synthesis(part.generator, checkpoint.attention),
    }


def _session(model, flavour: str, threads: int = 1):
    if flavour == "fused":
        return ort_graphs.session(model.SerializeToString(), threads)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 4
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _run(model, flavour: str, inputs: dict, threads: int = 1) -> np.ndarray:
    return _session(model, flavour, threads).run(None, inputs)[0]


@pytest.mark.parametrize("flavour", images.FLAVOURS)
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", NAMES)
def test_styles_and_images_are_the_packages(data, name, network, flavour):
    golden, models, part = images.golden(data, name), _models(data, name, flavour, network), NETWORKS[network]
    noise, psi = {"noise": golden["noise"]}, {"truncation_psi": golden["trunc_psi"].astype(np.float32)}
    close(_run(models["mapping"], flavour, {"z": golden["z"]}), golden[f"w_{part}"], OPS)
    raw = golden[f"img_{part}_raw"]
    close(_run(models["synthesis"], flavour, {"w": golden[f"styles_{part}"], **noise}), raw, LUCID_IMAGE)
    image = _run(models["whole"], flavour, {"z": golden["z"], **noise, **psi}, threads=2)
    close(image, raw, LUCID_IMAGE)
    print(f"{name}, {network}, {flavour}: {np.abs(image - raw).max() / np.abs(raw).max():.1e}")
    if network == "ema":
        mixed = _run(models["synthesis"], flavour, {"w": golden["mix_styles"], **noise})
        close(mixed, golden["img_mix_raw"], LUCID_IMAGE)


@pytest.mark.parametrize("flavour", images.FLAVOURS)
@pytest.mark.parametrize("name", NAMES)
def test_a_batch_has_the_bits_of_its_samples(data, name, flavour):
    models, golden = _models(data, name, flavour), images.golden(data, name)
    size, latent, blocks = golden["noise"].shape[1], golden["z"].shape[1], golden["styles_S"].shape[1]
    noise = {"noise": np.abs(random(1, 8, size, size))}
    psi = {"truncation_psi": np.array(0.6, np.float32)}
    drawn = {"whole": {"z": random(0, 8, latent), **noise}, "synthesis": {"w": random(2, 8, blocks, latent), **noise}}
    for part, inputs in drawn.items():
        more, sessions = psi if part == "whole" else {}, [_session(models[part], flavour, n) for n in (1, 2)]
        together = sessions[0].run(None, inputs | more)[0]
        for session in sessions:
            for some in (slice(0, 1), slice(1, 3), slice(2, 5), slice(0, 8)):
                fed = {key: values[some] for key, values in inputs.items()} | more
                identical(session.run(None, fed)[0], together[some])


@pytest.mark.parametrize("name", NAMES)
def test_operators_make_the_packages_images(data, name):
    golden, checkpoint = images.golden(data, name), lucid.load(images.folder(data, name))[0]
    for impl in ("torch", *(["native"] if "fused" in images.FLAVOURS else [])):
        image = lucid_generator.synthesis(
            lucid_generator.operators(impl), checkpoint.network("plain").generator, golden["styles_S"],
            golden["noise"][..., None], checkpoint.attention,
        )  # fmt: skip
        close(image, golden["img_S_raw"], LUCID_IMAGE)
    if "fused" in images.FLAVOURS:
        inputs = {"w": golden["styles_S"], "noise": golden["noise"]}
        identical(_run(_models(data, name, "fused")["synthesis"], "fused", inputs), image)


@pytest.mark.parametrize("flavour", BUILDERS)
@pytest.mark.parametrize("name", NAMES)
def test_whatever_is_exported_is_admitted_and_can_be_cut(data, name, flavour):
    models = _models(data, name, flavour)
    for model in models.values():
        properties = onnx_file.metadata("digestive.gitract", flavour, "0" * 64, "MIT", "none", {})
        onnx_file.check(onnx_file.serialise(model, properties)[0])
    for cut, built in zip(lucid_parts.parts(models["whole"]), (models["mapping"], models["synthesis"]), strict=True):
        assert {n.op_type for n in cut.graph.node} == {n.op_type for n in built.graph.node}


@pytest.mark.parametrize("name", NAMES)
def test_a_loaded_model_makes_the_images(data, name):
    """From the file to an image, with the attention that its version had."""
    golden = images.golden(data, name)
    for flavour in images.FLAVOURS:
        model = images.generator(images.folder(data, name), flavour)
        w = golden["styles_SE"].astype(np.float32)
        close(model.synthesis(w, golden["noise"]), golden["img_SE_raw"], LUCID_IMAGE)


TENSORS = {"1.6": "v160_attn32", "1.8.0": "v180_attn32", "1.8.3": "v184_attn32", "1.5": "attn64", "1.9": "v190_attn32"}
SAME_TENSORS = {"1.8.0", "1.9"}
VERSIONS = {
    "1.5.10": "1.5", "1.5.14": "1.5", "1.6.0": "1.6", "1.7.0": "1.6", "1.8.0": "1.8.0", "1.8.1": "1.8.0",
    "1.8.3": "1.8.3", "1.8.4": "1.8.3", "1.8.5": "1.8.0", "1.8.6": "1.8.0", "1.8.7": "1.8.0", "1.8.8": "1.9",
    "1.8.11": "1.9", "1.9.0": "1.9",
}  # fmt: skip


def _tree(data, name: str) -> dict:
    path, _ = lucid.find_checkpoint(images.folder(data, name))
    return torch_file.load(path)[0]["GAN"]


@pytest.mark.variant_independent
@pytest.mark.parametrize("attention", TENSORS)
def test_every_version_is_read_as_what_it_computed(data, attention):
    state = _tree(data, TENSORS[attention])
    for version, meant in VERSIONS.items():
        if meant == attention or {meant, attention} == SAME_TENSORS:
            found = lucid.from_tree({"GAN": state, "version": version})
            assert (found.version, found.attention) == (version, meant) and "version" not in found.assumed
            continue
        with pytest.raises(dsb_fast.CheckpointError) as raised:
            lucid.from_tree({"GAN": state, "version": version})
        line = str(raised.value)
        assert f"its version is {version}, its attention has the tensors of" in line and "\n" not in line


@pytest.mark.variant_independent
@pytest.mark.parametrize("version", [None, "2.0.0", "1.5.9", 7])
@pytest.mark.parametrize(("name", "read_as", "attention"), [
    ("attn64", "1.5.10", "1.5"), ("v160_attn32", "1.7.0", "1.6"), ("v180_attn32", "1.9.0", "1.9"),
    ("v184_attn32", "1.8.4", "1.8.3"), ("plain32", "1.5.10", None),
])  # fmt: skip
def test_a_version_that_is_not_known_is_assumed(data, name, read_as, attention, version):
    found = lucid.from_tree({"GAN": _tree(data, name), "version": version})
    assert (found.version, found.attention) == (read_as, attention) and "version" in found.assumed


@pytest.mark.variant_independent
def test_tensors_of_two_versions_are_refused(data):
    old, new = _tree(data, "v160_attn32"), _tree(data, "v184_attn32")
    mixed = old | {name: tensor for name, tensor in new.items() if ".norm." in name}
    with pytest.raises(dsb_fast.CheckpointError, match=r"attns\.2\.0\.fn\.g is not part of such a network"):
        lucid.from_tree({"GAN": mixed, "version": "1.8.4"})
