"""A program that goes into the image: reads what a test run without any report has printed, where it says of each test how it went.

Known are TAP's points, `[ok]: name`, `PASS: name` and `name ... ok`, with their opposites. A run is believed where it agrees with its exit
status: one that failed names a failure, one that did not names none. Of the forms that a run prints the commonest counts, so that a
stray line is no test. What comes out has the form of `podgym.verifiers.reports.exitcode`.
"""

from __future__ import annotations

from typing import Final

__all__ = ["LINES"]

_LEAST: Final = 3
"""Fewer are no list of tests."""

LINES: Final = rf"""#!/bin/sh
# lines FILE STATUS PREFIX: the tests that a run of this status has printed into FILE, each with a tab and its own status.
exec awk -v status="$2" -v prefix="${{3:-}}" '
  function put(form, name, word,   code) {{
    gsub(/\t/, " ", name); sub(/^ +/, "", name); sub(/[ .:]+$/, "", name)
    sub(/ *[(\[]?[0-9]+([.][0-9]+)? *(ms|s|us|sec|secs|seconds|milliseconds)[)\]]?$/, "", name)
    sub(/^#?[0-9]+[.):]? +/, "", name)
    if (name == "") return
    word = tolower(word)
    code = word ~ /^(not ok|err|exception|f|n|b|xpass)/ ? 1 : word ~ /^(skip|ignore)/ ? 77 : 0
    count[form]++
    if (code == 1) failures[form]++
    name = prefix substr(name, 1, 160)
    if (!((form, name) in found)) order[form, ++last[form]] = name
    if (!((form, name) in found) || code == 1 || (code == 77 && found[form, name] == 0)) found[form, name] = code
  }}
  length($0) > 400 {{ next }}
  {{ gsub(/\033\[[0-9;]*[A-Za-z]/, ""); sub(/\r$/, "") }}
  /^(not )?ok +[0-9]+/ {{
    word = /^not/ ? "not ok" : "ok"; number = /^not/ ? $3 : $2
    if ($0 ~ /# *([Ss][Kk][Ii][Pp]|[Tt][Oo][Dd][Oo])/) word = "skip"
    sub(/^(not )?ok +[0-9]+ *-? */, ""); sub(/ *#.*$/, "")
    put("tap", $0 == "" ? number : $0, word); next
  }}
  /^\[ *(ok|err|exception|ignore|skip|pass|passed|fail|failed|OK|PASS|PASSED|FAIL|FAILED|SKIP|SKIPPED) *\]:? / {{
    word = $0; sub(/^\[ */, "", word); sub(/ *\].*$/, "", word); sub(/^\[[^]]*\]:? */, ""); sub(/ in [^ ]*[.][a-z]+$/, "")
    put("bracket", $0, word); next
  }}
  /^(PASS|PASSED|FAIL|FAILED|XFAIL|XPASS|SKIP|SKIPPED): +[^ ]/ || /^(pass|FAIL|skip)  +[^ ]+$/ {{
    word = $1; sub(/:$/, "", word); sub(/^XFAIL/, "PASS", word); sub(/^[A-Za-z]+:? +/, "")
    put("before", $0, word); next
  }}
  /(\.\.\.|:) *([Oo][Kk]|[Pp]ass(ed)?|PASS(ED)?|[Ff]ail(ed|ure)?|FAIL(ED)?|[Ss]kip(ped)?|SKIP(PED)?)[.!]?$/ {{
    word = $NF; sub(/^.*(\.|:)/, "", word); name = $0; sub(/(\.\.\.|:) *[A-Za-z]+[.!]?$/, "", name)
    put("after", name, word)
  }}
  END {{
    for (form in count) if (count[form] > most) {{ most = count[form]; best = form }}
    if (most < {_LEAST} || (status == 0) != (failures[best] == 0)) exit
    for (n = 1; n <= last[best]; n++) printf "%s\t%d\n", order[best, n], found[best, order[best, n]]
  }}' "$1"
"""
