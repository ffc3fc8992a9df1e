"""The kernels once more, in numba, for machines without the compiled extension: the same bits, more slowly.

numba does not contract products and sums unless asked (``fastmath``), so each operation is rounded as in C++.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import njit, prange, uint32, uint64

_MASK = np.uint64(0xFFFFFFFF)


@njit(inline="always")
def _philox(seed, index, stream, block):
    mask = uint64(0xFFFFFFFF)
    c0, c1, c2, c3 = uint64(block), uint64(stream), index & mask, index >> uint64(32)
    k0, k1 = seed & mask, seed >> uint64(32)
    for _ in range(10):
        p0, p1 = c0 * uint64(0xD2511F53), c2 * uint64(0xCD9E8D57)
        c0, c1 = (p1 >> uint64(32)) ^ c1 ^ k0, p1 & mask
        c2, c3 = (p0 >> uint64(32)) ^ c3 ^ k1, p0 & mask
        k0, k1 = (k0 + uint64(0x9E3779B9)) & mask, (k1 + uint64(0xBB67AE85)) & mask
    return c0, c1, c2, c3


def _uniform(out, seed, start, stream, low, span):
    count, elements = out.shape
    for n in prange(count):
        words = np.empty(4, np.uint64)
        for block in range((elements + 3) // 4):
            words[0], words[1], words[2], words[3] = _philox(seed, start + uint64(n), stream, block)
            for k in range(min(4, elements - 4 * block)):
                u = np.float32(uint32(words[k]) >> uint32(8)) * np.float32(2.0**-24)
                out[n, 4 * block + k] = np.float32(low) + np.float32(np.float32(span) * u)


@njit(inline="always")
def _log_of_fraction(n):
    """ln(n * 2**-32), n an integer from 1 to 2**32, the operations of csrc/kernels/philox.cc in their order."""
    exponent, m = 0, n
    while m >= 2.0:  # exact
        m *= 0.5
        exponent += 1
    if m > 1.4142135623730951:
        m *= 0.5
        exponent += 1
    k = np.float64(exponent - 32)
    f = m - 1.0
    s = f / (2.0 + f)
    z = s * s
    r = 2.0 / 23.0
    for odd in range(21, 1, -2):
        r = r * z + 2.0 / odd
    r = r * z
    ln_m = f - s * (f - r)
    return k * 6.93147180369123816490e-01 + (k * 1.90821492927058770002e-10 + ln_m)


@njit(inline="always")
def _box_muller(a, b):
    radius = np.sqrt(-2.0 * _log_of_fraction(np.float64(a) + 1.0))
    q = (b + uint64(1 << 29)) >> uint64(30)
    angle = (np.float64(b) - np.float64(q) * 1073741824.0) * (6.283185307179586 * 2.0**-32)
    z = angle * angle
    sine, cosine = 1.0, 1.0
    for n in range(18, 0, -2):
        cosine = 1.0 - (z * (1.0 / (n * (n - 1)))) * cosine
        sine = 1.0 - (z * (1.0 / (n * (n + 1)))) * sine
    sine = sine * angle
    if q & uint64(1):
        sine, cosine = cosine, sine
    if (q + uint64(1)) & uint64(2):
        cosine = -cosine
    if q & uint64(2):
        sine = -sine
    return np.float32(radius * cosine), np.float32(radius * sine)


def _normal(out, seed, start, stream):
    count, elements = out.shape
    for n in prange(count):
        values = np.empty(4, np.float32)
        for block in range((elements + 3) // 4):
            w0, w1, w2, w3 = _philox(seed, start + uint64(n), stream, block)
            values[0], values[1] = _box_muller(w0, w1)
            values[2], values[3] = _box_muller(w2, w3)
            for k in range(min(4, elements - 4 * block)):
                out[n, 4 * block + k] = values[k]


# One thread is a kernel of its own: workers call it side by side, which numba's plainest threading layer forbids.
_one_thread = njit(cache=True, nogil=True)
_many_threads = njit(cache=True, parallel=True)
_KERNELS = {kernel: (_one_thread(kernel), _many_threads(kernel)) for kernel in (_uniform, _normal)}


def _compiled(kernel, threads: int):
    if threads == 1:
        return _KERNELS[kernel][0]
    most = numba.config.NUMBA_NUM_THREADS
    numba.set_num_threads(min(threads, most) if threads else most)
    return _KERNELS[kernel][1]


def random_uniform(out, seed, start, stream, low, span, threads):
    arguments = np.uint64(seed), np.uint64(start), np.uint64(stream), np.float32(low), np.float32(span)
    _compiled(_uniform, threads)(out, *arguments)


def random_normal(out, seed, start, stream, threads):
    _compiled(_normal, threads)(out, np.uint64(seed), np.uint64(start), np.uint64(stream))


def microvolt(signal, scale, out):
    y = signal * np.float32(scale)
    np.clip(y, -32768.0, 32767.0, out=y)
    numbers = not np.isnan(y).any()
    with np.errstate(invalid="ignore"):
        out[...] = y.astype(np.int16)
    return numbers


def grey_levels(image, scale, offset):
    y = image * np.float32(scale) + np.float32(offset)
    if np.isnan(y).any():
        return None
    return np.ascontiguousarray(np.clip(y, 0.0, 255.0).astype(np.uint8).transpose(0, 2, 3, 1))


def derive_12(samples, out):
    i, ii = samples[:, 0].astype(np.int32), samples[:, 1].astype(np.int32)
    out[:, :2] = samples[:, :2]
    out[:, 6:] = samples[:, 2:]
    fits = True
    for lead, twice in enumerate((2 * (ii - i), -(i + ii), 2 * i - ii, 2 * ii - i), start=2):
        value = np.sign(twice) * (np.abs(twice) // 2)  # halves cut toward zero
        out[:, lead] = value
        fits &= bool((out[:, lead] == value).all())
    return fits


@njit(cache=True, nogil=True)
def _rows(sample, separator, prefixes, out):
    leads, length = sample.shape
    digits = np.empty(5, np.uint8)
    to = 0
    for t in range(length):
        for k in range(prefixes.shape[1]):
            if prefixes[t, k] == 0:
                break
            out[to] = prefixes[t, k]
            to += 1
        for lead in range(leads):
            rest = np.int32(sample[lead, t])
            if rest < 0:
                out[to] = 45
                to += 1
                rest = -rest
            n = 0
            while n == 0 or rest:
                digits[n] = 48 + rest % 10
                rest //= 10
                n += 1
            while n:
                n -= 1
                out[to] = digits[n]
                to += 1
            out[to] = separator if lead + 1 < leads else 10
            to += 1
    return to


def rows_as_text(sample, separator, header, prefixes, width):
    leads, length = sample.shape
    table = np.frombuffer(prefixes, np.uint8).reshape(length, width)
    out = np.empty(length * (width + 7 * max(leads, 1)), np.uint8)
    size = _rows(np.ascontiguousarray(sample), ord(separator), table, out)
    return header + out[:size].tobytes()
