"""The image generator's portable graphs: the package's own styles and images, the same bits in any batch, standard
operators that any runtime takes.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import onnx
import onnxruntime
import pytest
from dsb_fast.export import lucid, lucid_portable
from onnx import TensorProto
from references import gitract_checkpoint, images, lucid_generator
from references.arrays import close, identical
from tolerances import LUCID_IMAGE, OPS

from dsb_fast import random

pytestmark = pytest.mark.variant_independent
NETWORKS = {"plain": "S", "ema": "SE"}
BATCHES = (1, 2, 3, 8)


@cache
def _checkpoint(folder):
    return lucid.load(folder)[0]


@cache
def _full_size() -> dict:
    """Mapping and generator of a network as large as the GI-tract model, and its mean style."""
    tensors = {k: v.numpy() for k, v in gitract_checkpoint.state_dict().items() if not k.endswith(".f")}
    mapping, generator = ({k[2:]: v for k, v in tensors.items() if k.startswith(p)} for p in ("S.", "G."))
    return {"mapping": mapping, "generator": generator, "mean_style": random.normal(1, 0, 1, (512,))[0] * 0.3}


@cache
def _full_size_model() -> onnx.ModelProto:
    return lucid_portable.build(**_full_size(), lr_mlp=0.1)


def _built(data, name: str, network: str = "plain") -> dict[str, onnx.ModelProto]:
    """Every graph of a golden checkpoint, or the whole one of full size."""
    if name == "full size":
        return {"whole": _full_size_model()}
    checkpoint, mean = _checkpoint(images.folder(data, name)), images.golden(data, name)["av_S"]
    part, lr_mlp = checkpoint.networks[network], checkpoint.lr_mlp
    mapping, generator = part.mapping, part.generator
    return {
        "whole": lucid_portable.build(mapping, generator, mean, lr_mlp),
        "mapping": lucid_portable.build_mapping(mapping, lr_mlp),
        "synthesis": lucid_portable.build_synthesis(generator),
        "fidelity": lucid_portable.build_fidelity(mapping, generator, mean, lr_mlp, 0.7),
    }


def _run(model: onnx.ModelProto, inputs: dict, threads: int = 1) -> np.ndarray:
    return _session(model, threads).run(None, inputs)[0]


def _session(model: onnx.ModelProto, threads: int = 1) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 4
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _drawn(model: onnx.ModelProto, count: int) -> dict[str, np.ndarray]:
    """Inputs of ``count`` samples."""
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim[1:]] for v in model.graph.input}
    makers = {"noise": random.uniform, "z": random.normal, "w": random.normal}
    drawn = {name: makers[name](5, 0, count, tuple(shapes[name])) for name in makers if name in shapes}
    return drawn | ({"truncation_psi": np.array(0.6, np.float32)} if "truncation_psi" in shapes else {})


def _levels(image: np.ndarray) -> np.ndarray:
    return (np.clip(image, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)


def _few_levels_differ(image: np.ndarray, expected: np.ndarray) -> None:
    apart = np.abs(_levels(image).astype(int) - _levels(expected))
    assert (apart == 0).mean() >= 0.995 and apart.max() <= 1


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", images.NAMES)
def test_styles_and_images_are_the_packages(data, name, network):
    golden, models, part = images.golden(data, name), _built(data, name, network), NETWORKS[network]
    close(_run(models["mapping"], {"z": golden["z"]}), golden[f"w_{part}"], OPS)
    noise, psi = {"noise": golden["noise"]}, {"truncation_psi": golden["trunc_psi"].astype(np.float32)}
    raw = golden[f"img_{part}_raw"]
    for image in (
        _run(models["synthesis"], {"w": golden[f"styles_{part}"], **noise}),
        _run(models["whole"], {"z": golden["z"], **noise, **psi}, threads=2),
    ):
        close(image, raw, LUCID_IMAGE)
        _few_levels_differ(image, raw)
    if network == "ema":
        psi = {"truncation_psi": np.array(1, np.float32)}
        close(_run(models["whole"], {"z": golden["z"], **noise, **psi}), golden["img_SE_raw_psi1"], LUCID_IMAGE)
        mixed = _run(models["synthesis"], {"w": golden["mix_styles"], **noise})
        close(mixed, golden["img_mix_raw"], LUCID_IMAGE)


@pytest.mark.parametrize("options", [{"attn_layers": (3, 1)}, {"attn_layers": (3,), "no_const": True}])
def test_attention_before_the_first_block(options):
    small = {"image_size": 16, "capacity": 3, "latent_dim": 12, "style_depth": 2, **options}
    weights = {k[2:]: v.numpy() for k, v in gitract_checkpoint.state_dict(**small).items() if k.startswith("G.")}
    w, noise = random.normal(0, 0, 2, (3, 12)), random.uniform(0, 0, 2, (16, 16), stream=1)
    image = _run(lucid_portable.build_synthesis(weights), {"w": w, "noise": noise})
    double = {name: values.astype(np.float64) for name, values in weights.items()}
    expected = lucid_generator.synthesis(
        lucid_generator.operators("torch"), double, w.astype(np.float64), noise[..., None].astype(np.float64)
    )
    assert expected.dtype == np.float64
    close(image, expected, LUCID_IMAGE)


def test_a_network_of_full_size():
    inputs = _drawn(model := _full_size_model(), 1)
    mapping, generator, mean = _full_size().values()
    w = mean + np.float64(inputs["truncation_psi"]) * (images.styles(mapping, inputs["z"], 0.1) - mean)
    double = {name: values.astype(np.float64) for name, values in generator.items()}
    styles, noise = np.repeat(w[:, None], 6, axis=1), inputs["noise"][..., None].astype(np.float64)
    expected = lucid_generator.synthesis(lucid_generator.operators("torch"), double, styles, noise)
    image = _run(model, inputs)
    assert expected.dtype == np.float64 and np.ptp(image) > 0.1
    close(image, expected, LUCID_IMAGE)
    _few_levels_differ(image, expected)


@pytest.mark.parametrize("name", [*images.NAMES, "full size"])
def test_a_batch_has_the_bits_of_its_samples(data, name):
    for part, model in _built(data, name).items():
        inputs, results = _drawn(model, max(BATCHES)), {}
        for threads in (1, 2):
            session = _session(model, threads)
            for count in BATCHES:
                fed = {k: v[:count] if v.ndim else v for k, v in inputs.items()}
                results[threads, count] = session.run(None, fed)[0]
        whole = results[1, max(BATCHES)]
        for (_, count), result in results.items():
            identical(result, whole[:count])
        if part == "whole":
            last = {k: v[-3:-1] if v.ndim else v for k, v in inputs.items()}
            identical(_run(model, last), whole[-3:-1])


def _constant_inputs(node: onnx.NodeProto) -> list[str]:
    """What has to be stored for the graph to have sizes that no data decides, and weights that no sample changes."""
    first = {"Conv": 1, "Reshape": 1, "Slice": 1, "Resize": 1, "Pad": 1, "Gather": 1, "Unsqueeze": 1}.get(node.op_type)
    return [name for name in node.input[first:] if name] if first else []


@pytest.mark.parametrize("name", images.NAMES)
def test_graphs_are_standard_and_of_known_size(data, name):
    for model in _built(data, name).values():
        onnx.checker.check_model(model, full_check=True)
        assert model.ir_version == 9 and {o.domain: o.version for o in model.opset_import} == {"": 17}
        assert {node.domain for node in model.graph.node} == {""} and not model.functions
        stored = {tensor.name for tensor in model.graph.initializer}
        assert stored == {n for node in model.graph.node for n in node.input} & stored, "constants that nothing reads"
        for node in model.graph.node:
            assert not any(a.HasField("g") or a.graphs for a in node.attribute)
            assert set(_constant_inputs(node)) <= stored, node.name
        inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True).graph
        sizes = {value.name: value.type.tensor_type.shape.dim for value in (*inferred.value_info, *inferred.output)}
        for node in model.graph.node:
            batch, *rest = sizes[node.output[0]]
            assert all(d.dim_value > 0 for d in rest), node.name
            assert batch.dim_param or batch.dim_value == 1, node.name


@pytest.mark.parametrize("name", images.NAMES)
def test_no_weights_are_made_for_a_sample(data, name):
    graph = _built(data, name)["whole"].graph
    stored = {tensor.name: math.prod(tensor.dims) for tensor in graph.initializer}
    modulated = {name for name in stored if name.endswith((".conv1.weight", ".conv2.weight", ".conv.weight"))}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert modulated and modulated <= {node.input[1] for node in convolutions}
    assert all(stored[name] for node in convolutions for name in node.input[1:])
    # Of the weights nothing but the convolutions reads: no style is ever multiplied into them.
    assert not modulated & {name for node in graph.node if node.op_type != "Conv" for name in node.input}


@pytest.mark.parametrize("name", images.NAMES)
def test_openvino_makes_the_same_images(data, name):
    import openvino

    golden, models, core = images.golden(data, name), _built(data, name), openvino.Core()
    given = {"noise": golden["noise"]}
    psi = {"truncation_psi": golden["trunc_psi"].astype(np.float32)}
    for part, inputs in (("synthesis", {"w": golden["styles_S"]}), ("whole", {"z": golden["z"], **psi})):
        model = core.read_model(models[part].SerializeToString())
        compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        close(compiled({**inputs, **given})[0], golden["img_S_raw"], 2e-5)


@pytest.mark.parametrize("name", images.NAMES)
def test_the_graph_for_fidelity_takes_z_alone(data, name):
    models = _built(data, name)
    (port,), (image,) = models["fidelity"].graph.input, models["fidelity"].graph.output
    assert (port.name, image.name, image.type.tensor_type.elem_type) == ("z", "image", TensorProto.UINT8)
    inputs = _drawn(models["whole"], 3)
    size = inputs["noise"].shape[1:]
    noise = np.repeat(random.uniform(0, 0, 1, size, stream=1), 3, axis=0)
    expected = _run(models["whole"], inputs | {"noise": noise, "truncation_psi": np.array(0.7, np.float32)})
    levels = _run(models["fidelity"], {"z": inputs["z"]})
    assert levels.dtype == np.uint8
    apart = np.abs(levels.astype(int) - _levels(expected))
    assert apart.max() <= 1 and (apart == 0).mean() >= 0.995


def test_energies_are_summed_in_float64():
    weight = random.normal(0, 0, 1, (7, 5, 3, 3))[0]
    expected = [[math.fsum(np.float64(v) ** 2 for v in weight[o, i].flat) for o in range(7)] for i in range(5)]
    identical(lucid_portable.energies(weight), np.array(expected, np.float32))
