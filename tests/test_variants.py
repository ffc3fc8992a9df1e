"""Kernel variants: forced by name, proven to have run, equal in their answers; no shared weak symbols."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import dsb_fast
from dsb_fast import _fallback, _kernels

pytestmark = pytest.mark.skipif(_kernels.native is None, reason="the extension is not built (DSB_NATIVE=0)")


def _run(tmp_path, code, **env):
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", [name for name, available in _kernels.variants() if available])
def test_forced_variant_runs(tmp_path, name):
    done = _run(tmp_path, "from dsb_fast import _kernels; print(_kernels.active_variant())", DSB_FORCE_VARIANT=name)
    assert done.stdout.strip() == name


def test_unknown_variant_is_an_error(process, one_line):
    line = one_line(process("devices", env={"DSB_FORCE_VARIANT": "sse9"}), 2)
    assert "sse9" in line and "scalar" in line


def test_variant_without_extension_is_an_error(process, one_line):
    line = one_line(process("devices", env={"DSB_FORCE_VARIANT": "avx2", "DSB_NATIVE": "0"}), 2)
    assert "avx2" in line


_MICROVOLT = """
import hashlib, numpy as np
from dsb_fast import _kernels
digest = hashlib.sha256()
values = np.random.default_rng(0).uniform(-7, 7, 100003).astype(np.float32)
for size in (0, 1, 7, 8, 9, 15, 16, 17, 31, 33, 100003):
    out = np.empty(size, np.int16)
    assert _kernels.microvolt(values[:size], 6000.0, out)
    digest.update(out)
    shifted = np.empty(max(size - 1, 0), np.int16)
    _kernels.microvolt(values[1:size], 6000.0, shifted)
    assert (shifted == out[1:]).all()
print(digest.hexdigest())
"""


@pytest.mark.variant_independent  # goes through the variants by itself
def test_microvolt_is_equal_in_every_variant(tmp_path):
    names = [name for name, available in _kernels.variants() if available]
    digests = {name: _run(tmp_path, _MICROVOLT, DSB_FORCE_VARIANT=name).stdout for name in names}
    digests["numba"] = _run(tmp_path, _MICROVOLT, DSB_NATIVE="0", DSB_FORCE_VARIANT="").stdout
    assert len(set(digests.values())) == 1 and all(digests.values()), digests


@pytest.mark.parametrize("kernels", [_kernels, _fallback])
def test_microvolt_cuts_toward_zero_and_reports_what_is_no_number(kernels):
    signal = np.array(
        [0.0, -0.0, 0.99 / 6000, -0.99 / 6000, 1.5 / 6000, -1.5 / 6000, 9.0, -9.0, 1e30, -1e30], np.float32
    )
    out = np.empty(len(signal), np.int16)
    assert kernels.microvolt(signal, 6000.0, out)
    assert out.tolist() == [0, 0, 0, 0, 1, -1, 32767, -32768, 32767, -32768]
    for position in range(33):
        signal = np.zeros(33, np.float32)
        signal[position] = np.nan
        assert not kernels.microvolt(signal, 6000.0, np.empty(33, np.int16)), position


@pytest.mark.variant_independent
def test_no_weak_symbol_outside_a_variants_namespace():
    """A weak symbol in a kernel unit could be the copy that links, compiled for a CPU that this one is not."""
    names = [name for name, _ in _kernels.variants()]
    listing = subprocess.run(
        ["nm", "-C", "--defined-only", _kernels.native.__file__], capture_output=True, text=True, check=True
    ).stdout
    kernels = [line for line in listing.splitlines() if any(f"dsb::{name}::" in line for name in names)]
    weak = [line for line in listing.splitlines() if len(line.split()) > 2 and line.split()[1] in "WVwv"]
    foreign = [line for line in weak if "immintrin" in line or "_mm" in line]
    assert not foreign
    assert not [line for line in kernels if line.split()[1] in "WVwv"], kernels


def test_errors_are_of_the_tree():
    assert issubclass(dsb_fast.VariantError, dsb_fast.InputError)
    assert issubclass(dsb_fast.InputError, ValueError)
