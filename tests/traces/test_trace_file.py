from __future__ import annotations

import asyncio
import errno
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from podgym.traces import Array, Record, Trace, frames
from podgym.traces import file as file_module
from podgym.traces import reader as reader_module
from podgym.traces.errors import RecordNotFound, TraceCorrupt, TraceStoreError
from podgym.traces.events import BaseEvent, Created, Queued, Sampled, ToolCalled, ToolReturned, Unknown, Verified
from podgym.traces.file import TraceReader, TraceWriter, read_trace
from podgym.traces.lines import load_line


class AddRollout(Protocol):
    def __call__(self, trace: Trace, /, **options: Any) -> Trace: ...


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
EVENTS = st.one_of(
    st.builds(Queued, at_s=st.floats(1, 1e10)),
    st.builds(
        ToolCalled,
        at_s=st.floats(1, 1e10),
        turn=st.integers(0, 100_000),
        tool=st.text(max_size=9),
        arguments=st.dictionaries(st.text(max_size=9), JSON, max_size=3),
    ),
    st.builds(
        ToolReturned, at_s=st.floats(1, 1e10), turn=st.integers(0, 9), tool=st.just("bash"), ok=st.booleans(), output=st.text(max_size=300)
    ),
    st.builds(
        Verified,
        at_s=st.floats(1, 1e10),
        status=st.just("scored"),
        reward=st.floats(0, 1),
        verdict=st.dictionaries(st.text(max_size=5), JSON, max_size=3),
    ),
)
DTYPES = st.one_of(hnp.boolean_dtypes(), hnp.integer_dtypes(), hnp.unsigned_integer_dtypes(), hnp.floating_dtypes(sizes=(16, 32, 64)))
ARRAYS = st.dictionaries(
    st.text(max_size=8),
    DTYPES.flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=5))),
    max_size=3,
)
RECORDS = st.lists(st.builds(Record, EVENTS, ARRAYS), max_size=12)


def same(left: Record, right: Record) -> bool:
    def equal(a: Array, b: Array) -> bool:
        return a.dtype == b.dtype.newbyteorder("<") and a.shape == b.shape and a.tobytes() == b.astype(b.dtype.newbyteorder("<")).tobytes()

    return (
        left.event == right.event
        and left.arrays.keys() == right.arrays.keys()
        and all(equal(left.arrays[name], right.arrays[name]) for name in left.arrays)
    )


def write(path: Path, records: list[Record], flushes: frozenset[int] = frozenset(), *, close: bool = True) -> None:
    writer = TraceWriter(path)
    for index, record in enumerate(records):
        writer(record)
        if index in flushes:
            writer.flush()
    if close:
        writer.close()
    else:
        writer.flush()


def sample_file(add_rollout: AddRollout, path: Path, *, flush_each: bool = True) -> list[Record]:
    records = list(add_rollout(Trace()))
    write(path, records, frozenset(range(len(records))) if flush_each else frozenset())
    return records


