//! The key that a table is divided by (`transformPartitionSpec`, `ComputePartitionAttrs`).

use super::create_table::is_system_column;
use super::{Run, Step, refuse};
use crate::catalog::Table;
use crate::expr::{ExprNode, SqlExpr};
use crate::name::Ident;
use crate::statement::PartitionBy;
use crate::typing::Place;

impl Run {
    pub(super) fn check_partition_key(&mut self, table: &Table, partition_by: &PartitionBy) -> Step {
        let strategy = partition_by.strategy.to_ascii_lowercase();
        if !matches!(strategy.as_str(), "list" | "range" | "hash") {
            return refuse("22023", format!("unrecognized partitioning strategy \"{strategy}\""));
        }
        let own_row = |column: &Ident| table.column(column.as_str()).is_none() && *column == table.name.name;
        if strategy == "list" && partition_by.columns.len() + partition_by.expressions.len() > 1 {
            return refuse("42P17", "cannot use \"list\" partition strategy with more than one column");
        }
        for expression in &partition_by.expressions {
            self.check_expression(&expression.node, Some(table), Place::PartitionKey)?;
        }
        if table.assumed {
            return Ok(());
        }
        let whole = |expression: &SqlExpr| expression.node.columns().iter().any(own_row);
        let since_13 = self.version.at_least(13);
        if !since_13 && partition_by.expressions.iter().any(whole) {
            return whole_row();
        }
        for column in &partition_by.columns {
            match table.column(column.as_str()) {
                // Version 12 takes one in parentheses, which are not read.
                Some(known) if known.generated.is_some() && !since_13 => {
                    self.may_fail_always("42P17", "a generated column is in the partition key");
                }
                Some(known) if known.generated.is_some() => return computed(),
                None if own_row(column) && !since_13 => return whole_row(),
                None if own_row(column) => Self::check_row_as_key(table)?,
                None if is_system_column(column) => {
                    return refuse("42P17", format!("cannot use system column \"{column}\" in partition key"));
                }
                None => {
                    return refuse("42703", format!("column \"{column}\" named in partition key does not exist"));
                }
                Some(_) => {}
            }
        }
        for (place, expression) in partition_by.expressions.iter().enumerate() {
            let place = partition_by.columns.len() + place + 1;
            let pseudo = match &*expression.node {
                ExprNode::Row(_) => Some("record"),
                ExprNode::Text(_) | ExprNode::Null => Some("unknown"),
                _ => None,
            };
            if let Some(pseudo) = pseudo {
                return refuse("42P16", format!("partition key column {place} has pseudo-type {pseudo}"));
            }
            for column in expression.node.columns() {
                match table.column(column.as_str()) {
                    Some(known) if known.generated.is_some() => return computed(),
                    None if own_row(&column) => Self::check_row_as_key(table)?,
                    _ => {}
                }
            }
            if self.is_surely_mutable(&expression.node, table) {
                return refuse("42P17", "functions in partition key expression must be marked IMMUTABLE");
            }
            if is_constant(&expression.node) {
                return refuse("42P17", "cannot use constant expression as partition key");
            }
        }
        Ok(())
    }

    /// The whole row has every column in it.
    fn check_row_as_key(table: &Table) -> Step {
        if table.columns.iter().any(|column| column.generated.is_some()) { computed() } else { Ok(()) }
    }
}

/// What certainly comes to one value.
fn is_constant(node: &ExprNode) -> bool {
    match node {
        ExprNode::Number(_) | ExprNode::Bool(_) => true,
        ExprNode::Prefix { expr, .. } => is_constant(expr),
        _ => false,
    }
}

fn whole_row<T>() -> Step<T> {
    refuse("42P17", "partition key expressions cannot contain whole-row references")
}

fn computed<T>() -> Step<T> {
    refuse("42P17", "cannot use generated column in partition key")
}
