# SPDX-License-Identifier: MIT
"""Receivers, decoder and database together; a collector that is killed, cheated, or given a bad file."""

import random
import signal
import sqlite3
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torpor.radio.bthome import Frame
from torpor_host.collect import Collector, air, bthome, collector, open_receiver, run, store
from torpor_host.collect.ble import SERVICE_UUID, BleReceiver
from torpor_host.collect.hci import HciReceiver
from torpor_host.errors import CollectError

MAC = bytes.fromhex("a4c1388d18b2")
WHO = "A4:C1:38:8D:18:B2"
KEY = bytes(range(16))
START_S = 1_700_000_000


def frame(counter: int, temperature: int = 2150, cold: int | None = None, key: bytes | None = None) -> bytes:
    f = Frame(MAC, key)
    f.add(0x02, temperature)
    if cold is not None:
        f.add(0x18, cold)
    return bytes(f.finish(counter))


def record(payload: bytes, time_s: int = START_S, mac: bytes = MAC, ms: int = 0) -> bytes:
    return struct.pack("<BBIhb6s", 0xA5, len(payload), time_s, ms, -60, mac) + payload


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "telemetry.sqlite"


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "air.bin"
    path.touch()
    return path


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as f:
        f.write(data)


# ---- air.bin


def test_records_cut_at_every_byte_wait_for_the_rest() -> None:
    whole = b"".join(record(frame(i), START_S + i, ms=i) for i in range(4))
    sizes = [len(record(frame(0)))] * 4
    for cut in range(len(whole) + 1):
        batch = air.parse(whole[:cut], 100)
        assert len(batch.frames) == cut // sizes[0]
        assert batch.offset == sizes[0] * len(batch.frames)
        assert batch.skipped_bytes == 0
        rest = air.parse(whole[batch.offset :], 100)
        assert [f.time_s - START_S for f in batch.frames + rest.frames] == [0, 1, 2, 3]
        assert all(f.mac == WHO and f.rssi_dbm == -60 for f in rest.frames)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=40), min_size=4, max_size=4))
def test_garbage_between_records_is_skipped_and_counted(garbage: list[bytes]) -> None:
    data = b""
    for i, g in enumerate(garbage):
        data += g.replace(b"\xa5", b"\x5a") + record(frame(i), START_S + i)
    batch = air.parse(data, 100)
    assert [f.time_s - START_S for f in batch.frames] == [0, 1, 2, 3]
    assert batch.skipped_bytes == sum(map(len, garbage))
    assert batch.offset == len(data)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_no_garbage_stops_what_follows(garbage: bytes) -> None:
    """Even marks in garbage cost at most what a record spans, not the recording."""
    data = garbage + b"".join(record(frame(i), START_S + i) for i in range(20))
    batch = air.parse(data, 1000)
    assert [f.time_s - START_S for f in batch.frames][-8:] == list(range(12, 20))


def test_another_recording_in_the_same_place_is_read_from_its_start(recording: Path, db: Path) -> None:
    append(recording, b"".join(record(frame(i), START_S + 60 * i) for i in range(5)))
    with Collector(db) as c:
        assert c.drain(open_receiver(str(recording))) == 5
        recording.write_bytes(b"".join(record(frame(100 + i), START_S + 9000 + 60 * i) for i in range(9)))
        assert c.drain(open_receiver(str(recording))) == 9
        recording.write_bytes(record(frame(7), START_S + 20000))
        assert c.drain(open_receiver(str(recording))) == 1


# ---- what is stored