@given(records=RECORDS, flushes=st.frozensets(st.integers(0, 11)), close=st.booleans())
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_records_come_back_as_they_were(records: list[Record], flushes: frozenset[int], close: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.trace"
        write(path, records, flushes, close=close)
        trace = read_trace(path)
        assert len(trace) == len(records) and trace.damage == ""
        assert all(same(read, record) for read, record in zip(trace, records, strict=True))
        with TraceReader(path) as reader:
            assert reader.complete == close
            for index, record in enumerate(records):
                for name, array in record.arrays.items():
                    assert reader.array(name, index).tobytes() == array.astype(array.dtype.newbyteorder("<")).tobytes()


def test_a_file_cut_at_any_byte_gives_a_prefix(add_rollout: AddRollout, tmp_path: Path) -> None:
    records = sample_file(add_rollout, tmp_path / "whole.trace")
    data = (tmp_path / "whole.trace").read_bytes()
    cut = tmp_path / "cut.trace"
    lengths = []
    for size in range(len(data) + 1):
        cut.write_bytes(data[:size])
        trace = read_trace(cut)
        assert all(same(read, record) for read, record in zip(trace, records, strict=False))
        assert trace.damage == ""
        lengths.append(len(trace))
    assert lengths == sorted(lengths) and set(lengths) == set(range(len(records) + 1))


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_changed_bytes_give_a_prefix_or_a_typed_error(add_rollout: AddRollout, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.trace"
        records = sample_file(add_rollout, path, flush_each=data.draw(st.booleans()))
        raw = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(raw)
        try:
            trace = read_trace(path)
        except TraceCorrupt:
            assert raw[:8] != frames.MAGIC
            return
        assert all(same(read, record) for read, record in zip(trace, records, strict=False))
        assert len(trace) == len(records) or trace.damage or not TraceReader(path).complete


@given(st.binary(max_size=400))
@settings(max_examples=100, deadline=None)
def test_any_bytes_after_the_magic_are_survived(junk: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.trace"
        path.write_bytes(frames.MAGIC + junk)
        assert len(read_trace(path)) == 0


def test_a_frame_that_declares_more_than_it_holds_allocates_nothing(tmp_path: Path) -> None:
    import zstandard

    path = tmp_path / "bomb.trace"
    line = b'[{"kind":"queued","at_s":1.0},{"x":["<f8",[%d],8,0]}]\n'
    for size in (2**39, 2**70, -1):
        path.write_bytes(frames.MAGIC + frames.encode(frames.ARRAYS, b"12345678") + frames.encode(frames.EVENTS, line % size, events=1))
        assert "array" in read_trace(path).damage
    packed = zstandard.ZstdCompressor().compress(bytes(1000))
    header = frames.HEADER.pack(frames.EVENTS, frames.ZSTD, 0, 1, len(packed), frames.MAX_LINES_BYTES)
    import zlib

    path.write_bytes(frames.MAGIC + header + frames.CRC.pack(zlib.crc32(packed, zlib.crc32(header))) + packed)
    assert "two different sizes" in read_trace(path).damage
    with pytest.raises(ValueError, match="at most"):
        frames.encode(frames.EVENTS, _Long())


def test_a_frame_of_more_events_than_any_writer_makes_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.trace"
    line = b'[{"kind":"queued","at_s":1.0},{}]\n'
    one = frames.encode(frames.EVENTS, line, events=1)
    for kind, raw, events in ((frames.EVENTS, frames.MAX_LINES_BYTES + 1, 1), (frames.EVENTS, 1 << 20, frames.MAX_EVENTS + 1)):
        header = frames.HEADER.pack(kind, frames.ZSTD, 0, events, 30, raw)
        path.write_bytes(frames.MAGIC + one + header + bytes(100))
        trace = read_trace(path)
        assert len(trace) == 1 and "no frame" in trace.damage
    monkeypatch.setattr(reader_module, "MOST_EVENTS", 3)
    path.write_bytes(frames.MAGIC + frames.encode(frames.EVENTS, line * 2, events=2) * 2)
    trace = read_trace(path)
    assert len(trace) == 2 and "more than 3 events" in trace.damage


def test_events_are_parsed_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.trace"
    write(path, [Record(Queued(at_s=float(number + 1))) for number in range(1000)])
    parsed: list[int] = []
    monkeypatch.setattr(reader_module, "load_line", lambda line: parsed.append(1) or load_line(line))
    with TraceReader(path) as reader:
        assert reader.entry(500).event.at_s == 501.0 and len(parsed) == 1
        assert [entry.index for entry in reader.events(after=998)] == [998, 999] and len(parsed) == 3


def test_an_array_whose_sizes_no_array_can_have_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.trace"
    for shape in ("[0,549755813888,549755813888]", "[549755813888,549755813888,0]", "[0,1073741824]"):
        line = b'[{"kind":"queued","at_s":1.0},{"x":["<f8",%s,8,0]}]\n' % shape.encode()
        path.write_bytes(frames.MAGIC + frames.encode(frames.ARRAYS, b"12345678") + frames.encode(frames.EVENTS, line, events=1))
        assert "cannot be" in read_trace(path).damage


def test_what_waits_for_a_disk_for_long_is_split_into_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_module, "FRAME_LINES_BYTES", 2000)
    monkeypatch.setattr(frames, "MAX_EVENTS", 7)
    records = [
        Record(ToolReturned(at_s=1.0, turn=0, tool="bash", ok=True, output="x" * (n % 4 * 400)), {"x": np.arange(n)}) for n in range(40)
    ]
    with TraceWriter(tmp_path / "a.trace", flush_s=60) as writer:
        for record in records:
            writer(record)
        with pytest.raises(TypeError, match="at most 2000"):
            writer(Record(ToolReturned(turn=0, tool="bash", ok=True, output="x" * 2000)))
    with TraceReader(tmp_path / "a.trace") as reader:
        assert len(reader._blocks) > 8 and reader.complete
    assert all(same(read, record) for read, record in zip(read_trace(tmp_path / "a.trace"), records, strict=True))


class _Long(bytes):
    def __len__(self) -> int:
        return frames.MAX_RAW_BYTES + 1


@pytest.mark.parametrize(
    ("kind", "payload", "events", "says"),
    [
        (frames.EVENTS, b"not json\n", 1, "not JSON"),
        (frames.EVENTS, b"[" * 100_000 + b"\n", 1, "not JSON"),
        (frames.EVENTS, b"[1,2]\n", 1, "not an event"),
        (frames.EVENTS, b"[{},{}]\n", 1, "that is none"),
        (frames.EVENTS, b'[{"kind":"queued","at_s":"x"},{}]\n', 1, "that is none"),
        (frames.EVENTS, b'[{"kind":"queued"},{}]\n', 2, "not as many"),
        (frames.EVENTS, b'[{"kind":"queued"},{}]', 1, "not as many"),
        (frames.EVENTS, b'[{"kind":"queued"},{"x":["O",[1],8,0]}]\n', 1, "cannot be"),
        (frames.EVENTS, b'[{"kind":"queued"},{"x":["<f8",[1],8,0]}]\n', 1, "no arrays at offset"),
        (frames.EVENTS, b'[{"kind":"queued"},{"x":["<f8",[1],9999,0]}]\n', 1, "ends inside"),
    ],
)
def test_well_framed_nonsense_is_damage(tmp_path: Path, kind: int, payload: bytes, events: int, says: str) -> None:
    path = tmp_path / "a.trace"
    path.write_bytes(frames.MAGIC + frames.encode(kind, payload, events=events))
    trace = read_trace(path)
    assert len(trace) == 0 and says in trace.damage


def test_events_of_later_versions_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.trace"
    lines = b'[{"kind":"teleported","at_s":5.0,"where":"there"},{}]\n[{"kind":"created","rollout_id":7},{}]\n'
    path.write_bytes(frames.MAGIC + frames.encode(frames.EVENTS, lines, events=2))
    first, second = read_trace(path)
    assert isinstance(first.event, Unknown) and first.event.model_dump()["where"] == "there"
    assert isinstance(second.event, Unknown) and second.event.kind == "created"


def test_free_form_fields_that_json_does_not_know_are_made_plain(tmp_path: Path) -> None:
    deep: Any = "x"
    for _ in range(300):
        deep = [deep]
    middling: Any = "x"
    for _ in range(225):
        middling = [middling]
    arguments = {
        "surrogate": "a\udc80b",
        "nan": float("nan"),
        "set": {1},
        "object": object(),
        "deep": deep,
        "huge": 10**40,
        "bytes": b"\xff",
    }
    path = tmp_path / "a.trace"
    write(
        path,
        [
            Record(ToolCalled(turn=0, tool="bash", arguments=arguments)),
            Record(ToolCalled(turn=0, tool="bash", arguments={"m": middling, "huge": 10**40})),
        ],
    )
    first, second = read_trace(path)
    assert isinstance(first.event, ToolCalled) and first.event.arguments["surrogate"] == "a\ufffdb"
    assert first.event.arguments["nan"] is None and first.event.arguments["set"] == [1] and first.event.arguments["huge"] == 10**40
    assert "nested too deeply" in str(first.event.arguments["deep"])
    assert isinstance(second.event, ToolCalled) and second.event.arguments == {"m": middling, "huge": 10**40}


def test_a_reader_follows_a_file_that_grows(add_rollout: AddRollout, tmp_path: Path) -> None:
    path = tmp_path / "a.trace"
    records = list(add_rollout(Trace()))
    writer = TraceWriter(path)
    with TraceReader(path) as reader:
        assert len(reader) == 0 and not reader.complete and reader.turns == 0
        seen: list[BaseEvent] = []
        for record in records:
            writer(record)
            writer.flush()
            reader.refresh()
            seen += [entry.event for entry in reader.events(after=len(seen))]
        assert seen == [record.event for record in records]
        writer.close()
        reader.refresh()
        assert reader.complete and reader.turns == 2
        with pytest.raises(RecordNotFound, match="has no event 99"):
            reader.entry(99)
        with pytest.raises(RecordNotFound, match="has no array 'routes'"):
            reader.array("routes", 0)
    with pytest.raises(ValueError, match="closed"):
        reader.refresh()


@pytest.mark.parametrize("flush_each", [True, False])
def test_one_turn_is_found_without_the_others(add_rollout: AddRollout, tmp_path: Path, flush_each: bool) -> None:
    path = tmp_path / "a.trace"
    sample_file(add_rollout, path, flush_each=flush_each)
    with TraceReader(path) as reader:
        for turn in range(3):
            kinds = [type(entry.event).__name__ for entry in reader.turn(turn)]
            assert kinds == ["Sampled", "ToolCalled", "ToolReturned"]
            assert all(entry.event.turn == turn for entry in reader.turn(turn) if isinstance(entry.event, Sampled))
        assert reader.turn(3) == []
        assert [entry.index for entry in reader.events(after=5, limit=2)] == [5, 6]


def test_a_large_array_has_its_own_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.trace"
    routes = np.arange(100_000, dtype=np.uint16).reshape(-1, 4, 2)
    write(path, [Record(Queued(), {"small": np.ones(3), "routes": routes, "more": routes[:4096]})])
    with TraceReader(path) as reader:
        places = reader.entry(0).arrays
        assert len({place.frame for place in places.values()}) == 3
        assert np.array_equal(reader.array("routes", 0), routes) and np.array_equal(reader.array("small", 0), np.ones(3))
        assert not reader.array("routes", 0).flags.writeable


def test_arrays_of_anything_but_numbers_are_refused(tmp_path: Path) -> None:
    with TraceWriter(tmp_path / "a.trace") as writer:
        with pytest.raises(TypeError, match="'x' has dtype object"):
            writer(Record(Queued(), {"x": np.array([object()])}))
        with pytest.raises(TypeError, match="at most"):
            writer(Record(Queued(), {"x": np.broadcast_to(np.zeros(1), (1 << 27,))}))


def test_a_full_disk_is_named_and_can_be_survived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.trace"
    writer = TraceWriter(path)
    writer(Record(Queued(at_s=1.0)))
    writer.flush()
    whole = path.read_bytes()
    real = os.write

    def half(fd: int, data: Any) -> int:
        monkeypatch.setattr(os, "write", full)
        return real(fd, bytes(data)[:10])

    def full(fd: int, data: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    writer(Record(Queued(at_s=2.0)))
    monkeypatch.setattr(os, "write", half)
    with pytest.raises(TraceStoreError, match=r"a\.trace cannot be written: No space left.*Free space") as caught:
        writer.flush()
    assert caught.value.errno == errno.ENOSPC
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again), again.errno) == (TraceStoreError, str(caught.value), errno.ENOSPC)
    assert path.read_bytes() == whole
    monkeypatch.setattr(os, "write", real)
    writer.close()
    assert [record.event.at_s for record in read_trace(path)] == [1.0, 2.0]


def test_a_disk_with_room_for_the_events_alone_keeps_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.trace"
    records = [Record(Queued(at_s=number + 1.0)) for number in range(5)]
    write(tmp_path / "events.trace", records, close=False)
    real, room = os.write, (tmp_path / "events.trace").stat().st_size + 10
    writer = TraceWriter(path, flush_s=60)
    for record in records:
        writer(record)

    def nearly_full(fd: int, data: Any) -> int:
        nonlocal room
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = real(fd, bytes(data)[:room])
        room -= written
        return written

    monkeypatch.setattr(os, "write", nearly_full)
    with pytest.raises(TraceStoreError, match="No space left"):
        writer.close()
    monkeypatch.setattr(os, "write", real)
    trace = read_trace(path)
    assert list(trace) == records and trace.damage == ""


def test_a_full_device_is_named() -> None:
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / "a.trace"
        writer = TraceWriter(link)
        full = os.open("/dev/full", os.O_WRONLY)
        assert writer._fd is not None
        os.dup2(full, writer._fd)
        os.close(full)
        writer(Record(Queued()))
        with pytest.raises(TraceStoreError, match="No space left"):
            writer.close()
        writer.close()


def test_a_path_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    TraceWriter(tmp_path / "new" / "a.trace").close()
    with pytest.raises(TraceStoreError, match="written once"):
        TraceWriter(tmp_path / "new" / "a.trace")
    (tmp_path / "file").write_text("")
    with pytest.raises(TraceStoreError, match="cannot be written: Not a directory"):
        TraceWriter(tmp_path / "file" / "a.trace")


def test_what_is_no_trace_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordNotFound, match="There is no trace"):
        read_trace(tmp_path / "none.trace")
    with pytest.raises(TraceStoreError, match="directory"):
        read_trace(tmp_path)
    (tmp_path / "x.trace").write_bytes(b"PK\x03\x04 something else")
    with pytest.raises(TraceCorrupt, match="not a trace"):
        read_trace(tmp_path / "x.trace")


