# SPDX-License-Identifier: MIT
"""Benchmarks: every figure as a ratio against a peer in the same run on the same machine.

    python tools/bench/run.py [infer] [wake] [deploy]

infer   time per inference of each kernel set against PyPI tflite-micro (reference kernels, C++)
wake    wakes per second of the frost node: CPython, MicroPython in one process and restarted each time
deploy  time to put the frost node onto a virtual board: Torpor against `mpremote fs cp` of the same files
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from torpor_host import infer
from torpor_host.compiler import compile_file
from torpor_host.deploy import bundle as bundles
from torpor_host.deploy.link import open_link
from torpor_host.deployment import deploy_bundle
from torpor_host.project import prepare
from torpor_host.simulate import state
from torpor_host.simulate.virtual_board import VirtualBoard
from torpor_host.simulate.world import from_weather

REPOSITORY = Path(__file__).resolve().parents[2]
FROST = REPOSITORY / "examples" / "frost"
MODELS = REPOSITORY.parent / "shared" / "data" / "models"
DAY_S = 86400


def seconds(job: Callable[[], object], repeat: int = 3) -> float:
    """Return the fastest of `repeat` runs."""
    best = float("inf")
    for _ in range(repeat):
        start = time.perf_counter()
        job()
        best = min(best, time.perf_counter() - start)
    return best


def bench_infer() -> None:
    from tflite_micro import runtime

    print(f"{'model':28}{'kernels':>12}{'on':>13}{'ms':>12}{'x tflite-micro':>16}")
    shared = [MODELS / "mlperf_tiny" / n for n in ("ad01_int8.tflite", "kws_ref_model.tflite")]
    for path in [FROST / "frost.tflite", *[p for p in shared if p.is_file()]]:
        compiled = compile_file(path)
        tensor = compiled.report["inputs"][0]
        x = np.random.default_rng(1).integers(-128, 128, tensor["shape"], dtype=np.int8)
        peer = runtime.Interpreter.from_file(str(path))

        def invoke(peer: object = peer, x: np.ndarray = x) -> None:
            for _ in range(100):
                peer.set_input(x, 0)  # type: ignore[attr-defined]
                peer.invoke()  # type: ignore[attr-defined]

        base = seconds(invoke) / 100
        print(f"{path.stem:28}{'reference':>12}{'tflite-micro':>13}{base * 1e3:12.4f}{1:16.1f}")
        few = max(3, min(3000, 5_000_000 // max(1, compiled.report["macs"])))
        batch = np.repeat(x[None] if x.shape[0] != 1 else x, few, axis=0)
        for kernels, on in (("reference", "cpython"), ("ulab", "cpython"), ("reference", "micropython")):
            one = seconds(partial(infer.run, compiled.image, batch[:1], kernels, on), 2)
            many = seconds(partial(infer.run, compiled.image, batch, kernels, on), 2)
            each = max(many - one, 1e-9) / (few - 1)
            print(f"{path.stem:28}{kernels:>12}{on:>13}{each * 1e3:12.4f}{each / base:16.1f}")


def bench_wake() -> None:
    project = prepare(FROST, "virtual")
    world = from_weather("greensboro", project.spec.channels)
    print(f"{'a wake of the frost node':40}{'wakes/s':>10}{'ratio':>8}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        bundles.build(project.spec, project.compiled, folder / "bundle")
        rates = []
        (folder / "world").mkdir()
        world.first(60 * DAY_S).write(folder / "world" / "world.bin")
        (folder / "flash").mkdir()
        (folder / "flash" / "key.bin").write_bytes(bytes(16))

        def on_cpython() -> None:
            with state.virtual_chip(folder / "world", folder / "flash"):
                from torpor.node import boot

                try:
                    boot(str(folder / "bundle")).run()
                except SystemExit:
                    pass

        rates.append(("CPython, one process", 60 * 24 / seconds(on_cpython, 1)))
        board = VirtualBoard(folder / "board")
        board.create()
        with board:
            link = open_link(board.start())
            deploy_bundle(folder / "bundle", link, quiet=True, key=bytes(16))
            link.close()
            for label, days, restart in (
                ("MicroPython, one process", 60, False),
                ("MicroPython, restarted each wake", 10, True),
            ):
                world.first(days * DAY_S).write(board.world / "world.bin")
                (board.world / "rtc.bin").unlink(missing_ok=True)
                took = seconds(partial(board.run_until_end, restart=restart), 1)
                rates.append((label, days * 24 / took))
    for label, rate in rates:
        print(f"{label:40}{rate:10,.0f}{rate / rates[0][1]:8.2f}")


def bench_deploy() -> None:
    project = prepare(FROST, "virtual")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        manifest = bundles.build(project.spec, project.compiled, folder / "bundle")
        total = sum(f.bytes for f in manifest.files)
        times = {}
        for peer in ("torpor", "mpremote"):
            board = VirtualBoard(folder / peer)
            board.create()
            with board:
                port = board.start()
                start = time.perf_counter()
                if peer == "torpor":
                    link = open_link(port)
                    deploy_bundle(folder / "bundle", link, quiet=True, key=bytes(16))
                    link.close()
                else:
                    parts = [str(p) for p in sorted((folder / "bundle").iterdir())]
                    subprocess.run(
                        [sys.executable, "-m", "mpremote", "connect", port, "fs", "cp", "-r", *parts, ":"],
                        check=True,
                        capture_output=True,
                    )
                times[peer] = time.perf_counter() - start
    for peer, took in times.items():
        print(
            f"deploy {total:,} B with {peer:10}{took:8.2f} s{took / times['mpremote']:8.2f} x mpremote fs cp"
        )


def main() -> None:
    jobs = {"infer": bench_infer, "wake": bench_wake, "deploy": bench_deploy}
    for name in sys.argv[1:] or jobs:
        jobs[name]()
        print()


if __name__ == "__main__":
    main()
