"""What operators find, in all eight languages: every row is a piece of source, the operator, and what it must make of it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podgym.envs.build.mutation.dialect import Dialect, dialect_of
from podgym.envs.build.mutation.edits import Mutation
from podgym.envs.build.mutation.finding import candidates, chosen
from podgym.envs.build.mutation.operators import OPERATORS
from podgym.envs.build.mutation.reading import read_mutations
from podgym.verifiers.decoys.grammar import parse

HEADS = {
    "py": ("def f(a, b, items, x):\n    {}\n    return a\n", ""),
    "go": ("package p\n\nfunc f(a, b int) (int, error) {\n\t{}\n\treturn a, nil\n}\n", ""),
    "rs": ("fn f(a: i32, b: i32) -> i32 {\n    {}\n    a\n}\n", ""),
    "java": ("class A {\n  int f(int a, int b) {\n    {}\n    return a;\n  }\n}\n", ""),
    "js": ("function f(a, b) {\n  {}\n  return a;\n}\n", ""),
    "ts": ("export function f(a: number, b: number): number {\n  {}\n  return a;\n}\n", ""),
    "tsx": ("export function f(a: number, b: number): number {\n  {}\n  return a;\n}\n", ""),
    "c": ("int f(int a, int b)\n{\n    {}\n    return a;\n}\n", ""),
    "cpp": ("int f(int a, int b) {\n  {}\n  return a;\n}\n", ""),
}
ROWS = [
    ("py", "boundary", "if a < b: g()", "if a <= b: g()"),
    ("py", "flipped comparison", "if a not in b: g()", "if a in b: g()"),
    ("py", "wrong logic", "x = a and b", "x = a or b"),
    ("py", "negated condition", "while g(a): h()", "while not (g(a)): h()"),
    ("py", "dropped negation", "if not a: g()", "if a: g()"),
    ("py", "dropped condition", "if a and b: g()", "if b: g()"),
    ("py", "swapped arithmetic", "x = a // b", "x = a * b"),
    ("py", "swapped operands", "x = a - b", "x = b - a"),
    ("py", "wrong assignment", "x += b", "x -= b"),
    ("py", "dropped sign", "x = -b", "x = b"),
    ("py", "off by one", "x = items[1]", "x = items[2]"),
    ("py", "changed constant", "LIMIT = 10", "LIMIT = 11"),
    ("py", "changed default", "def g(k=True): pass", "def g(k=False): pass"),
    ("py", "flipped truth", "x = True", "x = False"),
    ("py", "wrong text", "x = items['utf8']", "x = items['uft8']"),
    ("py", "wrong bound", "x = items[a:b]", "x = items[a:]"),
    ("py", "wrong index", "x = items[i]", "x = items[i + 1]"),
    ("py", "wrong function", "x = a.startswith(b)", "x = a.endswith(b)"),
    ("py", "dropped conversion", "x = a.strip()", "x = a"),
    ("py", "swapped arguments", "g(a, b)", "g(b, a)"),
    ("py", "dropped argument", "g(a, key=b)", "g(a)"),
    ("py", "removed call", "g(a)\n    h(b)", "h(b)"),
    ("py", "removed assignment", "x.a = b\n    h(b)", "h(b)"),
    ("py", "removed guard", "if a:\n        return b\n    h()", "h()"),
    ("py", "swallowed error", "try:\n        g()\n    except E:\n        raise", "try:\n        g()\n    except E:\n        pass"),
    ("py", "wrong jump", "for x in b:\n        if a: continue", "for x in b:\n        if a: break"),
    ("py", "removed cleanup", "try: g()\n    except E: pass\n    finally: h()", "try: g()\n    except E: pass\n    "),
    ("py", "removed else", "if a:\n        g()\n    else:\n        h()", "if a:\n        g()"),
    ("py", "removed case", "match a:\n        case 1: g()\n        case _: h()", "match a:\n        case _: h()"),
    ("py", "swapped branches", "x = a if b else c", "x = c if b else a"),
    ("py", "narrowed handler", "try: g()\n    except (A, B): pass", "try: g()\n    except A: pass"),
    ("go", "flipped comparison", "if a == b { g() }", "if a != b { g() }"),
    ("go", "removed guard", "if a > b {\n\t\treturn b, nil\n\t}\n\tg()", "g()"),
    ("go", "swallowed error", "if a > b { return 0, err }", "if a > b { return 0, nil }"),
    ("go", "wrong bound", "x := s[a:b]", "x := s[a:]"),
    ("go", "removed cleanup", "defer g()\n\th()", "h()"),
    ("go", "dropped conversion", "x := strings.TrimSpace(s)", "x := s"),
    ("go", "wrong function", "x := strings.HasPrefix(s, t)", "x := strings.HasSuffix(s, t)"),
    ("go", "removed case", "switch a {\n\tcase 1:\n\t\tg()\n\tdefault:\n\t\th()\n\t}", "switch a {\n\tdefault:\n\t\th()\n\t}"),
    ("go", "wrong step", "a++", "a--"),
    ("go", "removed else", "if a > b { g() } else { h() }", "if a > b { g() }"),
    ("rs", "wrong bound", "for i in 0..b { g(); }", "for i in 0..=b { g(); }"),
    ("rs", "removed guard", "if a > b { return b; }\n    g();", "g();"),
    ("rs", "negated condition", "if x.is_empty() { g(); }", "if !(x.is_empty()) { g(); }"),
    ("rs", "wrong function", "let x = v.iter().min();", "let x = v.iter().max();"),
    ("rs", "removed case", "match a { 1 => g(), _ => h() }", "match a {  _ => h() }"),
    ("rs", "off by one", "let x = a + 10u8;", "let x = a + 11u8;"),
    ("rs", "removed else", "if a > b { g(); } else { h(); };", "if a > b { g(); };"),
    ("java", "swallowed error", "try { g(); } catch (E e) { throw new R(e); }", "try { g(); } catch (E e) {  }"),
    ("java", "swapped branches", "int x = a > b ? a : b;", "int x = a > b ? b : a;"),
    ("java", "wrong bound", "String x = s.substring(a, b);", "String x = s.substring(a, b - 1);"),
    ("java", "removed assignment", "this.x = a;\n    g();", "g();"),
    ("java", "removed guard", "if (a > b) {\n      throw new E();\n    }\n    g();", "g();"),
    ("java", "wrong logic", "boolean x = a > 1 && b > 1;", "boolean x = a > 1 || b > 1;"),
    ("js", "dropped wait", "const x = await g();", "const x = g();"),
    ("js", "flipped comparison", "if (a === b) g();", "if (a !== b) g();"),
    ("js", "wrong logic", "const x = a ?? b;", "const x = a || b;"),
    ("js", "wrong bound", "const x = s.slice(a);", "const x = s.slice(a + 1);"),
    ("js", "removed case", "switch (a) {\n    case 1: g();\n    default: h();\n  }", "switch (a) {\n    default: h();\n  }"),
    ("ts", "changed default", "const g = (k: number = 3) => k;", "const g = (k: number = 2) => k;"),
    ("ts", "wrong function", "const x = s.every(g);", "const x = s.some(g);"),
    ("tsx", "swapped branches", "const x = <p>{a ? b : c}</p>;", "const x = <p>{a ? c : b}</p>;"),
    ("c", "boundary", "for (int i = 0; i < b; i++) g();", "for (int i = 0; i <= b; i++) g();"),
    ("c", "removed assignment", "p->x = a;\n    g();", "g();"),
    ("c", "removed call", "if (a) g();", "if (a) ;"),
    ("c", "wrong step", "a++;", "a--;"),
    ("c", "wrong jump", "while (a) { if (b) break; }", "while (a) { if (b) continue; }"),
    ("cpp", "wrong function", "auto x = std::min(a, b);", "auto x = std::max(a, b);"),
    ("cpp", "dropped negation", "if (!a) g();", "if (a) g();"),
    ("cpp", "removed else", "if (a) { g(); } else { h(); }", "if (a) { g(); }"),
]  # fmt: skip


def dialect(suffix: str) -> Dialect:
    found = dialect_of(f"x.{suffix}")
    assert found is not None
    return found


def source(suffix: str, inner: str) -> bytes:
    return HEADS[suffix][0].replace("{}", inner, 1).encode()


@pytest.mark.parametrize(("suffix", "operator", "before", "after"), ROWS)
def test_operators(suffix: str, operator: str, before: str, after: str) -> None:
    data = source(suffix, before)
    made = {one.apply(data) for one in candidates(data, dialect(suffix)) if one.operator == operator}
    squeezed = {b" ".join(one.split()) for one in made}
    assert b" ".join(source(suffix, after).split()) in squeezed, sorted(made)
    kept = {one.apply(data) for one in chosen(data, dialect(suffix), seed=0, limit=1000) if one.operator == operator}
    assert kept, "none of them parses"


def test_every_operator_has_a_row() -> None:
    assert {row[1] for row in ROWS} == set(OPERATORS)


UNTOUCHED = [
    ("py", 'logger.debug("a", 1 + 2)'),
    ("py", '"""x == 1"""'),
    ("py", "# a == 1"),
    ("py", "assert a == 1"),
    ("py", "import a.b"),
    ("go", "var x map[string][4]int"),
    ("rs", "println!(\"{}\", a + 1);"),
    ("java", 'log.info("x" + (a + 1));'),
    ("js", "console.log(a + 1, !b);"),
    ("ts", "let x: 1 | 2 | Array<3>;"),
    ("c", "/* a == 1 */"),
    ("cpp", "static_assert(1 + 1 == 2, \"x\");"),
]  # fmt: skip


@pytest.mark.parametrize(("suffix", "inner"), UNTOUCHED)
def test_what_no_test_should_turn_on_is_left_alone(suffix: str, inner: str) -> None:
    data = source(suffix, inner)
    start = data.index(inner.encode())
    assert not [one for one in candidates(data, dialect(suffix)) if start <= one.start < start + len(inner)]


def test_tests_inside_a_source_are_left_alone() -> None:
    data = b"fn f() -> i32 { 1 + 2 }\n#[cfg(test)]\nmod tests {\n    fn g() -> i32 { 3 + 4 }\n    #[test]\n    fn t() { h(5 + 6); }\n}\n"
    found = candidates(data, dialect("rs"))
    assert found and all(one.start < data.index(b"#[cfg") for one in found)


def test_the_place_is_the_innermost_definition() -> None:
    data = b"class A:\n    def f(self):\n        return 1 < 2\n\nx = 1 < 2\n"
    assert {one.place for one in candidates(data, dialect("py"))} == {"f:2", ""}
    script = b"const f = (a) => {\n  const n = a + 1;\n  return n;\n};\n"
    assert {one.place for one in candidates(script, dialect("js"))} == {"f:1"}


def test_a_mutation_belongs_to_its_bytes() -> None:
    one = Mutation("boundary", 2, b"<", b"<=", 1, "")
    assert one.apply(b"a < b") == b"a <= b"
    with pytest.raises(ValueError, match="belong"):
        one.apply(b"a > b")


PIECES = {suffix: [inner for other, _, inner, _ in ROWS if other == suffix] for suffix in HEADS}


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_properties_of_every_mutation(data: st.DataObject) -> None:
    suffix = data.draw(st.sampled_from(sorted(HEADS)))
    joint = {"py": "\n    ", "go": "\n\t"}.get(suffix, "\n  ")
    pieces = data.draw(st.lists(st.sampled_from(PIECES[suffix]), min_size=1, max_size=6))
    text = source(suffix, joint.join(pieces))
    seed, limit = data.draw(st.integers(0, 9)), data.draw(st.integers(1, 40))
    found = chosen(text, dialect(suffix), seed=seed, limit=limit)
    assert found == chosen(text, dialect(suffix), seed=seed, limit=limit) and 1 <= len(found) <= limit
    before = parse(dialect(suffix).grammar, text)
    assert before is not None and not before.has_error
    for one in found:
        changed = one.apply(text)
        after = parse(dialect(suffix).grammar, changed)
        assert changed != text and after is not None and not after.has_error
        assert text[: one.start] == changed[: one.start] and text.count(b"\n", 0, one.start) <= one.line - 1
        assert Mutation(one.operator, one.start, one.after, one.before, one.line, one.place).apply(changed) == text
    assert len({(one.start, one.before, one.after) for one in found}) == len(found)


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(sorted(HEADS)), st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_anything_may_be_a_source(suffix: str, data: bytes) -> None:
    for one in chosen(data, dialect(suffix), seed=1, limit=5):
        assert one.apply(data) != data


def test_sources_are_read_in_a_process_of_its_own() -> None:
    sources = {f"a.{suffix}": source(suffix, PIECES[suffix][0]) for suffix in HEADS}
    found = read_mutations({**sources, "b.txt": b"x", "c.py": b"", "d\udcff.py": b"a = 1 < 2\n"}, seed=3, limit=4)
    assert set(found) == {*sources, "d\udcff.py"}
    for path, mutations in found.items():
        if path in sources:
            assert mutations == chosen(sources[path], dialect(path.partition(".")[2]), seed=3, limit=4)
    assert found == read_mutations({**sources, "d\udcff.py": b"a = 1 < 2\n"}, seed=3, limit=4)


def test_a_source_that_the_parser_cannot_bear_is_left_out() -> None:
    deep = b"x = " + b"(" * 60_000 + b"1" + b")" * 60_000 + b"\n"
    found = read_mutations({"a.py": b"a = 1 < 2\n", "deep.py": deep}, seed=0, limit=2, portion_s=8, file_s=5)
    assert set(found) >= {"a.py"}
