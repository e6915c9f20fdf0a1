"""What is sent to a cluster, and clusters that are not there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from podgym.console.jobs import SubmitError, shipping
from podgym.console.jobs.shipping import build_wheel, ship_podgym

ROOT = Path(__file__).parents[2]


def imported(folders: list[Path], code: str) -> str:
    """What `code` prints in an interpreter that has nothing of podgym but these folders' parents."""
    places = {str(folder.parent) for folder in folders}
    site = next(Path(path) for path in sys.path if path.endswith("site-packages"))
    # -S leaves out the .pth files, and with them an editable podgym.
    program = f"import sys; sys.path[:0] = {sorted(places)!r}; sys.path.append({str(site)!r}); {code}"
    done = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_wheel_of_a_checkout_travels_whole(tmp_path: Path):
    folders = ship_podgym(tmp_path)
    assert [folder.name.partition("-")[0] for folder in folders] == ["podgym", "podgym"]
    package = next(folder for folder in folders if folder.name == "podgym")
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    rooms = ("console", "rollout", "envs", "policy", "verifiers", "sandbox", "traces", "errors")
    wanted = [name for name in tracked if name.split("/")[0] in rooms and name.endswith((".py", ".js", ".css", ".html", ".tmpl", ".mako"))]
    assert wanted
    assert [name for name in wanted if not (package / name).is_file()] == []
    where = imported(folders, "import podgym.rollout.job; print(podgym.rollout.job.__file__)")
    assert where == str(package / "rollout" / "job.py")
    points = imported(folders, "from podgym.envs.registry import available; print([one.name for one in available() if one.status == 'ok'])")
    assert "'code'" in points


def test_an_ordinary_installation_travels_as_it_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    target = tmp_path / "site"
    wheel = build_wheel(ROOT, tmp_path / "wheel")
    import zipfile

    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    from importlib.metadata import PathDistribution

    found = PathDistribution(next(target.glob("*.dist-info")))
    monkeypatch.setattr(shipping, "distribution", lambda name: found)
    folders = ship_podgym(tmp_path / "ship")
    assert imported(folders, "import podgym.errors; print(podgym.errors.__file__)").startswith(str(tmp_path / "ship"))
    (next(target.glob("*.dist-info")) / "RECORD").write_text("")
    with pytest.raises(SubmitError, match="does not say which files it has"):
        ship_podgym(tmp_path / "again")


def test_other_ways_to_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shipping, "version", lambda name: "60.0")
    assert shipping._build_command(tmp_path, tmp_path)[1:4] == ["-m", "pip", "wheel"]
    monkeypatch.setattr(shipping.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(shipping.shutil, "which", lambda name: "/bin/uv")
    assert shipping._build_command(tmp_path, tmp_path)[:2] == ["/bin/uv", "build"]
    monkeypatch.setattr(shipping.shutil, "which", lambda name: None)
    with pytest.raises(SubmitError, match="Nothing here can build"):
        shipping._build_command(tmp_path, tmp_path)


def test_a_wheel_that_does_not_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    source = tmp_path / "source"
    source.mkdir()
    (source / "setup.py").write_text("raise SystemExit('a broken setup')")
    with pytest.raises(SubmitError, match="a broken setup"):
        build_wheel(source, tmp_path / "out")
    (source / "setup.py").write_text("import time; time.sleep(60)")
    monkeypatch.setattr(shipping, "_BUILD_S", 0.5)
    with pytest.raises(SubmitError, match=r"took more than 0\.5 s"):
        build_wheel(source, tmp_path / "slow")


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "nonsense://x", "127.0.0.1:9"])
def test_a_cluster_that_is_not_there(cli: Any, job: Path, address: str):
    for command in (("job", "list"), ("job", "submit", job)):
        said = cli(*command, "--address", address)
        assert (said.code, said.out) == (1, "")
        assert f"The Ray cluster at {address} cannot be reached" in said.err
        assert "http://head:8265" in said.err


def test_modules_are_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from podgym.console.jobs import cluster

    monkeypatch.setattr(cluster, "JobSubmissionClient", lambda address: None)
    with pytest.raises(SubmitError, match="is no folder"):
        cluster.ClusterJobs("head:8265").submit(None, modules=[tmp_path / "x.py"])
