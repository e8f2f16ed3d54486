# SPDX-License-Identifier: MIT
"""Random models of the signal operators and of plain integers. Their uint32 ends are CAST from and to int32,
and a uint64 is seen through its square root: Model has no such inputs and outputs."""

from collections.abc import Callable

import numpy as np
from flatbuffers import flexbuffers

from compiler.builder import Builder, Case, Rng
from compiler.cases_binary import _shapes

_INT16 = 7  # schema: TensorType


def custom(b: Builder, name: str, inputs: list[int], outputs: list[int], **options: int) -> None:
    """Add a CUSTOM operator with FlexBuffers options."""
    b.operator(f"CUSTOM:{name}", inputs, outputs)
    b.operators[-1].customOptions = np.frombuffer(bytes(flexbuffers.Dumps(options)), dtype=np.uint8)


def _wide(rng: Rng, shape: tuple[int, ...], bits: int = 32) -> np.ndarray:
    """Unsigned values of every magnitude, as int32."""
    values = rng.integers(0, 1 << 32, size=shape) >> rng.integers(32 - bits, 33, size=shape)
    return values.astype("<u4").view("<i4")


def _samples(rng: Rng, shape: tuple[int, ...]) -> np.ndarray:
    """int16 noise of any loudness, the ends of the range and silence included."""
    style = int(rng.integers(6))
    if style == 0:
        return rng.choice([-32768, 32767], size=shape).astype("<i2")
    if style == 1:
        return np.zeros(shape, "<i2")
    most = 1 << int(rng.integers(1, 16))
    return rng.integers(-most, most, size=shape).astype("<i2")


def _unsigned(b: Builder, shape: tuple[int, ...]) -> tuple[int, int]:
    """(an int32 input, its CAST to uint32)."""
    x, u = b.tensor(shape, "int32"), b.tensor(shape, "uint32")
    b.operator("CAST", [x], [u])
    return x, u


def _signed(b: Builder, u: int, shape: tuple[int, ...]) -> int:
    y = b.tensor(shape, "int32")
    b.operator("CAST", [u], [y])
    return y


def window(rng: Rng) -> Case:
    n, rows, shift = int(rng.integers(1, 40)), int(rng.integers(1, 4)), int(rng.choice([0, 12, 15, 31]))
    b = Builder()
    x, y = b.tensor((rows, n), "int16"), b.tensor((rows, n), "int16")
    weights = b.tensor((n,), "int16", data=_samples(rng, (n,)))
    custom(b, "SignalWindow", [x, weights], [y], shift=shift)
    return Case(f"{rows}x{n} >> {shift}", b.build([x], [y]), [_samples(rng, (rows, n))])


def auto_scale(rng: Rng) -> Case:
    n = int(rng.integers(1, 60))
    b = Builder()
    x, y, bits = b.tensor((n,), "int16"), b.tensor((n,), "int16"), b.tensor((), "int32")
    custom(b, "SignalFftAutoScale", [x], [y, bits])
    return Case(f"{n}", b.build([x], [y, bits]), [_samples(rng, (n,))])


def rfft(rng: Rng) -> Case:
    length = 1 << int(rng.integers(2, 11))
    n = int(rng.integers(1, length + 1)) if rng.integers(2) else length
    rows = int(rng.integers(1, 3)) if length < 300 else 1
    b = Builder()
    x, y = b.tensor((rows, n), "int16"), b.tensor((rows, length + 2), "int16")
    custom(b, "SignalRfft", [x], [y], T=_INT16, fft_length=length)
    return Case(f"{rows}x{n} of {length}", b.build([x], [y]), [_samples(rng, (rows, n))])


def energy(rng: Rng) -> Case:
    """What lies outside start..end is not written by tflite-micro, so it is sliced away."""
    n = int(rng.integers(1, 40))
    start = int(rng.integers(0, n))
    end = int(rng.integers(start + 1, n + 1))
    b = Builder()
    x, u = b.tensor((2 * n,), "int16"), b.tensor((n,), "uint32")
    custom(b, "SignalEnergy", [x], [u], start_index=start, end_index=end)
    part = b.tensor((end - start,), "int32")
    ends = [b.tensor((1,), "int32", data=np.array([v])) for v in (start, end, 1)]
    b.operator("STRIDED_SLICE", [_signed(b, u, (n,)), *ends], [part])
    return Case(f"{start}..{end} of {n}", b.build([x], [part]), [_samples(rng, (2 * n,))])


def filter_bank(rng: Rng) -> Case:
    """With the square root of its sums, by a scale that is an input."""
    bins, n = int(rng.integers(8, 300)), int(rng.integers(1, 12))
    widths = rng.integers(0, 9, size=n + 1)
    starts = np.array([int(rng.integers(0, bins - w + 1)) for w in widths])
    firsts = np.concatenate([[0], np.cumsum(widths)[:-1]])
    total = int(widths.sum()) + int(rng.integers(1, 3))
    most = 32768 if rng.integers(2) else 4097
    b = Builder()
    x, u = _unsigned(b, (bins,))
    tables = [
        b.tensor((len(t),), "int16", data=t)
        for t in (
            rng.integers(0, most, size=total),
            rng.integers(0, most, size=total),
            starts,
            firsts,
            widths,
        )
    ]
    sums, bits, root = b.tensor((n,), "uint64"), b.tensor((), "int32"), b.tensor((n,), "uint32")
    custom(b, "SignalFilterBank", [u, *tables], [sums], num_channels=n)
    custom(b, "SignalFilterBankSquareRoot", [sums, bits], [root])
    y = _signed(b, root, (n,))
    data = [_wide(rng, (bins,), int(rng.choice([4, 16, 32]))), np.array(rng.integers(0, 16), "<i4")]
    return Case(f"{bins} bins, {n} channels", b.build([x, bits], [y]), data)


