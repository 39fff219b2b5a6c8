//! Where statements begin and end.
//!
//! A semicolon ends a statement except in the body of an SQL-standard function (`BEGIN ATOMIC … END`) and between the parentheses of
//! a rule's actions. A psql meta-command ends with its line and is a piece of its own.

use crate::lexer::{Kind, Lexer, Token};

/// The tokens of one statement, without its semicolon; never empty.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece<'t> {
    pub(crate) tokens: &'t [Token],
    /// The statement has an unfinished construct and reaches to the end of the text.
    pub(crate) unfinished: Option<&'static str>,
}

impl Piece<'_> {
    pub(crate) fn start(&self) -> usize {
        self.tokens.first().map_or(0, |token| token.start)
    }

    pub(crate) fn end(&self) -> usize {
        self.tokens.last().map_or(0, |token| token.end)
    }
}

/// Calls `visit` for each statement of `text`, in order.
pub(crate) fn each_statement(text: &str, mut visit: impl FnMut(Piece<'_>)) {
    let mut lexer = Lexer::new(text);
    let mut tokens: Vec<Token> = Vec::new();
    let mut nesting = Nesting::default();
    while let Some(token) = lexer.next() {
        match token.kind {
            Kind::Semicolon if !nesting.holds_semicolons() => {
                if is_copy_from_stdin(text, &tokens) {
                    lexer.skip_copy_data();
                }
                if !tokens.is_empty() {
                    visit(Piece { tokens: &tokens, unfinished: None });
                }
                tokens.clear();
                nesting = Nesting::default();
            }
            Kind::Meta => {
                if !tokens.is_empty() {
                    visit(Piece { tokens: &tokens, unfinished: None });
                }
                visit(Piece { tokens: &[without_trailing_blanks(text, token)], unfinished: None });
                tokens.clear();
                nesting = Nesting::default();
            }
            Kind::Unterminated(reason) => {
                tokens.push(without_trailing_blanks(text, token));
                visit(Piece { tokens: &tokens, unfinished: Some(reason) });
                tokens.clear();
            }
            _ => {
                tokens.push(token);
                nesting.note(text, &tokens);
            }
        }
    }
    if !tokens.is_empty() {
        let unfinished = nesting.holds_semicolons().then_some("the body has no end");
        visit(Piece { tokens: &tokens, unfinished });
    }
}

fn without_trailing_blanks(text: &str, token: Token) -> Token {
    let source = text.get(token.start..token.end).unwrap_or("");
    Token { end: token.start + source.trim_end().len(), ..token }
}

/// What semicolons inside a statement depend on.
#[derive(Debug, Default)]
struct Nesting {
    object: Object,
    /// Open parentheses.
    parentheses: usize,
    /// Open `BEGIN ATOMIC` and `CASE`.
    blocks: usize,
}

/// What the statement creates, as far as it matters here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Object {
    #[default]
    Undecided,
    Rule,
    Routine,
    Other,
}

impl Nesting {
    const fn holds_semicolons(&self) -> bool {
        match self.object {
            Object::Rule => self.parentheses > 0,
            Object::Routine => self.blocks > 0,
            Object::Undecided | Object::Other => false,
        }
    }

    /// Takes notice of the last of `tokens`.
    fn note(&mut self, text: &str, tokens: &[Token]) {
        let Some(token) = tokens.last() else { return };
        if self.object == Object::Other {
            return;
        }
        match token.kind {
            Kind::LParen => self.parentheses += 1,
            Kind::RParen => self.parentheses = self.parentheses.saturating_sub(1),
            Kind::Word => {
                let word = text.get(token.start..token.end).unwrap_or("");
                let is = |expected: &str| word.eq_ignore_ascii_case(expected);
                if self.object == Object::Undecided {
                    // CREATE [OR REPLACE] RULE | FUNCTION | PROCEDURE, EXPLAIN before it aside.
                    self.object = match tokens.len() {
                        1 if is("CREATE") => Object::Undecided,
                        2 if is("OR") => Object::Undecided,
                        3 if is("REPLACE") => Object::Undecided,
                        2 | 4 if is("RULE") => Object::Rule,
                        2 | 4 if is("FUNCTION") || is("PROCEDURE") => Object::Routine,
                        _ => Object::Other,
                    };
                } else if self.object == Object::Routine {
                    let begins_body = is("ATOMIC")
                        && tokens.len() > 1
                        && tokens
                            .get(tokens.len() - 2)
                            .and_then(|before| text.get(before.start..before.end))
                            .is_some_and(|before| before.eq_ignore_ascii_case("BEGIN"));
                    if (self.blocks == 0 && begins_body) || (self.blocks > 0 && is("CASE")) {
                        self.blocks += 1;
                    } else if is("END") {
                        self.blocks = self.blocks.saturating_sub(1);
                    }
                }
            }
            _ => {}
        }
    }
}

/// `COPY … FROM stdin`: its data follows the semicolon, as in a dump.
fn is_copy_from_stdin(text: &str, tokens: &[Token]) -> bool {
    let is = |token: &Token, word: &str| {
        token.kind == Kind::Word
            && text.get(token.start..token.end).is_some_and(|source| source.eq_ignore_ascii_case(word))
    };
    tokens.first().is_some_and(|token| is(token, "COPY"))
        && tokens.windows(2).any(|pair| is(&pair[0], "FROM") && is(&pair[1], "STDIN"))
}
