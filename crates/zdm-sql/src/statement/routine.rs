//! Functions, procedures, triggers, rules, DO and CALL.

mod fault;

use zdm_postgres::statement::{CreateFunction, CreateTrigger, RoutineFaults, Volatility};
use zdm_postgres::{DataType, Ident, Statement};

use super::attribute;
use crate::cursor::{Cursor, Read};
use crate::data_type;
use crate::lexer::Kind;

pub(super) fn create_function(cursor: &mut Cursor<'_>) -> Read<Statement> {
    cursor.expect("CREATE")?;
    let or_replace = cursor.accept_all(&["OR", "REPLACE"]);
    let procedure = cursor.accept("PROCEDURE");
    if !procedure {
        cursor.expect("FUNCTION")?;
    }
    let name = cursor.any_name()?;
    let mut function = CreateFunction {
        name,
        or_replace,
        procedure,
        arguments: Vec::new(),
        argument_names: Vec::new(),
        defaults: 0,
        returns: None,
        returns_set: false,
        language: None,
        volatility: Volatility::Volatile,
        strict: false,
        body: None,
        statements: None,
        standard_body: false,
        all_arguments: Vec::new(),
        results: Vec::new(),
        faults: RoutineFaults::default(),
    };
    let mut all = parameters(cursor)?;
    let mut returns = procedure;
    if !procedure && cursor.is("RETURNS") && !cursor.is_nth(1, "NULL") {
        cursor.at += 1;
        returns = true;
        function.returns_set = cursor.is_any(&["SETOF", "TABLE"]);
        if cursor.accept("TABLE") {
            let columns = parameters(cursor)?;
            // One column is returned as itself.
            function.returns = match columns.as_slice() {
                [only] => only.data_type.clone(),
                _ => Some(DataType::named("record")),
            };
            all.extend(columns.into_iter().map(|column| Parameter { mode: Mode::Table, ..column }));
        } else {
            function.returns = routine_type(cursor)?;
        }
    }
    let results = all.iter().filter(|parameter| matches!(parameter.mode, Mode::Out | Mode::InOut | Mode::Table));
    function.results = results.map(|parameter| parameter.data_type.clone()).collect();
    let written = all.iter().any(|parameter| matches!(parameter.mode, Mode::Out | Mode::InOut));
    let table = all.iter().any(|parameter| parameter.mode == Mode::Table);
    if all.iter().any(Parameter::is_output_alone) {
        function.all_arguments = all.iter().map(|parameter| parameter.data_type.clone()).collect();
    }
    function.faults.arguments = fault::of_arguments(&all, procedure).map(Box::new);
    for parameter in all.into_iter().filter(|parameter| !parameter.is_output_alone()) {
        function.arguments.push(parameter.data_type);
        function.argument_names.push(parameter.name);
        function.defaults += usize::from(parameter.has_default);
    }
    let mut options = fault::Options::default();
    loop {
        let start = cursor.at;
        if !function_option(cursor, &mut function)? {
            break;
        }
        options.note(&Cursor::new(cursor.text, &cursor.tokens[start..cursor.at]), procedure);
    }
    returns |= written;
    if table && written {
        function.faults.options = Some(Box::new(fault::table_and_results()));
    } else {
        function.faults.options = options.fault(&function).map(Box::new);
    }
    function.faults.result = options.fault_of_result(&function, returns).map(Box::new);
    let sql = function.language.as_ref().map_or(function.standard_body, |language| *language == "sql");
    if sql && !cursor.nested {
        function.statements = function.body.as_deref().and_then(|body| body_statements(body, function.standard_body));
    }
    Ok(Statement::CreateFunction(function))
}

/// A type, or `None` where it is copied from a column (`table.column%TYPE`).
fn routine_type(cursor: &mut Cursor<'_>) -> Read<Option<DataType>> {
    cursor.accept("SETOF");
    let data_type = data_type::read(cursor)?;
    if cursor.is_operator("%") && cursor.is_nth(1, "TYPE") {
        cursor.at += 2;
        return Ok(None);
    }
    Ok(Some(data_type))
}

/// The input arguments' types.
pub(super) fn arguments(cursor: &mut Cursor<'_>) -> Read<Vec<Option<DataType>>> {
    let inputs = parameters(cursor)?.into_iter().filter(|parameter| !parameter.is_output_alone());
    Ok(inputs.map(|parameter| parameter.data_type).collect())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    In,
    Out,
    InOut,
    Variadic,
    /// A column of RETURNS TABLE.
    Table,
}

struct Parameter {
    mode: Mode,
    name: Option<Ident>,
    data_type: Option<DataType>,
    has_default: bool,
}

