# SPDX-License-Identifier: MIT
"""What takes too long for `make test`: exactness by the thousands, and damaged images. `make soak`.

    PYTHONPATH=device:host:tests python tools/soak.py [--cases N] [--images N] [--seed N] [--jobs N]
    PYTHONPATH=device:host:tests python tools/soak.py --again KIND:SEED

Random models of every kind, each on each kernel set, compared with tflite-micro byte for byte; images with 1
to 4 changes, refused or run, never anything else, by the reference kernels and by the C built with
sanitizers; the published models on their real inputs, where ../shared/data is. Prints counts, and ends with
status 1 if anything was found.
"""

import argparse
import gc
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from compiler import parity, published
from compiler.kinds import KINDS
from conftest import SHARED_DATA
from host import damaged

CASES = 24_000
IMAGES = 100_000
BATCH = 25  # models in one process of MicroPython
CHUNK = 500  # damaged images to one run of the C
RUN_SECONDS = 2.0  # of one damaged image in Python; a few ask for loops that take hours
ON_BOARD = [(kernels, "micropython") for kernels in parity.BOARD]
PLACES = [("reference", "cpython"), ("ulab", "cpython"), *ON_BOARD]
MORE = 10  # times the inputs that `make test` gives each published model in kernels that are slow here
Found = tuple[Counter[str], list[str]]  # what was done, what was wrong
Task = Callable[[], Found]


def random_models(kind: str, seeds: range) -> Found:
    """Every kernel set on models of `kind`."""
    done: Counter[str] = Counter()
    wrong, drawn = [], []
    for seed in seeds:
        try:
            drawn.append(parity.draw(kind, seed))
            wrong += parity.differences(drawn[-1])
        except Exception:
            wrong.append(f"{kind} {seed}: {traceback.format_exc()}")
            continue
        done.update(parity.HERE)
    for kernels in parity.BOARD:
        wrong += _on_board(drawn, kernels)
        done[f"{kernels} on MicroPython"] += len(drawn)
    done["models"] = len(seeds)
    return done, wrong


def _on_board(drawn: list[parity.Drawn], kernels: str) -> list[str]:
    """As differences_on_board(); where the process fails, halves, until the model is found."""
    if not drawn:
        return []
    try:
        return parity.differences_on_board(drawn, kernels)
    except Exception as e:
        if len(drawn) == 1:
            return [f"{drawn[0].name}, {kernels} on MicroPython: {e}"]
    half = len(drawn) // 2
    return _on_board(drawn[:half], kernels) + _on_board(drawn[half:], kernels)


def damaged_images(seed: int, chunk: int, count: int, folder: Path) -> Found:
    """`count` damaged images by the reference and the native check, and through the C with sanitizers."""
    rng = np.random.default_rng([seed, chunk])
    corpus = [damaged.mutated(rng, damaged.images()) for _ in range(count)]
    done: Counter[str] = Counter()
    wrong = []
    for i, data in enumerate(corpus):
        try:
            done["reference: " + damaged.outcome(data, RUN_SECONDS)] += 1
        except Exception:
            wrong.append(f"image {i} of chunk {chunk}: {traceback.format_exc()}")
    for processor in damaged.PROCESSORS:
        with tempfile.TemporaryDirectory(dir=folder) as own:
            try:
                counts = damaged.run_corpus(folder / f"fuzz-{processor}", corpus, Path(own))
            except AssertionError as e:
                wrong.append(f"chunk {chunk}, C for {processor}: {e}")
                continue
        for word, n in zip(("refused", "left to the reference", "ran"), counts, strict=True):
            done[f"C for {processor}: {word}"] += n
    done["images"] = count
    return done, wrong


