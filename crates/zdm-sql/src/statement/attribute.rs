//! The attributes behind a constraint: what they come to, and what is wrong with them (`ConstraintAttributeSpec` and
//! `processCASbits` of the grammar for a table's constraints, `transformConstraintAttrs` for a column's).

use zdm_postgres::effects::Refusal;
use zdm_postgres::statement::{AttributeWords, ColumnConstraintKind, ConstraintAttributes, TableConstraintKind};

use crate::cursor::Cursor;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Deferrable,
    NotDeferrable,
    InitiallyDeferred,
    InitiallyImmediate,
    NotValid,
    NoInherit,
    Enforced,
    NotEnforced,
}

impl Word {
    const ALL: [(&'static str, &'static [&'static str], Self); 8] = [
        ("NOT DEFERRABLE", &["NOT", "DEFERRABLE"], Self::NotDeferrable),
        ("DEFERRABLE", &["DEFERRABLE"], Self::Deferrable),
        ("INITIALLY DEFERRED", &["INITIALLY", "DEFERRED"], Self::InitiallyDeferred),
        ("INITIALLY IMMEDIATE", &["INITIALLY", "IMMEDIATE"], Self::InitiallyImmediate),
        ("NOT VALID", &["NOT", "VALID"], Self::NotValid),
        ("NO INHERIT", &["NO", "INHERIT"], Self::NoInherit),
        ("NOT ENFORCED", &["NOT", "ENFORCED"], Self::NotEnforced),
        ("ENFORCED", &["ENFORCED"], Self::Enforced),
    ];

    fn written(self) -> &'static str {
        Self::ALL.iter().find(|(_, _, word)| *word == self).map_or("", |(written, _, _)| written)
    }

    /// The words that are about the same.
    const fn group(self) -> Option<(u8, &'static str)> {
        match self {
            Self::Deferrable | Self::NotDeferrable => Some((0, "DEFERRABLE/NOT DEFERRABLE")),
            Self::InitiallyDeferred | Self::InitiallyImmediate => Some((1, "INITIALLY IMMEDIATE/DEFERRED")),
            Self::Enforced | Self::NotEnforced => Some((2, "ENFORCED/NOT ENFORCED")),
            Self::NotValid | Self::NoInherit => None,
        }
    }
}

/// The words from here on that are attributes, in order.
pub(super) fn words(cursor: &mut Cursor<'_>) -> Vec<Word> {
    let mut words = Vec::new();
    while let Some((_, _, word)) = Word::ALL.iter().find(|(_, parts, _)| cursor.accept_all(parts)) {
        words.push(*word);
    }
    words
}

pub(super) fn attributes(words: &[Word]) -> ConstraintAttributes {
    let says = |word: Word| words.contains(&word);
    let initially_deferred = says(Word::InitiallyDeferred);
    ConstraintAttributes {
        // INITIALLY DEFERRED implies DEFERRABLE.
        deferrable: says(Word::Deferrable) || (initially_deferred && !says(Word::NotDeferrable)),
        initially_deferred,
        not_valid: says(Word::NotValid),
        enforced: !says(Word::NotEnforced),
    }
}

fn with_fault(words: &[Word], fault: Option<Refusal>) -> AttributeWords {
    let enforcement = words.iter().any(|word| matches!(word, Word::Enforced | Word::NotEnforced));
    AttributeWords { enforcement, fault: fault.map(Box::new) }
}

fn refusal(sqlstate: &'static str, message: impl Into<String>) -> Refusal {
    Refusal { sqlstate, message: message.into() }
}

/// Words that contradict each other.
pub(super) fn conflicting(words: &[Word]) -> AttributeWords {
    with_fault(words, conflict(words))
}

fn conflict(words: &[Word]) -> Option<Refusal> {
    for (place, word) in words.iter().enumerate() {
        let said = words.get(..place).unwrap_or_default();
        let both =
            |one: Word, other: Word| (*word == one && said.contains(&other)) || (*word == other && said.contains(&one));
        if both(Word::NotDeferrable, Word::InitiallyDeferred) {
            return Some(refusal("42601", "constraint declared INITIALLY DEFERRED must be DEFERRABLE"));
        }
        if both(Word::NotDeferrable, Word::Deferrable)
            || both(Word::InitiallyImmediate, Word::InitiallyDeferred)
            || both(Word::NotEnforced, Word::Enforced)
        {
            return Some(refusal("42601", "conflicting constraint properties"));
        }
    }
    None
}

/// The words behind a table's constraint.
pub(super) fn of_table(kind: &TableConstraintKind, words: &[Word]) -> AttributeWords {
    match kind {
        TableConstraintKind::Check { .. } => {
            of_kind("CHECK", &[Word::NotValid, Word::NoInherit, Word::NotEnforced, Word::Enforced], words)
        }
        TableConstraintKind::NotNull { .. } => of_kind("NOT NULL", &[Word::NotValid, Word::NoInherit], words),
        TableConstraintKind::Unique(_) => of_kind("UNIQUE", &DEFERRED, words),
        TableConstraintKind::PrimaryKey(_) => of_kind("PRIMARY KEY", &DEFERRED, words),
        TableConstraintKind::Exclude { .. } => of_kind("EXCLUDE", &DEFERRED, words),
        TableConstraintKind::ForeignKey { .. } => {
            let [deferrable, deferred] = DEFERRED;
            let allowed = [deferrable, deferred, Word::NotValid, Word::NotEnforced, Word::Enforced];
            of_kind("FOREIGN KEY", &allowed, words)
        }
    }
}

/// The words behind a constraint that is added to a domain.
pub(super) fn of_domain(kind: &TableConstraintKind, words: &[Word]) -> AttributeWords {
    match kind {
        TableConstraintKind::Check { .. } => of_kind("CHECK", &[Word::NotValid, Word::NoInherit], words),
        _ => of_kind("NOT NULL", &[], words),
    }
}

/// What makes a constraint checked later.
const DEFERRED: [Word; 2] = [Word::Deferrable, Word::InitiallyDeferred];

/// The words behind a constraint trigger.
pub(super) fn of_trigger(words: &[Word]) -> AttributeWords {
    of_kind("TRIGGER", &DEFERRED, words)
}

/// Words where the grammar has none.
pub(super) fn unexpected(token: &str) -> AttributeWords {
    with_fault(&[], Some(refusal("42601", format!("syntax error at or near \"{token}\""))))
}

/// `processCASbits`: the words that such a constraint cannot have, in its order.
fn of_kind(kind: &str, allowed: &[Word], words: &[Word]) -> AttributeWords {
    let order =
        [Word::Deferrable, Word::InitiallyDeferred, Word::NotValid, Word::NoInherit, Word::NotEnforced, Word::Enforced];
    let refused = order.iter().find(|word| words.contains(word) && !allowed.contains(word));
    let fault = conflict(words).or_else(|| {
        let word = match refused? {
            Word::InitiallyDeferred => Word::Deferrable,
            other => *other,
        };
        Some(refusal("0A000", format!("{kind} constraints cannot be marked {}", word.written())))
    });
    with_fault(words, fault)
}

/// The words behind a column's constraint.
pub(super) fn of_column(kind: &ColumnConstraintKind, words: &[Word]) -> AttributeWords {
    with_fault(words, column_fault(kind, words))
}

fn column_fault(kind: &ColumnConstraintKind, words: &[Word]) -> Option<Refusal> {
    let key = matches!(kind, ColumnConstraintKind::References(_));
    let deferrable = key || matches!(kind, ColumnConstraintKind::Unique { .. } | ColumnConstraintKind::PrimaryKey);
    let enforceable = key || matches!(kind, ColumnConstraintKind::Check { .. });
    for (place, word) in words.iter().enumerate() {
        let said = words.get(..place).unwrap_or_default();
        // These two belong to the constraints of tables.
        let Some((group, name)) = word.group() else {
            let token = if *word == Word::NoInherit { "NO" } else { "VALID" };
            return Some(refusal("42601", format!("syntax error at or near \"{token}\"")));
        };
        if !(if group == 2 { enforceable } else { deferrable }) {
            return Some(refusal("42601", format!("misplaced {} clause", word.written())));
        }
        if said.iter().any(|known| known.group() == word.group()) {
            return Some(refusal("42601", format!("multiple {name} clauses not allowed")));
        }
        let late = match word {
            Word::NotDeferrable => said.contains(&Word::InitiallyDeferred),
            Word::InitiallyDeferred => said.contains(&Word::NotDeferrable),
            _ => false,
        };
        if late {
            return Some(refusal("42601", "constraint declared INITIALLY DEFERRED must be DEFERRABLE"));
        }
    }
    None
}
