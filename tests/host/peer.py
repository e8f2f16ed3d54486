# SPDX-License-Identifier: MIT
"""PyPI `bthome-ble`, the independent receiver, and our decoder's results in its terms."""

import logging
from dataclasses import dataclass, field
from typing import Any

from bthome_ble import BTHomeBluetoothDeviceData
from habluetooth import BluetoothServiceInfoBleak

from torpor_host.collect import bthome

logging.getLogger("bthome_ble").setLevel(logging.CRITICAL)
UUID = "0000fcd2-0000-1000-8000-00805f9b34fb"
OURS = {
    "power_on": "power", "battery_low": "battery", "gas_detected": "gas", "light_detected": "light",
    "moisture_detected": "moisture",
}  # fmt: skip


@dataclass
class Heard:
    """What a receiver made of one frame: key -> (value, unit), key -> bool, key -> event."""

    sensors: dict[str, tuple[Any, str]] = field(default_factory=dict)
    binary: dict[str, bool] = field(default_factory=dict)
    events: dict[str, str] = field(default_factory=dict)


class Peer:
    """One bthome-ble receiver of one device."""

    def __init__(self, mac: str, key: bytes | None = None) -> None:
        self.device = BTHomeBluetoothDeviceData(bindkey=key)
        self.mac = mac
        self.now = 1000.0

    def hear(self, data: bytes) -> Heard:
        """Receive service data (without the UUID), 10 s after the one before."""
        self.now += 10
        self.device._sensor_values_updates.clear()  # it repeats what it heard before
        self.device._binary_sensor_values_updates.clear()
        update = self.device.update(
            BluetoothServiceInfoBleak(
                name="TEST",
                address=self.mac,
                rssi=-60,
                manufacturer_data={},
                service_data={UUID: data},
                service_uuids=[UUID],
                source="",
                device=None,
                advertisement=None,
                connectable=False,
                time=self.now,
                tx_power=None,
            )
        )
        heard = Heard()
        units = {k.key: d.native_unit_of_measurement for k, d in update.entity_descriptions.items()}
        for key, value in update.entity_values.items():
            if key.key != "signal_strength":
                unit = units[key.key]
                heard.sensors[key.key] = (value.native_value, getattr(unit, "value", unit) or "")
        for key, value in update.binary_entity_values.items():
            heard.binary[key.key] = value.native_value
        for key, event in update.events.items():
            heard.events[key.key] = event.event_type
        return heard


def ours(decoded: bthome.Decoded) -> Heard:
    """Our measurements under bthome-ble's names, which number the first of several too."""
    heard = Heard()
    if decoded.packet_id is not None:
        heard.sensors["packet_id"] = (decoded.packet_id, "")
    kinds = []
    for m in decoded.measurements:
        q = bthome.OBJECTS[m.object_id]
        kinds.append((OURS.get(q.name, q.name), q.unit))
    for i, m in enumerate(decoded.measurements):
        name, unit = kinds[i]
        key = name
        if unit == bthome.EVENT:
            heard.events[m.quantity] = str(m.value).split()[0]
            continue
        if m.object_id >= 0xF0:
            continue
        if kinds.count(kinds[i]) > 1:
            key = f"{name}_{kinds[: i + 1].count(kinds[i])}"
        if unit == bthome.ON_OFF:
            heard.binary[key] = bool(m.value)
        else:
            heard.sensors[key] = (m.value, unit)
    return heard
