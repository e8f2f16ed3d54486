# SPDX-License-Identifier: MIT
"""BTHome v2, decoded: advertising payload -> service data -> measurements.

    data = service_data(payload)                 # None: not BTHome
    decoded = decode(data, "54:48:E6:8F:80:A5", key)

Source: bthome.io/format and /encryption. Names, units and scaling follow PyPI `bthome-ble`, the oracle in
tests, but where one name stands for a number and a yes-or-no thing (battery in % and battery low).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESCCM

UUID = b"\xd2\xfc"
SERVICE_DATA = 0x16  # AD type: service data of a 16-bit UUID
ON_OFF = "on/off"  # the unit of yes-or-no measurements
EVENT = "event"  # the unit of button presses and the like
LEGACY_BYTES = 31  # of a legacy advertising payload
_FRAME_BYTES = 3 + 4 + 1 + 2  # flags, service data's head, device information, packet id
_TRAILER_BYTES = 8  # counter and tag

Value = float | int | str


@dataclass(frozen=True)
class Quantity:
    """One object id. width in bytes, 0 = a length byte comes first; factor scales the integer."""

    name: str
    unit: str
    width: int
    signed: bool = False
    factor: float = 1
    kind: str = "number"


def _n(name: str, unit: str, width: int, factor: float = 1) -> Quantity:
    return Quantity(name, unit, width, False, factor)


def _s(name: str, unit: str, width: int, factor: float = 1) -> Quantity:
    return Quantity(name, unit, width, True, factor)


OBJECTS: dict[int, Quantity] = {
    0x00: _n("packet_id", "", 1),
    0x01: _n("battery", "%", 1),
    0x02: _s("temperature", "°C", 2, 0.01),
    0x03: _n("humidity", "%", 2, 0.01),
    0x04: _n("pressure", "mbar", 3, 0.01),
    0x05: _n("illuminance", "lx", 3, 0.01),
    0x06: _n("mass", "kg", 2, 0.01),
    0x07: _n("mass", "lb", 2, 0.01),
    0x08: _s("dew_point", "°C", 2, 0.01),
    0x09: _n("count", "", 1),
    0x0A: _n("energy", "kWh", 3, 0.001),
    0x0B: _n("power", "W", 3, 0.01),
    0x0C: _n("voltage", "V", 2, 0.001),
    0x0D: _n("pm25", "µg/m³", 2),
    0x0E: _n("pm10", "µg/m³", 2),
    0x12: _n("carbon_dioxide", "ppm", 2),
    0x13: _n("volatile_organic_compounds", "µg/m³", 2),
    0x14: _n("moisture", "%", 2, 0.01),
    0x2E: _n("humidity", "%", 1),
    0x2F: _n("moisture", "%", 1),
    0x3A: Quantity("button", EVENT, 1, kind="button"),
    0x3B: Quantity("command", EVENT, 0, kind="command"),
    0x3C: Quantity("dimmer", EVENT, 2, kind="dimmer"),
    0x3D: _n("count", "", 2),
    0x3E: _n("count", "", 4),
    0x3F: _s("rotation", "°", 2, 0.1),
    0x40: _n("distance", "mm", 2),
    0x41: _n("distance", "m", 2, 0.1),
    0x42: _n("duration", "s", 3, 0.001),
    0x43: _n("current", "A", 2, 0.001),
    0x44: _n("speed", "m/s", 2, 0.01),
    0x45: _s("temperature", "°C", 2, 0.1),
    0x46: _n("uv_index", "", 1, 0.1),
    0x47: _n("volume", "L", 2, 0.1),
    0x48: _n("volume", "mL", 2),
    0x49: _n("volume_flow_rate", "m³/h", 2, 0.001),
    0x4A: _n("voltage", "V", 2, 0.1),
    0x4B: _n("gas", "m³", 3, 0.001),
    0x4C: _n("gas", "m³", 4, 0.001),
    0x4D: _n("energy", "kWh", 4, 0.001),
    0x4E: _n("volume", "L", 4, 0.001),
    0x4F: _n("water", "L", 4, 0.001),
    0x50: _n("timestamp", "s", 4),
    0x51: _n("acceleration", "m/s²", 2, 0.001),
    0x52: _n("gyroscope", "°/s", 2, 0.001),
    0x53: Quantity("text", "", 0, kind="text"),
    0x54: Quantity("raw", "hex", 0, kind="raw"),
    0x55: _n("volume_storage", "L", 4, 0.001),
    0x56: _n("conductivity", "µS/cm", 2),
    0x57: _s("temperature", "°C", 1),
    0x58: _s("temperature", "°C", 1, 0.35),
    0x59: _s("count", "", 1),
    0x5A: _s("count", "", 2),
    0x5B: _s("count", "", 4),
    0x5C: _s("power", "W", 4, 0.01),
    0x5D: _s("current", "A", 2, 0.001),
    0x5E: _n("direction", "°", 2, 0.01),
    0x5F: _n("precipitation", "mm", 2, 0.1),
    0x60: _n("channel", "", 1),
    0x61: _n("rotational_speed", "rpm", 2),
    0x62: _s("speed", "m/s", 4, 0.000001),
    0x63: _s("acceleration", "m/s²", 4, 0.000001),
    0x64: _n("light_level", "", 1),
    0x65: _n("settings_revision", "", 1),
    0xF0: _n("device_type", "", 2),
    0xF1: Quantity("firmware", "", 4, kind="version"),
    0xF2: Quantity("firmware", "", 3, kind="version"),
}
_YES_OR_NO = (
    "generic power_on opening - - - battery_low battery_charging carbon_monoxide cold connectivity door "
    "garage_door gas_detected heat light_detected lock moisture_detected motion moving occupancy plug "
    "presence problem running safety smoke sound tamper vibration window"
)
OBJECTS |= {
    0x0F + i: Quantity(name, ON_OFF, 1, kind="bool")
    for i, name in enumerate(_YES_OR_NO.split())
    if name != "-"
}
BUTTONS = {
    1: "press", 2: "double_press", 3: "triple_press", 4: "long_press", 5: "long_double_press",
    6: "long_triple_press", 0x80: "hold_press", 0x81: "hold_release",
}  # fmt: skip
DIMMERS = {1: "rotate_left", 2: "rotate_right"}
COMMANDS = {0: "off", 1: "on", 2: "toggle", 3: "step_up", 4: "step_down"}


class FrameError(Exception):
    """A frame that can't be believed. `reason` is one of the words of this module's raise statements."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Measurement:
    """quantity: the object's name; a frame's second one of a name is NAME_2. Yes-or-no values are 0 or 1."""

    object_id: int
    quantity: str
    value: Value
    unit: str


