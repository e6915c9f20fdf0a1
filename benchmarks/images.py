"""Builds tasks from one repository's history on Docker, and says how many bytes their images share.

    python benchmarks/images.py /path/to/project.git
    python benchmarks/images.py https://example.org/project.git --tip v2.0 --tasks 10 --json

The last fixes of the first-parent line are found as `podgym env build --scan` finds them, and built until there are as many validated
tasks as were asked for. Bytes are those of the layers as Docker counts them: `separate` is the sum over the images, `together` counts
each layer once. Both are given with the base image and for what the builds added to it. Images that a build finds ready made are used
as they are; what is counted does not depend on it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from podgym.envs.build import BuildOptions, BuildReport, build_task
from podgym.envs.build.scan import Found, scan_history
from podgym.envs.harbor import read_task
from podgym.sandbox.providers import open_provider

Layers = Mapping[str, int]
"""Bytes of each layer of an image; the key holds all layers below it, too."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="PATH_OR_URL of a repository")
    parser.add_argument("--tip", default="HEAD", help="the newest commit that is looked at")
    parser.add_argument("--tasks", type=int, default=10, help="images to compare (default 10)")
    parser.add_argument("--attempts", type=int, default=30, help="commits to try (default 30)")
    parser.add_argument("--limit-percent", type=float, default=0, help="fail where together is more than this part of separate")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    started = time.monotonic()
    scan = scan_history(arguments.source, arguments.tip, arguments.attempts, options=BuildOptions())
    with tempfile.TemporaryDirectory(prefix="podgym-images-") as scratch:
        reports = asyncio.run(built(arguments.source, scan.found, Path(scratch), arguments.tasks))
        if len(reports) < arguments.tasks:
            print(f"Only {len(reports)} of {len(scan.found)} commits gave a task.", file=sys.stderr)
            return 1
        base = _base(reports)
    found = {
        "source": Path(arguments.source).name, "tasks": len(reports), "tried": len(scan.found),
        **compared([layers(report.image) for report in reports], layers(base)),
        "seconds": round(time.monotonic() - started, 1),
    }  # fmt: skip
    print(json.dumps(found) if arguments.json else table(found))
    return 1 if arguments.limit_percent and found["added_percent"] > arguments.limit_percent else 0


async def built(source: str, commits: Iterable[Found], out: Path, wanted: int) -> list[BuildReport]:
    """Reports of validated tasks, `wanted` at most."""
    provider = open_provider("docker", {})
    reports: list[BuildReport] = []
    try:
        for one in commits:
            if len(reports) == wanted:
                break
            options = BuildOptions(parent=1, as_of=one.as_of, repeats=1, decoys=False)
            report = await build_task(source, one.commit, out, provider=provider, options=options)
            print(f"{one.commit[:12]} {report.status} {report.reason} {report.seconds:.0f} s", file=sys.stderr, flush=True)
            if report.status == "validated":
                reports.append(report)
    finally:
        await provider.close()
    return reports


def _base(reports: list[BuildReport]) -> str:
    """The base image, which all must have in common."""
    names = {_from(Path(report.out)) for report in reports}
    if len(names) != 1:
        raise SystemExit(f"The tasks have several base images: {', '.join(sorted(names))}. Choose another --tip.")
    return names.pop()


def _from(task: Path) -> str:
    recipe = read_task(task).sandbox.recipe
    if recipe is None:
        raise SystemExit(f"{task.name} has no image of its own.")
    return recipe.base


def layers(image: str) -> Layers:
    """Read from Docker, the lowest first."""
    command = ["docker", "history", "--no-trunc", "--human=false", "--format", "{{json .}}", image]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [json.loads(line) for line in reversed(done.stdout.splitlines())]
    found: dict[str, int] = {}
    below = ""
    for row in rows:
        below = f"{below}\n{row['CreatedAt']} {row['CreatedBy']} {row['Size']}"
        found[below] = int(float(row["Size"]))
    return found


def compared(images: list[Layers], base: Layers) -> dict[str, Any]:
    """Bytes of all images apart and together, with the base and without."""
    together = {key: size for image in images for key, size in image.items()}
    separate = sum(sum(image.values()) for image in images)
    shared = sum(together.values())
    ground = sum(base.values())
    added, apart = shared - ground, separate - ground * len(images)
    return {
        "base_bytes": ground,
        "separate_bytes": separate,
        "together_bytes": shared,
        "together_percent": round(100 * shared / separate, 1),
        "added_separate_bytes": apart,
        "added_together_bytes": added,
        "added_percent": round(100 * added / separate, 1),
        "added_of_added_percent": round(100 * added / apart, 1),
    }


def table(found: Mapping[str, Any]) -> str:
    """For people."""
    mb = {name: f"{value / 2**20:.1f} MB" for name, value in found.items() if name.endswith("_bytes")}
    return (
        f"{found['tasks']} tasks of {found['source']}, built in {found['seconds']} s\n"
        f"base image          {mb['base_bytes']}\n"
        f"separate images     {mb['separate_bytes']}\n"
        f"as they are         {mb['together_bytes']} ({found['together_percent']} %)\n"
        f"added to the base   {mb['added_together_bytes']} ({found['added_percent']} % of separate images, "
        f"{found['added_of_added_percent']} % of what those add)"
    )


if __name__ == "__main__":
    sys.exit(main())
