# SPDX-License-Identifier: MIT
"""The node's frames and the collector's decoder against PyPI `bthome-ble` and its test vectors."""

import json
import os
import random
from datetime import datetime
from pathlib import Path

import pytest
from bthome_ble.const import MEAS_TYPES
from hypothesis import given, settings
from hypothesis import strategies as st
from peer import OURS, Heard, Peer, ours

from torpor.radio.bthome import _WIDTHS, Frame
from torpor_host.collect import bthome

MAC = "54:48:E6:8F:80:A5"


def split(payload: bytes) -> bytes:
    data = bthome.service_data(bytes(payload))
    assert data is not None
    return data


def test_object_table_is_the_peers() -> None:
    assert set(bthome.OBJECTS) == set(MEAS_TYPES)
    for object_id, theirs in MEAS_TYPES.items():
        quantity = bthome.OBJECTS[object_id]
        if quantity.width:
            assert quantity.width == theirs.data_length
        if theirs.meas_format is None or quantity.unit == bthome.EVENT:
            continue
        name = str(getattr(theirs.meas_format, "device_class", theirs.meas_format))
        assert OURS.get(quantity.name, quantity.name) == name
        if quantity.kind in ("number", "bool"):
            assert quantity.factor == theirs.factor
            assert quantity.signed == (theirs.data_format == "signed_integer")


def test_object_table_of_the_node_is_the_collectors() -> None:
    numbers = {i: q for i, q in bthome.OBJECTS.items() if q.kind in ("number", "bool") and i < 0xF0}
    expected = [0] * len(_WIDTHS)
    for object_id, quantity in numbers.items():
        expected[object_id] = quantity.width | (0x80 if quantity.signed else 0)
    assert list(_WIDTHS) == expected


def random_frame(rng: random.Random, frame: Frame) -> list[tuple[int, int]]:
    """Fill a frame with objects in ascending order until none fits; return them."""
    numbers = [i for i, q in bthome.OBJECTS.items() if q.kind in ("number", "bool") and 0 < i < 0xF0]
    chosen: list[tuple[int, int]] = []
    encrypted = frame.encrypted
    frame.begin()
    ids = sorted(rng.choices(numbers, k=rng.randrange(1, 9)))
    for object_id in ids:
        if bthome.advertising_bytes([i for i, _ in chosen] + [object_id], encrypted) > bthome.LEGACY_BYTES:
            continue
        q = bthome.OBJECTS[object_id]
        low, high = (-(1 << 8 * q.width - 1), 1 << 8 * q.width - 1) if q.signed else (0, 1 << 8 * q.width)
        value = rng.choice((low, high - 1, rng.randrange(low, high), rng.randrange(low, high)))
        if q.kind == "bool":
            value = value & 1
        assert frame.add(object_id, value)
        chosen.append((object_id, value))
    return chosen


@pytest.mark.parametrize("encrypted", [False, True])
def test_random_frames_of_the_node_are_read_right_by_the_peer_and_by_us(encrypted: bool) -> None:
    rng = random.Random(20261123 + encrypted)
    key = rng.randbytes(16) if encrypted else None
    frame = Frame(bytes.fromhex(MAC.replace(":", "")), key)
    counter = 0
    for _ in range(400):
        peer = Peer(MAC, key)
        objects = random_frame(rng, frame)
        counter += rng.randrange(1, 1 << 22)
        payload = bytes(frame.finish(counter))
        assert len(payload) == bthome.advertising_bytes([i for i, _ in objects], encrypted) <= 31
        decoded = bthome.decode(split(payload), MAC, key)
        assert decoded.complete
        assert decoded.irregular
        assert decoded.packet_id == counter & 0xFF
        assert decoded.counter == (counter if encrypted else None)
        for m, (object_id, value) in zip(decoded.measurements, objects, strict=True):
            q = bthome.OBJECTS[object_id]
            assert m.object_id == object_id
            assert m.unit == q.unit
            rounded = 0.05 if q.factor == 0.35 else 0  # the one whose step is no power of ten
            assert m.value == pytest.approx(value * q.factor, rel=1e-12, abs=rounded + 1e-9)
        heard = peer.hear(split(payload))
        timestamps(heard)
        assert heard == ours(decoded)
        assert peer.device.sleepy_device
        assert peer.device.bindkey_verified == encrypted


def timestamps(heard: Heard) -> None:
    """bthome-ble makes datetimes of them."""
    for key, (value, unit) in heard.sensors.items():
        if isinstance(value, datetime):
            heard.sensors[key] = (int(value.timestamp()), unit or "s")


