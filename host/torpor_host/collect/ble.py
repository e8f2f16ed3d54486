# SPDX-License-Identifier: MIT
"""Frames from the air, by this computer's Bluetooth adapter (needs `pip install bleak`)."""

import asyncio
import logging
import queue
import re
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from ..errors import CollectError
from . import bthome
from .air import AirFrame, Batch

SERVICE_UUID = "0000fcd2-0000-1000-8000-00805f9b34fb"
_START_S = 15.0
_MAC = re.compile("[0-9A-F]{2}(:[0-9A-F]{2}){5}")
_LOG = logging.getLogger(__name__)


def _bleak_scanner() -> Callable[..., Any]:
    try:
        from bleak import BleakScanner
    except ImportError:
        raise CollectError("receiving over Bluetooth needs the package bleak", "pip install bleak") from None
    return BleakScanner


class BleReceiver:
    """Scans in a thread of its own. scanner: bleak.BleakScanner, or a stand-in with the same interface."""

    source = "ble"

    def __init__(self, scanner: Callable[..., Any] | None = None) -> None:
        self._scanner = scanner or _bleak_scanner()
        self._heard: queue.SimpleQueue[AirFrame] = queue.SimpleQueue()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._started = threading.Event()
        self._error: Exception | None = None
        self._nameless: set[str] = set()  # senders whose MAC address is not known
        self._thread = threading.Thread(target=self._run, name="ble", daemon=True)
        self._thread.start()
        self._started.wait(_START_S)
        self._raise_error()

    def on_advertisement(self, device: Any, advertisement: Any) -> None:
        """bleak's detection callback: keep what carries BTHome service data."""
        data = advertisement.service_data.get(SERVICE_UUID)
        if data is None:
            return
        now = time.time()
        structure = bytes((3 + len(data), bthome.SERVICE_DATA)) + bthome.UUID + bytes(data)
        mac = str(device.address).upper()
        if not _MAC.fullmatch(mac) and mac not in self._nameless:
            self._nameless.add(mac)
            _LOG.warning(
                "%s is this computer's name for a node, not its MAC address: encrypted frames can't be "
                "decrypted without it; receive on Linux, or by a receiver that knows addresses",
                mac,
            )
        self._heard.put(AirFrame(int(now), int(now % 1 * 1000), int(advertisement.rssi), mac, structure))

    def read(self, offset: int, identity: bytes, most: int) -> Batch:
        self._raise_error()
        batch = Batch(offset=offset, identity=identity)
        while len(batch.frames) < most and not self._heard.empty():
            batch.frames.append(self._heard.get())
        return batch

    def close(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._scan())
        except Exception as e:  # whatever the adapter's driver raised: carried to the reading thread
            self._error = e
        finally:
            self._loop.close()
            self._started.set()

    async def _scan(self) -> None:
        options: dict[str, Any] = {}
        if sys.platform == "darwin":
            # CoreBluetooth hides addresses behind UUIDs, but BTHome's nonce begins with the MAC address.
            # bleak gets it by an undocumented call and leaves out senders for which that fails.
            options["cb"] = {"use_bdaddr": True}
        async with self._scanner(detection_callback=self.on_advertisement, **options):
            self._started.set()
            await self._stop.wait()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise CollectError(
                f"the Bluetooth adapter can't scan: {self._error}",
                "is one there, switched on, and this user allowed to use it?",
            ) from self._error
