//! Messages on a stream: a header with the length, then JSON.
//!
//! What is malformed is reported and passed over; the stream is found again at the next header. Source of the format: the
//! protocol's "Base Protocol".

use std::io::{self, BufRead, Read, Write};

use serde_json::Value;

/// A longer message is not read.
const LONGEST: u64 = 256 * 1024 * 1024;

/// A line of a header that is longer is none.
const LONGEST_LINE: u64 = 64 * 1024;

const LENGTH: &str = "Content-Length:";

/// One thing that was read.
#[derive(Debug, PartialEq)]
pub(crate) enum Received {
    Message(Value),
    /// Why it is none, in words.
    Malformed(String),
}

/// The next message; none at the end of the stream.
pub(crate) fn read(input: &mut impl BufRead) -> io::Result<Option<Received>> {
    let mut length: Option<u64> = None;
    let mut strange: Option<String> = None;
    loop {
        let mut line = Vec::new();
        if input.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(strange.map(Received::Malformed));
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        if text.is_empty() {
            match (length, strange.take()) {
                (_, Some(reason)) if length.is_none() => return Ok(Some(Received::Malformed(reason))),
                (Some(length), _) => return body(input, length).map(Some),
                // An empty line between two messages.
                (None, _) => continue,
            }
        }
        // What is left of a message that was longer than its header said may stand before the next header.
        let header = text.to_ascii_lowercase().rfind(&LENGTH.to_ascii_lowercase());
        match header.and_then(|at| text.get(at..)) {
            Some(header) => {
                let digits = header.get(LENGTH.len()..).unwrap_or("").trim();
                match digits.parse() {
                    Ok(number) => length = Some(number),
                    Err(_) => strange = Some(format!("`{digits}` is no length")),
                }
            }
            None if text.split_once(':').is_some_and(|(name, _)| name.starts_with("Content-")) => {}
            None => {
                let shown: String = text.chars().take(40).collect();
                strange = Some(format!("`{shown}` is no header"));
            }
        }
    }
}

fn body(input: &mut impl BufRead, length: u64) -> io::Result<Received> {
    if length > LONGEST {
        io::copy(&mut input.by_ref().take(length), &mut io::sink())?;
        return Ok(Received::Malformed(format!("a message of {length} bytes is too long")));
    }
    let mut bytes = Vec::new();
    input.by_ref().take(length).read_to_end(&mut bytes)?;
    if (bytes.len() as u64) < length {
        return Ok(Received::Malformed("the stream ended inside of a message".to_owned()));
    }
    Ok(match serde_json::from_slice(&bytes) {
        Ok(value) => Received::Message(value),
        Err(error) => Received::Malformed(format!("the message is no JSON: {error}")),
    })
}

/// Writes a message and sends it off.
pub(crate) fn write(output: &mut impl Write, message: &Value) -> io::Result<()> {
    let text = message.to_string();
    write!(output, "{LENGTH} {}\r\n\r\n{text}", text.len())?;
    output.flush()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(stream: &str, expect: &[Result<Value, &str>]) {
        let mut input = stream.as_bytes();
        let mut found = Vec::new();
        while let Some(read) = read(&mut input).unwrap() {
            found.push(read);
        }
        assert_eq!(found.len(), expect.len(), "{found:?}");
        for (found, expect) in found.iter().zip(expect) {
            match (found, expect) {
                (Received::Message(found), Ok(expect)) => assert_eq!(found, expect),
                (Received::Malformed(found), Err(expect)) => assert!(found.contains(expect), "{found}"),
                _ => panic!("{found:?} instead of {expect:?}"),
            }
        }
    }

    fn framed(text: &str) -> String {
        format!("Content-Length: {}\r\n\r\n{text}", text.len())
    }

    #[test]
    fn messages_follow_each_other() {
        let two = framed("{\"a\":1}") + "Content-Type: application/vscode-jsonrpc\r\n" + &framed("[\"é\"]");
        check(&two, &[Ok(json!({"a": 1})), Ok(json!(["é"]))]);
        check("content-length:2\n\n{}", &[Ok(json!({}))]);
        check("", &[]);
    }

    #[test]
    fn what_is_malformed_is_passed_over() {
        let good = framed("{\"a\":1}");
        let expect = Ok(json!({"a": 1}));
        check(&(framed("{\"a\":") + &good), &[Err("no JSON"), expect.clone()]);
        check(&("Content-Length: many\r\n\r\n".to_owned() + &good), &[Err("`many`"), expect.clone()]);
        check(&("hello\r\n\r\n".to_owned() + &good), &[Err("`hello`"), expect.clone()]);
        // Shorter than the message: the rest of it stands before the next header.
        check(&("Content-Length: 3\r\n\r\n{\"a\":1}".to_owned() + &good), &[Err("no JSON"), expect.clone()]);
        check("Content-Length: 10\r\n\r\n{}", &[Err("ended")]);
        check(&framed(&"[".repeat(10_000)), &[Err("no JSON")]);
    }
}
