# SPDX-License-Identifier: MIT
"""The BLE link: sizes, defaults, and what a failing radio becomes; then once through each HAL."""

from collections.abc import Iterator

import pytest

from fake_circuitpython import CircuitPython
from fakes import Esp32, remove
from torpor.errors import LinkError
from torpor.radio import ble


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