def spectral_subtraction(rng: Rng) -> Case:
    n, bits = int(rng.integers(1, 20)), int(rng.integers(6, 16))
    even, odd, least = (int(v) for v in rng.integers(0, (1 << bits) + 1, size=3))
    b = Builder()
    x, u = _unsigned(b, (n,))
    out, noise = b.tensor((n,), "uint32"), b.tensor((n,), "uint32")
    options = {
        "alternate_one_minus_smoothing": (1 << bits) - odd, "alternate_smoothing": odd,
        "clamping": bool(rng.integers(2)), "min_signal_remaining": least, "num_channels": n,
        "one_minus_smoothing": (1 << bits) - even, "smoothing": even,
        "smoothing_bits": int(rng.integers(0, 12)), "spectral_subtraction_bits": bits,
    }  # fmt: skip
    custom(b, "SignalFilterBankSpectralSubtraction", [u], [out, noise], **options)
    ends = [_signed(b, out, (n,)), _signed(b, noise, (n,))]
    return Case(f"{options}", b.build([x], ends), [_wide(rng, (n,), int(rng.choice([12, 20, 32])))])


def pcan(rng: Rng) -> Case:
    n, shift = int(rng.integers(1, 40)), int(rng.choice([0, 1, 6, 12, 31]))
    style = int(rng.integers(3))
    gains = rng.integers(-32768, 32768, size=125)
    if style:
        gains = np.abs(gains) // (1 if style == 1 else 64)
    b = Builder()
    x, u = _unsigned(b, (n,))
    noise, v = _unsigned(b, (n,))
    out = b.tensor((n,), "uint32")
    table = b.tensor((125,), "int16", data=np.clip(gains, -32768, 32767))
    custom(b, "SignalPCAN", [u, v, table], [out], snr_shift=shift)
    y = _signed(b, out, (n,))
    return Case(f"{n} >> {shift}, {style}", b.build([x, noise], [y]), [_wide(rng, (n,)), _wide(rng, (n,))])


def log(rng: Rng) -> Case:
    n, scale, up = int(rng.integers(1, 80)), int(rng.choice([1, 64, 1000, 2954])), int(rng.choice([0, 3, 31]))
    b = Builder()
    x, u = _unsigned(b, (n,))
    y = b.tensor((n,), "int16")
    custom(b, "SignalFilterBankLog", [u], [y], input_correction_bits=up, output_scale=scale)
    return Case(f"{n}, {scale}, {up}", b.build([x], [y]), [_wide(rng, (n,))])


def cast(rng: Rng) -> Case:
    names = ("int8", "int16", "int32")
    a, c = (names[int(i)] for i in rng.integers(0, 3, size=2))
    shape = (int(rng.integers(1, 5)), int(rng.integers(1, 20)))
    b = Builder()
    x, y = b.tensor(shape, a), b.tensor(shape, c)
    b.operator("CAST", [x], [y])
    if a == c:  # else the model would have no operator
        x, y = y, b.tensor(shape, "int16" if a != "int16" else "int32")
        b.operators.clear()
        b.operator("CAST", [x], [y])
    return Case(
        f"{a} {shape}",
        b.build([x], [y]),
        [_wide(rng, shape).astype({"int8": "i1", "int16": "<i2"}.get(a, "<i4"))],
    )


def _pair(rng: Rng, name: str) -> Case:
    out, shapes = _shapes(rng)
    fixed = 1 if name == "DIV" else int(rng.choice([-1, -1, 0, 1]))
    if fixed >= 0 and rng.integers(2):
        shapes[fixed] = ()
        shapes[1 - fixed] = out
    data = [_wide(rng, s) for s in shapes]
    if name == "DIV":
        data[1] = np.where(np.isin(data[1], (0, -1)), 7, data[1]).astype("<i4")
    b = Builder()
    tensors = [b.tensor(shapes[i], "int32", data=data[i] if i == fixed else None) for i in (0, 1)]
    y = b.tensor(out, "int32")
    b.operator(name, tensors, [y])
    free = [i for i in (0, 1) if i != fixed]
    return Case(
        f"{shapes}, constant {fixed}", b.build([tensors[i] for i in free], [y]), [data[i] for i in free]
    )


def add_int(rng: Rng) -> Case:
    return _pair(rng, "ADD")


def mul_int(rng: Rng) -> Case:
    return _pair(rng, "MUL")


def div_int(rng: Rng) -> Case:
    return _pair(rng, "DIV")


def maximum_int(rng: Rng) -> Case:
    return _pair(rng, "MAXIMUM")


def minimum_int(rng: Rng) -> Case:
    return _pair(rng, "MINIMUM")


KINDS: dict[str, Callable[[Rng], Case]] = {
    f.__name__: f
    for f in (
        window, auto_scale, rfft, energy, filter_bank, spectral_subtraction, pcan, log, cast, add_int,
        mul_int, div_int, maximum_int, minimum_int,
    )
}  # fmt: skip
