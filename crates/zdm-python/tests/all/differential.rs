//! Generated literals and constant expressions have the value that Python gives them.
//!
//! The expressions are evaluated by a real `python3` in one subprocess. Where there is none, the tests say so and
//! prove nothing.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::common::{Project, Random};
use zdm_python::{Evaluator, Value, ValueKind, Why};

/// `repr(eval(line))` of each line, or `!` and the exception; None without a `python3`.
fn python(expressions: &[String]) -> Option<Vec<String>> {
    const SCRIPT: &str = r#"
import sys, warnings
warnings.simplefilter("ignore")
sys.set_int_max_str_digits(0) if hasattr(sys, "set_int_max_str_digits") else None
for line in sys.stdin:
    try:
        text = repr(eval(bytes.fromhex(line).decode("utf-8"), {}))
    except Exception as error:
        text = "!" + type(error).__name__
    print(text.encode("utf-8", "surrogatepass").hex())
"#;
    let spawned = Command::new("python3").args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut child) = spawned else {
        println!("SKIPPED: there is no python3 to compare with");
        return None;
    };
    let mut input = String::new();
    for expression in expressions {
        for byte in expression.bytes() {
            write!(input, "{byte:02x}").unwrap();
        }
        input.push('\n');
    }
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    let decode = |line: &str| {
        let bytes = (0..line.len() / 2).map(|at| u8::from_str_radix(&line[2 * at..2 * at + 2], 16).unwrap());
        String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).into_owned()
    };
    let lines: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(decode).collect();
    assert_eq!(lines.len(), expressions.len());
    Some(lines)
}

/// The value of an expression, on the right side of an assignment.
fn ours(expression: &str) -> Value {
    let project = Project::new(&format!("x = ({expression}\n)\n"));
    Evaluator::new(&project).global(project.module("m"), "x").unwrap()
}

/// Compare and return the share of expressions that are known, of those that have a value.
///
/// Where Python raises, a value of ours is no mistake: an operand that raises may not matter to what is computed.
#[track_caller]
fn compare(expressions: &[String]) -> Option<f64> {
    let expected = python(expressions)?;
    let (mut known, mut total) = (0_u32, 0_u32);
    let mut failures = Vec::new();
    for (expression, expected) in expressions.iter().zip(&expected) {
        let value = ours(expression);
        if expected.starts_with('!') {
            continue;
        }
        total += 1;
        match &value.kind {
            ValueKind::Unknown(Why::Error(_) | Why::Syntax) => {
                failures.push(format!("{expression}\n    Python: {expected}\n    ours:   {value}"));
            }
            _ if value.is_constant() => {
                known += 1;
                if value.to_string() != *expected {
                    failures.push(format!("{expression}\n    Python: {expected}\n    ours:   {value}"));
                }
            }
            _ => {}
        }
    }
    failures.truncate(20);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let share = f64::from(known) / f64::from(total);
    println!("{total} expressions, {:.1} % known", share * 100.0);
    Some(share)
}

struct Generator(Random);

