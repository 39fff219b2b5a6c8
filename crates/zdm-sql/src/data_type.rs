//! Types as they are written to [`DataType`].
//!
//! Source: PostgreSQL manual, "Data Types" and `SQL Key Words`; the grammar of type names is the server's `Typename`.

use zdm_postgres::{DataType, QualifiedName};

use crate::cursor::{Cursor, Read};
use crate::lexer::Kind;

/// One type with modifiers and array bounds.
pub(crate) fn read(cursor: &mut Cursor<'_>) -> Read<DataType> {
    let mut data_type = base(cursor)?;
    if cursor.accept("ARRAY") {
        data_type = data_type.array();
        if cursor.accept_kind(Kind::LBracket) {
            cursor.accept_kind(Kind::Number);
            cursor.expect_kind(Kind::RBracket, "]")?;
        }
        return Ok(data_type);
    }
    while cursor.accept_kind(Kind::LBracket) {
        cursor.accept_kind(Kind::Number);
        cursor.expect_kind(Kind::RBracket, "]")?;
        data_type = data_type.array();
    }
    Ok(data_type)
}

fn base(cursor: &mut Cursor<'_>) -> Read<DataType> {
    let Some(token) = cursor.peek() else { return cursor.unexpected("a type") };
    if token.kind == Kind::Word && !cursor.is_kind_nth(1, Kind::Dot) {
        let word = cursor.source(token);
        // The longest of the words below.
        if word.len() <= 9
            && let Some(data_type) = keyword_type(cursor, &word.to_ascii_lowercase())?
        {
            return Ok(data_type);
        }
    }
    let name = cursor.any_name()?;
    let mut data_type = DataType::user_defined(name);
    modifiers(cursor, &mut data_type)?;
    Ok(data_type)
}

/// The types that the grammar itself knows. `None`: the word is a name like any other; nothing was read.
fn keyword_type(cursor: &mut Cursor<'_>, word: &str) -> Read<Option<DataType>> {
    let named = |cursor: &mut Cursor<'_>, name: &str| {
        cursor.at += 1;
        DataType::named(name)
    };
    let data_type = match word {
        "int" | "integer" => named(cursor, "int4"),
        "smallint" => named(cursor, "int2"),
        "bigint" => named(cursor, "int8"),
        "real" => named(cursor, "float4"),
        "boolean" => named(cursor, "bool"),
        "double" if cursor.is_nth(1, "PRECISION") => {
            cursor.at += 2;
            DataType::named("float8")
        }
        "float" => {
            let mut data_type = named(cursor, "float8");
            modifiers(cursor, &mut data_type)?;
            // `float(p)` counts binary digits: up to 24 fit a `real`.
            let single = data_type.modifiers.first().is_some_and(|digits| *digits <= 24);
            DataType::named(if single { "float4" } else { "float8" })
        }
        "decimal" | "dec" | "numeric" => {
            let mut data_type = named(cursor, "numeric");
            modifiers(cursor, &mut data_type)?;
            // `numeric(10)` is `numeric(10,0)`.
            if data_type.modifiers.len() == 1 {
                data_type.modifiers.push(0);
            }
            data_type
        }
        "varchar" => {
            let mut data_type = named(cursor, "varchar");
            modifiers(cursor, &mut data_type)?;
            data_type
        }
        "character" | "char" | "nchar" => {
            cursor.at += 1;
            character(cursor)?
        }
        "national" if cursor.is_nth(1, "CHARACTER") || cursor.is_nth(1, "CHAR") => {
            cursor.at += 2;
            character(cursor)?
        }
        "bit" => {
            cursor.at += 1;
            let varying = cursor.accept("VARYING");
            let mut data_type = DataType::named(if varying { "varbit" } else { "bit" });
            modifiers(cursor, &mut data_type)?;
            if !varying && data_type.modifiers.is_empty() {
                data_type.modifiers.push(1);
            }
            data_type
        }
        "timestamp" | "time" => {
            let mut data_type = named(cursor, word);
            modifiers(cursor, &mut data_type)?;
            if cursor.accept_all(&["WITH", "TIME", "ZONE"]) {
                data_type.name = QualifiedName::new(if word == "time" { "timetz" } else { "timestamptz" });
            } else {
                cursor.accept_all(&["WITHOUT", "TIME", "ZONE"]);
            }
            data_type
        }
        "interval" => {
            let mut data_type = named(cursor, "interval");
            data_type.fields = interval_fields(cursor);
            modifiers(cursor, &mut data_type)?;
            data_type
        }
        _ => return Ok(None),
    };
    Ok(Some(data_type))
}

fn character(cursor: &mut Cursor<'_>) -> Read<DataType> {
    let varying = cursor.accept("VARYING");
    let mut data_type = DataType::named(if varying { "varchar" } else { "bpchar" });
    modifiers(cursor, &mut data_type)?;
    if !varying && data_type.modifiers.is_empty() {
        data_type.modifiers.push(1);
    }
    Ok(data_type)
}

fn interval_fields(cursor: &mut Cursor<'_>) -> Option<String> {
    const FIELDS: [&str; 6] = ["YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"];
    let from = cursor.accept_any(&FIELDS)?;
    let mut fields = from.to_ascii_lowercase();
    if cursor.is("TO")
        && let Some(to) = FIELDS.iter().find(|field| cursor.is_nth(1, field))
    {
        cursor.at += 2;
        fields.push_str(" to ");
        fields.push_str(&to.to_ascii_lowercase());
    }
    Some(fields)
}

/// `(50)`, `(10, 2)`, `(point, 4326)`; nothing where no parenthesis stands.
fn modifiers(cursor: &mut Cursor<'_>, data_type: &mut DataType) -> Read<()> {
    if !cursor.is_kind(Kind::LParen) {
        return Ok(());
    }
    let (start, end) = cursor.skip_parenthesized()?;
    let inside = &cursor.tokens[start..end];
    let mut numbers = Vec::new();
    let mut sign = 1_i32;
    let mut plain = true;
    for token in inside {
        let source = cursor.source(*token);
        match token.kind {
            Kind::Number => match source.parse::<i32>() {
                Ok(number) => numbers.push(number.saturating_mul(sign)),
                Err(_) => plain = false,
            },
            Kind::Operator if source == "-" => {
                sign = -1;
                continue;
            }
            Kind::Operator if source == "+" => {}
            Kind::Comma => {}
            _ => plain = false,
        }
        sign = 1;
    }
    if inside.is_empty() {
        return cursor.unexpected("a type modifier");
    }
    if plain {
        data_type.modifiers = numbers;
    } else {
        // As `format_type` joins them.
        let parts: Vec<&str> = cursor.source_of(start, end).split(',').map(str::trim).collect();
        data_type.fields = Some(parts.join(","));
    }
    Ok(())
}
