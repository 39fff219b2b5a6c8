//! Domains: their constraints, and the rows that are read for them.

use super::{Run, Step, refuse};
use crate::catalog::{Column, Domain, DomainCheck, Table, UserTypeKind};
use crate::data_type::DataType;
use crate::effects::UncertainEffect;
use crate::lock::LockMode;
use crate::name::{Ident, QualifiedName};
use crate::naming;
use crate::statement::{AlterDomainAction, CreateDomain, Persistence, Repeated, TableConstraintKind};
use crate::typing::Place;

impl Run {
    pub(super) fn is_domain(&self, data_type: &DataType) -> bool {
        let known = self.catalog().user_type(&data_type.name);
        known.is_some_and(|known| matches!(known.kind, UserTypeKind::Domain(_)))
    }

    pub(super) fn create_domain(&mut self, create: &CreateDomain) -> Step {
        let name = self.creation_name(&create.name, Persistence::Permanent);
        if self.catalog().user_type(&name).is_some() || self.has_row_type(&name) {
            return refuse("42710", format!("type \"{}\" already exists", name.name));
        }
        let base = self.resolve_type(&create.data_type)?;
        if is_pseudo_type(&base) {
            return refuse("42804", format!("\"{}\" is not a valid base type for a domain", base.name.name));
        }
        if create.collation.is_some() {
            self.need_collatable(&base)?;
            self.need_collation(create.collation.as_ref());
        }
        match create.repeated {
            Some(Repeated::Default) => return refuse("42601", "multiple default expressions"),
            Some(Repeated::NotNull) if self.version.at_least(18) => {
                return refuse("42P17", "redundant NOT NULL constraint definition");
            }
            Some(Repeated::Nullability) => return refuse("42601", "conflicting NULL/NOT NULL constraints"),
            Some(Repeated::NotNull) | None => {}
        }
        if let Some(default) = &create.default {
            self.check_expression(&default.node, None, Place::Default)?;
            super::create_table::check_literal(default, &crate::cast::base_type(self.catalog(), &base))?;
        }
        for (_, expr) in &create.checks {
            self.check_expression(&expr.node, Some(&of_value(&base)), Place::Check)?;
        }
        let mut domain = Domain {
            base,
            not_null: create.not_null,
            not_null_name: None,
            default: create.default.clone(),
            checks: Vec::new(),
        };
        if create.not_null {
            domain.not_null_name = self.not_null_name(&name, &domain, create.not_null_name.as_ref());
        }
        for (given, expr) in &create.checks {
            let check = DomainCheck {
                name: given.clone().unwrap_or_else(|| check_name(&name, &domain)),
                expr: expr.clone(),
                valid: true,
            };
            domain.checks.push(check);
        }
        self.put_type(&name, UserTypeKind::Domain(domain));
        Ok(())
    }

