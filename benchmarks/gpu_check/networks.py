"""The three networks: their samples by dsb_fast in any precision, and the originals in torch on the same device."""

from __future__ import annotations

from dataclasses import dataclass, field

import device_floors as floors
import numpy as np

TRUNCATION = 0.75


@dataclass
class Case:
    """``model`` is dsb_fast's, ``describe`` its networks by key, ``original(device)`` the published program's.

    ``reference(count)`` are samples 0 to count - 1 of seed 0 in float32 on the CPU, by ``referee``;
    ``generator(device)`` opens ONNX Runtime's or raises. ``parity`` samples are compared, ``batches`` tried.
    """

    name: str
    unit: str
    weights: str
    model: object
    describe: object
    original: object
    referee: str
    reference: object
    layers: list
    parity: int
    batches: tuple[int, ...]
    own_batches: tuple[int, ...]  # of the original, the package's first
    generator: object = None
    rate: str = "images/s"
    kept: list = field(default_factory=list)  # what must live as long as the case


def ecg(args) -> Case:
    """The published ECG network, or that of --checkpoint."""
    from published_torch import PublishedNetwork

    import dsb_fast

    on_cpu = dsb_fast.load("cardiovascular.ecg", device="cpu", checkpoint=args.checkpoint)
    source = on_cpu.model.source
    if not hasattr(source, "network"):
        raise ValueError(f"{args.checkpoint} is an exported graph; the torch network needs a checkpoint")

    def onnx_runtime(device):
        return dsb_fast.load("cardiovascular.ecg", device, "fp32", args.checkpoint, backend="onnxruntime")

    return Case(
        "ecg", "microvolt", source.path if args.checkpoint else "published", on_cpu.model, source.description,
        lambda device: PublishedNetwork(source.network, device), f"dsb_fast {on_cpu.backend.name}", on_cpu.sample,
        floors.ecg(source.network, on_cpu.model.card.length), args.samples,
        (2,) if args.dry_run else (1, 16, 64, 256), (1,) if args.dry_run else (1, 32, 256),
        onnx_runtime, "ECG/s",
    )  # fmt: skip


def gi(args) -> Case:
    """The GI-tract network's size with random weights, unless --gi names a checkpoint."""
    import gi_model
    from published_stylegan2 import PublishedNetwork

    import dsb_fast

    if args.dry_run:
        gi_model.OPTIONS = ["--image-size", "32", "--capacity", "4", "--latent-dim", "32", "--style-depth", "2"]
    place = None if args.gi else gi_model.Workspace("dsb-gpu-check-")
    path = args.gi or place.checkpoint
    on_cpu = dsb_fast.load("digestive.gitract", device="cpu", checkpoint=path)
    lucid, mean = on_cpu.model.source.lucid, on_cpu.mean_style
    network = lucid.network("ema")

    def onnx_runtime(device):
        return dsb_fast.load("digestive.gitract", device, checkpoint=path, backend="onnxruntime")

    def original(device):
        return _WithPsi(PublishedNetwork(network.mapping, network.generator, mean, lucid.lr_mlp, device=device))

    return Case(
        "gi", "grey level", args.gi or "random, of the published size (tests/references/gitract_checkpoint.py)",
        on_cpu.model, on_cpu.model.source.description, original, f"dsb_fast {on_cpu.backend.name}", on_cpu.sample,
        floors.lucid(network.generator, network.mapping), max(2, args.samples // 8),
        (2,) if args.dry_run else (1, 8, 32, 128), (1,) if args.dry_run else (1, 8, 64),
        onnx_runtime, kept=[place],
    )  # fmt: skip


def nv(args) -> Case:
    """NVIDIA's public 256 x 256 configuration with random weights."""
    import nv_model
    from published_nvlabs import PublishedNetwork

    from dsb_fast._models.nv_model import NvModel

    if args.dry_run:
        nv_model.CHANNEL_MAX, nv_model.LATENT, nv_model.DEPTH = 8, 16, 2
    network = nv_model.network(16 if args.dry_run else nv_model.SIZE)
    model = NvModel(_Drawn(network))

    def reference(count):
        return _published_levels(PublishedNetwork(network), model, count)

    return Case(
        "nv", "grey level", "random, stylegan2-ada-pytorch's paper256 (benchmarks/nv_model.py)", model,
        model.source.description, lambda device: _WithPsi(PublishedNetwork(network, device=device)),
        "the original in torch", reference, floors.stylegan2(network), 2 if args.dry_run else 8,
        (2,) if args.dry_run else (1, 8, 32), (1,) if args.dry_run else (1, 8, 32),
    )  # fmt: skip


class _WithPsi:
    """An original whose generate knows its truncation."""

    def __init__(self, network):
        self.network = network

    def generate(self, count: int, batch: int) -> int:
        return self.network.generate(count, batch, TRUNCATION)


class _Drawn:
    """A network that is in no file, as what dsb_fast takes a source to be."""

    parts, noises, path = ("whole", "mapping", "synthesis"), ("input", "none"), "random weights"

    def __init__(self, network):
        from dsb_fast._models.nv_card import check_nv_card

        self.network, self.mean_style = network, network.mean_style
        self.card = check_nv_card({
            "family": network.family, "image_size": network.resolution, "channels": network.img_channels,
            "latent_dim": network.z_dim, "style_dim": network.w_dim, "num_ws": network.num_ws, "labels": 0,
            "architecture": network.architecture, "noise_sizes": list(network.noise_sizes), "stored_noise": False,
            "mean_estimated": False, "truncation": TRUNCATION,
        })  # fmt: skip
        self.name = "nvidia-stylegan2"

    def description(self, key):
        """As dsb_fast._models.nv_source has it."""
        from dsb_fast._models.description import Description
        from dsb_fast._models.on_device import WholeNumbers

        key, ends = (key.key, ("levels", 127.5, 128.0)) if isinstance(key, WholeNumbers) else (key, None)
        settings = {"part": key[0], "noise": key[1], "network": self.network, "mean_style": self.mean_style}
        return Description("stylegan2", settings, ends, "random")


def _published_levels(original, model, count: int) -> np.ndarray:
    """Grey levels of samples 0 to count - 1 of seed 0, latents and planes by dsb_fast.random."""
    made = []
    options = model.options()
    for index in range(count):
        still = model.still(0, index, 1, options)
        z = model.latents(0, index, 1, options)
        planes = [still[f"noise_{k}"] for k in range(len(model.card.noise_sizes))]
        made.append(model.outputs({"image": original.image(z, planes, TRUNCATION)}, options))
    return np.concatenate(made)


CASES = {"ecg": ecg, "gi": gi, "nv": nv}
