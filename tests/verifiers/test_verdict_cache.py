from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from podgym.verifiers import DroppedChange, Verdict, VerdictCache


def scored(reward: float, **more: object) -> Verdict:
    return Verdict.model_validate({"status": "scored", "reward": reward, **more})


def test_known_verdicts_are_marked() -> None:
    cache = VerdictCache()
    verdict = scored(1.0, tests={"a": "passed"}, diff="d\n", dropped=(DroppedChange(path="p", reason="r"),), seconds=2.0)
    assert cache.get("t", "c") is None
    assert cache.put("t", "c", verdict)
    found = cache.get("t", "c")
    assert found == verdict.model_copy(update={"cached": True, "seconds": 0.0})
    assert cache.get("t2", "c") is None
    assert (cache.hits, cache.misses, len(cache)) == (1, 2, 1)


def test_what_is_not_kept() -> None:
    cache = VerdictCache()
    assert not cache.put("t", "c", Verdict.unscored("transport", "lost"))
    assert not cache.put("", "c", scored(1.0))
    assert not cache.put("t", "", scored(1.0))
    assert not cache.put("t", "c", scored(1.0, cached=True))
    assert not cache.put("t", "c", scored(0.0, failure="timed_out"))
    assert not cache.put("t", "c", scored(0.0, failure="killed"))
    assert not cache.put("t", "c", scored(1.0, diff="x" * (2 << 20)))
    assert cache.get("", "c") is None
    assert len(cache) == 0


def test_the_least_recently_used_goes_first() -> None:
    cache = VerdictCache(max_entries=2)
    for name in ("a", "b"):
        cache.put("t", name, scored(1.0))
    cache.get("t", "a")
    cache.put("t", "c", scored(1.0))
    assert [cache.get("t", name) is not None for name in ("a", "b", "c")] == [True, False, True]


def test_bytes_are_bounded_too() -> None:
    cache = VerdictCache(max_bytes=5000)
    for number in range(5):
        cache.put("t", str(number), scored(1.0, diff="x" * 2000))
    cache.put("t", "4", scored(0.0))
    assert len(cache) == 2
    cache.put("t", "big", scored(1.0, diff="x" * 9000))
    assert (len(cache), cache.get("t", "big") is not None) == (1, True)


FILLING = """
import sys
from pathlib import Path

from podgym.verifiers import Verdict, VerdictCache

cache = VerdictCache(file=Path(sys.argv[1]))
for number in range(50):
    cache.put(f"w{sys.argv[2]}", str(number), Verdict(status="scored", reward=1.0, message="x" * 2000))
"""


def test_processes_share_a_file(tmp_path: Path) -> None:
    file = tmp_path / "verdicts.jsonl"
    reader = VerdictCache(file=file)
    assert reader.get("w0", "0") is None
    workers = [subprocess.Popen([sys.executable, "-c", FILLING, str(file), str(number)]) for number in range(2)]
    assert [worker.wait(60) for worker in workers] == [0, 0]
    assert all(reader.get(f"w{worker}", str(number)) for worker in range(2) for number in range(50))
    assert len(file.read_bytes().splitlines()) == 100


def test_damaged_lines_are_passed_over_and_torn_ones_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "verdicts.jsonl"
    writer, reader = VerdictCache(file=file), VerdictCache(file=file)
    writer.put("t", "a", scored(0.0))
    writer.put("t", "b", scored(1.0))
    whole = file.read_bytes()
    file.write_bytes(b"\xff not json\n[1]\n[1, 2]\n" + b'["k", {"status": "odd"}]\n' + whole[:-10])
    assert reader.get("t", "a") is not None
    assert reader.get("t", "b") is None
    with file.open("ab") as torn:
        torn.write(whole[-10:])
    assert reader.get("t", "b") is not None
    assert len(reader) == 3
    reader.put("", "", scored(1.0))
    odd = VerdictCache(file=file)
    file.write_bytes(b'["t:c", {"status": "odd"}]\n')
    assert odd.get("t", "c") is None
    assert len(odd) == 0


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    cache = VerdictCache(file=tmp_path / "no/such/folder")
    with pytest.raises(OSError, match="No such file"):
        cache.put("t", "c", scored(1.0))