def test_a_years_readings_as_the_peer_sees_them() -> None:
    """Physical values, not counts: what a user reads is what the sensor said."""
    key = os.urandom(16)
    frame = Frame(bytes.fromhex(MAC.replace(":", "")), key)
    peer = Peer(MAC, key)
    for counter, (temperature, humidity, battery, alarm) in enumerate(
        [(-4000, 10000, 0, 1), (8500, 0, 100, 0), (-1, 5555, 55, 1), (0, 1, 99, 0)], start=100
    ):
        frame.begin()
        for object_id, value in ((0x01, battery), (0x02, temperature), (0x03, humidity), (0x18, alarm)):
            frame.add(object_id, value)
        heard = peer.hear(split(frame.finish(counter)))
        assert heard.sensors["temperature"] == (pytest.approx(temperature / 100), "°C")
        assert heard.sensors["humidity"] == (pytest.approx(humidity / 100), "%")
        assert heard.sensors["battery"] == (battery, "%")
        assert heard.binary == {"cold": bool(alarm)}


def test_the_peer_rejects_old_counters_and_altered_frames() -> None:
    key = os.urandom(16)
    frame = Frame(bytes.fromhex(MAC.replace(":", "")), key)
    peer = Peer(MAC, key)

    def send(counter: int, temperature: int) -> bytes:
        frame.begin()
        frame.add(0x02, temperature)
        return split(frame.finish(counter))

    assert peer.hear(send(5000, 100)).sensors["temperature"] == (1.0, "°C")
    assert peer.hear(send(4999, 200)).sensors == {}
    assert peer.hear(send(5001, 300)).sensors["temperature"] == (3.0, "°C")
    good = send(5002, 400)
    for at in range(len(good)):
        altered = bytearray(good)
        altered[at] ^= 0x08
        assert "temperature" not in peer.hear(bytes(altered)).sensors
        with pytest.raises(bthome.FrameError):
            bthome.decode(bytes(altered), MAC, key)
    with pytest.raises(bthome.FrameError, match="wrong key"):
        bthome.decode(good, MAC, os.urandom(16))
    with pytest.raises(bthome.FrameError, match="wrong key"):
        bthome.decode(good, "54:48:E6:8F:80:A6", key)
    with pytest.raises(bthome.FrameError, match="no address"):
        bthome.decode(good, "6B8F2A1C-0000-1111-2222-333344445555", key)
    with pytest.raises(bthome.FrameError, match="no key"):
        bthome.decode(good, MAC, None)


def test_published_vectors(shared_data: Path) -> None:
    vectors = json.loads((shared_data / "ble" / "bthome_v2_vectors_open.json").read_text())
    assert len(vectors) > 60
    read = 0
    for v in vectors:
        data, key = bytes.fromhex(v["service_data_hex"]), v["bindkey"] and bytes.fromhex(v["bindkey"])
        try:
            decoded = bthome.decode(data, v["address"], key)
        except bthome.FrameError as e:
            assert e.reason in ("version", "no key", "wrong key", "malformed"), v["test"]
            assert not v.get("sensors") and not v.get("binary") and not v.get("events"), v["test"]
            assert (e.reason == "version") == (not v["supported"]), v["test"]
            continue
        heard = ours(decoded)
        assert {k: value for k, (value, _) in heard.sensors.items()} == v["sensors"], v["test"]
        units = {k: unit or "None" for k, (_, unit) in heard.sensors.items() if k != "raw"}
        assert units == {k: u for k, u in v["units"].items() if k != "raw"}, v["test"]
        assert heard.binary == v["binary"], v["test"]
        if v["events"] or 0x3A not in data:  # of two with a packet id the list lacks the button's event
            assert heard.events == {e["key"]: e["type"] for e in v["events"]}, v["test"]
        assert decoded.irregular == bool(data[0] & 4)
        read += 1
    assert read > 50


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=24), st.sampled_from([0x40, 0x44, 0x42]))
def test_any_bytes_are_read_as_the_peer_reads_them(body: bytes, info: int) -> None:
    if info == 0x42:
        body = bytes(6) + body
    data = bytes([info]) + body
    decoded = bthome.decode(data, MAC, None)
    heard = Peer(MAC).hear(data)
    timestamps(heard)
    mine = ours(decoded)
    for key in [k for k in heard.sensors if k.startswith("raw")]:
        heard.sensors[key] = (heard.sensors[key][0], "hex")
    if any(bthome.OBJECTS[m.object_id].unit == bthome.EVENT for m in decoded.measurements):
        heard.events = mine.events = {}  # numbered by us even where the first was "nothing happened"
    if mine.sensors != heard.sensors:
        # bthome-ble numbers by unit too; two units of one quantity share a key there and the last one wins.
        names = [k for k in heard.sensors if heard.sensors[k] != mine.sensors.get(k)]
        pytest.fail(f"{data.hex()}: {names}: {heard.sensors} {mine.sensors}")
    assert heard.binary == mine.binary


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=40))
def test_no_bytes_make_the_decoder_fall_over(data: bytes) -> None:
    bthome.service_data(data)
    for key in (None, bytes(16)):
        try:
            bthome.decode(data, MAC, key)
        except bthome.FrameError as e:
            assert e.reason in ("version", "malformed", "no key", "wrong key")
