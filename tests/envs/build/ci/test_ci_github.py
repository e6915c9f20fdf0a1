from __future__ import annotations

from collections.abc import Callable, Mapping

from podgym.envs.build.ci import CiFacts

Reader = Callable[[Mapping[str, str]], CiFacts]

WORKFLOW = """
    name: tests
    on:
      push:
      pull_request:
    env:
      PYTHONUTF8: 1
      CODECOV_TOKEN: abc
      CACHE: ${{ github.sha }}
    jobs:
      test:
        runs-on: ${{ matrix.os }}
        strategy:
          matrix:
            os: [ubuntu-22.04, windows-latest, macos-13]
            python: [3.9, 3.10, "3.11"]
            exclude:
              - {os: ubuntu-22.04, python: 3.10}
            include:
              - os: windows-latest
                python: 3.12
              - os: ubuntu-22.04
                python: pypy3.10
                extra: true
        env:
          MODE: fast
        services:
          db:
            image: postgres:14
        steps:
          - uses: actions/checkout@v4
          - uses: actions/setup-python@v5
            with:
              python-version: ${{ matrix.python }}
          - name: system
            if: runner.os == 'Linux'
            run: |
              sudo apt-get update -qq
              # nothing here
              sudo apt-get -y --no-install-recommends install \\
                libxml2-dev=2.9.14+dfsg-1 \\
                zlib1g-dev:amd64 libc6:i386
          - if: matrix.os == 'macos-13' || startsWith(matrix.os, 'windows')
            run: apt-get install never-here
          - if: failure()
            run: echo no
          - run: python -m pytest
            working-directory: ./python/pkg
            env: {EXTRA: "1"}
"""


def test_a_matrix_is_unfolded_for_linux_alone_and_versions_stay_as_they_are_written(read: Reader) -> None:
    facts = read({".github/workflows/test.yml": WORKFLOW})
    assert facts.versions["python"] == ("3.9", "3.11", "pypy3.10")
    assert facts.packages == ("libxml2-dev", "zlib1g-dev")
    assert facts.services == ("postgres:14",)
    assert facts.env == {"PYTHONUTF8": "1", "MODE": "fast"}
    assert facts.commands == (
        "sudo apt-get update -qq",
        "sudo apt-get -y --no-install-recommends install libxml2-dev=2.9.14+dfsg-1 zlib1g-dev:amd64 libc6:i386",
        "python -m pytest",
    )
    assert facts.sources == (".github/workflows/test.yml",)
    assert facts.notes == ()


def test_a_step_knows_its_directory_its_variables_and_its_job(read: Reader) -> None:
    step = read({".github/workflows/test.yml": WORKFLOW}).steps[-1]
    assert (step.line, step.directory, step.job) == ("python -m pytest", "python/pkg", ".github/workflows/test.yml:test")
    assert step.env == {"PYTHONUTF8": "1", "MODE": "fast", "EXTRA": "1"}


def test_actions_tell_versions_by_their_inputs_and_names(read: Reader) -> None:
    facts = read(
        {
            ".github/workflows/ci.yaml": """
            on: push
            jobs:
              build:
                runs-on: [self-hosted, linux]
                steps:
                  - uses: actions/setup-java@v4
                    with:
                      distribution: temurin
                      java-version: |
                        11
                        17
                  - uses: actions/setup-go@v5
                    with: {go-version: '1.21.x'}
                  - uses: dtolnay/rust-toolchain@1.70.0
                  - uses: actions-rs/toolchain@v1
                    with: {toolchain: nightly-2023-01-01, override: true}
                  - uses: actions-rs/cargo@v1
                    with: {command: test, args: --all}
                  - uses: pnpm/action-setup@v2
                    with: {version: 8.6.0}
                  - uses: actions/setup-node@v4
                    with: {node-version-file: .nvmrc}
                  - uses: astral-sh/setup-uv@v3
                    with: {python-version: "3.12", version: "0.4.1"}
                  - uses: awalsh128/cache-apt-pkgs-action@v1
                    with: {packages: "libpq-dev ninja-build=1.10", version: "1.0"}
                  - uses: coactions/setup-xvfb@v1
                    with: {run: npm run test:browser}
                  - uses: docker://maven:3.9-eclipse-temurin-21
            """
        }
    )
    assert facts.versions == {
        "java": ("11", "17", "21"),
        "go": ("1.21.x",),
        "rust": ("1.70.0", "nightly-2023-01-01"),
        "pnpm": ("8.6.0",),
        "python": ("3.12",),
        "uv": ("0.4.1",),
        "maven": ("3.9",),
    }
    assert facts.packages == ("libpq-dev", "ninja-build", "xvfb", "xauth")
    assert facts.commands == ("cargo test --all", "npm run test:browser")


