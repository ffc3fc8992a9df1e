"""NVIDIA's and rosinality's networks through the C interface: Python's bytes, labels and noise planes included."""

from __future__ import annotations

import numpy as np
import pytest
from references import c_interface
from references.c_interface import ARGUMENT, UNSUPPORTED, Failed
from references.embedding import needs_library, open_model

import dsb_fast

nv_samples = pytest.importorskip("references.nv_samples", reason="this version has no models of NVIDIA's family")
pytestmark = needs_library
MODES = {"random": (1, "input"), "const": (2, "const"), "none": (3, "none")}


@pytest.fixture(scope="module")
def exported(tmp_path_factory, data):
    """A file of a golden network by name, flavour and noise."""
    folder = tmp_path_factory.mktemp("nv")

    def export(name: str, flavour: str, noise: str):
        path = folder / f"{name.replace('/', '-')}-{flavour}-{noise}.onnx"
        if not path.exists():
            nv_samples.generator(data / name, flavour).model.export(path, flavour, noise=MODES[noise][1])
        return path

    return export


@pytest.mark.parametrize("flavour", ["portable", "fused"])
@pytest.mark.parametrize("noise", MODES)
@pytest.mark.parametrize("name", nv_samples.GOLDEN)
def test_samples_are_pythons(exported, name, flavour, noise):
    path = exported(name, flavour, noise)
    generator = dsb_fast.load(path, device="cpu")
    with open_model(path, threads=2) as model:
        info = model.info()
        assert (info["model"], info["labels"]) == (generator.info["model"], generator.info["labels"])
        assert info["noise"] == MODES[noise][0] and info["unit"] == "grey level"
        assert np.array_equal(model.generate(11, seed=3, start=5), generator.sample(11, seed=3, start=5))
        assert np.array_equal(
            model.stream(11, seed=3, noise=MODES[noise][0]), generator.sample(11, seed=3, noise=noise)
        )
        for truncation in (0.5, 1.5):
            made = model.generate(3, truncation=truncation, has_truncation=1, batch_size=2)
            assert np.array_equal(made, generator.sample(3, truncation=truncation))
        for label in range(info["labels"]):
            assert np.array_equal(model.generate(2, label=label, has_label=1), generator.sample(2, label=label))


def test_what_a_file_does_not_have(exported):
    conditional = open_model(exported("nvlabs/ada64_cond_resnet.pkl", "fused", "none"))
    plain = open_model(exported("nvlabs/ada32_uncond_skip.pkl", "fused", "random"))
    with conditional, plain:
        for model, request, status in [
            (conditional, {"has_label": 1, "label": -1}, ARGUMENT), (conditional, {"noise": 1}, UNSUPPORTED),
            (conditional, {"has_label": 1, "label": conditional.info()["labels"]}, ARGUMENT),
            (plain, {"has_label": 1}, UNSUPPORTED), (plain, {"noise": 2}, UNSUPPORTED),
            (plain, {"noise": 4}, UNSUPPORTED), (plain, {"format": c_interface.INT16}, UNSUPPORTED),
        ]:  # fmt: skip
            with pytest.raises(Failed) as raised:
                model.generate(1, **request)
            assert raised.value.status == status, request