def test_nothing_is_taken_after_close(tmp_path: Path) -> None:
    writer = TraceWriter(tmp_path / "a.trace")
    writer.close()
    writer.close()
    for use in (writer.flush, lambda: writer(Record(Queued()))):
        with pytest.raises(ValueError, match="is closed"):
            use()
    assert len(read_trace(tmp_path / "a.trace")) == 0


def test_size_and_time_flush_without_a_loop(tmp_path: Path) -> None:
    with TraceWriter(tmp_path / "a.trace", flush_bytes=1000) as writer, TraceReader(writer.path) as reader:
        writer(Record(ToolReturned(turn=0, tool="bash", ok=True, output="x" * 2000)))
        reader.refresh()
        assert len(reader) == 1
    with TraceWriter(tmp_path / "b.trace", flush_s=0.01) as writer, TraceReader(writer.path) as reader:
        writer(Record(Queued()))
        time.sleep(0.02)
        writer(Record(Queued()))
        reader.refresh()
        assert len(reader) == 2


async def test_a_timer_flushes_what_waits_inside_a_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with TraceWriter(tmp_path / "a.trace", flush_s=0.02) as writer, TraceReader(writer.path) as reader:
        writer(Record(Queued()))
        reader.refresh()
        assert len(reader) == 0
        await asyncio.sleep(0.06)
        reader.refresh()
        assert len(reader) == 1

        def full(fd: int, data: Any) -> int:
            raise OSError(errno.EIO, "Input/output error")

        writer(Record(Queued()))
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            await asyncio.sleep(0.06)
        with pytest.raises(TraceStoreError, match="Input/output error"):
            writer(Record(Queued()))
        writer(Record(Queued()))
    assert len(read_trace(tmp_path / "a.trace")) == 3


