"""Uniform float32 noise."""

from __future__ import annotations

import numpy as np
from harness import Alternative, Comparison, WrongAnswer

import dsb_fast.random

SUMMARY = "uniform float32 noise: Philox4x32-10 numbered by sample against numpy's sequential generators"
COUNT = "ECGs' noise, [8, 5000] each, in one call (64); a round makes 20 calls"

_MULTIPLIERS = np.array([0xD2511F53, 0xCD9E8D57], np.uint64)
_WEYL = np.array([0x9E3779B9, 0xBB67AE85], np.uint64)
_LOW = np.uint64(0xFFFFFFFF)
_CALLS = 20
_SHAPE = (8, 5000)


def philox_words(counter: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Philox4x32-10 (Salmon et al., SC 2011) of counters uint64 [N, 4] under a key uint64 [2]; words uint64 [N, 4]."""
    c, key = counter.copy(), key.copy()
    for _ in range(10):
        first, second = c[:, 0] * _MULTIPLIERS[0], c[:, 2] * _MULTIPLIERS[1]
        high = np.uint64(32)
        c = np.stack(
            [(second >> high) ^ c[:, 1] ^ key[0], second & _LOW, (first >> high) ^ c[:, 3] ^ key[1], first & _LOW], 1
        )
        key = (key + _WEYL) & _LOW
    return c


def _reference(seed: int, index: int) -> np.ndarray:
    """Uniform [-1, 1) noise of one sample, from the definition."""
    blocks = np.arange(_SHAPE[0] * _SHAPE[1] // 4, dtype=np.uint64)
    counter = np.zeros((len(blocks), 4), np.uint64)
    counter[:, 0] = blocks
    counter[:, 2], counter[:, 3] = index & 0xFFFFFFFF, index >> 32
    words = philox_words(counter, np.array([seed & 0xFFFFFFFF, seed >> 32], np.uint64))
    u = (words >> np.uint64(8)).astype(np.float32) * np.float32(2**-24)
    return (np.float32(-1) + np.float32(2) * u).reshape(_SHAPE)


def _check() -> None:
    answer = [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    if philox_words(np.zeros((1, 4), np.uint64), np.zeros(2, np.uint64)).tolist() != [answer]:
        raise WrongAnswer("this case's own Philox does not give the published known answer")
    for seed, index in ((0, 0), (2**63 + 12345, 2**33 + 7)):
        for threads in (1, 0):
            ours = dsb_fast.random.uniform(seed, index, 2, _SHAPE, low=-1.0, high=1.0, threads=threads)
            if not np.array_equal(ours, np.stack([_reference(seed, index), _reference(seed, index + 1)])):
                raise WrongAnswer(f"dsb_fast.random.uniform(seed={seed}, start={index}, threads={threads})")


def prepare(count: int | None) -> Comparison:
    """dsb_fast's numbers are compared with the definition, evaluated in numpy."""
    _check()
    count = count or 64
    millions = _CALLS * count * _SHAPE[0] * _SHAPE[1] / 1e6

    def ours(threads):
        for _ in range(_CALLS):
            dsb_fast.random.uniform(7, 0, count, _SHAPE, low=-1.0, high=1.0, threads=threads)

    def numpy_generator(generator):
        for _ in range(_CALLS):
            generator.random((count, *_SHAPE), dtype=np.float32)

    pcg64 = np.random.default_rng(7)
    philox = np.random.Generator(np.random.Philox(7))
    return Comparison(
        "M/s",
        "numpy PCG64",
        [
            Alternative("dsb_fast", lambda: ours(1), millions, setting="1 thread"),
            Alternative("dsb_fast all cores", lambda: ours(0), millions),
            Alternative("numpy PCG64", lambda: numpy_generator(pcg64), millions, setting="1 thread"),
            Alternative("numpy Philox", lambda: numpy_generator(philox), millions, setting="1 thread, 4x64"),
        ],
        "bit-equal to the definition for two seeds beyond 32 bits and indices beyond 2^32",
        note="numpy makes [0, 1), dsb_fast the [-1, 1) of the ECG noise; each call makes a new array",
    )