impl Parameter {
    fn is_output_alone(&self) -> bool {
        matches!(self.mode, Mode::Out | Mode::Table)
    }
}

fn parameters(cursor: &mut Cursor<'_>) -> Read<Vec<Parameter>> {
    let (start, end) = cursor.skip_parenthesized()?;
    let mut inside = Cursor::new(cursor.text, &cursor.tokens[start..end]);
    let mut arguments = Vec::new();
    while !inside.is_at_end() {
        let argument_end = inside.find_outside(|cursor, index| cursor.tokens[index].kind == Kind::Comma);
        let type_end = inside
            .find_outside(|cursor, index| {
                cursor.tokens[index].kind == Kind::Comma
                    || cursor.word_at(index, &["DEFAULT"])
                    || cursor.source(cursor.tokens[index]) == "="
                    || cursor.source(cursor.tokens[index]) == ":="
            })
            .min(argument_end);
        let mut argument = Cursor::new(inside.text, &inside.tokens[inside.at..type_end]);
        let mut written = mode(&mut argument);
        let mut unnamed = argument.clone();
        let (name, data_type) = match routine_type(&mut unnamed) {
            Ok(data_type) if unnamed.is_at_end() => (None, data_type),
            _ => {
                let name = argument.label()?;
                written = mode(&mut argument).or(written);
                let data_type = routine_type(&mut argument)?;
                argument.expect_end()?;
                (Some(name), data_type)
            }
        };
        let mode = written.unwrap_or(Mode::In);
        arguments.push(Parameter { mode, name, data_type, has_default: type_end < argument_end });
        inside.at = argument_end;
        if !inside.is_at_end() {
            inside.expect_kind(Kind::Comma, ",")?;
        }
    }
    Ok(arguments)
}

fn mode(cursor: &mut Cursor<'_>) -> Option<Mode> {
    // A mode never stands alone: `f(variadic)` does not exist, `f("out")` is quoted.
    if cursor.accept_all(&["IN", "OUT"]) {
        return Some(Mode::InOut);
    }
    cursor.accept_any(&["IN", "OUT", "INOUT", "VARIADIC"]).map(|mode| match mode {
        "OUT" => Mode::Out,
        "INOUT" => Mode::InOut,
        "VARIADIC" => Mode::Variadic,
        _ => Mode::In,
    })
}

pub(super) fn volatility(cursor: &mut Cursor<'_>) -> Option<Volatility> {
    Some(match cursor.accept_any(&["IMMUTABLE", "STABLE", "VOLATILE"])? {
        "IMMUTABLE" => Volatility::Immutable,
        "STABLE" => Volatility::Stable,
        _ => Volatility::Volatile,
    })
}