impl Generator {
    fn pick<'a>(&mut self, options: &[&'a str]) -> &'a str {
        options[self.0.below(options.len())]
    }

    fn content(&mut self, quote: &str, bytes: bool) -> String {
        let mut text = String::new();
        for _ in 0..self.0.below(8) {
            let piece = match self.0.below(if bytes { 9 } else { 14 }) {
                0 => r"\n",
                1 => r"\\",
                2 => r"\'",
                3 => r#"\""#,
                4 => self.pick(&[r"\x41", r"\x7f", r"\xe4", r"\101", r"\0", r"\7", r"\t\r", r"\a\b\f\v"]),
                5 => self.pick(&[r"\d", r"\.", r"\ ", r"\{"]),
                6 => "%s",
                7 => "ab",
                8 => "-- /* */;",
                9 => self.pick(&[r"\u00e4", r"\U0001F600", r"\u20ac"]),
                10 => self.pick(&["ä", "€", "𝄞", "\u{a0}"]),
                11 => self.pick(&[r"\N{EM DASH}", r"\N{no-break space}"]),
                12 if quote.len() == 3 => self.pick(&["\n", "\r\n", "'x", "\"x", "\\\n", "\\\r\n"]),
                12 => "\\\n",
                _ => "{{}}",
            };
            text.push_str(piece);
        }
        text
    }

    fn string(&mut self) -> String {
        let quote = self.pick(&["'", "\"", "'''", "\"\"\""]);
        let prefix = self.pick(&["", "", "", "r", "R", "u", "U"]);
        let content = self.content(quote, false);
        let raw = prefix.eq_ignore_ascii_case("r");
        if raw && (content.contains(quote) || (content.contains("\\\n") && quote.len() == 1)) {
            return format!("{quote}{quote}");
        }
        format!("{prefix}{quote}{content}{quote}")
    }

    fn bytes(&mut self) -> String {
        let quote = self.pick(&["'", "\"", "'''", "\"\"\""]);
        let prefix = self.pick(&["b", "B", "rb", "Rb", "bR"]);
        let content = self.content(quote, true);
        if prefix.len() == 2 && content.contains(quote) {
            return format!("b{quote}{quote}");
        }
        format!("{prefix}{quote}{content}{quote}")
    }

    fn fstring(&mut self, depth: usize) -> String {
        let mut text = String::from(self.pick(&["f\"", "F\"", "rf\"", "f\""]));
        let raw = text.len() == 3;
        for _ in 0..self.0.below(5) {
            match self.0.below(6) {
                0 => text.push_str("a ä"),
                1 => text.push_str("{{ }}"),
                2 if !raw => text.push_str(r"\n\x41"),
                3 => {
                    let value = self.number(depth);
                    let spec = self.pick(&["", ":5", ":<8", ":^9", ":+", ":08", ":,", "!r", "!s:>12", "!r:*^20"]);
                    write!(text, "{{{value}{spec}}}").unwrap();
                }
                4 => {
                    let value = self.pick(&["'x'", "'ab' 'c'", "None", "True", "[1, 'a']", "(1,)", " {'a': 1}"]);
                    let spec = self.pick(&["", "!r", "!s", "!a"]);
                    write!(text, "{{{value}{spec}}}").unwrap();
                }
                _ => {
                    let spec = self.pick(&["", "!r", "=", " = ", ":>4", ":.2"]);
                    write!(text, "{{'pqrs'{spec}}}").unwrap();
                }
            }
        }
        text.push('"');
        text
    }

    fn int(&mut self) -> String {
        let small = self.0.below(100);
        match self.0.below(9) {
            0 => "0".to_owned(),
            1 => format!("0x{:X}", self.0.next() >> self.0.below(60)),
            2 => format!("0o{:o}", self.0.below(4096)),
            3 => "0b1_0110".to_owned(),
            4 => "1_000_000".to_owned(),
            5 => self.0.next().to_string(),
            6 => "123456789012345678901234567890".to_owned(),
            _ => small.to_string(),
        }
    }

    fn float(&mut self) -> String {
        match self.0.below(5) {
            0 => self.pick(&["1.", ".5", "1e5", "1E-7", "1_0.2_5", "0.1", "1e16", "123456789.125", "1e-4"]).to_owned(),
            1 => format!("{}.{}", self.0.below(1000), self.0.below(1000)),
            2 => format!("{}e{}", self.0.below(50), self.0.below(30)),
            _ => format!("{}.5", self.0.below(50)),
        }
    }

    fn number(&mut self, depth: usize) -> String {
        if depth == 0 {
            return if self.0.below(3) == 0 { self.float() } else { self.int() };
        }
        match self.0.below(12) {
            0 => format!("-{}", self.number(depth - 1)),
            1 => format!("({} ** {})", self.number(depth - 1), self.0.below(5)),
            2 => format!("({} << {})", self.int(), self.0.below(20)),
            3 => format!("({} >> {})", self.int(), self.0.below(20)),
            4 => format!("({} {} {})", self.int(), self.pick(&["&", "|", "^"]), self.int()),
            5 => format!("~{}", self.int()),
            6 => format!("len({})", self.sequence(depth - 1)),
            7 => format!("(True {} {})", self.pick(&["+", "-", "*", "==", "<"]), self.number(depth - 1)),
            _ => {
                let op = self.pick(&["+", "-", "*", "/", "//", "%"]);
                format!("({} {op} {})", self.number(depth - 1), self.number(depth - 1))
            }
        }
    }

    fn text(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.string();
        }
        match self.0.below(16) {
            0 => format!("{} {}", self.string(), self.string()),
            1 => format!("({} + {})", self.text(depth - 1), self.text(depth - 1)),
            2 => format!("({} * {})", self.text(depth - 1), self.0.below(4)),
            3 => self.fstring(depth - 1),
            4 => {
                let spec = self.pick(&["%s", "%r", "%5s|", "%-5s|", "%.2s", "%%%s", "a"]);
                format!("('{spec}' % ({},))", self.value(depth - 1))
            }
            5 => {
                let spec = self.pick(&["%d", "%5d", "%05d", "%+d", "% d", "%x", "%i", "%-6d|", "%.3f", "%8.2f", "%e"]);
                format!("('{spec}' % {})", self.number(depth - 1))
            }
            6 => format!("('%(a)s-%(b)5s' % {{'a': {}, 'b': {}}})", self.value(depth - 1), self.text(depth - 1)),
            7 => {
                let spec = self.pick(&["{}{}", "{0}{1}{0}", "{1!r:>10}{0}", "{{}}{}{}", "{:>5}{}", "{[0]}{}"]);
                format!("'{spec}'.format({}, {})", self.text(depth - 1), self.text(depth - 1))
            }
            8 => {
                let method = self.pick(&[
                    "upper()",
                    "lower()",
                    "strip()",
                    "lstrip()",
                    "rstrip(' a')",
                    "replace('a', 'bb')",
                    "title()",
                    "capitalize()",
                    "removeprefix('a')",
                    "removesuffix('b')",
                    "zfill(9)",
                    "swapcase()",
                    "format()",
                ]);
                format!("{}.{method}", self.string())
            }
            9 => format!("{}.join({})", self.string(), self.texts(depth - 1)),
            10 => {
                let mut bound = || self.pick(&["", "0", "1", "2", "-1", "-3", "10"]).to_owned();
                let (lower, upper, step) = (bound(), bound(), bound());
                format!("{}[{lower}:{upper}:{step}]", self.text(depth - 1))
            }
            11 => format!("str({})", self.value(depth - 1)),
            12 => format!("repr({})", self.value(depth - 1)),
            13 => format!("{}[{}]", self.text(depth - 1), self.pick(&["0", "1", "-1"])),
            _ => self.string(),
        }
    }

    fn texts(&mut self, depth: usize) -> String {
        match self.0.below(4) {
            0 => format!("{}.split()", self.string()),
            1 => format!("{}.splitlines()", self.string()),
            2 => format!("{}.split('a')", self.string()),
            _ => format!("[{}, {}]", self.text(depth), self.string()),
        }
    }

    fn sequence(&mut self, depth: usize) -> String {
        let depth = depth.saturating_sub(1);
        match self.0.below(9) {
            0 => format!("[{}, {}]", self.value(depth), self.value(depth)),
            1 => format!("({}, *{})", self.value(depth), self.texts(depth)),
            2 => format!("list(range({}, {}))", self.0.below(5), self.0.below(9)),
            3 => format!("[x for x in {} if x]", self.texts(depth)),
            4 => format!("sorted({})", self.texts(depth)),
            5 => format!("list(enumerate({}))", self.texts(depth)),
            6 => format!("[*zip({}, [1, 2])]", self.texts(depth)),
            7 => format!("({} + [1])[::-1]", self.texts(depth)),
            _ => format!("list({{'a': {}, **{{'b': 1, 'a': 2}}}}.items())", self.value(depth)),
        }
    }

    fn boolean(&mut self, depth: usize) -> String {
        let depth = depth.saturating_sub(1);
        match self.0.below(7) {
            0 => format!(
                "({} {} {})",
                self.number(depth),
                self.pick(&["<", "<=", ">", ">=", "==", "!="]),
                self.number(depth)
            ),
            1 => {
                format!("({} {} {})", self.text(depth), self.pick(&["<", "==", "!=", "in", "not in"]), self.text(depth))
            }
            2 => format!("(not {})", self.value(depth)),
            3 => format!("({} is {}None)", self.pick(&["None", "1 .real", "''.x", "[]"]), self.pick(&["", "not "])),
            4 => format!("({} < {} <= {})", self.int(), self.int(), self.int()),
            5 => format!("({} in {})", self.string(), self.texts(depth)),
            _ => self.pick(&["True", "False"]).to_owned(),
        }
    }

    fn value(&mut self, depth: usize) -> String {
        let depth = depth.saturating_sub(1);
        match self.0.below(12) {
            0 => "None".to_owned(),
            1 => self.boolean(depth),
            2..=4 => self.text(depth),
            5 | 6 => self.number(depth),
            7 => self.bytes(),
            8 => self.sequence(depth),
            9 => format!("({} if {} else {})", self.value(depth), self.value(depth), self.value(depth)),
            10 => format!("({} {} {})", self.value(depth), self.pick(&["and", "or"]), self.value(depth)),
            _ => format!("({} {} {})", self.value(depth), self.pick(&["+", "-", "<", "==", "%"]), self.value(depth)),
        }
    }
}

