//! Arrays as `array_out` writes them.

/// An element, or what is in braces.
enum Item {
    Null,
    Value(String),
    Array(Vec<Item>),
}

/// `{1, 2}` as `{1,2}`, each element in its own type's form. `None`: it has bounds of its own, or is no array.
pub(in super::super) fn canonical(value: &str, element: &str) -> Option<String> {
    let mut characters = value.trim().chars().peekable();
    let items = read(&mut characters, 0)?;
    (characters.next().is_none() && dimensions(&items).is_some()).then(|| show(&items, element))
}

type Characters<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn skip_blanks(characters: &mut Characters<'_>) {
    while characters.next_if(char::is_ascii_whitespace).is_some() {}
}

fn read(characters: &mut Characters<'_>, depth: usize) -> Option<Item> {
    // `MAXDIM`
    if depth > 6 || characters.next()? != '{' {
        return None;
    }
    let mut items = Vec::new();
    skip_blanks(characters);
    if characters.next_if_eq(&'}').is_some() {
        return Some(Item::Array(items));
    }
    loop {
        skip_blanks(characters);
        items.push(match characters.peek()? {
            '{' => read(characters, depth + 1)?,
            '"' => quoted(characters)?,
            _ => bare(characters)?,
        });
        skip_blanks(characters);
        match characters.next()? {
            ',' => {}
            '}' => return Some(Item::Array(items)),
            _ => return None,
        }
    }
}

fn quoted(characters: &mut Characters<'_>) -> Option<Item> {
    characters.next()?;
    let mut text = String::new();
    loop {
        match characters.next()? {
            '"' => return Some(Item::Value(text)),
            '\\' => text.push(characters.next()?),
            character => text.push(character),
        }
    }
}

fn bare(characters: &mut Characters<'_>) -> Option<Item> {
    let mut text = String::new();
    let mut escaped = false;
    loop {
        match characters.peek()? {
            ',' | '}' => break,
            '{' | '"' => return None,
            '\\' => {
                characters.next()?;
                escaped = true;
                text.push(characters.next()?);
            }
            character => {
                text.push(*character);
                characters.next()?;
            }
        }
    }
    let text = text.trim_end();
    if text.is_empty() {
        return None;
    }
    let null = !escaped && text.eq_ignore_ascii_case("null");
    Some(if null { Item::Null } else { Item::Value(text.to_owned()) })
}

/// Of one length at every depth.
fn dimensions(item: &Item) -> Option<Vec<usize>> {
    let Item::Array(items) = item else { return Some(Vec::new()) };
    let mut inner = items.iter().map(dimensions);
    let first = inner.next().unwrap_or_else(|| Some(Vec::new()))?;
    if !inner.all(|other| other.as_ref() == Some(&first)) {
        return None;
    }
    Some(std::iter::once(items.len()).chain(first).collect())
}

fn show(item: &Item, element: &str) -> String {
    match item {
        Item::Null => "NULL".to_owned(),
        Item::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| show(item, element)).collect();
            format!("{{{}}}", items.join(","))
        }
        Item::Value(value) => {
            let number =
                matches!(element, "int2" | "int4" | "int8").then(|| value.trim().parse::<i64>().ok()).flatten();
            let value = match number {
                Some(number) => number.to_string(),
                None => super::canonical(value, element).unwrap_or_else(|| value.clone()),
            };
            let plain = !value.is_empty()
                && !value.eq_ignore_ascii_case("null")
                && !value.contains(|character: char| {
                    character.is_ascii_whitespace() || matches!(character, '"' | '\\' | '{' | '}' | ',')
                });
            if plain { value } else { format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")) }
        }
    }
}