def test_readings_events_frames_and_summary(recording: Path, db: Path) -> None:
    colds = [0, 0, 1, 1, 0, 1]
    for i, cold in enumerate(colds):
        append(recording, record(frame(i, -100 * i, cold), START_S + 3600 * i, ms=i))
    seen: list[dict[str, Any]] = []
    with Collector(db, name="frost") as c:
        assert c.drain(open_receiver(str(recording)), seen.append) == 6
        assert c.drain(open_receiver(str(recording)), seen.append) == 0
        assert c.last_s == START_S + 5 * 3600
    assert store.readings(db, "frost", "temperature") == [(START_S + 3600 * i, -1.0 * i) for i in range(6)]
    assert store.readings(db, WHO.lower(), "temperature") == store.readings(db, "frost", "temperature")
    assert store.readings(db, "frost", "humidity") == []
    assert store.readings(db, "nobody", "temperature") == []
    changes = store.events(db, "frost")
    assert [((e["time_s"] - START_S) // 3600, e["on"]) for e in changes] == [(2, True), (4, False), (5, True)]
    assert {(e["node"], e["quantity"]) for e in changes} == {("frost", "cold")}
    assert store.events(db) == changes
    assert store.events(db, "nobody") == []
    kept = store.frames(db, "frost")
    assert [f["payload"] for f in kept] == [frame(i, -100 * i, cold) for i, cold in enumerate(colds)]
    assert [f["packet_id"] for f in kept] == list(range(6))
    assert seen[2] == {
        "time_s": START_S + 7200,
        "node": "frost",
        "mac": WHO,
        "rssi_dbm": -60,
        "readings": [
            {"quantity": "temperature", "value": -2.0, "unit": "°C"},
            {"quantity": "cold", "value": 1, "unit": "on/off"},
        ],
    }
    s = store.summary(db)
    assert s["frames"] == 6
    assert s["nodes"] == [
        {
            "mac": WHO,
            "name": "frost",
            "encrypted": False,
            "frames": 6,
            "first_s": START_S,
            "last_s": START_S + 18000,
        }
    ]
    assert s["rejected"] == []
    assert s["receivers"][0]["offset"] == recording.stat().st_size


def test_late_frames_put_the_events_right(tmp_path: Path, db: Path) -> None:
    """Two receivers heard different frames; whichever is read first, the events are the same."""
    one, two = tmp_path / "one.bin", tmp_path / "two.bin"
    for i, cold in enumerate([0, 1, 1, 0, 1, 0, 0]):
        append(two if i in (1, 4) else one, record(frame(i, 0, cold, KEY), START_S + 100 * i))
    with Collector(db, {"frost": KEY}) as c:
        assert c.drain(open_receiver(str(one))) == 5
        assert c.drain(open_receiver(str(two))) == 2
    changes = [((e["time_s"] - START_S) // 100, e["on"]) for e in store.events(db, "frost")]
    assert changes == [(1, True), (3, False), (4, True), (5, False)]


def test_the_same_frame_is_stored_once(tmp_path: Path, db: Path) -> None:
    """Advertisements are repeated, and heard by several receivers; a second later it is another frame."""
    one, two = tmp_path / "one.bin", tmp_path / "two.bin"
    for path in (one, two):
        for repeat in range(3):
            append(path, record(frame(1), START_S, ms=100 * repeat))
            append(path, record(frame(2), START_S + 1, ms=repeat))
    append(two, record(frame(1), START_S + 5))
    with Collector(db) as c:
        assert c.drain(open_receiver(str(one))) == 2
        assert c.drain(open_receiver(str(two))) == 1
        assert c.counts["repeated"] == 4 + 6
    assert [f["time_s"] - START_S for f in store.frames(db, WHO)] == [0, 1, 5]


def rejected(db: Path) -> dict[str, int]:
    return {r["reason"]: r["count"] for r in store.summary(db)["rejected"]}


def test_replayed_forged_and_unreadable_frames_are_rejected(recording: Path, db: Path) -> None:
    good = [frame(i, 100 * i, key=KEY) for i in range(200, 206)]
    hour = iter(range(1000))

    def air_of(*payloads: bytes) -> None:
        for p in payloads:
            append(recording, record(p, START_S + 3600 * next(hour)))

    with Collector(db, {"frost": KEY, "other": bytes(16)}) as c:
        source = open_receiver(str(recording))
        air_of(good[0], good[1], good[3])
        assert c.drain(source) == 3
        air_of(good[0], good[2], good[3])  # the second was never heard, but its time is past
        assert c.drain(source) == 0
        assert rejected(db) == {"replayed": 3}
        air_of(frame(206, 0), good[4])  # plain, from an address that encrypts
        assert c.drain(source) == 1
        assert rejected(db)["not encrypted any more"] == 1
        air_of(frame(207, key=bytes(15) + b"!"), frame(5, key=KEY)[:-1])
        altered = bytearray(good[5])
        altered[9] ^= 1
        air_of(bytes(altered), good[5])
        assert c.drain(source) == 1
        assert rejected(db)["wrong key"] == 2
    with Collector(db, {"frost": KEY}) as c:  # what was heard is remembered
        air_of(good[5])
        assert c.drain(open_receiver(str(recording))) == 0
        assert rejected(db)["replayed"] == 4
    assert [f["counter"] for f in store.frames(db, "frost")] == [200, 201, 203, 204, 205]


def test_a_board_whose_flash_was_erased_is_heard_again_once_told(recording: Path, db: Path) -> None:
    with Collector(db, {"frost": KEY}) as c:
        append(recording, record(frame(5000, key=KEY), START_S) + record(frame(0, key=KEY), START_S + 60))
        assert c.drain(open_receiver(str(recording))) == 1
        store.restart(db, "frost")
        append(recording, record(frame(1, key=KEY), START_S + 120) + record(frame(2, key=KEY), START_S + 180))
        append(recording, record(frame(1, key=KEY), START_S + 240))
        assert c.drain(open_receiver(str(recording))) == 2
    with pytest.raises(CollectError, match="nobody: no frame of such a node"):
        store.restart(db, "nobody")


def test_keys_as_mapping_by_address_and_as_function(recording: Path, tmp_path: Path) -> None:
    append(recording, record(frame(1, key=KEY)))
    asked: list[str] = []

    def ask(node: str) -> bytes:
        asked.append(node)
        return KEY

    cases: list[tuple[Any, str | None, str]] = [
        ({WHO: KEY}, None, WHO),
        ({WHO: KEY}, "frost", "frost"),
        ({"a": bytes(16), "frost": KEY}, None, "frost"),
        (ask, "frost", "frost"),
    ]
    for i, (keys, name, expected) in enumerate(cases):
        db = tmp_path / f"{i}.sqlite"
        seen: list[dict[str, Any]] = []
        with Collector(db, keys, name) as c:
            assert c.drain(open_receiver(str(recording)), seen.append) == 1
        assert seen[0]["node"] == expected
        assert len(store.frames(db, expected)) == 1
    assert asked == [WHO]
    db = tmp_path / "none.sqlite"
    with Collector(db) as c:
        assert c.drain(open_receiver(str(recording))) == 0
    assert rejected(db) == {"no key": 1}
    assert store.summary(db)["nodes"] == []


def test_foreign_advertisements_are_only_counted(recording: Path, db: Path) -> None:
    append(recording, record(b"\x02\x01\x06\x03\x03\x6f\xfd") + record(b"\x04\x16\xd2\xfc\xe1"))
    with Collector(db) as c:
        assert c.drain(open_receiver(str(recording))) == 0
        assert c.counts["foreign"] == 1
    assert rejected(db) == {"version": 1}


# ---- following, and being killed


def test_follow_takes_all_that_was_there_when_told_to_stop(recording: Path, db: Path) -> None:
    stop = threading.Event()
    data = b"".join(record(frame(i, i, i % 2), START_S + 10 * i) for i in range(300))
    seen: list[int] = []

    def write() -> None:
        rng = random.Random(1)
        at = 0
        while at < len(data):
            n = rng.randrange(1, 400)
            append(recording, data[at : at + n])
            at += n
        stop.set()

    writer = threading.Thread(target=write)
    with Collector(db) as c:
        writer.start()
        receiver = open_receiver(str(recording))
        assert c.follow(receiver, stop, lambda f: seen.append(f["time_s"]), poll_s=0.001) == 300
        writer.join()
    assert seen == [START_S + 10 * i for i in range(300)]
    assert store.summary(db)["receivers"][0]["skipped_bytes"] == 0


def test_follow_ends_after_a_while(recording: Path, db: Path) -> None:
    append(recording, record(frame(1)))
    result = run(str(recording), db, follow=True, for_s=0.01, keys={})
    assert (result["frames"], result["last_s"]) == (1, START_S)


_CHILD = """
import sys
sys.path[:0] = sys.argv[1:3]
from pathlib import Path
from torpor_host.collect import collector
collector._BATCH = 5
say = lambda f: print("f", flush=True)
print(collector.run(sys.argv[3], Path(sys.argv[4]), follow=True, keys={}, on_frame=say))
"""


@pytest.fixture
def child(repository: Path, recording: Path, db: Path) -> Iterator[Any]:
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        args = [str(repository / "device"), str(repository / "host"), str(recording), str(db)]
        # a shell that starts the tests in the background has SIGINT ignored, which children inherit
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        process = subprocess.Popen([sys.executable, "-W", "error", "-c", _CHILD, *args], stdout=-1, text=True)
        signal.signal(signal.SIGINT, before)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()


def test_killed_at_any_moment_it_neither_loses_nor_doubles(recording: Path, db: Path, child: Any) -> None:
    total = 1500
    append(recording, b"".join(record(frame(i, i - 700, i % 3 == 0), START_S + 7 * i) for i in range(total)))
    rng = random.Random(7)
    kills = []
    for _ in range(8):
        process = child()
        for _ in range(rng.randrange(1, 150)):
            assert process.stdout.readline() == "f\n"
        time.sleep(rng.random() * 0.004)  # somewhere within a transaction, a commit, a read
        process.send_signal(signal.SIGKILL)
        process.wait()
        found = [f["time_s"] for f in store.frames(db, WHO)]
        assert found == [START_S + 7 * i for i in range(len(found))]
        kills.append(len(found))
        if len(found) == total:
            break
    assert len([k for k in kills if 0 < k < total]) > 3, kills
    with Collector(db) as c:
        c.drain(open_receiver(str(recording)))
        assert c.counts["repeated"] == 0  # not even read twice: offset and frames were stored together
    assert [f["time_s"] for f in store.frames(db, WHO)] == [START_S + 7 * i for i in range(total)]
    values = store.readings(db, WHO, "temperature")
    assert values == [(START_S + 7 * i, pytest.approx((i - 700) / 100)) for i in range(total)]
    with closing(sqlite3.connect(db)) as sql:
        assert sql.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_ctrl_c_ends_with_a_summary(recording: Path, db: Path, child: Any) -> None:
    append(recording, record(frame(1)))
    process = child()
    assert process.stdout.readline() == "f\n"
    process.send_signal(signal.SIGINT)
    out = process.stdout.read()
    assert process.wait() == 0
    assert "'frames': 1" in out


def test_two_collectors_on_one_file_share_the_work(recording: Path, db: Path) -> None:
    append(recording, b"".join(record(frame(i), START_S + 10 * i) for i in range(2000)))
    Collector(db).close()
    counts: list[int] = []

    def collect() -> None:
        with Collector(db) as c:
            counts.append(c.drain(open_receiver(str(recording))))

    threads = [threading.Thread(target=collect) for _ in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sum(counts) == 2000
    assert len(store.frames(db, WHO)) == 2000


# ---- bad files


def test_a_full_disk_stops_it_and_loses_nothing(recording: Path, db: Path) -> None:
    append(recording, b"".join(record(frame(i), START_S + 10 * i) for i in range(3000)))
    with Collector(db) as c:
        (pages,) = c._sql.execute("PRAGMA page_count").fetchone()
        c._sql.execute(f"PRAGMA max_page_count = {pages + 20}")
        with pytest.raises(CollectError, match="the disk is full; make room"):
            c.drain(open_receiver(str(recording)))
        stored = len(store.frames(db, WHO))
        assert stored == c.counts["stored"] < 3000
        c._sql.execute("PRAGMA max_page_count = 1000000")
        assert c.drain(open_receiver(str(recording))) == 3000 - stored
    assert [f["time_s"] for f in store.frames(db, WHO)] == [START_S + 10 * i for i in range(3000)]


def test_a_locked_database(recording: Path, db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append(recording, record(frame(1)))
    monkeypatch.setattr(store, "_WAIT_S", 0.01)
    Collector(db).close()
    with closing(sqlite3.connect(db, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(CollectError, match="another program is writing to it; is a second collector"):
            run(str(recording), db, keys={})
        other.execute("ROLLBACK")
    assert run(str(recording), db, keys={})["frames"] == 1


def test_files_that_are_no_database_of_ours_are_left_alone(recording: Path, tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a database, " * 100)
    theirs = tmp_path / "theirs.sqlite"
    with closing(sqlite3.connect(theirs)) as sql:
        sql.execute("CREATE TABLE precious(x)")
        sql.commit()
    newer = tmp_path / "newer.sqlite"
    store.create(newer).close()
    with closing(sqlite3.connect(newer)) as sql:
        sql.execute("PRAGMA user_version = 99")
        sql.commit()
    for path, message in (
        (text, "not an SQLite database"),
        (theirs, "a database of another program"),
        (newer, "another version of torpor"),
    ):
        before = path.read_bytes()
        with pytest.raises(CollectError, match=message):
            run(str(recording), path, keys={})
        with pytest.raises(CollectError, match=message):
            store.summary(path)
        assert path.read_bytes() == before


def test_damaged_absent_and_unreachable_databases(recording: Path, db: Path, tmp_path: Path) -> None:
    append(recording, b"".join(record(frame(i), START_S + 10 * i) for i in range(500)))
    run(str(recording), db, keys={})
    data = bytearray(db.read_bytes())
    data[4096:] = bytes(len(data) - 4096)  # all pages but the first
    db.write_bytes(data)
    with pytest.raises(CollectError, match="it is damaged"):
        store.frames(db, WHO)
    with pytest.raises(CollectError, match="no such database; `torpor collect"):
        store.summary(tmp_path / "absent.sqlite")
    (tmp_path / "empty.sqlite").touch()
    with pytest.raises(CollectError, match="an empty database"):
        store.summary(tmp_path / "empty.sqlite")
    with pytest.raises(CollectError, match=r"it can't be opened; does its folder exist"):
        run(str(recording), tmp_path / "no" / "such" / "folder.sqlite", keys={})


# ---- receivers


def test_specs(tmp_path: Path, db: Path) -> None:
    with pytest.raises(CollectError, match=r"no virtual board there; `torpor run"):
        open_receiver(f"virtual:{tmp_path}/none")
    with pytest.raises(CollectError, match="no such recording; give ble"):
        open_receiver(str(tmp_path / "none.bin"))
    with pytest.raises(CollectError, match="no such recording"):
        open_receiver(f"hci:{tmp_path}/none.txt")
    with Collector(db) as c:  # a board that has not sent anything yet
        assert c.drain(open_receiver(f"virtual:{tmp_path}")) == 0
        (tmp_path / "world").mkdir()
        append(tmp_path / "world" / "air.bin", record(frame(1)))
        assert c.drain(open_receiver(f"virtual:{tmp_path}")) == 1
    path = tmp_path / "gone.bin"
    path.touch()
    receiver = open_receiver(str(path))
    path.unlink()
    with pytest.raises(CollectError, match="no such recording"):
        receiver.read(0, b"", 10)
    path.mkdir()
    with pytest.raises(CollectError, match="can't be read: Is a directory"):
        receiver.read(0, b"", 10)


def test_real_bluetooth_capture(shared_data: Path, db: Path) -> None:
    """A capture of many devices, none of them BTHome: each event is read, and its structures make sense."""
    path = shared_data / "ble" / "hcidump-2.x.txt"
    batch = HciReceiver(path).read(0, b"", 100_000)
    text = path.read_text()
    assert len(batch.frames) == text.count("> 04 3E")
    assert batch.offset == len(text)
    ruuvi = 0
    for f in batch.frames:
        for kind, data in structures(f.payload):
            if kind == 0xFF and data[:3] == b"\x99\x04\x05":  # Ruuvi's format 5 carries the sender's address
                assert data[-6:].hex(":").upper() == f.mac
                ruuvi += 1
    assert ruuvi
    assert all(-127 <= f.rssi_dbm <= 20 for f in batch.frames)
    with Collector(db) as c:
        assert c.drain(open_receiver(f"hci:{path}")) == 0
        assert c.counts["foreign"] + c.counts["rejected"] == len(batch.frames)


def structures(payload: bytes) -> list[tuple[int, bytes]]:
    try:
        return list(bthome.structures(payload))
    except bthome.FrameError:
        return []


def hci(payload: bytes) -> str:
    event = b"\x02\x01\x00\x00" + MAC[::-1] + bytes([len(payload)]) + payload + b"\xc4"
    raw = (b"\x04\x3e" + bytes([len(event)]) + event).hex(" ").upper()
    lines = [raw[i : i + 60] for i in range(0, len(raw), 60)]
    return "> " + "\n  ".join(line.strip() + " " for line in lines) + "\n"


def test_bthome_in_a_capture_that_is_still_being_written(tmp_path: Path, db: Path) -> None:
    path = tmp_path / "capture.txt"
    text = "HCI sniffer - Bluetooth packet analyzer\n> 01 0C 20 02\n"
    text += "".join(hci(frame(i, 10 * i, key=KEY)) for i in range(6)) + "> 04 3E 0C 02 01 04 01\n"
    path.write_text("")
    with Collector(db, {"frost": KEY}) as c:
        stored = 0
        for end in [*range(0, len(text), 97), len(text)]:
            path.write_text(text[:end])
            stored += c.drain(open_receiver(f"hci:{path}"))
        assert stored == 6
    assert [v for _, v in store.readings(db, "frost", "temperature")] == [i / 10 for i in range(6)]
    assert store.frames(db, "frost")[0]["rssi_dbm"] == -60


class Scanner:
    """bleak.BleakScanner's interface: hears the given advertisements as soon as it starts."""

    heard: tuple[tuple[str, dict[str, bytes]], ...] = ()
    fails = False

    def __init__(self, detection_callback: Any) -> None:
        self.callback = detection_callback

    async def __aenter__(self) -> None:
        if self.fails:
            raise OSError("no adapter")
        for mac, data in self.heard:
            self.callback(SimpleNamespace(address=mac), SimpleNamespace(service_data=data, rssi=-71))

    async def __aexit__(self, *exc: object) -> None:
        pass


def test_bluetooth_adapter(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bthome.service_data(frame(9, 1234, key=KEY))
    assert data
    hidden = "6B8F2A1C-0000-1111-2222-333344445555"  # macOS
    heard = ((WHO.lower(), {SERVICE_UUID: data}), (hidden, {SERVICE_UUID: data}), (WHO, {"180f": b"d"}))
    monkeypatch.setattr(Scanner, "heard", heard)
    receiver = BleReceiver(Scanner)
    try:
        with Collector(db, {"frost": KEY}) as c:
            assert c.drain(receiver) == 1
    finally:
        receiver.close()
    (kept,) = store.frames(db, "frost")
    assert kept["rssi_dbm"] == -71
    assert abs(kept["time_s"] - time.time()) < 60
    assert rejected(db) == {"no address": 1}
    monkeypatch.setattr(Scanner, "fails", True)
    with pytest.raises(CollectError, match="the Bluetooth adapter can't scan: no adapter; is one there"):
        BleReceiver(Scanner)


def test_bluetooth_without_bleak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bleak", None)
    with pytest.raises(CollectError, match="needs the package bleak; pip install bleak"):
        open_receiver("ble")


def test_run_uses_this_users_keys(
    recording: Path, db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORPOR_HOME", str(tmp_path / "home"))
    from torpor_host import keys

    append(recording, record(frame(1, key=keys.get_or_create("frost"))))
    result = run(str(recording), db)
    assert result == {
        "source": str(recording), "db": str(db), "frames": 1, "repeated": 0, "rejected": 0, "foreign": 0,
        "skipped_bytes": 0, "last_s": START_S,
    }  # fmt: skip
    assert len(store.frames(db, "frost")) == 1
    assert collector.run is run
