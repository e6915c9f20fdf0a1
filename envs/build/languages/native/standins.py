"""What stands in, while CMake configures, for modules and projects that it would download.

CMake reads the file `STAND_INS` at a project's first `project()`. There `ExternalProject_Add` copies sources of the image in place of
a download, and where the project downloads CPM or Conan's module their commands are defined: CPM adds the image's copy of a
package, or what `find_package` finds, and fails without either; Conan does nothing, for its libraries are Debian's. A CMake of its
own that a project starts while configuring knows nothing of that file: for it git takes repositories of those sources in place of
the ones that it names.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Final

from podgym.envs.build.languages.native.cmakefacts import CMakeFacts
from podgym.envs.build.languages.native.sources import SOURCES, Source
from podgym.envs.build.plan import TOOLS

__all__ = ["GIT_ENVIRONMENT", "git_mirrors", "stand_ins"]

STAND_INS: Final = f"{TOOLS}/standins.cmake"
_GITCONFIG: Final = f"{TOOLS}/gitconfig"
GIT_ENVIRONMENT: Final = f"[ ! -f {_GITCONFIG} ] || export GIT_CONFIG_SYSTEM={_GITCONFIG}\n"
"""Shell, for whatever may run git."""

_INCLUDE: Final = r"""
macro(include)
  if("${ARGV0}" MATCHES "(^|/)([Gg][Ee][Tt][-_]?)?[Cc][Pp][Mm]([-_]v?[0-9.]+)?([.]cmake)?$" OR
      ("${ARGV0}" MATCHES "[Cc][Pp][Mm][^/]*[.]cmake$" AND NOT EXISTS "${ARGV0}" AND NOT EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${ARGV0}") OR
      ("${ARGV0}" MATCHES "conan[^/]*[.]cmake$" AND NOT EXISTS "${ARGV0}"))
    message(STATUS "In place of ${ARGV0}: what the image has")
  else()
    _include(${ARGV})
  endif()
endmacro()
"""
_CONAN: Final = "".join(
    f"function({name})\nendfunction()\n"
    for name in (
        "conan_cmake_configure", "conan_cmake_autodetect", "conan_cmake_install", "conan_cmake_run", "conan_check", "conan_add_remote",
        "conan_config_install", "conan_load_buildinfo", "conan_cmake_lock_create", "conan_cmake_profile",
    )
)  # fmt: skip
_CPM: Final = r"""
set(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL TRUE)
function(CPMAddPackage)
  cmake_parse_arguments(PARSE_ARGV 0 given "" "NAME;URI;GITHUB_REPOSITORY;GITLAB_REPOSITORY;BITBUCKET_REPOSITORY;GIT_REPOSITORY;\
VERSION;GIT_TAG;\
FORCE;FIND_PACKAGE_ARGUMENTS;BINARY_DIR;DOWNLOAD_ONLY;NO_CACHE;SYSTEM;GIT_SHALLOW;EXCLUDE_FROM_ALL;SOURCE_DIR;SOURCE_SUBDIR;\
CUSTOM_CACHE_KEY" "URL;URL_HASH;OPTIONS;PATCHES;DOWNLOAD_COMMAND")
  set(name "${given_NAME}")
  foreach(place IN ITEMS "${given_URI}" "${given_UNPARSED_ARGUMENTS}" "${given_GITHUB_REPOSITORY}" "${given_GITLAB_REPOSITORY}"
          "${given_BITBUCKET_REPOSITORY}" "${given_GIT_REPOSITORY}" "${given_URL}")
    string(REGEX REPLACE "[#@;].*$" "" place "${place}")
    string(REGEX REPLACE "[.]git$" "" place "${place}")
    if(name STREQUAL "" AND place MATCHES "([A-Za-z0-9_.+-]+)$")
      set(name "${CMAKE_MATCH_1}")
    endif()
  endforeach()
  string(TOLOWER "${name}" lower)
  get_property(known GLOBAL PROPERTY "PODGYM_${lower}")
  set(source "${CPM_${name}_SOURCE}")
  if(NOT source AND EXISTS "${given_SOURCE_DIR}/CMakeLists.txt")
    set(source "${given_SOURCE_DIR}")
  endif()
  set(binary "${CMAKE_BINARY_DIR}/_deps/${lower}-build")
  set(added NO)
  foreach(option IN LISTS given_OPTIONS)
    if(option MATCHES "^ *([^ ]+) +(.*)$")
      set("${CMAKE_MATCH_1}" "${CMAKE_MATCH_2}" CACHE INTERNAL "")
    endif()
  endforeach()
  if(known)
    set(source "${known}")
  elseif(source AND EXISTS "${source}")
    set(added YES)
    set_property(GLOBAL PROPERTY "PODGYM_${lower}" "${source}")
    if(NOT given_DOWNLOAD_ONLY AND EXISTS "${source}/${given_SOURCE_SUBDIR}/CMakeLists.txt")
      add_subdirectory("${source}/${given_SOURCE_SUBDIR}" "${binary}" EXCLUDE_FROM_ALL)
    endif()
  else()
    find_package("${name}" QUIET)
    set("${name}_FOUND" "${${name}_FOUND}" PARENT_SCOPE)
    if(NOT "${${name}_FOUND}" AND PODGYM_ABSENT)
      message(WARNING "The image has no ${name}.")
    elseif(NOT "${${name}_FOUND}")
      message(FATAL_ERROR "The image has no ${name}.")
    endif()
  endif()
  set("${name}_ADDED" "${added}" PARENT_SCOPE)
  set("${name}_SOURCE_DIR" "${source}" PARENT_SCOPE)
  set("${name}_BINARY_DIR" "${binary}" PARENT_SCOPE)
  set(CPM_LAST_PACKAGE_NAME "${name}" PARENT_SCOPE)
endfunction()
foreach(name IN ITEMS CPMFindPackage CPMGetPackage)
  cmake_language(EVAL CODE "macro(${name})\nCPMAddPackage(\${ARGV})\nendmacro()")
endforeach()
foreach(name IN ITEMS CPMDeclarePackage CPMUsePackageLock CPMRegisterPackage packageProject)
  cmake_language(EVAL CODE "function(${name})\nendfunction()")
endforeach()
"""
_EXTERNAL: Final = r"""
include(ExternalProject)
function(ExternalProject_Add name)
  set(source "${PODGYM_SOURCE_${name}}")
  set(call "_ExternalProject_Add([==[${name}]==]")
  set(dropped OFF)
  math(EXPR last "${ARGC} - 1")
  if(ARGC GREATER 1)
    set(remote OFF)
    set(kept OFF)
    set(before "")
    foreach(number RANGE 1 ${last})
      set(word "${ARGV${number}}")
      if(before MATCHES "^(GIT_REPOSITORY|URL)$" AND word MATCHES "^([A-Za-z+]+://|git@)" AND NOT word MATCHES "^file:")
        set(remote ON)
      elseif(before STREQUAL "SOURCE_DIR")
        get_filename_component(place "${word}" ABSOLUTE BASE_DIR "${CMAKE_CURRENT_BINARY_DIR}")
        string(FIND "${place}/" "${CMAKE_BINARY_DIR}/" inside)
        file(GLOB there LIST_DIRECTORIES true "${place}/*")
        if(there AND NOT inside EQUAL 0)
          set(kept ON)
        endif()
      endif()
      set(before "${word}")
    endforeach()
    # Configured again, the directory is full of what was copied.
    set("PODGYM_KEPT_${name}" "${kept}" CACHE STRING "")
    if("${PODGYM_KEPT_${name}}" OR NOT remote)
      set(source "")
    endif()
    foreach(number RANGE 1 ${last})
      set(word "${ARGV${number}}")
      if(source AND word MATCHES "^[A-Z][A-Z0-9_][A-Z0-9_]+$" AND NOT word MATCHES "^(TRUE|FALSE|OFF|YES|COMMAND|HEAD)$")
        set(dropped OFF)
        if(word MATCHES "^((GIT|HG|SVN|CVS|URL|HTTP|NETRC|TLS)_?.*|DOWNLOAD_(COMMAND|NAME|NO_EXTRACT)|(UPDATE|PATCH)_COMMAND)$" OR
            word STREQUAL "UPDATE_DISCONNECTED")
          set(dropped ON)
        endif()
      endif()
      if(NOT dropped)
        string(APPEND call " [==[${word}]==]")
      endif()
    endforeach()
  endif()
  if(source)
    string(APPEND call " DOWNLOAD_COMMAND [==[${CMAKE_COMMAND}]==] -E copy_directory [==[${source}]==] <SOURCE_DIR>")
    string(APPEND call " UPDATE_COMMAND [==[]==] PATCH_COMMAND [==[]==]")
  endif()
  cmake_language(EVAL CODE "${call})")
endfunction()
"""


def stand_ins(facts: CMakeFacts) -> str:
    """Shell that writes `STAND_INS`, and sets `$stand` to CMake's argument for it; to nothing where none of that is downloaded."""
    every = "\n".join(facts.texts.values())
    cpm = re.search(r"\bCPM\w{0,20}Package\s*\(", every) is not None
    cpm = cpm and re.search(r"(?:function|macro)\s*\(\s*CPMAddPackage", every) is None
    conan = re.search(r"conan\.cmake|conan_cmake_run", every) is not None
    external = any(entry.how == "external" for entry in facts.fetched)
    text = (_INCLUDE if cpm or conan else "") + (_CONAN if conan else "")
    # After what the project includes, which has the project's own policies.
    text += "cmake_policy(VERSION 3.15...3.25)\n" if cpm or external else ""
    text += (_CPM if cpm else "") + (_EXTERNAL.replace("include(", "_include(") if external and (cpm or conan) else "")
    text += _EXTERNAL if external and not (cpm or conan) else ""
    if not text:
        return "stand=\n"
    return f"cat >{STAND_INS} <<'PODGYM_END'\n{text}PODGYM_END\nstand=-DCMAKE_PROJECT_TOP_LEVEL_INCLUDES={STAND_INS}\n"


def git_mirrors(sources: Sequence[Source]) -> str:
    """Shell that makes a git repository of each, with the tags that are asked for, and has git take it in place of its home."""
    lines = [
        f"mirror {shlex.quote(source.key)} {shlex.quote(source.home)} {' '.join(map(shlex.quote, source.tags))}".rstrip()
        for source in sources
        if source.home
    ]
    if not lines:
        return ""
    return f"""mirror() {{
  key=$1 home=$2 place={TOOLS}/git/$1
  shift 2
  [ -d {SOURCES}/"$key" ] && [ ! -d "$place" ] && command -v git >/dev/null || return 0
  mkdir -p "$place" && cp -r {SOURCES}/"$key"/. "$place"/ && rm -rf "$place/.git" || return 0
  (cd "$place" && git init -q -b main && git add -Af . && git -c user.name=podgym -c user.email=podgym@localhost commit -qm sources &&
    git branch -f master && for tag; do git tag -f "$tag" >/dev/null 2>&1 || true; done) || {{ rm -rf "$place"; return 0; }}
  for from in "https://github.com/$home" "https://github.com/$home.git" "git@github.com:$home.git" "git://github.com/$home.git"; do
    git config -f {_GITCONFIG} --add url."file://$place".insteadOf "$from"
  done
}}
[ -f {_GITCONFIG} ] || printf '[include]\\n\\tpath = /etc/gitconfig\\n' >{_GITCONFIG}
{chr(10).join(lines)}
"""
