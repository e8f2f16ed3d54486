# SPDX-License-Identifier: MIT
"""`torpor run`: the whole life of a node on a virtual board, from node.toml to the report."""

import fcntl
import json
import os
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import boards
from .collect.collector import Collector, open_receiver
from .configuration.memory import heap_bytes
from .deploy import bundle as bundles
from .deploy.link import open_link
from .deployment import deploy_bundle
from .errors import DeviceError, TorporError, UsageError
from .progress import bar
from .project import Project, prepare
from .report import page, plot
from .report.summary import summarize
from .simulate import state
from .simulate.virtual_board import VirtualBoard
from .simulate.world import World, from_csv, from_weather

TMY = "tmy:"
STATE_FILES = ("state.0", "state.1")  # of an earlier life of the node on the same board


def choose_world(project: Project, trace: str | None, seconds: int) -> World:
    """Return what the sensors will see: --trace, else the node's own [sensor] virtual. Raises TraceError."""
    wanted = trace or project.spec.virtual
    if not wanted:
        raise UsageError(
            "nothing for the virtual sensors to see",
            'give --trace FILE.csv, or write virtual = "tmy:greensboro" under [sensor]',
        )
    channels = project.spec.channels
    if wanted.startswith(TMY):
        world = from_weather(wanted[len(TMY) :], channels)
    else:
        path = Path(wanted)
        world = from_csv(path if trace or path.is_absolute() else project.folder / path, channels)
    return world.first(seconds)


def run_virtual(
    folder: Path,
    seconds: int,
    *,
    trace: str | None = None,
    out: Path | None = None,
    restart: bool = False,
    say: Callable[[str], None] = lambda line: None,
    quiet: bool = False,
) -> dict[str, Any]:
    """Check, compile, build, deploy, run for `seconds` of virtual time, collect, report; return the summary.

    Writes into `out` (default out/NAME): bundle/, board/, telemetry.sqlite, report.html, report.png,
    report.json. What an earlier run left there is replaced, but for the board, which is deployed to again.
    """
    project = prepare(folder, "virtual")
    world = choose_world(project, trace, seconds)
    say(f"check    {folder}/node.toml: no problem found")
    with _output(out or Path("out") / project.spec.name) as held:
        return _live(project, world, held, restart, say, quiet)


@contextmanager
def _output(out: Path) -> Iterator[Path]:
    """Make the folder and hold it for one run. Raises TorporError for what can't be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with open(out / ".lock", "w", encoding="ascii") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise TorporError(f"{out}: another run writes there", "wait for it, or give --out") from None
            yield out
    except OSError as e:
        what = f"{e.filename or out}: {e.strerror or e}"
        raise TorporError(what, "give --out a folder that can be written") from e


def _live(
    project: Project, world: World, out: Path, restart: bool, say: Callable[[str], None], quiet: bool
) -> dict[str, Any]:
    if project.compiled:
        r = project.compiled.report
        say(
            f"compile  {r['name']}: {r['flash_bytes']:,} B image, {r['peak_ram_bytes']:,} B RAM, "
            f"{r['macs']:,} MACs"
        )
    manifest = bundles.build(project.spec, project.compiled, out / "bundle")
    say(f"build    {len(manifest.files)} files, {sum(f.bytes for f in manifest.files):,} B")

    board = VirtualBoard(out / "board", heap_bytes=heap_for(project))
    board.create()
    with board:
        link = open_link(board.start())
        try:
            deployed = deploy_bundle(out / "bundle", link, quiet, key=board_key(board))
            for name in STATE_FILES:
                link.remove(name)
        finally:
            link.close()
    say(
        f"deploy   {len(deployed.sent)} sent ({deployed.bytes_sent:,} B), {len(deployed.unchanged)} unchanged"
    )

    fresh = out / ".new"  # what an earlier run left stays whole until this one has its report
    for old in (board.world, fresh):
        shutil.rmtree(old, ignore_errors=True)
        old.mkdir(parents=True)
    database = fresh / "telemetry.sqlite"
    world.write(board.world / "world.bin")
    _simulate(project, board, world, database, restart, quiet)
    say(f"run      {world.seconds / 86400:g} days of {world.name}")

    final = state.read(board, project.node_bin())
    summary, series = summarize(project, world, database, final, deployed)
    summary |= {
        "out": str(out),
        "report_html": str(out / "report.html"),
        "report_png": str(out / "report.png"),
    }
    plot.draw(summary, series, fresh / "report.png")
    page.write(summary, fresh / "report.png", fresh / "report.html")
    (fresh / "report.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    for suffix in ("-wal", "-shm"):
        (out / f"telemetry.sqlite{suffix}").unlink(missing_ok=True)
    for path in sorted(fresh.iterdir()):
        os.replace(path, out / path.name)
    fresh.rmdir()
    return summary


def heap_for(project: Project) -> int:
    """Return the virtual board's heap: its own 100 KB, or what a larger model needs that fits the real board.

    Objects are twice as large here as on a 32-bit board, so the same number would be no likeness.
    """
    virtual = boards.load("virtual")
    need = heap_bytes(project.compiled.report, virtual, project.spec.runs_on) if project.compiled else 0
    return max(virtual.heap_bytes(), need)


def board_key(board: VirtualBoard) -> bytes:
    """Return the key of this virtual board's node, made once per board.

    The frame counter's files stay on the board from run to run, so no counter is used twice under it. It is
    not the key of the real node of that name, which counts its own frames from 0: a counter used
    twice under one key gives both frames away.
    """
    path = board.folder / "key.bin"
    if not path.is_file():
        path.touch(mode=0o600)
        path.write_bytes(secrets.token_bytes(16))
    key = path.read_bytes()
    if len(key) != 16:
        raise DeviceError(f"{path}: {len(key)} bytes, a key has 16", fix="delete the board's folder")
    return key


def _simulate(
    project: Project, board: VirtualBoard, world: World, database: Path, restart: bool, quiet: bool
) -> None:
    """Run the node and receive what it sends, side by side; the bar shows the last frame's virtual time."""
    name = project.spec.name
    key = board_key(board) if project.spec.encrypt else None
    (board.world / "air.bin").touch()
    done = threading.Event()
    failure: list[BaseException] = []
    with bar("run", world.seconds / 86400, "days", quiet) as update:

        def receive() -> None:
            try:
                with Collector(database, keys=lambda _node: key, name=name) as collector:
                    collector.follow(
                        open_receiver(f"virtual:{board.folder}"),
                        stop=done,
                        on_frame=lambda frame: update((frame["time_s"] - world.start_s) / 86400),
                    )
            except BaseException as e:  # carried over to the main thread, which raises it
                failure.append(e)

        receiver = threading.Thread(target=receive, name="collector")
        receiver.start()
        try:
            with board:
                board.run_until_end(restart=restart)
        finally:
            done.set()
            receiver.join()
    if failure:
        raise failure[0]
