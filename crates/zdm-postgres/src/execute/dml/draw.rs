//! The sequences that a query draws from.

use crate::catalog::{Table, sequences_in};
use crate::effects::UncertainEffect;
use crate::execute::{Run, Step, refuse, written};
use crate::expr::ExprNode;
use crate::lock::LockMode;
use crate::name::{Ident, QualifiedName};
use crate::statement::{Query, SelectOutput, SourceKind};

impl Run {
    /// `nextval('s')` and `setval('s', …)` in the output; `set_config('name', 'value', local)` is SET.
    pub(super) fn used_sequences(&mut self, query: &Query) -> Step {
        for output in &query.output {
            if let ExprNode::Call { function, args, .. } = &*output.expr.node
                && function.name == "set_config"
                && let [ExprNode::Text(name), ExprNode::Text(value), ExprNode::Bool(local)] = args.as_slice()
            {
                self.check_parameter(name, Some(value))?;
                self.state.set(&crate::statement::SetParameter {
                    name: name.clone(),
                    value: Some(value.clone()),
                    local: *local,
                });
            }
            for written_name in sequences_in(&output.expr.node) {
                self.need_sequence(&written_name)?;
            }
            self.check_set_values(&output.expr.node)?;
            self.draw_from(&output.expr.node);
        }
        let mut drawn = Vec::new();
        self.draws_of(query, true, 0, &mut drawn);
        for (written_name, surely) in drawn {
            self.need_sequence(&written_name)?;
            let Some(sequence) = self.find(&written_name) else { continue };
            if surely {
                self.lock(&sequence, LockMode::RowExclusive);
            } else {
                self.maybe(&sequence, UncertainEffect::Lock(LockMode::RowExclusive), "there is a row to draw for");
            }
        }
        Ok(())
    }

    /// The sequences that a query draws from, in what is in it as well, each with whether it surely does.
    fn draws_of(&self, query: &Query, surely: bool, depth: u8, drawn: &mut Vec<(QualifiedName, bool)>) {
        if depth > 16 {
            return;
        }
        for select in &query.selects {
            let rows = select.sources.iter().all(|source| match &source.kind {
                SourceKind::Relation(name) => self.find(name).is_some_and(|name| !self.is_empty(&name)),
                SourceKind::Query { .. } | SourceKind::Function { .. } | SourceKind::Unknown => false,
            });
            let inserted = matches!(select.changes, Some("VALUES"))
                || (matches!(select.changes, Some("RETURNING")) && select.predicate.is_none());
            let all = select.predicate.is_none() && select.sources.len() < 2 && select.joins.is_empty();
            let sure = surely && (inserted || (rows && all && !query.says(&["limit"])));
            let outputs = select.output.iter().chain(&select.returning).filter_map(|output| match output {
                SelectOutput::Column(column) => Some((&column.expr, sure)),
                SelectOutput::Star(_) => None,
            });
            let joins = select.joins.iter().map(|(_, condition)| condition);
            let others = joins.chain(&select.predicate).chain(&select.group).chain(&select.having).chain(&select.order);
            for (expr, sure) in outputs.chain(others.map(|expr| (expr, false))) {
                drawn.extend(sequences_in(&expr.node).into_iter().map(|sequence| (sequence, sure)));
                expr.node.walk(&mut |node| {
                    if let ExprNode::Subquery { query, .. } = node {
                        self.draws_of(query, false, depth + 1, drawn);
                    }
                });
            }
            for source in &select.sources {
                match &source.kind {
                    SourceKind::Query { query, .. } => self.draws_of(query, false, depth + 1, drawn),
                    SourceKind::Relation(name) => {
                        let view = self.find(name).and_then(|name| self.catalog().view(&name).cloned());
                        if let Some(view) = view.filter(|view| !view.materialized) {
                            self.draws_of(&view.query, false, depth + 1, drawn);
                        }
                    }
                    SourceKind::Function { .. } | SourceKind::Unknown => {}
                }
            }
        }
        for table in &query.with {
            self.draws_of(&table.query, false, depth + 1, drawn);
        }
        if query.selects.is_empty() {
            let outputs = query.output.iter().flat_map(|output| sequences_in(&output.expr.node));
            drawn.extend(outputs.map(|sequence| (sequence, false)));
        }
    }

    /// What `nextval` and its kin are given is looked up when the statement is read, and must be a sequence when they run.
    fn need_sequence(&self, written_name: &QualifiedName) -> Step {
        self.need_named(written_name)?;
        match self.find(written_name) {
            Some(name) if self.catalog().sequence(&name).is_none() && !self.is_assumed(&name) => {
                self.no_sequence(&name)
            }
            _ => Ok(()),
        }
    }

    /// A relation that a literal of `regclass` names. That of an assumed table's column is not known.
    pub(in crate::execute) fn need_named(&self, written_name: &QualifiedName) -> Step {
        let of_assumed = |table: &Table| {
            (table.assumed || table.uncertain) && written_name.name.as_str().starts_with(table.name.name.as_str())
        };
        let known = self.catalog().is_incomplete()
            || self.find(written_name).is_some()
            || self.catalog().tables().any(|table| of_assumed(table));
        if known {
            return Ok(());
        }
        // `regclassin` knows soft errors since 16.
        if !self.version.at_least(16) {
            self.need_schema_of(written_name)?;
        }
        refuse("42P01", format!("relation \"{}\" does not exist", written(written_name)))
    }

    pub(in crate::execute) fn draw_from(&mut self, node: &ExprNode) {
        node.walk(&mut |node| {
            if let ExprNode::Call { function, .. } = node
                && matches!(function.name.as_str(), "currval" | "lastval")
            {
                self.may_fail_always("55000", "the session has not drawn from the sequence before");
            }
        });
        for written_name in sequences_in(node) {
            if let Some(sequence) = self.find(&written_name) {
                self.lock(&sequence, LockMode::RowExclusive);
            }
        }
        let mut serial = Vec::new();
        node.walk(&mut |node| {
            if let ExprNode::Call { function, args, .. } = node
                && matches!(function.name.as_str(), "setval" | "nextval")
                && let Some(ExprNode::Call { function: inner, args, .. }) = args.first()
                && inner.name == "pg_get_serial_sequence"
                && let [ExprNode::Text(table), ExprNode::Text(column)] = args.as_slice()
            {
                serial.push((crate::catalog::regclass(table), Ident::new(column.as_str())));
            }
        });
        for (table, column) in serial {
            let Some(table) = self.find(&table) else { continue };
            let sequence = self.catalog().sequences_of(&table).into_iter().find(|(owner, _)| *owner == column);
            if let Some((_, sequence)) = sequence {
                self.lock(&sequence, LockMode::RowExclusive);
            }
        }
    }

    /// COPY gives no value for the columns that it does not name.
    pub(in crate::execute) fn draw_defaults(&mut self, name: &QualifiedName, columns: &[Ident]) {
        if columns.is_empty() {
            return;
        }
        for column in self.table(name).columns.iter().filter(|column| !columns.contains(&column.name)) {
            let mut sequences: Vec<QualifiedName> =
                column.identity.iter().map(|identity| identity.sequence.clone()).collect();
            if let Some(default) = self.effective_default(column) {
                self.run_functions_in(&default.node);
                sequences.extend(sequences_in(&default.node).iter().filter_map(|sequence| self.find(sequence)));
            }
            for sequence in sequences {
                self.maybe(&sequence, UncertainEffect::Lock(LockMode::RowExclusive), "there are rows to copy");
            }
        }
    }
}
