"""Tests that no solution passes: hidden test files in which one expectation of a test was changed.

Code under test runs in the process of its tests, where it can patch the framework, read expectations from the stack or the test
file, return values that equal everything, end the process, or forge the report. All of that works as well against an expectation
that is wrong. So a change that passes everything is graded once more, by files that have the same paths, the same test ids and, as
far as possible, the same sizes; what passes a changed expectation too has bent its tests. The code cannot tell the two runs apart
unless it knows what is right, which is to solve the task.

Only expectations are changed (a literal that a result is compared with, the sense of an assertion, the type of an expected
exception), never what goes into the code under test: whatever passes the true test must then fail. Where nothing of that kind is
found, a statement that fails is added. Edits are made in the text, so that nothing else differs. Sources are read (Python's with
`ast`, others with tree-sitter and a table of each language's tests) and never run; the gold fix proves what was read of them.
"""

from podgym.verifiers.decoys.edits import DecoyFile
from podgym.verifiers.decoys.making import decoy_files
from podgym.verifiers.decoys.proving import Proven, Run, prove_decoys

__all__ = ["DecoyFile", "decoy_files", "Proven", "Run", "prove_decoys"]