def real_inputs(name: str) -> Found:
    """One published model: native on all inputs, every other set on some."""
    done: Counter[str] = Counter()
    wrong = []
    model = published.MODELS[name]
    x = published.inputs_of(name, SHARED_DATA)
    want = published.expected(published.path_of(name, SHARED_DATA), x)
    chosen = published.some(name, x, want, model.few * MORE)
    for kernels, on, rows in [("native", "cpython", np.arange(len(x)))] + [(*p, chosen) for p in PLACES]:
        n = published.wrong_bytes(name, SHARED_DATA, x[rows], want[rows], kernels, on)
        label = f"{name}, {kernels} on {on}"
        done[f"{label}: inputs"] += len(rows)
        if n:
            wrong.append(f"{label}: {n} bytes differ")
    if model.right is not None:
        right = published.right_answers(name, SHARED_DATA, want)
        done[f"{name}: right answers of {len(x)}"] = right
        if right != model.right:
            wrong.append(f"{name}: {right} right answers, {model.right} wanted")
    return done, wrong


def tasks(cases: int, images: int, seed: int, folder: Path) -> Iterator[tuple[str, Task]]:
    if SHARED_DATA.is_dir():
        for name in published.MODELS:
            yield "real inputs", partial(real_inputs, name)
    per_kind = -(-cases // len(KINDS))
    for first in range(seed, seed + per_kind, BATCH):
        for kind in sorted(KINDS):
            yield "parity", partial(random_models, kind, range(first, min(first + BATCH, seed + per_kind)))
    for chunk in range(-(-images // CHUNK)):
        count = min(CHUNK, images - chunk * CHUNK)
        yield "damaged images", partial(damaged_images, seed, chunk, count, folder)


def perform(task: tuple[str, Task]) -> tuple[str, Found]:
    section, run = task
    try:
        return section, run()
    except Exception:
        return section, (Counter(), [f"{run}: {traceback.format_exc()}"])


def prepare() -> None:
    gc.collect()
    gc.freeze()  # a Model collects garbage as it is made


def soak(cases: int, images: int, seed: int, jobs: int) -> int:
    begun = time.monotonic()
    totals: dict[str, Counter[str]] = {}
    wrong: list[str] = []
    with tempfile.TemporaryDirectory(prefix="torpor-soak-") as name:
        folder = Path(name)
        if images:
            damaged.images()
            damaged.library.module()
            for processor in damaged.PROCESSORS:
                damaged.sanitized(folder, processor)
        todo = list(tasks(cases, images, seed, folder))
        with get_context("fork").Pool(jobs, prepare) as pool:
            for i, (section, (done, found)) in enumerate(pool.imap_unordered(perform, todo), 1):
                totals.setdefault(section, Counter()).update(done)
                wrong += found
                for line in found:
                    print(line, flush=True)
                if i % 20 == 0 or i == len(todo):
                    seconds = time.monotonic() - begun
                    print(f"{i} of {len(todo)} tasks, {seconds:.0f} s, {len(wrong)} found", flush=True)
    for section, counts in totals.items():
        print(section)
        for label, n in sorted(counts.items()):
            print(f"  {n:8,d}  {label}")
    print(f"{len(KINDS)} kinds of model, seeds from {seed}; {time.monotonic() - begun:.0f} s on {jobs} cores")
    if not SHARED_DATA.is_dir():
        print("published models were left out: ../shared/data is not on this machine")
    print(f"{len(wrong)} mismatches, crashes and other findings")
    return len(wrong) > 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Exactness by the thousands, and damaged images.")
    parser.add_argument("--cases", type=int, default=CASES, help="random models (%(default)s)")
    parser.add_argument("--images", type=int, default=IMAGES, help="damaged images (%(default)s)")
    parser.add_argument("--seed", type=int, default=1000, help="of each kind's first model (%(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes (%(default)s)")
    parser.add_argument("--again", metavar="KIND:SEED", help="one model that was found to differ")
    args = parser.parse_args()
    if args.again:
        kind, seed = args.again.split(":")
        _, wrong = random_models(kind, range(int(seed), int(seed) + 1))
        print("\n".join(wrong) or "no difference")
        return len(wrong) > 0
    return soak(args.cases, args.images, args.seed, args.jobs or 1)


if __name__ == "__main__":
    sys.exit(main())
