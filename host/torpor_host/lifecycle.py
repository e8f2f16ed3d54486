# SPDX-License-Identifier: MIT
"""`torpor run`: the whole life of a node on a virtual board, from node.toml to the report."""

import json
import secrets
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import boards
from .collect.collector import Collector, open_receiver
from .configuration.memory import heap_bytes
from .deploy import bundle as bundles
from .deploy.link import open_link
from .deployment import deploy_bundle
from .errors import TraceError, UsageError
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
    out = out or Path("out") / project.spec.name
    out.mkdir(parents=True, exist_ok=True)
    say(f"check    {folder}/node.toml: no problem found")
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

    database = out / "telemetry.sqlite"
    _fresh(board.world, database)
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
    plot.draw(summary, series, out / "report.png")
    page.write(summary, out / "report.png", out / "report.html")
    (out / "report.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return summary


def heap_for(project: Project) -> int:
    """Return the virtual board's heap: its own 100 KB, or what a larger model needs that fits the real board.

    Objects are twice as large here as on a 32-bit board, so the same number would be no likeness.
    """
    virtual = boards.load("virtual")
    need = heap_bytes(project.compiled.report, virtual) if project.compiled else 0
    return max(virtual.heap_bytes(), need)


def board_key(board: VirtualBoard) -> bytes:
    """Return the key of this virtual board's node, made once per board.

    Not the key of the real node of that name: both count their frames from 0, and a counter used twice under
    one key gives both frames away.
    """
    path = board.folder / "key.bin"
    if not path.is_file():
        path.touch(mode=0o600)
        path.write_bytes(secrets.token_bytes(16))
    return path.read_bytes()


def _fresh(world: Path, database: Path) -> None:
    """A new life on the same board: nothing in the air, nothing in retained memory, nothing received.

    The frame counter's files stay, as they do on a real board: no counter is used twice.
    """
    shutil.rmtree(world, ignore_errors=True)
    world.mkdir(parents=True)
    for suffix in ("", "-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)


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


__all__ = ["TraceError", "choose_world", "run_virtual"]
