//! What may stand in the expression of a default, a check, an index, a generated column or a change of type.

use super::{Run, Step, refuse};
use crate::catalog::{Table, UserTypeKind, sequences_in};
use crate::data_type::DataType;
use crate::expr::ExprNode;
use crate::name::{Ident, QualifiedName};
use crate::statement::{Query, TypeDefinition};
use crate::typing::{Columns, Names, Place, Scope};
use crate::volatility::Known;

impl Run {
    /// Refuses what is certainly wrong in it; of functions that nobody here has heard of, it says that they may be missing.
    pub(super) fn check_expression(&mut self, node: &ExprNode, table: Option<&Table>, place: Place) -> Step {
        for relation in sequences_in(node) {
            self.need_named(&relation)?;
        }
        self.check_functions_in(node, table, place)?;
        let mut unknown = Vec::new();
        node.walk(&mut |node| {
            if let ExprNode::Call { function, args, .. } = node
                && self.find_function(function).is_none()
                && self.function_volatility(function, args.len()) == Known::Unknown
            {
                unknown.push(function.clone());
            }
        });
        for function in unknown {
            self.function_may_be_missing(&function);
        }
        Ok(())
    }

    /// Roles are the cluster's: whether one exists is not known here.
    pub(super) fn need_role(&mut self, role: &Ident) {
        if !matches!(role.as_str(), "current_user" | "session_user" | "current_role" | "public") {
            self.may_fail_always("42704", format!("role {role} does not exist"));
        }
    }

    /// Tablespaces are the cluster's, and no migration makes them.
    pub(super) fn need_tablespace(&mut self, tablespace: Option<&Ident>) -> Step {
        match tablespace.map(Ident::as_str) {
            None | Some("pg_default") => Ok(()),
            Some("pg_global") => refuse("22023", "only shared relations can be placed in pg_global tablespace"),
            Some(name) => {
                self.may_fail_always("42704", format!("tablespace {name} does not exist"));
                Ok(())
            }
        }
    }

    /// A string that becomes a value of an enum is one of its values.
    pub(super) fn check_enum_literal(&self, node: &ExprNode, data_type: &DataType) -> Step {
        let ExprNode::Text(value) = node else { return Ok(()) };
        let Some(known) = self.catalog().user_type(&data_type.name).filter(|_| !data_type.is_array()) else {
            return Ok(());
        };
        if let UserTypeKind::Defined(TypeDefinition::Enum(values)) = &known.kind
            && !values.contains(value)
        {
            return refuse("22P02", format!("invalid input value for enum {}: \"{value}\"", self.shown(data_type)));
        }
        Ok(())
    }

    /// Of an explicit cast in what a query gives: a text that is no value of the enum, and a domain's constraints.
    pub(super) fn check_output_casts(&mut self, query: &Query) -> Step {
        let mut casts = Vec::new();
        for output in &query.output {
            output.expr.node.walk(&mut |node| {
                if let ExprNode::Cast { expr, data_type } = node {
                    casts.push((expr.clone(), data_type.clone()));
                }
            });
        }
        for (expr, data_type) in casts {
            let Ok(data_type) = self.resolve_type(&data_type) else { continue };
            self.check_enum_literal(&expr, &crate::cast::base_type(self.catalog(), &data_type))?;
            if crate::cast::domain_has_constraints(self.catalog(), &data_type) {
                self.may_fail_always("23000", format!("a value is none of domain {}", data_type.name));
            }
        }
        Ok(())
    }

    pub(super) fn scope_of<'a>(&'a self, columns: Columns<'a>, place: Place) -> Scope<'a> {
        Scope { catalog: self.catalog(), columns, version: self.version, place, names: self }
    }

    pub(super) fn check_functions_in(&self, node: &ExprNode, table: Option<&Table>, place: Place) -> Step {
        let columns = table.filter(|table| !table.assumed && !table.uncertain).map_or(Columns::Unknown, Columns::Table);
        let scope = self.scope_of(columns, place);
        match scope.mistake(node) {
            Some((sqlstate, message)) => refuse(sqlstate, message),
            None => self.check_functions(node),
        }
    }
}

impl Names for Run {
    fn function(&self, written: &QualifiedName) -> Option<QualifiedName> {
        self.find_function(written)
    }

    fn is_new_value(&self, name: &QualifiedName, value: &str) -> bool {
        self.state.facts.new_enum_values.iter().any(|(known, new)| known == name && new == value)
    }

    fn show(&self, data_type: &DataType) -> String {
        self.shown(data_type)
    }
}
