"""Rust: what is changed in tests of a library and in those inside a source."""

from __future__ import annotations

from typing import Any

SOURCE = r"""pub fn add(a: u8, b: u8) -> u8 { a + b }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain() {
        assert_eq!(add(1, 2), 3);
        assert_eq!(255u8, add(254, 1), "said {}", 1);
    }

    #[test]
    fn options() {
        assert_eq!(parse("1"), Ok(Some(1)));
        assert_eq!(name("x"), "abc".to_string());
        assert_eq!(list(3), vec![1, 2, 3]);
        assert!(matches!(kind(2), Kind::Number(7)));
        assert!(parse("z").is_err());
        assert!(!empty("z"));
        assert_ne!(add(1, 2), 4);
        assert_eq!(point(), Point { x: 1, y: -2 });
        assert_eq!(one(), two());
    }

    #[test]
    fn table() {
        let cases = [("a", 1), ("b", 2)];
        for (input, want) in cases {
            assert_eq!(size(input), want);
        }
        for (i, expected) in vec![(1, "x")].iter() {
            assert_eq!(text(*i), *expected);
        }
        let expected = "hello";
        assert_eq!(greet(), expected);
    }

    #[test]
    #[should_panic(expected = "overflow")]
    fn panics() {
        add(255, 1);
        assert_eq!(1, f());
    }

    #[tokio::test]
    async fn later() -> Result<(), E> {
        let got = run().await?;
        if got != 3 {
            panic!("no");
        }
        check(got);
        Ok(())
    }
}
"""

CHANGES = {
    "plain": [
        "assert_eq!(add(1, 2), @);",
        'assert_eq!(@, add(254, 1), "said {}", 1);',
        "assert_ne!(add(1, 2), 3);",
        'assert_ne!(255u8, add(254, 1), "said {}", 1);',
        'assert_eq!(255u8, add(254, 1), "said {}", 1); assert_eq!(#, #);',
    ],
    "options": [
        'assert_eq!(parse("1"), Ok(Some(@)));',
        'assert_eq!(name("x"), "@".to_string());',
        "assert_eq!(list(3), vec![@, 2, 3]);",
        "assert_eq!(list(3), vec![1, @, 3]);",
        "assert_eq!(list(3), vec![1, 2, @]);",
        "assert_eq!(point(), Point { x: @, y: -2 });",
        "assert_eq!(point(), Point { x: 1, y: -@ });",
        'assert_ne!(parse("1"), Ok(Some(1)));',
        'assert_ne!(name("x"), "abc".to_string());',
        "assert_ne!(list(3), vec![1, 2, 3]);",
        "assert!(!(matches!(kind(2), Kind::Number(7))));",
        'assert!(!(parse("z").is_err()));',
        'assert!( empty("z"));',
        "assert_eq!(add(1, 2), 4);",
        "assert_ne!(point(), Point { x: 1, y: -2 });",
        "assert_ne!(one(), two());",
        "assert_eq!(one(), two()); assert_eq!(#, #);",
    ],
    "table": [
        'let cases = [("a", @), ("b", 2)];',
        'let cases = [("a", 1), ("b", @)];',
        'for (i, expected) in vec![(1, "@")].iter() {',
        "assert_ne!(size(input), want);",
        "assert_ne!(text(*i), *expected);",
        "assert_ne!(greet(), expected);",
        "assert_eq!(greet(), expected); assert_eq!(#, #);",
    ],
    "panics": [
        '#[should_panic(expected = "mverflow")]',
    ],
    "later": [
        "if got != @ {",
        "if got == 3 {",
        "assert_eq!(#, #); Ok(())",
    ],
}


def test_rust(changes: Any) -> None:
    assert changes("src/lib.rs", SOURCE) == CHANGES
