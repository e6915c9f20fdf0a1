from __future__ import annotations

from collections.abc import Callable, Mapping

from podgym.envs.build.ci import CiFacts

Reader = Callable[[Mapping[str, str]], CiFacts]


def test_gitlab_with_extends_references_includes_and_a_matrix(read: Reader) -> None:
    facts = read(
        {
            ".gitlab-ci.yml": """
            include:
              - local: /ci/base.yml
              - project: other/templates
                file: x.yml
            variables:
              BUILD_TYPE: Release
              DEPLOY: {value: "no", description: whether}
            default:
              image: debian:bookworm
              before_script:
                - apt-get update
            .scripts:
              deps:
                - apt-get install -yq cmake ninja-build
                - [echo nested, echo deeper]
            test:
              extends: .base
              services: [redis:7]
              script:
                - !reference [.scripts, deps]
                - cmake -B build -DCMAKE_BUILD_TYPE=$BUILD_TYPE
            versions:
              image: python:$PY
              parallel:
                matrix:
                  - PY: ["3.8", "3.9"]
              script: python -m unittest
            on-windows:
              tags: [shared-windows]
              script: [choco install]
            loop:
              extends: .loop
              script: !reference [.a, b]
            .loop: {extends: .loop}
            .a: {b: !reference [.a, b]}
            """,
            "ci/base.yml": ".base:\n  image: gcc:13\n  before_script:\n    - apt install -y libgtest-dev\n",
        }
    )
    assert facts.packages == ("libgtest-dev", "cmake", "ninja-build")
    assert facts.versions == {"gcc": ("13",), "python": ("3.8", "3.9")}
    assert facts.services == ("redis:7",)
    assert facts.env == {"BUILD_TYPE": "Release", "DEPLOY": "no"}
    assert "echo deeper" in facts.commands and "python -m unittest" in facts.commands
    assert "choco install" not in facts.commands
    assert facts.sources == (".gitlab-ci.yml", "ci/base.yml")
    assert facts.notes == ()


def test_travis(read: Reader) -> None:
    facts = read(
        {
            ".travis.yml": """
            language: python
            os: linux
            python:
              - 3.6
              - "3.10"
            env:
              global:
                - A=1 B="two words"
                - secure: "xxxx"
              jobs:
                - C=1
            addons:
              apt:
                sources: [ubuntu-toolchain-r-test]
                packages:
                  - g++-7
                  - libhdf5-dev
              postgresql: "9.6"
            services: [redis-server, docker, xvfb]
            before_install:
              - sudo apt-get install -y graphviz
            install: pip install -e .
            script:
              - python -m pytest
            matrix:
              include:
                - os: osx
                  python: "2.7"
                  script: never
                - python: 3.7
                  env: D=4
                  addons: {apt: {packages: [libevent-dev]}}
                - language: java
                  jdk: [openjdk11, oraclejdk8]
            """
        }
    )
    assert facts.versions == {"python": ("3.6", "3.10", "3.7"), "java": ("11", "8")}
    assert facts.packages == ("g++-7", "libhdf5-dev", "xvfb", "graphviz", "libevent-dev")
    assert facts.services == ("postgresql", "redis-server")
    assert facts.env == {"A": "1", "B": "two words"}
    assert facts.commands == ("sudo apt-get install -y graphviz", "pip install -e .", "python -m pytest")
    assert any(step.env.get("D") == "4" for step in facts.steps)


def test_circleci_commands_executors_and_matrices(read: Reader) -> None:
    facts = read(
        {
            ".circleci/config.yml": """
            version: 2.1
            orbs: {node: circleci/node@5}
            executors:
              py:
                parameters: {tag: {type: string, default: "3.9"}}
                docker:
                  - image: cimg/python:<< parameters.tag >>
                    environment: {LANG: C.UTF-8}
                  - image: mysql:8
            commands:
              deps:
                parameters: {what: {type: string, default: libxml2-dev}}
                steps:
                  - run: sudo apt-get install -y << parameters.what >>
            jobs:
              test:
                parameters: {tag: {type: string}}
                executor: {name: py, tag: << parameters.tag >>}
                working_directory: ~/project/sub
                steps:
                  - checkout
                  - deps
                  - deps: {what: libxslt1-dev}
                  - node/install
                  - when: {condition: true, steps: [{run: {command: tox -e py, environment: {X: "1"}}}]}
              mac:
                macos: {xcode: "15"}
                steps: [{run: brew install never}]
            workflows:
              all:
                jobs:
                  - test:
                      matrix:
                        parameters: {tag: ["3.8", "3.12"]}
                  - mac
            """
        }
    )
    assert facts.versions["python"] == ("3.8", "3.12")
    assert facts.packages == ("libxml2-dev", "libxslt1-dev")
    assert facts.services == ("mysql:8",)
    assert facts.env == {"LANG": "C.UTF-8"}
    assert facts.steps[-1].line == "tox -e py"
    assert facts.steps[-1].directory == "sub"
    assert "brew install never" not in facts.commands