    pub(super) fn alter_domain(&mut self, name: &QualifiedName, action: &AlterDomainAction) -> Step {
        if let AlterDomainAction::AddConstraint { fault: Some(fault), .. } = action {
            if fault.message.ends_with("ENFORCED") {
                self.since(18, "ENFORCED")?;
            }
            return Err(fault.as_ref().clone());
        }
        let as_written = name;
        let Some(name) = self.known_type(as_written)? else { return Ok(()) };
        match action {
            AlterDomainAction::RenameTo(to) => return self.rename_type(&name, &name.sibling(to.truncated())),
            AlterDomainAction::SetSchema(schema) => {
                return self.move_type(&name, schema);
            }
            AlterDomainAction::OwnerTo(role) => {
                self.need_role(role);
                return Ok(());
            }
            _ => {}
        }
        let kind = self.catalog().user_type(&name).map(|known| known.kind.clone());
        let Some(UserTypeKind::Domain(mut domain)) = kind else {
            let shown = self.shown(&DataType { name, ..DataType::named("") });
            return refuse("42809", format!("{shown} is not a domain"));
        };
        let missing = |constraint: &Ident| {
            refuse("42704", format!("constraint \"{constraint}\" of domain \"{as_written}\" does not exist"))
        };
        match action {
            AlterDomainAction::SetDefault(expr) => {
                let base = crate::cast::base_type(self.catalog(), &domain.base);
                super::create_table::check_literal(expr, &base)?;
                domain.default = Some(expr.clone());
            }
            AlterDomainAction::DropDefault => domain.default = None,
            AlterDomainAction::SetNotNull => {
                if !domain.not_null {
                    self.read_domain_users(&name)?;
                    domain.not_null_name = self.not_null_name(&name, &domain, None);
                }
                domain.not_null = true;
            }
            AlterDomainAction::DropNotNull => (domain.not_null, domain.not_null_name) = (false, None),
            AlterDomainAction::AddConstraint { name: given, kind, not_valid, .. } => match kind {
                TableConstraintKind::Check { expr, .. } => {
                    let chosen = given.clone().unwrap_or_else(|| check_name(&name, &domain));
                    need_free_name(&name, &domain, &chosen)?;
                    if !not_valid {
                        self.read_domain_users(&name)?;
                    }
                    domain.checks.push(DomainCheck { name: chosen, expr: expr.clone(), valid: !not_valid });
                }
                TableConstraintKind::NotNull { .. } => {
                    self.since(17, "NOT")?;
                    if !domain.not_null {
                        if let Some(given) = given {
                            need_free_name(&name, &domain, given)?;
                        }
                        self.read_domain_users(&name)?;
                        domain.not_null_name = self.not_null_name(&name, &domain, given.as_ref());
                    }
                    domain.not_null = true;
                }
                _ => return refuse("42601", "constraint is not possible for domains"),
            },
            AlterDomainAction::DropConstraint { name: constraint, if_exists } => {
                if domain.not_null_name.as_ref() == Some(constraint) {
                    (domain.not_null, domain.not_null_name) = (false, None);
                    self.put_type(&name, UserTypeKind::Domain(domain));
                    return Ok(());
                }
                let before = domain.checks.len();
                domain.checks.retain(|check| check.name != *constraint);
                if domain.checks.len() == before && !if_exists {
                    return missing(constraint);
                }
            }
            AlterDomainAction::ValidateConstraint { name: constraint } => {
                if domain.not_null_name.as_ref() == Some(constraint) {
                    return refuse(
                        "42809",
                        format!("constraint \"{constraint}\" of domain \"{as_written}\" is not a check constraint"),
                    );
                }
                let Some(check) = domain.checks.iter_mut().find(|check| check.name == *constraint) else {
                    return missing(constraint);
                };
                // The rows are read whether it was valid or not.
                check.valid = true;
                self.read_domain_users(&name)?;
            }
            AlterDomainAction::RenameConstraint { from, to } => {
                let shown = self.shown(&DataType { name: name.clone(), ..DataType::named("") });
                if !has_constraint(&domain, from) {
                    return refuse("42704", format!("constraint \"{from}\" for domain {shown} does not exist"));
                }
                if has_constraint(&domain, to) {
                    return refuse("42710", format!("constraint \"{to}\" for domain {shown} already exists"));
                }
                for check in domain.checks.iter_mut().filter(|check| check.name == *from) {
                    check.name = to.truncated();
                }
                if domain.not_null_name.as_ref() == Some(from) {
                    domain.not_null_name = Some(to.truncated());
                }
            }
            AlterDomainAction::RenameTo(_) | AlterDomainAction::SetSchema(_) | AlterDomainAction::OwnerTo(_) => {}
        }
        self.put_type(&name, UserTypeKind::Domain(domain));
        Ok(())
    }

    /// Since 17 a domain's NOT NULL is a constraint with a name.
    fn not_null_name(&self, name: &QualifiedName, domain: &Domain, given: Option<&Ident>) -> Option<Ident> {
        self.version
            .at_least(17)
            .then(|| given.map_or_else(|| numbered_name(name, domain, "not_null"), Ident::truncated))
    }