#[test]
fn what_python_refuses_has_no_value() {
    let expressions = [
        "[][0]",
        "{}['a']",
        "'a'[3]",
        "1 / 0",
        "1 // 0",
        "1 % 0",
        "1.5 % 0",
        "0 ** -1",
        "'a' + 1",
        "[1] + (1,)",
        "'%d' % 'a'",
        "'%s %s' % 'a'",
        "'%s' % ('a', 'b')",
        "'a' % 1",
        "'%(a)s' % {}",
        "'{}{}'.format(1)",
        "'{a}'.format()",
        "'{0}{}'.format(1)",
        "'}'.format()",
        "'{'.format()",
        "'%y' % 1",
        "'%' % ()",
        "-'a'",
        "~1.5",
        "{} + {}",
        "b'a' + 'a'",
        "1 << -1",
        "[1]['a']",
        "None[0]",
        "'a'[::0]",
        "'\\x4'",
        "'\\u12'",
        "b'ä'",
        "012",
        "1.5 & 1",
        "None + 1",
    ];
    let expressions: Vec<String> = expressions.into_iter().map(|text| text.replace("\\\\", "\\")).collect();
    let Some(expected) = python(&expressions) else { return };
    for (expression, expected) in expressions.iter().zip(expected) {
        assert!(expected.starts_with('!'), "{expression} is {expected}");
        let value = ours(expression);
        assert!(matches!(value.kind, ValueKind::Unknown(_)), "{expression} is {value}");
    }
}

