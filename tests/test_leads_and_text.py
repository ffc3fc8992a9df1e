"""Derived leads against exact fractions; text against numpy.savetxt and the original package's checksums."""

from __future__ import annotations

import hashlib
import io
import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import dsb_fast
from dsb_fast import _fallback, _kernels, leads

small = st.integers(-10000, 10000)


def _cut(value: Fraction) -> int:
    return int(value)  # int() of a fraction cuts toward zero


@given(small, small)
def test_derived_leads_are_the_equations_cut_toward_zero(i, ii):
    sample = np.zeros((8, 1), np.int16)
    sample[:2, 0] = i, ii
    sample[2:, 0] = range(1, 7)
    got = leads.derive_12(sample)[:, 0].tolist()
    half = Fraction(1, 2)
    exact = [i, ii, ii - i, -half * (i + ii), i - half * ii, ii - half * i, 1, 2, 3, 4, 5, 6]
    assert got == [_cut(Fraction(v)) for v in exact]


def test_fallback_derives_the_same():
    sample = np.random.default_rng(0).integers(-9000, 9000, (3, 8, 77)).astype(np.int16)
    out = np.empty((3, 12, 77), np.int16)
    assert _fallback.derive_12(sample, out)
    assert (out == leads.derive_12(sample)).all()


def test_derive_12_refuses_what_is_no_ecg():
    with pytest.raises(dsb_fast.InputError, match="8, time"):
        leads.derive_12(np.zeros((12, 5), np.int16))
    with pytest.raises(dsb_fast.InputError, match="float32"):
        leads.derive_12(np.zeros((8, 5), np.float32))
    with pytest.raises(dsb_fast.InputError, match="fit int16"):
        leads.derive_12(np.full((8, 5), 40000))
    assert leads.derive_12(np.ones((8, 5), int)).dtype == np.int16
    large = np.zeros((8, 5), np.int16)
    large[0], large[1] = -30000, 30000
    with pytest.raises(dsb_fast.InputError, match="fit"):
        leads.derive_12(large)
    assert leads.derive_12(np.zeros((0, 8, 5), np.int16)).shape == (0, 12, 5)


def _savetxt(sample: np.ndarray, delimiter: str = " ") -> bytes:
    buffer = io.BytesIO()
    np.savetxt(buffer, sample.T, fmt="%i", delimiter=delimiter)
    return buffer.getvalue()


@pytest.mark.parametrize("kernels", [_kernels, _fallback])
@given(hnp.arrays(np.int16, st.tuples(st.integers(1, 13), st.integers(1, 40))))
@settings(max_examples=60, deadline=None)
def test_rows_are_those_of_savetxt(kernels, sample):
    assert kernels.rows_as_text(sample, " ", b"", b"", 0) == _savetxt(sample)
    assert kernels.rows_as_text(sample, ",", b"h\n", b"", 0) == b"h\n" + _savetxt(sample, ",")


@pytest.mark.parametrize("kernels", [_kernels, _fallback])
def test_every_value_and_no_rows(kernels):
    everything = np.arange(-32768, 32768).astype(np.int16).reshape(8, -1)
    assert kernels.rows_as_text(everything, " ", b"", b"", 0) == _savetxt(everything)
    assert kernels.rows_as_text(np.empty((8, 0), np.int16), " ", b"h", b"", 0) == b"h"


def test_asc_text_is_that_of_the_original_package(data):
    golden, facts = np.load(data / "ecg/ecg.npz"), json.loads((data / "ecg/ecg.json").read_text())
    for k, sample in enumerate(golden["out_int"].astype(np.int16)):
        text = _kernels.rows_as_text(sample, " ")
        assert hashlib.sha256(text).hexdigest() == facts["asc"][str(k)]["sha256"]
        assert len(text) == facts["asc"][str(k)]["n_bytes"]