    /// Every table with a column of the domain is read under SHARE.
    fn read_domain_users(&mut self, domain: &QualifiedName) -> Step {
        self.refuse_containers_of_domain(domain)?;
        for (table, _) in self.columns_of_type(domain) {
            if self.has_storage(&table) {
                self.lock(&table, LockMode::Share);
                self.may_fail(&table, "23502", format!("a row of {table} has NULL where it may not"));
                self.may_fail(&table, "23514", format!("a value in {table} violates the constraint"));
                self.may_fail(&table, "22000", format!("the constraint fails for a value in {table}"));
                self.scan(&table);
            }
        }
        let types = self.domains_over(domain);
        let materialized: Vec<_> =
            self.catalog().views().filter(|(_, view)| view.materialized).map(|(_, view)| view.clone()).collect();
        for view in materialized {
            let columns = self.output_types(&view.query);
            if columns.iter().flatten().any(|column| types.contains(&column.name)) {
                self.lock(&view.name, LockMode::Share);
                if view.populated {
                    self.effects.scans.insert(view.name.clone());
                }
                let name = &view.name;
                self.may_fail(name, "23502", format!("a row of {name} has NULL where it may not"));
                self.may_fail(name, "23514", format!("a value in {name} violates the constraint"));
            } else if columns.iter().any(Option::is_none) {
                let condition = format!("a column of {} has the type {domain}", view.name);
                self.maybe(&view.name, UncertainEffect::Lock(LockMode::Share), condition.clone());
                self.maybe(&view.name, UncertainEffect::Scan, condition);
            }
        }
        Ok(())
    }

    /// The type with the domains over it.
    pub(super) fn domains_over(&self, name: &QualifiedName) -> Vec<QualifiedName> {
        let mut types = vec![name.clone()];
        let mut next = 0;
        while let Some(current) = types.get(next).cloned() {
            next += 1;
            for user_type in self.catalog().types.values() {
                if let UserTypeKind::Domain(domain) = &user_type.kind
                    && domain.base.name == current
                    && !types.contains(&user_type.name)
                {
                    types.push(user_type.name.clone());
                }
            }
        }
        types
    }
}

fn has_constraint(domain: &Domain, name: &Ident) -> bool {
    domain.not_null_name.as_ref() == Some(name) || domain.checks.iter().any(|check| check.name == *name)
}

fn need_free_name(domain_name: &QualifiedName, domain: &Domain, name: &Ident) -> Step {
    if has_constraint(domain, name) {
        return refuse("42710", format!("constraint \"{name}\" for domain \"{}\" already exists", domain_name.name));
    }
    Ok(())
}

fn check_name(domain_name: &QualifiedName, domain: &Domain) -> Ident {
    numbered_name(domain_name, domain, "check")
}

/// `domain_check`, `domain_check1`, …
fn numbered_name(domain_name: &QualifiedName, domain: &Domain, kind: &str) -> Ident {
    let mut label = kind.to_owned();
    let mut number = 0_u32;
    loop {
        let name = naming::object_name(domain_name.name.as_str(), None, Some(&label));
        if !has_constraint(domain, &name) {
            return name;
        }
        number += 1;
        label = format!("{kind}{number}");
    }
}

/// `typtype` is `p`: types of arguments and results only.
pub(super) fn is_pseudo_type(data_type: &DataType) -> bool {
    const SCALARS: [&str; 25] = [
        "any",
        "anyarray",
        "anycompatible",
        "anycompatiblearray",
        "anycompatiblemultirange",
        "anycompatiblenonarray",
        "anycompatiblerange",
        "anyelement",
        "anyenum",
        "anymultirange",
        "anynonarray",
        "anyrange",
        "record",
        "cstring",
        "internal",
        "trigger",
        "event_trigger",
        "void",
        "unknown",
        "language_handler",
        "fdw_handler",
        "index_am_handler",
        "table_am_handler",
        "tsm_handler",
        "pg_ddl_command",
    ];
    let name = data_type.name.name.as_str();
    if data_type.name.schema.is_some() {
        return false;
    }
    if data_type.is_array() { matches!(name, "record" | "cstring") } else { SCALARS.contains(&name) }
}

/// `CheckAttributeType`: no column is of such a type.
pub(super) fn refuse_pseudo_type(column: &Ident, data_type: &DataType) -> Step {
    if !is_pseudo_type(data_type) {
        return Ok(());
    }
    let shown = if data_type.is("any") { "\"any\"".to_owned() } else { data_type.to_string() };
    refuse("42P16", format!("column \"{column}\" has pseudo-type {shown}"))
}

/// A table whose only column is what the checks of a domain call VALUE.
fn of_value(base: &DataType) -> Table {
    let mut table = Table::named(QualifiedName::new(Ident::new("value")));
    table.columns.push(Column { own: true, ..super::create_table::plain_column(&Ident::new("value"), base) });
    table
}
