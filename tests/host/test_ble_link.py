# SPDX-License-Identifier: MIT
"""The BLE link: sizes, defaults, and what a failing radio becomes; then once through each HAL, and the MAC
addresses that a computer's receiver needs."""

import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from fake_circuitpython import CircuitPython
from fakes import Esp32, remove
from torpor.errors import LinkError
from torpor.radio import ble
from torpor_host.collect.ble import SERVICE_UUID, BleReceiver


class Radio:
    mac = b"\x01\x02\x03\x04\x05\x06"

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, int, int]] = []

    def advertise(self, payload: bytes, interval_ms: int, events: int) -> None:
        self.sent.append((bytes(payload), interval_ms, events))


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    yield
    remove()


def test_defaults_and_arguments() -> None:
    radio = Radio()
    link = ble.create((), radio)
    assert link.mac == radio.mac
    link.send(b"abc")
    ble.create((250, 3), radio).send(b"abc")
    assert radio.sent == [(b"abc", 100, 8), (b"abc", 250, 3)]


def test_only_legacy_advertisements() -> None:
    radio = Radio()
    ble.create((), radio).send(bytes(31))
    with pytest.raises(LinkError) as long:
        ble.create((), radio).send(bytes(32))
    assert long.value.args == (32,)
    assert len(radio.sent) == 1


@pytest.mark.parametrize("chip", [Esp32(), CircuitPython(), CircuitPython(espressif=True)])
def test_on_chips(chip: Esp32 | CircuitPython) -> None:
    link = ble.create((), chip.boot())
    link.send(memoryview(b"\x02\x01\x06\x03\x16\xd2\xfc"))
    assert chip.on_air[0]["data"] == b"\x02\x01\x06\x03\x16\xd2\xfc"
    assert chip.on_air[0]["connectable"] is False
    assert chip.on_air[1:] == [{"stop": True}]
    assert not chip.radio_on
    chip.radio_broken = True
    with pytest.raises(LinkError):
        link.send(b"")


class Scanner:
    """bleak.BleakScanner as of 3.1: two keyword arguments of it, and that it is a context manager."""

    asked: dict[str, Any]

    def __init__(self, detection_callback: Any, *, cb: dict[str, bool] | None = None) -> None:
        type(self).asked = {} if cb is None else {"cb": cb}

    async def __aenter__(self) -> "Scanner":
        return self

    async def __aexit__(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(("platform", "asked"), [("linux", {}), ("darwin", {"cb": {"use_bdaddr": True}})])
def test_mac_addresses_on_a_mac(
    platform: str, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    receiver = BleReceiver(Scanner)
    heard = SimpleNamespace(service_data={SERVICE_UUID: b"\x40\x02\x00\x00"}, rssi=-60)
    try:
        receiver.on_advertisement(SimpleNamespace(address="c1:02:03:04:05:06"), heard)
        assert caplog.messages == []
        for _ in range(2):
            receiver.on_advertisement(SimpleNamespace(address="5B2DAF4E-8A1C-4C4E-9F0B-0123456789AB"), heard)
        (line,) = caplog.messages  # once a sender
        assert "encrypted" in line
        frames = receiver.read(0, b"", 10).frames
    finally:
        receiver.close()
    assert Scanner.asked == asked
    assert [frame.mac[:8] for frame in frames] == ["C1:02:03", "5B2DAF4E", "5B2DAF4E"]