def test_a_killed_writer_leaves_whole_frames(tmp_path: Path) -> None:
    program = (
        "import sys, time, itertools\n"
        "from podgym.traces.file import TraceWriter\nfrom podgym.traces import Record\nfrom podgym.traces.events import Queued\n"
        "writer = TraceWriter(sys.argv[1])\n"
        "for n in itertools.count(1):\n    writer(Record(Queued(at_s=float(n))))\n    writer.flush()\n    print(n, flush=True)\n"
    )
    path = tmp_path / "a.trace"
    with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(50):
            said = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=10)
    trace = read_trace(path)
    assert len(trace) >= said and [record.event.at_s for record in trace] == [float(n + 1) for n in range(len(trace))]


def test_the_index_is_rebuilt_where_it_lies(add_rollout: AddRollout, tmp_path: Path) -> None:
    import orjson

    path = tmp_path / "a.trace"
    records = sample_file(add_rollout, path)
    data = path.read_bytes()
    offset, _ = frames.TRAILER.unpack(data[-frames.TRAILER.size :])
    tables: list[Any] = [{}, [[1]], [[99999, 0, 1]], [[9, 0, 1], [9, 0, 1]], "x"]
    tables += [[[8, 0, 2**63]], [[8, 2**63, 1]], [[8, 0, 2**62], [9, 0, 2**62]], [[8, 0, 1], []] * 10_000]
    for table in tables:
        index = frames.encode(frames.INDEX, orjson.dumps(table))
        path.write_bytes(data[:offset] + index + frames.TRAILER.pack(offset, frames.TRAILER_MAGIC))
        with TraceReader(path) as reader:
            assert reader.complete and len(reader) == len(records)
    for wrong in (0, 8, offset - 1, 2**63):
        path.write_bytes(data[: -frames.TRAILER.size] + frames.TRAILER.pack(wrong, frames.TRAILER_MAGIC))
        assert len(read_trace(path)) == len(records)


def test_writing_costs_little(add_rollout: AddRollout, tmp_path: Path) -> None:
    class Nowhere:
        def __call__(self, record: Record) -> None:
            return

    def spent(n: int, *, write: bool) -> float:
        begin = time.process_time()
        for index in range(n):
            if write:
                with TraceWriter(tmp_path / f"{n}-{index}.trace") as writer:
                    add_rollout(Trace(sink=writer))
            else:
                add_rollout(Trace(sink=Nowhere()))
        return (time.process_time() - begin) / n

    spent(20, write=True)
    assert min(spent(100 + round, write=True) for round in range(3)) - spent(100, write=False) < 0.002


def test_a_trace_knows_its_beginning(add_rollout: AddRollout) -> None:
    assert add_rollout(Trace()).created.rollout_id == "r0"
    with pytest.raises(LookupError):
        _ = Trace().created
    assert isinstance(next(iter(add_rollout(Trace()))).event, Created) and issubclass(Created, BaseEvent)