fn function_option(cursor: &mut Cursor<'_>, function: &mut CreateFunction) -> Read<bool> {
    if cursor.accept("LANGUAGE") {
        function.language = Some(match cursor.string() {
            Ok(language) => language.to_lowercase().into(),
            Err(_) => cursor.label()?,
        });
    } else if let Some(volatility) = volatility(cursor) {
        function.volatility = volatility;
    } else if cursor.accept_all(&["RETURNS", "NULL", "ON", "NULL", "INPUT"]) || cursor.accept("STRICT") {
        function.strict = true;
    } else if cursor.accept_all(&["CALLED", "ON", "NULL", "INPUT"]) {
        function.strict = false;
    } else if cursor.accept("LEAKPROOF") || cursor.accept_all(&["NOT", "LEAKPROOF"]) || cursor.accept("WINDOW") {
    } else if cursor.is("SECURITY") || cursor.are(&["EXTERNAL", "SECURITY"]) {
        cursor.accept("EXTERNAL");
        cursor.at += 1;
        if cursor.accept_any(&["INVOKER", "DEFINER"]).is_none() {
            return cursor.unexpected("INVOKER or DEFINER");
        }
    } else if cursor.accept("PARALLEL") {
        cursor.ident()?;
    } else if cursor.accept_any(&["COST", "ROWS"]).is_some() {
        cursor.expect_kind(Kind::Number, "a number")?;
    } else if cursor.accept("SUPPORT") {
        cursor.any_name()?;
    } else if cursor.accept("TRANSFORM") {
        cursor.list(|cursor| {
            cursor.expect_all(&["FOR", "TYPE"])?;
            cursor.data_type()
        })?;
    } else if cursor.accept("SET") {
        configuration(cursor)?;
    } else if cursor.accept("RESET") {
        cursor.dotted()?;
    } else if cursor.accept("AS") {
        function.body = Some(cursor.string()?);
        if cursor.accept_kind(Kind::Comma) {
            cursor.string()?;
        }
    } else if cursor.is("RETURN") {
        // SQL-standard bodies end the statement.
        function.standard_body = true;
        function.body = Some(cursor.source_of(cursor.at, cursor.tokens.len()).to_owned());
        cursor.at = cursor.tokens.len();
    } else if cursor.are(&["BEGIN", "ATOMIC"]) {
        let last = cursor.tokens.len() - 1;
        if !cursor.word_at(last, &["END"]) {
            return cursor.unexpected("a body with END");
        }
        function.standard_body = true;
        function.body = Some(cursor.source_of(cursor.at, cursor.tokens.len()).to_owned());
        cursor.at = cursor.tokens.len();
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// The statements of an SQL body, if all of them are understood: a text, `BEGIN ATOMIC … END`, or `RETURN …`.
fn body_statements(body: &str, standard: bool) -> Option<Vec<Statement>> {
    let returned;
    let inside = if !standard {
        body
    } else if let Some(expression) = body.get(..6).filter(|word| word.eq_ignore_ascii_case("RETURN")) {
        returned = format!("SELECT{}", &body[expression.len()..]);
        &returned
    } else {
        let behind_begin = body.get(5..)?.trim_start().get(6..)?;
        behind_begin.get(..behind_begin.len().checked_sub(3)?)?
    };
    let statements = super::read_body(inside);
    let understood = |statement: &Statement| !matches!(statement, Statement::Opaque(_));
    statements.iter().all(understood).then_some(statements)
}

/// `name { TO | = } value, …` or `name FROM CURRENT` behind SET.
fn configuration(cursor: &mut Cursor<'_>) -> Read<()> {
    if cursor.accept_all(&["TIME", "ZONE"]) {
        cursor.at += 1;
        return Ok(());
    }
    cursor.dotted()?;
    if cursor.accept_all(&["FROM", "CURRENT"]) {
        return Ok(());
    }
    if !cursor.accept_operator("=") {
        cursor.expect("TO")?;
    }
    cursor.list(|cursor| {
        if cursor.string().is_ok() || cursor.label().is_ok() {
            return Ok(());
        }
        if !cursor.accept_operator("-") {
            cursor.accept_operator("+");
        }
        cursor.expect_kind(Kind::Number, "a value")
    })?;
    Ok(())
}

pub(super) fn create_trigger(cursor: &mut Cursor<'_>) -> Read<Statement> {
    cursor.expect("CREATE")?;
    let or_replace = cursor.accept_all(&["OR", "REPLACE"]);
    let constraint = cursor.accept("CONSTRAINT");
    cursor.expect("TRIGGER")?;
    let name = cursor.ident()?;
    let timing = if cursor.accept_all(&["INSTEAD", "OF"]) {
        "INSTEAD OF"
    } else {
        match cursor.accept_any(&["BEFORE", "AFTER"]) {
            Some(timing) => timing,
            None => return cursor.unexpected("BEFORE, AFTER or INSTEAD OF"),
        }
    };
    let mut events = Vec::new();
    let mut update_of = Vec::new();
    loop {
        let Some(event) = cursor.accept_any(&["INSERT", "UPDATE", "DELETE", "TRUNCATE"]) else {
            return cursor.unexpected("an event");
        };
        events.push(event.to_owned());
        if event == "UPDATE" && cursor.accept("OF") {
            update_of = cursor.idents()?;
        }
        if !cursor.accept("OR") {
            break;
        }
    }
    cursor.expect("ON")?;
    let table = cursor.name()?;
    let from = if cursor.accept("FROM") { Some(cursor.name()?) } else { None };
    let start = cursor.at;
    let written = attribute::words(cursor);
    let words = if constraint || written.is_empty() {
        attribute::of_trigger(&written)
    } else {
        attribute::unexpected(cursor.source_of(start, start + 1))
    };
    let mut transitions = Vec::new();
    if cursor.accept("REFERENCING") {
        while let Some(rows) = cursor.accept_any(&["NEW", "OLD"]) {
            let Some(kind) = cursor.accept_any(&["TABLE", "ROW"]) else { return cursor.unexpected("TABLE") };
            cursor.accept("AS");
            transitions.push(fault::Transition { new: rows == "NEW", table: kind == "TABLE", name: cursor.ident()? });
        }
    }
    let transition_fault = fault::of_transitions(&transitions, &events).map(Box::new);
    let transition_tables = !transitions.is_empty();
    let mut for_each_row = false;
    if cursor.accept("FOR") {
        cursor.accept("EACH");
        match cursor.accept_any(&["ROW", "STATEMENT"]) {
            Some(each) => for_each_row = each == "ROW",
            None => return cursor.unexpected("ROW or STATEMENT"),
        }
    }
    let when = if cursor.accept("WHEN") { Some(cursor.parenthesized_expr()?) } else { None };
    cursor.expect("EXECUTE")?;
    if cursor.accept_any(&["FUNCTION", "PROCEDURE"]).is_none() {
        return cursor.unexpected("FUNCTION");
    }
    let function = cursor.any_name()?;
    cursor.skip_parenthesized()?;
    Ok(Statement::CreateTrigger(CreateTrigger {
        name,
        table,
        or_replace,
        constraint,
        timing: timing.to_owned(),
        events,
        update_of,
        for_each_row,
        transition_tables,
        transition_fault,
        when,
        from,
        attributes: attribute::attributes(&written),
        words,
        function,
    }))
}

/// `CREATE [OR REPLACE] RULE name AS ON event TO table [WHERE …] DO …`.
pub(super) fn create_rule(cursor: &mut Cursor<'_>) -> Read<Statement> {
    cursor.expect("CREATE")?;
    let or_replace = cursor.accept_all(&["OR", "REPLACE"]);
    cursor.expect("RULE")?;
    let name = cursor.ident()?;
    cursor.expect_all(&["AS", "ON"])?;
    let Some(event) = cursor.accept_any(&["SELECT", "INSERT", "UPDATE", "DELETE"]) else {
        return cursor.unexpected("an event");
    };
    cursor.expect("TO")?;
    let table = cursor.name()?;
    let behind = cursor.at;
    let conditional = cursor.is("WHERE");
    cursor.at = cursor.find_outside(|cursor, index| cursor.word_at(index, &["DO"]));
    cursor.expect("DO")?;
    let instead = cursor.accept_any(&["ALSO", "INSTEAD"]) == Some("INSTEAD");
    if cursor.is_at_end() {
        return cursor.unexpected("an action");
    }
    let actions = rule_actions(cursor)?;
    let columns = old_and_new(cursor, behind);
    cursor.at = cursor.tokens.len();
    Ok(Statement::CreateRule {
        name,
        table,
        or_replace,
        event: event.to_owned(),
        instead,
        conditional,
        columns,
        actions,
    })
}

/// `NOTHING`, one command, or several in parentheses.
fn rule_actions(cursor: &mut Cursor<'_>) -> Read<Vec<Statement>> {
    if cursor.accept("NOTHING") {
        return Ok(Vec::new());
    }
    let all = cursor.tokens.len();
    let several = cursor.is_kind(Kind::LParen) && !crate::query::begins(cursor);
    let (start, end) = if several { cursor.skip_parenthesized()? } else { (cursor.at, all) };
    let mut actions = Vec::new();
    let mut from = start;
    for index in start..=end {
        let ends = index == end || cursor.tokens.get(index).is_some_and(|token| token.kind == Kind::Semicolon);
        if ends && from < index {
            actions.push(super::read_part(cursor, from, index));
        }
        if ends {
            from = index + 1;
        }
    }
    Ok(actions)
}

/// The columns of `old.column` and `new.column` from a place on, each once.
fn old_and_new(cursor: &Cursor<'_>, from: usize) -> Vec<Ident> {
    let mut columns: Vec<Ident> = Vec::new();
    let mut ahead = cursor.clone();
    ahead.at = from;
    while !ahead.is_at_end() {
        if ahead.is_any(&["OLD", "NEW"]) && ahead.is_kind_nth(1, Kind::Dot) && ahead.is_ident_nth(2) {
            ahead.at += 2;
            if let Ok(column) = ahead.label()
                && !columns.contains(&column)
            {
                columns.push(column);
            }
        } else {
            ahead.at += 1;
        }
    }
    columns
}

pub(super) fn do_block(cursor: &mut Cursor<'_>) -> Read<Statement> {
    cursor.expect("DO")?;
    let mut language = None;
    let mut body = None;
    while !cursor.is_at_end() {
        if cursor.accept("LANGUAGE") {
            language = Some(match cursor.string() {
                Ok(language) => language.into(),
                Err(_) => cursor.label()?,
            });
        } else {
            body = Some(cursor.string()?);
        }
    }
    match body {
        Some(body) => Ok(Statement::Do { language, body }),
        None => cursor.unexpected("a body"),
    }
}

pub(super) fn call(cursor: &mut Cursor<'_>) -> Read<Statement> {
    cursor.expect("CALL")?;
    let procedure = cursor.any_name()?;
    cursor.skip_parenthesized()?;
    Ok(Statement::Call { procedure })
}