@dataclass(frozen=True)
class Decoded:
    """irregular: the device sends when it likes; complete: no object was unknown or cut off."""

    encrypted: bool
    irregular: bool
    counter: int | None
    packet_id: int | None
    measurements: tuple[Measurement, ...]
    complete: bool


def advertising_bytes(object_ids: list[int], encrypted: bool) -> int:
    """Return the length of a frame with these objects and a packet id; it must not exceed LEGACY_BYTES."""
    objects = sum(1 + OBJECTS[i].width for i in object_ids)
    return _FRAME_BYTES + objects + (_TRAILER_BYTES if encrypted else 0)


def structures(payload: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (AD type, data) of an advertising payload; raises FrameError("malformed")."""
    at = 0
    while at < len(payload):
        length = payload[at]
        if length == 0:  # early termination: only zeros may follow (Core 5.4 vol 3 part C 11)
            if any(payload[at:]):
                raise FrameError("malformed")
            return
        if at + 1 + length > len(payload):
            raise FrameError("malformed")
        yield payload[at + 1], payload[at + 2 : at + 1 + length]
        at += 1 + length


def service_data(payload: bytes) -> bytes | None:
    """Return BTHome's service data without the UUID, None when the payload has none or is malformed."""
    try:
        for kind, data in structures(payload):
            if kind == SERVICE_DATA and data[:2] == UUID:
                return data[2:]
    except FrameError:
        pass
    return None


def is_encrypted(data: bytes) -> bool:
    return bool(data and data[0] & 1)


def decode(data: bytes, mac: str, key: bytes | None) -> Decoded:
    """Decode service data (device information byte first) that came from `mac` ("AA:BB:..").

    Raises FrameError with reason "version", "malformed", "no key", "wrong key", "no address".
    """
    if not data or data[0] >> 5 != 2:
        raise FrameError("version")
    info, body = data[0], data[1:]
    if info & 2:  # the address is carried along, lowest byte first
        if len(body) < 6:
            raise FrameError("malformed")
        mac, body = ":".join(f"{b:02X}" for b in reversed(body[:6])), body[6:]
    counter = None
    if info & 1:
        if len(body) <= _TRAILER_BYTES:
            raise FrameError("malformed")
        if key is None:
            raise FrameError("no key")
        try:
            nonce = bytes.fromhex(mac.replace(":", "")) + UUID + data[:1] + body[-8:-4]
        except ValueError:
            raise FrameError("no address") from None
        if len(nonce) != 13:  # some systems hide addresses behind names of their own
            raise FrameError("no address")
        counter = int.from_bytes(body[-8:-4], "little")
        try:
            body = AESCCM(key, tag_length=4).decrypt(nonce, body[:-8] + body[-4:], None)
        except InvalidTag:
            raise FrameError("wrong key") from None
    objects, complete = _objects(body)
    measurements: list[Measurement] = []
    packet_id = None
    seen: dict[str, int] = {}
    for object_id, raw in objects:
        if object_id == 0:
            packet_id = raw[0]
            continue
        quantity = OBJECTS[object_id]
        nth = seen[quantity.name] = seen.get(quantity.name, 0) + 1
        value = _value(quantity, raw)
        if value is not None:
            name = quantity.name if nth == 1 else f"{quantity.name}_{nth}"
            measurements.append(Measurement(object_id, name, value, quantity.unit))
    return Decoded(bool(info & 1), bool(info & 4), counter, packet_id, tuple(measurements), complete)


def _objects(body: bytes) -> tuple[list[tuple[int, bytes]], bool]:
    """Split into (object id, raw bytes); what follows an unknown or cut-off object can't be told apart."""
    found: list[tuple[int, bytes]] = []
    at = 0
    while at < len(body):
        quantity = OBJECTS.get(body[at])
        if quantity is None:
            return found, False
        start = at + 1
        width = quantity.width
        if not width:
            if start >= len(body):
                return found, False
            width = 1 + (body[start] & 0x1F) if quantity.kind == "command" else body[start]
            start += 1
        if start + width > len(body):
            return found, False
        if width:
            found.append((body[at], body[start : start + width]))
        at = start + width
    return found, True


def _value(quantity: Quantity, raw: bytes) -> Value | None:
    """Return the value in the quantity's unit; None for "nothing happened" and text that is none."""
    match quantity.kind:
        case "bool":
            return int(raw[0] != 0)
        case "text":
            try:
                return raw.decode()
            except UnicodeDecodeError:
                return None
        case "raw":
            return raw.hex()
        case "version":
            return ".".join(str(b) for b in reversed(raw))
        case "button":
            return BUTTONS.get(raw[0])
        case "dimmer":
            return f"{DIMMERS[raw[0]]} {raw[1]}" if raw[0] in DIMMERS else None
        case "command":
            return f"{COMMANDS[raw[0]]} {raw[1:].hex()}".strip() if raw[0] in COMMANDS else None
    number = int.from_bytes(raw, "little", signed=quantity.signed)
    if quantity.factor == 1:
        return number
    decimals = -int(f"{quantity.factor:e}".split("e")[-1])
    return round(number * quantity.factor, decimals)
