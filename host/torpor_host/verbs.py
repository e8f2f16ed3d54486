# SPDX-License-Identifier: MIT
"""What each verb of `torpor` does: call one library function, print what it returned."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from . import boards as board_files
from . import show, units
from .errors import CollectError, FitError, ImageFileError, UsageError
from .files import write_whole
from .progress import bar


def _print_json(data: Any) -> None:
    print(json.dumps(data, indent=2))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def check(args: argparse.Namespace) -> int:
    from .project import prepare

    project = prepare(args.dir, args.on)
    if args.json:
        _print_json(project.summary())
    else:
        print(show.project(project))
    return 0


def new(args: argparse.Namespace) -> int:
    from . import newnode

    folder = args.parent / args.name
    newnode.create(args.name, args.board, folder)
    print(f"{folder}/node.toml written; next: torpor check {folder}")
    return 0


def boards(args: argparse.Namespace) -> int:
    if args.name:
        board = board_files.load(args.name)
        if args.json:
            _print_json(board.model_dump(mode="json"))
        else:
            print(board_files.describe(board))
        return 0
    rows = board_files.as_rows()
    if args.json:
        _print_json(rows)
    else:
        print(show.table(rows))
    return 0


def compile_(args: argparse.Namespace) -> int:
    from .compiler import compile_file
    from .project import fit

    ram_bytes = None if args.ram is None else int(units.parse(args.ram, "bytes"))
    compiled = compile_file(args.model, ram_bytes)
    report = dict(compiled.report)
    chosen = [args.board] if args.board else board_files.names()
    report["fits"] = {name: fit(compiled, board_files.load(name)) for name in chosen}
    if args.board and report["fits"][args.board]:
        problem = report["fits"][args.board][0]
        raise FitError(
            f"{args.model} on {args.board}: {problem['region']}",
            problem["need_bytes"],
            problem["have_bytes"],
            "use a smaller model or another board (torpor boards)",
        )
    write_whole(args.output, compiled.image)
    if args.json:
        _print_json(report)
    else:
        print(show.compiled(report, args.output))
    return 0


def _read_image(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as e:
        raise ImageFileError(
            f"{path}: {e.strerror}", "make it with: torpor compile MODEL.tflite -o MODEL.tpm"
        ) from None


def infer(args: argparse.Namespace) -> int:
    from . import infer as engine

    data = _read_image(args.image)
    x = engine.load_npy(args.input)
    with bar("infer", 100, "%") as update:
        y = engine.run(data, x, args.kernels, args.on, lambda done, of: update(100 * done / of), args.weights)
    engine.save_npy(args.output, y)
    result = {"shape": list(y.shape), "dtype": str(y.dtype), "kernels": args.kernels, "on": args.on}
    if args.json:
        _print_json(result)
    else:
        print(f"{args.output}: {result['dtype']} {result['shape']} with {args.kernels} kernels on {args.on}")
    return 0


def inspect(args: argparse.Namespace) -> int:
    if args.memory is not None:
        return _inspect_memory(args)
    if args.wake:
        from .simulate.wake import wake_path

        path = wake_path(args.path)
        if args.json:
            _print_json(path)
        else:
            print(show.wake(path))
        return 0
    if args.path.is_dir():
        from .deploy import bundle

        manifest = bundle.read(args.path)
        if args.json:
            _print_json(manifest.as_dict())
        else:
            print(show.manifest(manifest))
        return 0
    from .compiler import image

    info = image.read(_read_image(args.path), str(args.path))
    if args.json:
        _print_json(info.as_dict())
    else:
        print(image.describe(info))
    return 0


def _inspect_memory(args: argparse.Namespace) -> int:
    from .compiler import memory

    if args.wake or args.path.is_dir():
        raise UsageError(
            f"--memory: {args.path} is no model image", "give a .tpm: torpor inspect M.tpm --memory"
        )
    plot = Path(args.memory) if args.memory else None
    if plot:
        from .report import arena

        arena.check_suffix(plot)
    with bar("inspect", 2, "steps", quiet=args.json) as update:
        layout = memory.lay_out(_read_image(args.path), str(args.path))
        update(1)
        if plot:
            write_whole(plot, arena.draw(layout, plot.suffix))
        update(2)
    if args.json:
        _print_json(layout.as_dict())
    elif plot:
        print(f"{plot}: {show.memory_peak(layout.as_dict())}")
    else:
        print(show.memory(layout.as_dict()))
    return 0


def build(args: argparse.Namespace) -> int:
    from .deploy import bundle
    from .project import prepare

    project = prepare(args.dir, args.on)
    manifest = bundle.build(project.spec, project.compiled, args.output)
    if args.json:
        _print_json(manifest.as_dict())
    else:
        print(show.manifest(manifest))
    return 0


def deploy(args: argparse.Namespace) -> int:
    from .deployment import deploy_node

    result = deploy_node(args.dir, args.port, args.on, quiet=args.json)
    if args.json:
        _print_json(result.as_dict())
    else:
        print(show.deployed(result, args.port))
    return 0


def install(args: argparse.Namespace) -> int:
    from .deploy.install import install as put
    from .deploy.link import open_link

    image = _read_image(args.image)
    link = open_link(args.port)
    try:
        with bar("install", len(image), "B", args.json) as update:
            done = put(image, args.image.stem, link, lambda sent: update(min(sent, len(image))))
    finally:
        link.close()
    if args.json:
        _print_json(done.as_dict())
    else:
        print(show.installed(done, args.image.stem, args.port))
    return 0


def collect(args: argparse.Namespace) -> int:
    from .collect import run as collect_run
    from .units import parse

    seconds = parse(args.duration, "duration") if args.duration else None

    def on_frame(frame: Any) -> None:
        if not args.json:
            print(show.frame(frame), flush=True)

    keys = _board_key(args.source)
    summary = collect_run(
        args.source, args.db, follow=args.follow, for_s=seconds, on_frame=on_frame, keys=keys
    )
    if args.json:
        _print_json(summary)
    else:
        others = [f"{summary[k]} {k}" for k in ("repeated", "rejected", "foreign") if summary[k]]
        _say(f"{summary['frames']} frames into {args.db}" + "".join(f", {text}" for text in others))
    if summary["skipped_bytes"] and not summary["frames"] and not summary["repeated"]:
        raise CollectError(f"{args.source}: no frame in it", "give ble, virtual:BOARD-FOLDER or an air.bin")
    if summary["rejected"] and not summary["frames"]:
        raise CollectError(
            f"{args.source}: all {summary['rejected']} frames were rejected",
            "their node was deployed with a key that this user does not have",
        )
    return 0


def _board_key(source: str) -> dict[str, bytes] | None:
    """A virtual board has a key of its own, beside its flash; other nodes' are the user's."""
    folder = Path(source.removeprefix("virtual:")).absolute()
    path = folder / "key.bin"
    return (
        {folder.parent.name: path.read_bytes()} if source.startswith("virtual:") and path.is_file() else None
    )


def run(args: argparse.Namespace) -> int:
    from .lifecycle import run_virtual
    from .units import parse

    seconds = int(parse(args.duration, "duration"))
    if seconds <= 0:
        raise UsageError(f"--for {args.duration}: nothing to run", "give a duration such as 365d")
    summary = run_virtual(
        args.dir, seconds, trace=args.trace, out=args.out, restart=args.restart, say=_say, quiet=args.json
    )
    if args.json:
        _print_json(summary)
    else:
        print(show.summary(summary))
    counters = summary["counters"]
    if counters["faults"]:
        _say(f"torpor: the node met {counters['faults']:,} faults: a bad model, too little memory or no key")
    silent = not summary["uplinks"]["total"] or (summary["model"] and not counters["inferences"])
    return 1 if counters["faults"] and silent else 0