#[test]
fn literals() {
    let mut generator = Generator(Random(1));
    let mut expressions = Vec::new();
    for _ in 0..2500 {
        expressions.push(generator.string());
        expressions.push(generator.bytes());
        expressions.push(generator.int());
        expressions.push(generator.float());
        expressions.push(format!("{} {}", generator.string(), generator.fstring(0)));
    }
    if let Some(share) = compare(&expressions) {
        assert!(share > 0.99, "{share}");
    }
}

#[test]
fn constant_expressions() {
    let mut generator = Generator(Random(2));
    let expressions: Vec<String> = (0..12_000).map(|index| generator.value(1 + index % 5)).collect();
    if let Some(share) = compare(&expressions) {
        assert!(share > 0.95, "{share}");
    }
}

/// What each segment of a string refers to is, taken by itself, the text of the segment.
#[test]
fn places_of_strings() {
    let mut generator = Generator(Random(3));
    let mut expressions = Vec::new();
    let mut values = Vec::new();
    for _ in 0..4000 {
        let text = match generator.0.below(3) {
            0 => format!("{} {}", generator.string(), generator.fstring(0)),
            1 => format!("({} + {})", generator.string(), generator.string()),
            _ => generator.string(),
        };
        let value = ours(&text);
        let Some(found) = value.as_str() else { continue };
        for segment in found.segments() {
            let part = &found[segment.value.range()];
            let source = segment.source.text();
            if segment.linear {
                assert_eq!(part, source, "in {text}");
                continue;
            }
            let prefix = if source.starts_with('{') || source.starts_with('}') { "f" } else { "" };
            if part == "}" || source.contains("\"\"\"") || source.contains('=') {
                continue;
            }
            expressions.push(format!("{prefix}\"\"\"{source}\"\"\""));
            values.push((
                text.clone(),
                Value::new(ValueKind::Str(found.slice(segment.value.range())), segment.source.clone()),
            ));
        }
    }
    assert!(expressions.len() > 1000);
    let Some(expected) = python(&expressions) else { return };
    for ((expression, expected), (text, value)) in expressions.iter().zip(&expected).zip(&values) {
        assert_eq!(value.to_string(), *expected, "{expression} in {text}");
    }
}
