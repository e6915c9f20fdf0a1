"""Java: what is changed in tests of JUnit, AssertJ and Hamcrest."""

from __future__ import annotations

from typing import Any

SOURCE = r"""package calc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.*;
import static org.assertj.core.api.Assertions.assertThat;
import static org.hamcrest.Matchers.is;

class CalcTest extends Base {
    @Test
    void plain() {
        assertEquals(3, Calc.add(1, 2));
        assertEquals("said", 4L, Calc.sum(1));
        assertEquals(0.25, Calc.half(0.5), 0.001);
        assertEquals(Calc.one(), Calc.two());
        assertTrue(Calc.even(2));
        assertArrayEquals(new int[] {1, 2}, Calc.both());
        assertEquals(List.of("a", "b"), Calc.names());
        assertNull(Calc.none());
        assertFalse(Calc.x() == 3, "m");
    }

    @Test
    public void fluent() {
        assertThat(Calc.add(1, 2)).as("sum").isEqualTo(3);
        assertThat(Calc.names()).isNotNull().hasSize(2).containsExactly("a", "b");
        assertThat(Calc.ok()).isTrue();
        assertThat(Calc.add(1, 2), is(3));
    }

    @Test
    void thrown() {
        assertThrows(IllegalStateException.class, () -> Calc.add(1, 2));
    }

    @Test(expected = IllegalArgumentException.class)
    public void old() {
        Calc.add(1, 2);
    }

    @ParameterizedTest
    @CsvSource({"1, 2, 3"})
    void many(int a, int b, int expected) {
        assertEquals(expected, Calc.add(a, b));
    }

    @Test
    void tables() throws Exception {
        String expected = "x\ny";
        assertEquals(expected, Calc.text());
        try {
            assertEquals(3, Calc.add(1, 2));
        } catch (Exception e) {
            fail();
        }
        if (Calc.add(2, 2) != 4) throw new AssertionError("no");
        verify(mock).call(3);
        assertEquals('c', Calc.letter());
    }

    @Test
    void nothing() {
        Calc.run();
    }
}
"""

CHANGES = {
    "plain": [
        "assertEquals(@, Calc.add(1, 2));",
        'assertEquals("said", @, Calc.sum(1));',
        "assertEquals(@, Calc.half(0.5), 0.001);",
        "assertArrayEquals(new int[] {@, 2}, Calc.both());",
        "assertArrayEquals(new int[] {1, @}, Calc.both());",
        'assertEquals(List.of("@", "b"), Calc.names());',
        'assertEquals(List.of("a", "@"), Calc.names());',
        "assertEquals(3, java.util.Arrays.asList((Object) (Calc.add(1, 2))));",
        "assertEquals(Calc.one(), java.util.Arrays.asList((Object) (Calc.two())));",
        'assertEquals(List.of("a", "b"), java.util.Arrays.asList((Object) (Calc.names())));',
        "assertNotEquals(3, Calc.add(1, 2));",
        'assertNotEquals("said", 4L, Calc.sum(1));',
        "assertNotEquals(0.25, Calc.half(0.5), 0.001);",
        "assertNotEquals(Calc.one(), Calc.two());",
        "assertTrue(!(Calc.even(2)));",
        "assertFalse(Calc.even(2));",
        'assertNotEquals(List.of("a", "b"), Calc.names());',
        "assertNotNull(Calc.none());",
        'assertFalse(Calc.x() != 3, "m");',
        'assertTrue(Calc.x() == 3, "m");',
        'assertFalse(Calc.x() == 3, "m"); if (# != #) throw new AssertionError("#");',
    ],
    "fluent": [
        'assertThat(Calc.add(1, 2)).as("sum").isEqualTo(@);',
        'assertThat(Calc.names()).isNotNull().hasSize(2).containsExactly("@", "b");',
        'assertThat(Calc.names()).isNotNull().hasSize(2).containsExactly("a", "@");',
        'assertThat(Calc.names()).isNotNull().hasSize(@).containsExactly("a", "b");',
        "assertThat(Calc.add(1, 2), is(@));",
        'assertThat(Calc.add(1, 2)).as("sum").isNotEqualTo(3);',
        'assertThat(Calc.names()).isNull().hasSize(2).containsExactly("a", "b");',
        "assertThat(Calc.ok()).isFalse();",
        "assertThat(Calc.add(1, 2), org.hamcrest.CoreMatchers.not(is(3)));",
        'assertThat(Calc.add(1, 2), is(3)); if (# != #) throw new AssertionError("#");',
    ],
    "thrown": [
        "assertThrows(java.util.EmptyStackException.class, () -> Calc.add(1, 2));",
        'assertThrows(IllegalStateException.class, () -> Calc.add(1, 2)); if (# != #) throw new AssertionError("#");',
    ],
    "old": [
        "@Test(expected = java.util.EmptyStackException.class)",
    ],
    "many": [
        "assertEquals(expected, java.util.Arrays.asList((Object) (Calc.add(a, b))));",
        "assertNotEquals(expected, Calc.add(a, b));",
        'assertEquals(expected, Calc.add(a, b)); if (# != #) throw new AssertionError("#");',
    ],
    "tables": [
        'if (Calc.add(2, 2) != @) throw new AssertionError("no");',
        "assertEquals(@, Calc.letter());",
        'String expected = "@\\ny";',
        "assertEquals(expected, java.util.Arrays.asList((Object) (Calc.text())));",
        "assertEquals('c', java.util.Arrays.asList((Object) (Calc.letter())));",
        "assertNotEquals(expected, Calc.text());",
        'if (Calc.add(2, 2) == 4) throw new AssertionError("no");',
        "assertNotEquals('c', Calc.letter());",
        "assertEquals('c', Calc.letter()); if (# != #) throw new AssertionError(\"#\");",
    ],
    "nothing": [
        'Calc.run(); if (# != #) throw new AssertionError("#");',
    ],
}


def test_java(changes: Any) -> None:
    assert changes("src/test/java/calc/CalcTest.java", SOURCE) == CHANGES
