//! Which finding is which across runs.
//!
//! A fingerprint identifies a finding by what it is about, not by where it stands: the rule's code, the app and the
//! migration (the path where there is none), and the text under the primary label, without white space, comments,
//! trailing commas and the choice of quotes. So it survives lines that move, a formatter, operations added around it,
//! a file that moves with its app's label unchanged, another severity, and another wording of the message. Findings
//! that agree in all of these are told apart by their order.

use std::collections::BTreeMap;
use std::fmt;

use zdm_source::{Diagnostic, Span};

/// 128 bits, written as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(u128);

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

/// The fingerprints of `diagnostics`, in their order. No two are equal.
///
/// The order among equals counts, so give the sorted list, the suppressed ones included.
pub fn fingerprints(diagnostics: &[Diagnostic]) -> Vec<Fingerprint> {
    let mut seen: BTreeMap<Fingerprint, u64> = BTreeMap::new();
    diagnostics
        .iter()
        .map(|diagnostic| {
            let mut hash = identity(diagnostic);
            let occurrence = seen.entry(Fingerprint(hash.0)).or_insert(0);
            hash.part(&occurrence.to_string());
            *occurrence += 1;
            Fingerprint(hash.0)
        })
        .collect()
}

fn identity(diagnostic: &Diagnostic) -> Fnv {
    let mut hash = Fnv::new();
    hash.part("zdm/1");
    hash.part(diagnostic.code.code);
    match (&diagnostic.subject.app, &diagnostic.subject.migration) {
        (Some(app), Some(migration)) => {
            hash.part(app);
            hash.part(migration);
        }
        _ => hash.part(diagnostic.primary.file.path()),
    }
    let file = &diagnostic.primary.file;
    let span = diagnostic.primary.span;
    // A label on the whole file says nothing that an edit anywhere in it should change.
    let whole = span == Span::from_usize(0, file.text().len());
    hash.part(&if whole { String::new() } else { normalised(file.slice(span)) });
    hash
}

/// Python or SQL text without what a formatter may change.
fn normalised(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut quote: Option<char> = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(_), '\\') => {
                result.push('\\');
                result.extend(characters.next());
            }
            (Some(open), _) if character == open => {
                quote = None;
                result.push('"');
            }
            (Some(_), '\r' | '\n') => result.push('\n'),
            (Some(_), _) => result.push(character),
            (None, '\'' | '"') => {
                quote = Some(character);
                result.push('"');
            }
            (None, '#') => {
                for skipped in characters.by_ref() {
                    if skipped == '\n' || skipped == '\r' {
                        break;
                    }
                }
            }
            (None, ')' | ']' | '}') => {
                if result.ends_with(',') {
                    result.pop();
                }
                result.push(character);
            }
            (None, _) if character.is_whitespace() => {}
            (None, _) => result.push(character),
        }
    }
    result
}

/// FNV-1a of 128 bits over length-prefixed parts: stable across versions, platforms and processes.
struct Fnv(u128);

impl Fnv {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

    const fn new() -> Self {
        Self(Self::OFFSET)
    }

    fn part(&mut self, text: &str) {
        let length = text.len() as u64;
        for byte in length.to_le_bytes().iter().chain(text.as_bytes()) {
            self.0 = (self.0 ^ u128::from(*byte)).wrapping_mul(Self::PRIME);
        }
    }
}

#[cfg(test)]
mod tests {
    use zdm_source::{Code, Label, Severity, SourceFile, Subject};

    use super::*;

    const CODE: Code = Code { code: "ZDM101", name: "index-not-concurrent" };

    fn finding(path: &str, text: &str, under: &str) -> Diagnostic {
        let file = SourceFile::new(path, text);
        let start = text.find(under).unwrap();
        let span = Span::from_usize(start, start + under.len());
        let mut diagnostic = Diagnostic::new(CODE, Severity::Error, "m", Label::new(&file, span, "l"));
        diagnostic.subject = Subject { app: Some("shop".into()), migration: Some("0002".into()), ..Subject::default() };
        diagnostic
    }

    fn print(path: &str, text: &str, under: &str) -> String {
        fingerprints(&[finding(path, text, under)])[0].to_string()
    }

    #[test]
    fn moved_lines_files_quotes_and_formatting_keep_it() {
        let before =
            print("a/0002.py", "[AddIndex('order', Index(fields=['a']))]", "AddIndex('order', Index(fields=['a']))");
        let formatted = "\n\n# moved\nAddIndex(\n    \"order\",  # why\n    Index(fields=[\"a\"]),\n)";
        assert_eq!(before, print("b/0002.py", formatted, &formatted[10..]));
    }

    #[test]
    fn a_label_on_the_whole_file_does_not_depend_on_its_text() {
        assert_eq!(print("m", "one", "one"), print("m", "two", "two"));
    }

    #[test]
    fn another_text_or_rule_or_migration_changes_it() {
        let text = "f('a')  f('b') f('a b')";
        let all = [print("m", text, "f('a')"), print("m", text, "f('b')"), print("m", text, "f('a b')")];
        let mut other = finding("m", text, "f('a')");
        other.code = Code { code: "ZDM102", name: "x" };
        let mut moved = finding("m", text, "f('a')");
        moved.subject.migration = Some("0003".into());
        let mut prints: Vec<String> = all.to_vec();
        prints.push(fingerprints(&[other])[0].to_string());
        prints.push(fingerprints(&[moved])[0].to_string());
        prints.sort();
        prints.dedup();
        assert_eq!(prints.len(), 5);
    }

    #[test]
    fn equals_are_told_apart_by_their_order_and_keep_their_own_when_one_is_added_behind() {
        let text = "f(1) f(1) f(1)";
        let two = fingerprints(&[finding("m", text, "f(1)"), finding("m", text, "f(1)")]);
        let three = fingerprints(&vec![finding("m", text, "f(1)"); 3]);
        assert_ne!(two[0], two[1]);
        assert_eq!(two[..], three[..2]);
    }

    #[test]
    fn the_number_is_part_of_the_contract() {
        // Baselines and code-scanning alerts hold these numbers: a change here orphans them all.
        assert_eq!(print("m", "[f('a')]", "f('a')"), "6e4ab1f05696af40fe522e22aefec2c9");
    }
}
