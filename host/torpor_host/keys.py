# SPDX-License-Identifier: MIT
"""The keys with which nodes encrypt their frames: made here, kept in this user's own folder, never printed.

    get_or_create("frost")       # 16 bytes, the same ones ever after

They lie outside the nodes' folders, since those go into version control. Folder: $TORPOR_HOME, else
$XDG_CONFIG_HOME/torpor, else ~/.config/torpor; file: keys.json, readable by its owner only.
"""

import contextlib
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .errors import TorporError

KEY_BYTES = 16
_FORMAT = 1
_FIX = "restore it from a backup; without one, move it away and deploy every encrypted node again"


def path() -> Path:
    """Return where the keys lie, whether or not there are any."""
    home = os.environ.get("TORPOR_HOME")
    if home:
        return Path(home) / "keys.json"
    config = os.environ.get("XDG_CONFIG_HOME")
    return (Path(config) if config else Path.home() / ".config") / "torpor" / "keys.json"


def known() -> dict[str, bytes]:
    """Return all keys by node name. Raises TorporError when the file is there but can't be understood."""
    file = path()
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as e:
        why = e.strerror if isinstance(e, OSError) else "it is not text"
        raise TorporError(f"{file}: can't be read: {why}", _FIX) from None
    try:
        content = json.loads(text)
        if content["format"] != _FORMAT:
            raise ValueError
        found = {str(name): bytes.fromhex(key) for name, key in content["keys"].items()}
        if any(len(key) != KEY_BYTES for key in found.values()):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise TorporError(f"{file}: damaged, or of another version", _FIX) from None
    return found


def find(name: str) -> bytes | None:
    """Return a node's key, None when it has none."""
    return known().get(name)


def get_or_create(name: str) -> bytes:
    """Return a node's key, made from the system's random source if it has none yet. Raises TorporError."""
    with _locked():
        keys = known()
        if name not in keys:
            keys[name] = secrets.token_bytes(KEY_BYTES)
            _write(keys)
        return keys[name]


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    """Let one process at a time change the file."""
    lock = path().with_suffix(".lock")
    try:
        lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as e:
        raise _unwritable(lock.parent, e) from None
    try:
        try:
            import fcntl
        except ImportError:  # Windows: two deploys at the same moment are the user's own risk
            pass
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _unwritable(file: Path, error: OSError) -> TorporError:
    return TorporError(f"{file}: can't be written: {error.strerror}", "make room, or set TORPOR_HOME")


def _write(keys: dict[str, bytes]) -> None:
    """Replace the file as a whole: at no moment is it missing, half-written or readable by others."""
    file = path()
    content = {"format": _FORMAT, "keys": {name: key.hex() for name, key in sorted(keys.items())}}
    temporary = None
    try:
        descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=".keys-")  # made with mode 0600
        with os.fdopen(descriptor, "w", encoding="utf-8") as f:
            json.dump(content, f, indent=2)
            f.write("\n")
            f.flush()
            os.fsync(f.fileno())
        os.replace(temporary, file)
    except OSError as e:
        if temporary:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        raise _unwritable(file, e) from None
