//! Files that were damaged on the way: no reader panics.

use zdm_source::SourceFile;
use zdm_workspace::config::{has_section, render::render, schema};
use zdm_workspace::decode::decode;
use zdm_workspace::pattern::{NamePattern, PathPattern};
use zdm_workspace::{Config, KnownRule, Stats};

/// A small generator of numbers, the same ones in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or_default() % limit.max(1)
    }

    /// `bytes` with a few of them replaced, removed or repeated.
    fn damaged(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.below(6) {
            let place = self.below(bytes.len());
            let end = (place + self.below(12)).min(bytes.len());
            match self.below(3) {
                0 => bytes.splice(place..end, []).count(),
                1 => bytes.splice(place..place, [b"=[]{}\"'#\n\xff\xc3,.0"[self.below(14)]]).count(),
                _ => {
                    let copy = bytes[place..end].to_vec();
                    bytes.splice(place..place, copy).count()
                }
            };
        }
        bytes
    }
}

#[test]
fn damaged_configurations_are_refused_or_read() {
    let known = [KnownRule { code: "ZDM101", name: "index-not-concurrent" }];
    let whole = schema::template(schema::Place::Pyproject, Some("16"), Some("5.2")).replace("# ", "");
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut refused = 0;
    for _ in 0..500 {
        let text = String::from_utf8_lossy(&numbers.damaged(whole.as_bytes())).into_owned();
        has_section(&text);
        let file = SourceFile::new("pyproject.toml", text.as_str());
        if let Err(error) = Config::parse(&file, &known) {
            refused += 1;
            assert!(!error.problems.is_empty() && !error.to_string().is_empty());
            for problem in &error.problems {
                assert!(problem.span.end as usize <= text.len(), "{problem:?}");
            }
            assert!(render(&error, false, true, 80).contains("pyproject.toml"));
        }
    }
    assert!(refused > 50, "{refused}: the damage does damage");
}

#[test]
fn damaged_bytes_are_decoded() {
    let mut numbers = Numbers(1);
    let whole = "# -*- coding: latin-1 -*-\nx = 'größe'\r\n# coding: utf-8\n".as_bytes();
    for _ in 0..2000 {
        let bytes = numbers.damaged(whole);
        let (text, _) = decode(&bytes);
        assert!(text.len() <= bytes.len() * 3);
    }
}

#[test]
fn damaged_statistics_and_patterns() {
    let mut numbers = Numbers(7);
    let whole = br#"{"version": 1, "tables": {"shop_order": {"rows": 12, "writes_per_second": 0.5}}}"#;
    for _ in 0..500 {
        let _ = Stats::parse(&String::from_utf8_lossy(&numbers.damaged(whole)));
        let pattern = String::from_utf8_lossy(&numbers.damaged(b"**/[a-z]*/{b}?/../x*")).into_owned();
        if let Ok(pattern) = PathPattern::new(&pattern) {
            pattern.matches("shop/migrations/0001_initial.py");
        }
        if let Ok(pattern) = NamePattern::new(&pattern) {
            pattern.matches("shop_order");
        }
    }
}
