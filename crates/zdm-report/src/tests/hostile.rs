//! Texts and spans that no rule would make on purpose: no renderer panics, and every format stays itself.

use zdm_source::{Applicability, Diagnostic, Edit, Fix, FixFile, Label, Severity, SourceFile, Span, Subject};

use super::{DROPPED, INDEX, UNKNOWN, report};
use crate::markdown::MarkdownOptions;
use crate::text::TextOptions;
use crate::{Baseline, concise, fingerprints, github, gitlab, json, junit, markdown, patch, sarif, text};

/// A small generator of numbers, the same ones in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from(self.0 >> 33).unwrap() % limit.max(1)
    }

    fn text(&mut self, longest: u32) -> String {
        const PIECES: [&str; 32] = [
            "a",
            "`",
            "``",
            "'",
            "\"",
            "\\",
            "\n",
            "\r\n",
            "\r",
            "\t",
            "#",
            ",",
            ")",
            "(",
            "[",
            "]",
            "{",
            "}",
            "<",
            "&",
            "]]>",
            "::error::",
            "%0A",
            "|",
            "ä",
            "日本",
            "👩‍👩‍👧",
            "\u{1b}[2J",
            "\u{0}",
            "\u{202e}",
            "\u{feff}",
            " ",
        ];
        let length = self.below(longest);
        (0..length).map(|_| PIECES[self.below(32) as usize]).collect()
    }

    fn span(&mut self, text: &str) -> Span {
        let limit = u32::try_from(text.len()).unwrap() + 3;
        Span::new(self.below(limit), self.below(limit))
    }

    fn finding(&mut self) -> Diagnostic {
        let file = SourceFile::new(self.text(6), self.text(60));
        let other = SourceFile::new(self.text(6), self.text(60));
        let code = [INDEX, DROPPED, UNKNOWN][self.below(3) as usize];
        let severity = [Severity::Info, Severity::Warning, Severity::Error][self.below(3) as usize];
        let span = self.span(file.text());
        let mut finding = Diagnostic::new(code, severity, self.text(12), Label::new(&file, span, self.text(6)))
            .with_fact(self.text(20))
            .with_help(self.text(20))
            .with_code(self.text(4), "python", self.text(30));
        for file in [&file, &other] {
            let span = self.span(file.text());
            finding = finding.with_related(Label::new(file, span, self.text(4)));
        }
        let edits = (0..self.below(4)).map(|_| Edit::replace(self.span(file.text()), self.text(5))).collect();
        let subject =
            Subject { app: Some(self.text(3).into()), migration: Some(self.text(3).into()), ..Subject::default() };
        finding.subject = subject;
        finding.with_fix(Fix {
            title: self.text(4),
            applicability: Applicability::Safe,
            files: vec![
                FixFile::Change { file, edits },
                FixFile::Create { path: self.text(3).into(), text: self.text(9) },
            ],
        })
    }
}

#[test]
fn no_input_breaks_a_format() {
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    for round in 0..300 {
        let findings: Vec<Diagnostic> = (0..numbers.below(5)).map(|_| numbers.finding()).collect();
        let report = report(&findings);
        let width = numbers.below(120) as usize;
        for color in [false, true] {
            let rendered = text::render(&report, TextOptions { color, width, unicode: round % 2 == 0 });
            let bad = rendered.chars().find(|c| c.is_control() && *c != '\n' && !(color && *c == '\u{1b}'));
            assert_eq!(bad, None, "round {round}\n{rendered}");
        }
        assert_eq!(concise::render(&report).lines().count(), findings.len(), "round {round}");
        for document in [json::render(&report), sarif::render(&report), gitlab::render(&report)] {
            assert!(serde_json::from_str::<serde_json::Value>(&document).is_ok(), "round {round}\n{document}");
        }
        let commands = github::render(&report);
        assert_eq!(commands.lines().count(), findings.len(), "round {round}\n{commands}");
        assert!(commands.lines().all(|line| line.starts_with("::")), "round {round}\n{commands}");
        let xml = junit::render(&report);
        assert_eq!(xml.matches("<testcase ").count(), findings.len() + 2, "round {round}\n{xml}");
        let limit = 600 + numbers.below(5000) as usize;
        assert!(markdown::render(&report, MarkdownOptions { limit }).len() <= limit.max(1200), "round {round}");
        let prints = fingerprints(&findings);
        assert!(prints.iter().enumerate().all(|(index, print)| !prints[..index].contains(print)), "round {round}");
        let made = patch::patch(&findings, Applicability::Unsafe);
        assert_eq!(made.applied + made.left_out.len(), findings.len(), "round {round}");
        let _ = patch::unified(&made);
        let baseline = Baseline::of(&findings);
        let mut again = findings.clone();
        assert_eq!(Baseline::parse(&baseline.render()).unwrap().apply(&mut again), [], "round {round}");
        assert!(again.iter().all(|finding| finding.suppressed.is_some()), "round {round}");
    }
}