def test_composite_actions_and_reusable_workflows_of_the_repository_are_followed(read: Reader) -> None:
    facts = read(
        {
            ".github/actions/prepare/action.yml": """
            inputs:
              node: {default: '18'}
              packages: {required: false, default: ''}
            runs:
              using: composite
              steps:
                - uses: actions/setup-node@v4
                  with: {node-version: "${{ inputs.node }}"}
                - run: sudo apt-get install -y ${{ inputs.packages }}
                  shell: bash
                - run: Write-Host hello
                  shell: pwsh
            """,
            ".github/workflows/reusable.yml": """
            on:
              workflow_call:
                inputs:
                  node: {type: string, default: '16'}
            jobs:
              run:
                runs-on: ubuntu-latest
                steps:
                  - uses: ./.github/actions/prepare
                    with:
                      node: ${{ inputs.node }}
                      packages: libcairo2-dev
                  - run: npm test
            """,
            ".github/workflows/main.yml": """
            on: [pull_request]
            jobs:
              all:
                strategy:
                  matrix: ${{ fromJSON('{"node":[20, 22]}') }}
                uses: ./.github/workflows/reusable.yml
                with: {node: "${{ matrix.node }}"}
              plain:
                runs-on: ubuntu-latest
                steps:
                  - uses: ./.github/actions/prepare
            """,
        }
    )
    assert facts.versions["node"] == ("20", "22", "18")
    assert facts.packages == ("libcairo2-dev",)
    assert "npm test" in facts.commands
    assert not any("Write-Host" in line for line in facts.commands)


def test_what_tests_comes_before_what_releases_and_what_nothing_pushes_is_left_out(read: Reader) -> None:
    job = "{runs-on: ubuntu-latest, steps: [{run: make %s}]}"
    facts = read(
        {
            ".github/workflows/a-release.yml": f"on: {{push: {{tags: ['v*']}}}}\njobs:\n  a: {job % 'release'}\n",
            ".github/workflows/b-docs.yml": f"on: push\njobs:\n  a: {job % 'docs'}\n",
            ".github/workflows/c-stale.yml": f"on: {{schedule: [{{cron: x}}]}}\njobs:\n  a: {job % 'stale'}\n",
            ".github/workflows/z-test.yml": f"on: [push]\njobs:\n  lint: {job % 'lint'}\n  test: {job % 'check'}\n",
        }
    )
    assert facts.commands[:2] == ("make check", "make lint")
    assert set(facts.commands) == {"make check", "make lint", "make docs", "make release"}


def test_containers_and_scripts_of_the_repository_bring_packages(read: Reader) -> None:
    facts = read(
        {
            ".github/workflows/ci.yml": """
            on: push
            defaults: {run: {working-directory: native}}
            jobs:
              linux:
                runs-on: ubuntu-latest
                container: {image: "python:3.11-slim", env: {CI_MODE: "1"}}
                steps:
                  - run: ../ci/deps.sh --all && make
                  - run: apt-get install -y $(cat packages.txt)
            """,
            "ci/deps.sh": "#!/bin/sh\nPKGS='libffi-dev'\nPKGS=\"$PKGS libssl-dev\"\nsudo apt install -y $PKGS\n. ci/more.sh\n",
            "ci/more.sh": "apt-get install -y flex bison\n",
            "native/packages.txt": "libuv1-dev  # event loop\nlibev-dev\n",
        }
    )
    assert facts.packages == ("libffi-dev", "libssl-dev", "flex", "bison", "libuv1-dev", "libev-dev")
    assert facts.versions["python"] == ("3.11",)
    assert facts.images == ("python:3.11-slim",)
    assert facts.steps[0].directory == "native"


def test_a_checkout_below_the_workspace_is_the_repository(read: Reader) -> None:
    facts = read(
        {
            ".github/workflows/CI.yaml": """
            on: [push]
            jobs:
              build:
                runs-on: ubuntu-latest
                steps:
                  - uses: actions/checkout@v4
                    with: {path: ./project}
                  - uses: actions/checkout@v4
                    with: {path: other, repository: someone/other}
                  - run: ./deps.sh
                    working-directory: project
                  - run: make
                    working-directory: project/sub
            """,
            "deps.sh": "apt-get install -y libkrb5-dev\n",
        }
    )
    assert [step.directory for step in facts.steps] == ["", "sub"]
    assert facts.packages == ("libkrb5-dev",)


def test_what_several_jobs_do_is_a_step_of_each(read: Reader) -> None:
    job = "{runs-on: ubuntu-latest, steps: [{run: pip install -r %s.txt}, {run: pytest}]}"
    facts = read({".github/workflows/ci.yml": f"on: push\njobs:\n  base: {job % 'base'}\n  extra: {job % 'extra'}\n"})
    jobs = [(step.job.rpartition(":")[2], step.line) for step in facts.steps]
    assert jobs == [(name, line) for name in ("base", "extra") for line in (f"pip install -r {name}.txt", "pytest")]
    assert facts.commands == ("pip install -r base.txt", "pytest", "pip install -r extra.txt")


def test_packages_for_documents_and_style_count_only_where_there_are_no_others(read: Reader) -> None:
    def job(packages: str) -> str:
        return f"{{runs-on: ubuntu-latest, steps: [{{run: apt-get install -y {packages}}}]}}"

    docs = {".github/workflows/docs.yml": f"on: push\njobs:\n  a: {job('doxygen')}\n"}
    assert read(docs).packages == ("doxygen",)
    tests = {".github/workflows/ci.yml": f"on: push\njobs:\n  lint: {job('shellcheck')}\n  unit: {job('libpq-dev')}\n"}
    assert read({**docs, **tests}).packages == ("libpq-dev",)
    circle = {".circleci/config.yml": "jobs:\n  documentation: {steps: [{run: apt-get install -y texlive}]}\n"}
    assert read(circle).packages == ("texlive",) and read({**circle, **tests}).packages == ("libpq-dev",)
