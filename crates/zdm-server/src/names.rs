//! What operations speak of: models and fields, by name.

use std::sync::Arc;

use zdm_django::{Operation, OperationKind};
use zdm_source::SourceFile;

/// `AddField order.total`: the class with what it is about.
pub(crate) fn describe(file: &SourceFile, operation: &Operation) -> String {
    use OperationKind as Kind;
    // What is not analysed may have no class; then it is named as it is written.
    let written = || file.slice(operation.span).split(['(', '\n']).next().unwrap_or("").trim();
    let name = match operation.name() {
        "" if written().is_empty() => "operation",
        "" => written(),
        name => name,
    };
    match &operation.kind {
        Kind::RenameModel { old_name, new_name } => format!("{name} {old_name} to {new_name}"),
        Kind::RenameField { model_name, old_name, new_name } => format!("{name} {model_name}.{old_name} to {new_name}"),
        Kind::AddIndex { model_name, index, .. } => match &index.name {
            Some(index) => format!("{name} {index} on {model_name}"),
            None => format!("{name} on {model_name}"),
        },
        Kind::AddConstraint { model_name, constraint, .. } => format!("{name} {} on {model_name}", constraint.name),
        Kind::RemoveIndex { model_name, name: own, .. }
        | Kind::RemoveConstraint { model_name, name: own }
        | Kind::AlterConstraint { model_name, name: own, .. }
        | Kind::ValidateConstraint { model_name, name: own } => format!("{name} {own} on {model_name}"),
        Kind::RenameIndex { model_name, new_name, .. } => format!("{name} to {new_name} on {model_name}"),
        Kind::CreateExtension { name: own } | Kind::CreateCollation { name: own, .. } => format!("{name} {own}"),
        _ => match (model(operation), field(operation)) {
            (Some(model), Some(field)) => format!("{name} {model}.{field}"),
            (Some(model), None) => format!("{name} {model}"),
            _ => name.to_owned(),
        },
    }
}

/// The model that an operation is about, by the name that it has before it; as written.
pub(crate) fn model(operation: &Operation) -> Option<&Arc<str>> {
    use OperationKind as Kind;
    match &operation.kind {
        Kind::CreateModel { name, .. }
        | Kind::DeleteModel { name }
        | Kind::RenameModel { old_name: name, .. }
        | Kind::AlterModelTable { name, .. }
        | Kind::AlterModelTableComment { name, .. }
        | Kind::AlterUniqueTogether { name, .. }
        | Kind::AlterIndexTogether { name, .. }
        | Kind::AlterOrderWithRespectTo { name, .. }
        | Kind::AlterModelOptions { name, .. }
        | Kind::AlterModelManagers { name } => Some(name),
        Kind::AddField { model_name, .. }
        | Kind::RemoveField { model_name, .. }
        | Kind::AlterField { model_name, .. }
        | Kind::RenameField { model_name, .. }
        | Kind::AddIndex { model_name, .. }
        | Kind::RemoveIndex { model_name, .. }
        | Kind::RenameIndex { model_name, .. }
        | Kind::AddConstraint { model_name, .. }
        | Kind::RemoveConstraint { model_name, .. }
        | Kind::AlterConstraint { model_name, .. }
        | Kind::ValidateConstraint { model_name, .. } => Some(model_name),
        _ => None,
    }
}

/// The field that an operation is about, by the name that it has before it.
pub(crate) fn field(operation: &Operation) -> Option<&Arc<str>> {
    use OperationKind as Kind;
    match &operation.kind {
        Kind::AddField { field, .. } | Kind::AlterField { field, .. } => Some(&field.name),
        Kind::RemoveField { name, .. } => Some(name),
        Kind::RenameField { old_name, .. } => Some(old_name),
        _ => None,
    }
}

/// The operations inside of another one.
pub(crate) fn nested(operation: &Operation) -> Vec<&Operation> {
    match &operation.kind {
        OperationKind::SeparateDatabaseAndState { database_operations, state_operations } => {
            database_operations.iter().chain(state_operations).collect()
        }
        OperationKind::RunSql(run) => run.state_operations.iter().collect(),
        OperationKind::Known(known) => known.state_operations.iter().collect(),
        _ => Vec::new(),
    }
}

/// The innermost operation that covers an offset, with the index of its top-level operation.
pub(crate) fn operation_at(operations: &[Operation], offset: u32) -> Option<(usize, &Operation)> {
    let covers = |operation: &&Operation| operation.span.start <= offset && offset <= operation.span.end;
    let (index, mut found) = operations.iter().enumerate().find(|(_, operation)| covers(operation))?;
    while let Some(inner) = nested(found).into_iter().find(covers) {
        found = inner;
    }
    Some((index, found))
}

/// The string literal around an offset, on one line, without its quotes.
pub(crate) fn literal_at(file: &SourceFile, offset: u32) -> Option<&str> {
    let lines = file.lines();
    let span = lines.line_span(file.text(), lines.line_of(offset));
    let line = file.slice(span);
    let at = (offset.saturating_sub(span.start)) as usize;
    let mut open: Option<(usize, char)> = None;
    let mut escaped = false;
    for (index, character) in line.char_indices() {
        match open {
            Some((start, quote)) => {
                if !escaped && character == quote {
                    if start <= at && at <= index {
                        return line.get(start + 1..index);
                    }
                    open = None;
                }
                escaped = !escaped && character == '\\';
            }
            None if matches!(character, '"' | '\'') => {
                open = Some((index, character));
                escaped = false;
            }
            None if character == '#' => return None,
            None => {}
        }
    }
    None
}

/// The innermost operation's first line and the white space before it.
pub(crate) fn indentation(file: &SourceFile, offset: u32) -> (u32, &str) {
    let lines = file.lines();
    let span = lines.line_span(file.text(), lines.line_of(offset));
    let line = file.slice(span);
    let width = line.len() - line.trim_start_matches([' ', '\t']).len();
    (span.start, line.get(..width).unwrap_or(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_found_by_place() {
        let file = SourceFile::new("a.py", "x = f('one', \"t'wo\", 'th\\'ree') # 'four'\n");
        let at = |text: &str| literal_at(&file, u32::try_from(file.text().find(text).unwrap()).unwrap());
        assert_eq!(at("one"), Some("one"));
        assert_eq!(at("t'wo"), Some("t'wo"));
        assert_eq!(at("ree"), Some("th\\'ree"));
        assert_eq!(at("x ="), None);
        assert_eq!(at("four"), None);
    }
}