def test_azure_pipelines_with_a_matrix_and_a_template(read: Reader) -> None:
    facts = read(
        {
            "azure-pipelines.yml": """
            variables:
            - name: configuration
              value: Debug
            stages:
            - stage: build
              jobs:
              - job: linux
                pool: {vmImage: ubuntu-22.04}
                strategy:
                  matrix:
                    old: {python.version: '3.8'}
                    new: {python.version: '3.12'}
                steps:
                - task: UsePythonVersion@0
                  inputs: {versionSpec: $(python.version)}
                - ${{ if eq(variables.x, 'y') }}:
                  - template: ci/steps.yml
                    parameters: {package: libcurl4-openssl-dev}
              - job: win
                pool: {vmImage: windows-2022}
                steps: [{script: nuget restore}]
            """,
            "ci/steps.yml": """
            parameters:
            - {name: package, default: nothing-here}
            - {name: command, default: pytest}
            steps:
            - bash: |
                sudo apt-get install -y ${{ parameters.package }}
                ${{ parameters.command }} --config $(configuration)
              workingDirectory: $(Build.SourcesDirectory)/src
            """,
        }
    )
    assert facts.versions["python"] == ("3.8", "3.12")
    assert facts.packages == ("libcurl4-openssl-dev",)
    assert "pytest --config Debug" in facts.commands
    assert facts.steps[-1].directory == "src"
    assert "nuget restore" not in facts.commands


def test_the_smaller_systems(read: Reader) -> None:
    facts = read(
        {
            ".cirrus.yml": """
            env: {CIRRUS_CLONE_DEPTH: 1}
            linux_task:
              container: {image: "golang:$GO"}
              matrix:
                - env: {GO: "1.20"}
                - env: {GO: "1.22"}
              install_script: apt-get install -y libpcap-dev
              test_script: [go vet ./..., go test ./...]
            bsd_task:
              freebsd_instance: {image_family: freebsd-13}
              script: pkg install never
            """,
            "appveyor.yml": """
            image: [Visual Studio 2019, Ubuntu2004]
            stack: python 3.9
            install:
              - sh: sudo apt-get install -y uuid-dev
              - cmd: choco never
            build_script: [make]
            """,
            "bitbucket-pipelines.yml": """
            image: node:14
            pipelines:
              default:
                - parallel:
                    - step: {name: t, script: [npm ci]}
            """,
            ".drone.yml": """
            kind: pipeline
            steps:
            - {name: t, image: 'rust:1.65', commands: [cargo test]}
            services: [{name: r, image: redis}]
            """,
            ".build.yml": "image: debian/bookworm\npackages: [libsodium-dev]\ntasks:\n- test: |\n    cd project\n    make test\n",
        }
    )
    assert facts.packages == ("libpcap-dev", "libsodium-dev", "uuid-dev")
    assert facts.versions == {"go": ("1.20", "1.22"), "node": ("14",), "rust": ("1.65",), "python": ("3.9",)}
    assert {"go test ./...", "npm ci", "cargo test", "make test", "make"} <= set(facts.commands)
    assert not any("never" in line for line in facts.commands)
    assert facts.services == ("redis",)


def test_dockerfiles_and_development_containers_are_hints_of_versions_and_packages(read: Reader) -> None:
    facts = read(
        {
            "Dockerfile": """
            # syntax=docker/dockerfile:1
            ARG GO=1.21
            FROM --platform=linux/amd64 golang:${GO}-alpine AS build
            FROM registry.example.org:5000/library/maven:3.8-openjdk-17-slim
            ENV DEBIAN_FRONTEND=noninteractive EXTRA="libaio1 libaio-dev"
            RUN --mount=type=cache,target=/var/cache/apt apt-get update \\
                # a comment inside
                && apt-get install -y --no-install-recommends \\
                   build-essential $EXTRA \\
                && rm -rf /var/lib/apt/lists/*
            RUN <<EOF
            apt-get install -y pkg-config
            EOF
            RUN ["apt-get", "install", "ignored"]
            CMD make
            """,
            "deploy/k8s/prod/Dockerfile": "FROM php:8\n",
            ".devcontainer/devcontainer.json": """
            // comment
            {"image": "mcr.microsoft.com/devcontainers/python:1-3.11-bookworm", /* why */
             "features": {"ghcr.io/devcontainers/features/node:1": {"version": "20"},
                          "ghcr.io/rocker-org/devcontainer-features/apt-packages:1": {"packages": "jq,libpq-dev"}},
             "postCreateCommand": "sudo apt-get install -y tmux",}
            """,
        }
    )
    assert facts.versions == {"python": ("3.11",), "node": ("20",), "go": ("1.21",), "maven": ("3.8",), "java": ("17",)}
    assert facts.packages == ("jq", "libpq-dev", "tmux", "build-essential", "libaio1", "libaio-dev", "pkg-config")
    assert facts.commands == ()
