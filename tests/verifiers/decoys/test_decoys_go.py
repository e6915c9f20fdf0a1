"""Go: what is changed in tests of the standard library and of common packages."""

from __future__ import annotations

from typing import Any

SOURCE = r"""package calc

import (
	"errors"
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/stretchr/testify/suite"
	qt "github.com/frankban/quicktest"
)

var shared = []struct {
	in   string
	n    int
	want []string
}{
	{"a b", 1, []string{"a", "b"}},
	{"", 2, nil},
}

func TestPlain(t *testing.T) {
	got := Add(1, 2)
	if got != 3 {
		t.Errorf("Add(1, 2) = %d, want 3", got)
	}
}

func TestTable(t *testing.T) {
	tests := []struct {
		name    string
		a, b    int
		want    int
		wantErr bool
	}{
		{"small", 1, 2, 3, false},
		{name: "big", a: 100, b: 200, want: 300, wantErr: false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := AddErr(tt.a, tt.b)
			if (err != nil) != tt.wantErr {
				t.Fatalf("err = %v", err)
			}
			if got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestShared(t *testing.T) {
	for _, c := range shared {
		if got := Fields(c.in, c.n); !reflect.DeepEqual(got, c.want) {
			t.Errorf("Fields(%q) = %v, want %v", c.in, got, c.want)
		}
	}
}

func TestErr(t *testing.T) {
	_, err := AddErr(1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if !errors.Is(err, ErrX) {
		t.Fatal("no")
	}
}

func TestTestify(t *testing.T) {
	assert.Equal(t, 3, Add(1, 2))
	require.NoError(t, Run("x"))
	assert.True(t, Even(2), "msg")
	assert.Equal(t, Sub(5, 2), Add(1, 2))
	require.Len(t, Items(), 4)
	a := assert.New(t)
	a.Contains(Names(), "bob")
}

func TestQuick(t *testing.T) {
	c := qt.New(t)
	c.Assert(Add(1, 2), qt.Equals, 3)
	qt.Assert(t, qt.DeepEquals(Add(1, 2), 3))
}

func TestMap(t *testing.T) {
	cases := map[string]struct{ in, expected string }{
		"one": {"x", "X"},
		"two": {in: "y", expected: "Y"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tc.expected, Upper(tc.in))
		})
	}
}

func TestBranch(t *testing.T) {
	if Supports() {
		assert.Equal(t, 3, Add(1, 2))
	}
	for _, x := range Results() {
		if x != 1 {
			t.Fail()
		}
	}
}

type S struct{ suite.Suite }

func (s *S) TestIn() {
	s.Equal(3, Add(1, 2))
	s.Require().NoError(Do())
}

func TestSuite(t *testing.T) { suite.Run(t, new(S)) }
"""

CHANGES = {
    "TestPlain": [
        "if got != @ {",
        "if got == 3 {",
        '} t.Errorf("got #, want #")',
    ],
    "TestTable": [
        '{"small", 1, 2, 3, @},',
        '{name: "big", a: 100, b: 200, want: 300, wantErr: @},',
        '{"small", 1, 2, @, false},',
        '{name: "big", a: 100, b: 200, want: @, wantErr: false},',
        "if (err != nil) == tt.wantErr {",
        "if got == tt.want {",
        '} t.Errorf("got #, want #")',
    ],
    "TestShared": [
        '{"a b", 1, []string{"@", "b"}},',
        '{"a b", 1, []string{"a", "@"}},',
        "if got := Fields(c.in, c.n); reflect.DeepEqual(got, c.want) {",
        '} t.Errorf("got #, want #")',
    ],
    "TestErr": [
        "if err == nil {",
        "if errors.Is(err, ErrX) {",
        '} t.Errorf("got #, want #")',
    ],
    "TestTestify": [
        "assert.Equal(t, @, Add(1, 2))",
        "require.Len(t, Items(), @)",
        "assert.Equal(t, 3, []interface{}{Add(1, 2)})",
        "assert.Equal(t, Sub(5, 2), []interface{}{Add(1, 2)})",
        "assert.NotEqual(t, 3, Add(1, 2))",
        'require.Error(t, Run("x"))',
        'assert.True(t, !(Even(2)), "msg")',
        'assert.False(t, Even(2), "msg")',
        "assert.NotEqual(t, Sub(5, 2), Add(1, 2))",
        'a.NotContains(Names(), "bob")',
        'a.Contains(Names(), "bob") t.Errorf("got #, want #")',
    ],
    "TestQuick": [
        "c.Assert(Add(1, 2), qt.Equals, @)",
        "qt.Assert(t, qt.DeepEquals(Add(1, 2), @))",
        "qt.Assert(t, !(qt.DeepEquals(Add(1, 2), 3)))",
        'qt.Assert(t, qt.DeepEquals(Add(1, 2), 3)) t.Errorf("got #, want #")',
    ],
    "TestMap": [
        '"one": {"x", "@"},',
        '"two": {in: "y", expected: "@"},',
        "assert.Equal(t, tc.expected, []interface{}{Upper(tc.in)})",
        "assert.NotEqual(t, tc.expected, Upper(tc.in))",
        '} t.Errorf("got #, want #")',
    ],
    "TestBranch": [
        '} t.Errorf("got #, want #")',
    ],
    "TestIn": [
        "s.Equal(@, Add(1, 2))",
        "s.Equal(3, []interface{}{Add(1, 2)})",
        "s.NotEqual(3, Add(1, 2))",
        's.Require().NoError(Do()) s.T().Errorf("got #, want #")',
    ],
    "TestSuite": [
        'func TestSuite(t *testing.T) { suite.Run(t, new(S)); t.Errorf("got #, want #") }',
    ],
}


def test_go(changes: Any) -> None:
    assert changes("calc/calc_test.go", SOURCE) == CHANGES
