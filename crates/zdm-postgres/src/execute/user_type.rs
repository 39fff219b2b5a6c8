//! Types, domains, functions, schemas and extensions: objects that tables depend on.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Run, Step, candidates, refuse, written};
use crate::catalog::{ConstraintKind, Function, Relation, Table, UserType, UserTypeKind};
use crate::data_type::DataType;
use crate::expr::ExprNode;
use crate::lock::LockMode;
use crate::name::{Ident, QualifiedName};
use crate::statement::{
    AlterTypeAction, DropBehavior, DropObjects, IndexKey, ObjectKind, Persistence, TypeDefinition, Volatility,
};

impl Run {
    pub(super) fn create_type(&mut self, name: &QualifiedName, definition: &TypeDefinition) -> Step {
        let name = self.creation_name(name, Persistence::Permanent);
        let shell = matches!(
            self.catalog().user_type(&name).map(|known| &known.kind),
            Some(UserTypeKind::Defined(TypeDefinition::Shell))
        );
        if (self.catalog().user_type(&name).is_some() && !shell) || self.has_row_type(&name) {
            return refuse("42710", format!("type \"{}\" already exists", name.name));
        }
        if matches!(definition, TypeDefinition::Composite(_)) && self.catalog().relation(&name).is_some() {
            return refuse("42P07", format!("relation \"{}\" already exists", name.name));
        }
        if let TypeDefinition::Enum(values) = definition {
            values.iter().try_for_each(|value| check_label(value))?;
            if values.iter().enumerate().any(|(place, value)| values[..place].contains(value)) {
                return refuse("23505", "duplicate key value violates unique constraint \"pg_enum_typid_label_index\"");
            }
        }
        let mut definition = definition.clone();
        if let TypeDefinition::Composite(attributes) = &mut definition {
            for (_, data_type) in attributes.iter_mut() {
                *data_type = self.resolve_type(data_type)?;
            }
            for (place, (attribute, data_type)) in attributes.iter().enumerate() {
                if attributes.iter().take(place).any(|(before, _)| before == attribute) {
                    return refuse("42701", format!("column \"{attribute}\" specified more than once"));
                }
                super::domain::refuse_pseudo_type(attribute, data_type)?;
            }
        }
        self.put_type(&name, UserTypeKind::Defined(definition));
        self.state.facts.created_types.insert(name);
        Ok(())
    }

    /// A new table brings a type of its name.
    pub(super) fn need_free_row_type(&self, name: &QualifiedName) -> Step {
        if self.catalog().user_type(name).is_some() {
            return refuse("42710", format!("type \"{}\" already exists", name.name));
        }
        Ok(())
    }

    /// The rows of a table or view are of a type of the same name.
    pub(super) fn has_row_type(&self, name: &QualifiedName) -> bool {
        matches!(self.catalog().relation(name), Some(Relation::Table(table)) if !table.assumed)
            || matches!(self.catalog().relation(name), Some(Relation::View(_)))
    }

    pub(super) fn put_type(&mut self, name: &QualifiedName, kind: UserTypeKind) {
        let user_type = UserType { name: name.clone(), kind };
        self.catalog_mut().types.insert_mut(name.clone(), Arc::new(user_type));
    }

    /// The columns of the type, of domains over it, and of arrays of it.
    pub(super) fn columns_of_type(&self, name: &QualifiedName) -> Vec<(QualifiedName, Ident)> {
        let types = self.domains_over(name);
        let mut found: Vec<(bool, QualifiedName, Ident)> = Vec::new();
        for table in self.tables_of_types(&types) {
            let columns = table.columns.iter().filter(|column| types.contains(&column.data_type.name));
            found.extend(columns.map(|column| (column.inherited, table.name.clone(), column.name.clone())));
        }
        // A parent was there before its children.
        found.sort_by_key(|(inherited, ..)| *inherited);
        found.into_iter().map(|(_, table, column)| (table, column)).collect()
    }

    /// The tables that name one of the types, sorted.
    fn tables_of_types(&self, types: &[QualifiedName]) -> Vec<Arc<Table>> {
        let mut tables: Vec<Arc<Table>> =
            types.iter().flat_map(|name| self.catalog().tables_naming_type(&name.name)).cloned().collect();
        tables.sort_by(|one, other| one.name.cmp(&other.name));
        tables.dedup_by(|one, other| one.name == other.name);
        tables
    }

    /// The type's catalog name; `None` where it may exist unknown to the catalog.
    pub(super) fn known_type(&self, name: &QualifiedName) -> Step<Option<QualifiedName>> {
        match self.find_type(name) {
            Some(name) => Ok(Some(name)),
            None if self.catalog().is_incomplete() => Ok(None),
            None => {
                self.need_schema_of(name)?;
                refuse("42704", format!("type \"{}\" does not exist", written(name)))
            }
        }
    }

    pub(super) fn alter_type(&mut self, name: &QualifiedName, action: &AlterTypeAction) -> Step {
        if *action == AlterTypeAction::SetProperties {
            self.since(13, "(")?;
        }
        let attribute = matches!(
            action,
            AlterTypeAction::AddAttribute { .. }
                | AlterTypeAction::DropAttribute { .. }
                | AlterTypeAction::AlterAttribute { .. }
                | AlterTypeAction::RenameAttribute { .. }
                | AlterTypeAction::Several(_)
        );
        if attribute && self.find_type(name).is_none() && !self.catalog().is_incomplete() {
            self.need_schema_of(name)?;
            return refuse("42P01", format!("relation \"{}\" does not exist", written(name)));
        }
        let Some(name) = self.known_type(name)? else { return Ok(()) };
        let kind = self.catalog().user_type(&name).map(|known| known.kind.clone());
        let of_enum = matches!(action, AlterTypeAction::AddValue { .. } | AlterTypeAction::RenameValue { .. });
        if of_enum && !matches!(&kind, Some(UserTypeKind::Defined(TypeDefinition::Enum(_))) | None) {
            let shown = self.shown(&DataType { name, ..DataType::named("") });
            return refuse("42809", format!("{shown} is not an enum"));
        }
        let Some(UserTypeKind::Defined(definition)) = kind else { return Ok(()) };
        let base =
            !matches!(definition, TypeDefinition::Enum(_) | TypeDefinition::Composite(_) | TypeDefinition::Range);
        if *action == AlterTypeAction::SetProperties && !base {
            let shown = self.shown(&DataType { name, ..DataType::named("") });
            return refuse("42809", format!("{shown} is not a base type"));
        }
        self.change_typed_tables(&name, action)?;
        match (action, definition) {
            (AlterTypeAction::Several(actions), _) => {
                actions.iter().try_for_each(|action| self.alter_type(&name, action))
            }
            (AlterTypeAction::RenameTo(to), _) => self.rename_type(&name, &name.sibling(to.truncated())),
            (AlterTypeAction::SetSchema(schema), _) => self.move_type(&name, schema),
            (AlterTypeAction::AddValue { value, if_not_exists, before, after }, TypeDefinition::Enum(mut values)) => {
                check_label(value)?;
                if values.contains(value) {
                    if *if_not_exists {
                        return Ok(());
                    }
                    return refuse("42710", format!("enum label \"{value}\" already exists"));
                }
                let place = |label: &String| -> Step<usize> {
                    match values.iter().position(|known| known == label) {
                        Some(place) => Ok(place),
                        None => refuse("22023", format!("\"{label}\" is not an existing enum label")),
                    }
                };
                let position = match (before, after) {
                    (Some(label), _) => place(label)?,
                    (None, Some(label)) => place(label)? + 1,
                    (None, None) => values.len(),
                };
                values.insert(position, value.clone());
                // A type made in this transaction may use its new values at once, since 17 also if it was extended.
                if !(self.state.facts.created_types.contains(&name) && self.version.at_least(17)) {
                    self.state.facts.new_enum_values.insert((name.clone(), value.clone()));
                }
                self.put_type(&name, UserTypeKind::Defined(TypeDefinition::Enum(values)));
                Ok(())
            }
            (AlterTypeAction::RenameValue { from, to }, TypeDefinition::Enum(mut values)) => {
                check_label(to)?;
                let taken = values.contains(to);
                let Some(known) = values.iter_mut().find(|known| *known == from) else {
                    return refuse("22023", format!("\"{from}\" is not an existing enum label"));
                };
                if taken {
                    return refuse("42710", format!("enum label \"{to}\" already exists"));
                }
                known.clone_from(to);
                self.put_type(&name, UserTypeKind::Defined(TypeDefinition::Enum(values)));
                self.rename_label(&name, from, to);
                Ok(())
            }
            (_, TypeDefinition::Composite(attributes)) => self.alter_attribute(&name, action, attributes),
            _ => Ok(()),
        }
    }

    /// The typed tables of a type.
    fn tables_of(&self, name: &QualifiedName) -> Vec<QualifiedName> {
        let typed = self.catalog().tables().filter(|table| table.of_type.as_ref() == Some(name));
        typed.map(|table| table.name.clone()).collect()
    }

    /// Typed tables follow their type with CASCADE, and forbid the change without it.
    fn change_typed_tables(&mut self, name: &QualifiedName, action: &AlterTypeAction) -> Step {
        use crate::statement::{AlterTable, AlterTableAction, ColumnDef, Only};
        let typed = self.tables_of(name);
        if typed.is_empty() {
            return Ok(());
        }
        let (behavior, change) = match action {
            AlterTypeAction::AddAttribute { name: column, data_type, behavior } => {
                let column = ColumnDef {
                    name: column.clone(),
                    data_type: Some(data_type.clone()),
                    collation: None,
                    storage: None,
                    compression: None,
                    constraints: Vec::new(),
                };
                (*behavior, AlterTableAction::AddColumn { column, if_not_exists: false })
            }
            AlterTypeAction::DropAttribute { name: column, behavior, .. } => (
                *behavior,
                AlterTableAction::DropColumn {
                    name: column.clone(),
                    if_exists: true,
                    behavior: DropBehavior::Restrict,
                },
            ),
            AlterTypeAction::AlterAttribute { name: column, data_type, behavior } => (
                *behavior,
                AlterTableAction::AlterColumnType {
                    column: column.clone(),
                    data_type: data_type.clone(),
                    collation: None,
                    using: None,
                },
            ),
            AlterTypeAction::RenameAttribute { from, to, behavior } => {
                (*behavior, AlterTableAction::RenameColumn { from: from.clone(), to: to.clone() })
            }
            _ => return Ok(()),
        };
        if behavior == DropBehavior::Restrict {
            return refuse(
                "2BP01",
                format!("cannot alter type \"{}\" because it is the type of a typed table", name.name),
            );
        }
        for table in typed {
            // What a typed table forbids by itself, its type may do.
            self.catalog_mut().edit_table(&table, |table| table.of_type = None);
            let alter = AlterTable {
                keyword: ObjectKind::Table,
                name: table.clone(),
                if_exists: false,
                only: Only(false),
                actions: vec![change.clone()],
            };
            let changed = self.alter_table(&alter);
            self.catalog_mut().edit_table(&table, |table| table.of_type = Some(name.clone()));
            changed?;
        }
        Ok(())
    }

    /// Defaults of the type's columns mean the value, whatever its label.
    fn rename_label(&mut self, name: &QualifiedName, from: &str, to: &str) {
        for (table, column) in self.columns_of_type(name) {
            self.settle_expressions(&table, &column);
            self.catalog_mut().edit_table(&table, |table| {
                let checks = table.constraints.iter_mut().filter_map(|constraint| match &mut constraint.kind {
                    ConstraintKind::Check { expr, .. } => Some(expr),
                    _ => None,
                });
                let keys = table.indexes.iter_mut().flat_map(|index| {
                    let keys = index.elements.iter_mut().filter_map(|element| match &mut element.key {
                        IndexKey::Expr(expr) => Some(expr),
                        IndexKey::Column(_) => None,
                    });
                    index.predicate.iter_mut().chain(keys)
                });
                for expr in checks.chain(keys) {
                    let mut node = ExprNode::clone(&expr.node);
                    rename_literals(&mut node, name, from, to);
                    if node != *expr.node {
                        *expr = crate::expr::SqlExpr::new(expr.text.clone(), node);
                    }
                }
            });
            self.catalog_mut().edit_table(&table, |table| {
                for known in table.columns.iter_mut().filter(|known| known.name == column) {
                    let Some(default) = &mut known.default else { continue };
                    let mut node = ExprNode::clone(&default.node);
                    let mut literal = &mut node;
                    while let ExprNode::Cast { expr, .. } = literal {
                        literal = expr;
                    }
                    if let ExprNode::Text(text) = literal
                        && text == from
                    {
                        to.clone_into(text);
                        *default = crate::expr::SqlExpr::new(crate::name::quote_literal(to), node);
                    }
                }
            });
        }
    }

    /// Where it is already, nothing is looked at.
    pub(super) fn move_type(&mut self, name: &QualifiedName, schema: &Ident) -> Step {
        let to = QualifiedName::with_schema(schema.clone(), name.name.clone());
        self.need_schema_of(&to)?;
        if to == *name { Ok(()) } else { self.rename_type(name, &to) }
    }

    /// Columns, domains and functions name their types, so they follow.
    pub(super) fn rename_type(&mut self, from: &QualifiedName, to: &QualifiedName) -> Step {
        if self.catalog().user_type(to).is_some() {
            return refuse("42710", format!("type \"{}\" already exists", to.name));
        }
        let Some(known) = self.catalog().user_type(from).cloned() else { return Ok(()) };
        self.rename_casts(from, to);
        self.catalog_mut().types.remove_mut(from);
        self.put_type(to, known.kind.clone());
        self.rename_type_in_users(from, to);
        if self.state.facts.created_types.remove(from) {
            self.state.facts.created_types.insert(to.clone());
        }
        Ok(())
    }

    /// What names a type, or the row type of a relation, follows it.
    pub(super) fn rename_type_in_users(&mut self, from: &QualifiedName, to: &QualifiedName) {
        let rename = |data_type: &mut DataType| {
            if data_type.name == *from {
                data_type.name = to.clone();
            }
        };
        for (table, _) in self.columns_of_type(from) {
            self.catalog_mut().edit_table(&table, |table| {
                table.columns.iter_mut().for_each(|column| rename(&mut column.data_type));
            });
        }
        let types: Vec<Arc<UserType>> = self.catalog().types.values().cloned().collect();
        for user_type in types {
            let mut kind = user_type.kind.clone();
            match &mut kind {
                UserTypeKind::Domain(domain) => rename(&mut domain.base),
                UserTypeKind::Defined(TypeDefinition::Composite(attributes)) => {
                    for (_, data_type) in attributes {
                        rename(data_type);
                    }
                }
                UserTypeKind::Defined(_) => continue,
            }
            if kind != user_type.kind {
                self.put_type(&user_type.name, kind);
            }
        }
        let functions: Vec<(QualifiedName, Arc<Vec<Function>>)> =
            self.catalog().functions.iter().map(|(name, overloads)| (name.clone(), overloads.clone())).collect();
        for (name, overloads) in functions {
            let mut changed = overloads.as_ref().clone();
            for function in &mut changed {
                function.arguments.iter_mut().flatten().chain(&mut function.returns).for_each(rename);
            }
            if changed != *overloads {
                self.catalog_mut().functions.insert_mut(name, Arc::new(changed));
            }
        }
    }

    /// 55P04: a value added to an enum in this transaction cannot be used in it.
    pub(super) fn check_new_enum_values(&self, text: &str, uses_type: &dyn Fn(&QualifiedName) -> bool) -> Step {
        for (name, value) in &self.state.facts.new_enum_values {
            if text.contains(&crate::name::quote_literal(value)) && uses_type(name) {
                let shown = self.shown(&DataType { name: name.clone(), ..DataType::named("") });
                return refuse("55P04", format!("unsafe use of new value \"{value}\" of enum type {shown}"));
            }
        }
        Ok(())
    }

    /// As [`Self::check_new_enum_values`], of an expression that is stored: a default (`wanted` is its column's type), a
    /// CHECK, a predicate. The server reads a literal as a value of the enum where it is compared with a column of it.
    pub(super) fn check_new_enum_expr(
        &self,
        node: &ExprNode,
        table: Option<&Table>,
        wanted: Option<&DataType>,
    ) -> Step {
        if self.state.facts.new_enum_values.is_empty() {
            return Ok(());
        }
        let mut used: Vec<(String, QualifiedName)> = Vec::new();
        if let (ExprNode::Text(text), Some(wanted)) = (node, wanted) {
            used.push((text.clone(), wanted.name.clone()));
        }
        let type_of = |node: &ExprNode| match node {
            ExprNode::Column { name, .. } => Some(table?.column(name.as_str())?.data_type.name.clone()),
            _ => None,
        };
        node.walk(&mut |node| match node {
            ExprNode::Cast { expr, data_type } => {
                if let (ExprNode::Text(text), Some(name)) = (&**expr, self.find_type(&data_type.name)) {
                    used.push((text.clone(), name));
                }
            }
            ExprNode::Infix { left, right, .. } => {
                for (one, other) in [(left, right), (right, left)] {
                    if let (Some(name), ExprNode::Text(text)) = (type_of(one), &**other) {
                        used.push((text.clone(), name));
                    }
                }
            }
            ExprNode::InList { expr, list, .. } => {
                let Some(name) = type_of(expr) else { return };
                for item in list {
                    if let ExprNode::Text(text) = item {
                        used.push((text.clone(), name.clone()));
                    }
                }
            }
            _ => {}
        });
        for (value, name) in used {
            if self.state.facts.new_enum_values.contains(&(name.clone(), value.clone())) {
                let shown = self.shown(&DataType { name, ..DataType::named("") });
                return refuse("55P04", format!("unsafe use of new value \"{value}\" of enum type {shown}"));
            }
        }
        Ok(())
    }

    pub(super) fn drop_types(&mut self, drop: &DropObjects) -> Step {
        for written_name in &drop.names {
            let Some(name) = self.find_type(written_name) else {
                if let Some(relation) = self.find(written_name).filter(|found| self.catalog().table(found).is_some()) {
                    let name = self.described(&relation);
                    return refuse("2BP01", format!("cannot drop type {name} because table {name} requires it"));
                }
                if drop.if_exists || self.catalog().is_incomplete() || !self.extensions_are_known() {
                    continue;
                }
                self.need_schema_of(written_name)?;
                return refuse("42704", format!("type \"{}\" does not exist", written(written_name)));
            };
            let domain =
                self.catalog().user_type(&name).is_some_and(|known| matches!(known.kind, UserTypeKind::Domain(_)));
            if drop.kind == ObjectKind::Domain && !domain {
                return refuse("42809", format!("\"{}\" is not a domain", name.name));
            }
            self.drop_columns_of(&name, drop.behavior, "type", &written(&name))?;
            self.catalog_mut().types.remove_mut(&name);
        }
        Ok(())
    }

    /// CASCADE drops the columns; otherwise 2BP01 if there are any.
    fn drop_columns_of(&mut self, name: &QualifiedName, behavior: DropBehavior, word: &str, object: &str) -> Step {
        self.drop_over(name, behavior, (word, object), &mut BTreeSet::new())
    }

    /// `done`: the types whose users go already. A type that nobody is known to have made may be defined over itself.
    fn drop_over(
        &mut self,
        name: &QualifiedName,
        behavior: DropBehavior,
        (word, object): (&str, &str),
        done: &mut BTreeSet<QualifiedName>,
    ) -> Step {
        if !done.insert(name.clone()) {
            return Ok(());
        }
        let columns = self.columns_of_type(name);
        // The tables of a type go with it.
        let typed = self.tables_of(name);
        let (domains, attributes, functions) = self.types_over(name);
        let users = self.type_users(name);
        let unused =
            columns.is_empty() && typed.is_empty() && domains.is_empty() && attributes.is_empty() && users.is_empty();
        if !(unused && functions.is_empty()) && behavior == DropBehavior::Restrict {
            let bare = QualifiedName::as_written(None, name.name.clone());
            let visible = self.find_type(&bare).as_ref() == Some(name);
            let object = if visible { crate::data_type::quoted_if_needed(&name.name) } else { object.to_owned() };
            return refuse("2BP01", format!("cannot drop {word} {object} because other objects depend on it"));
        }
        self.remove_relations(&typed, DropBehavior::Cascade, "table")?;
        self.drop_columns(columns)?;
        self.drop_users(&users)?;
        for domain in domains {
            self.drop_over(&domain, behavior, (word, object), done)?;
            self.catalog_mut().types.remove_mut(&domain);
        }
        for (composite, attribute) in attributes {
            let drop = AlterTypeAction::DropAttribute { name: attribute, if_exists: true, behavior };
            self.alter_type(&composite, &drop)?;
        }
        self.drop_functions_over(name, &functions)
    }

    /// What is defined over a type: domains, attributes of composite types, and functions that take or give it.
    fn types_over(
        &self,
        name: &QualifiedName,
    ) -> (Vec<QualifiedName>, Vec<(QualifiedName, Ident)>, Vec<QualifiedName>) {
        let (mut domains, mut attributes) = (Vec::new(), Vec::new());
        for user_type in self.catalog().types.values() {
            match &user_type.kind {
                UserTypeKind::Domain(domain) if domain.base.name == *name => domains.push(user_type.name.clone()),
                UserTypeKind::Defined(TypeDefinition::Composite(all)) => {
                    let of_type = all.iter().filter(|(_, data_type)| data_type.name == *name);
                    attributes.extend(of_type.map(|(attribute, _)| (user_type.name.clone(), attribute.clone())));
                }
                _ => {}
            }
        }
        let uses = |function: &Function| self.takes_or_gives(function, name);
        let functions = self.catalog().functions.iter().filter(|(_, overloads)| overloads.iter().any(uses));
        (domains, attributes, functions.map(|(name, _)| name.clone()).collect())
    }

    pub(super) fn takes_or_gives(&self, function: &Function, name: &QualifiedName) -> bool {
        let names = |data_type: &DataType| self.find_type(&data_type.name).as_ref() == Some(name);
        function.arguments.iter().flatten().chain(&function.returns).any(names)
    }

    pub(super) fn drop_columns(&mut self, columns: Vec<(QualifiedName, Ident)>) -> Step {
        for (table, column) in columns {
            self.lock(&table, LockMode::AccessExclusive);
            let known = self.table(&table);
            // A partitioned table goes with a column of its key (`StorePartitionKey`).
            if known.partition_by.as_ref().is_some_and(|by| by.is_on(&column)) {
                self.remove_relations(&[table], DropBehavior::Cascade, "table")?;
                continue;
            }
            // An inherited column goes as its parent's does.
            if known.column(column.as_str()).is_some() {
                self.drop_column_of(&table, &column, DropBehavior::Cascade)?;
            }
        }
        Ok(())
    }

    pub(super) fn drop_extensions(&mut self, drop: &DropObjects) -> Step {
        for name in &drop.names {
            let name = name.name.clone();
            if !self.catalog().has_extension(name.as_str()) {
                if drop.if_exists || self.catalog().is_incomplete() {
                    continue;
                }
                return refuse("42704", format!("extension \"{name}\" does not exist"));
            }
            let types: Vec<QualifiedName> = self
                .catalog()
                .tables()
                .flat_map(|table| table.columns.iter().map(|column| column.data_type.name.clone()).collect::<Vec<_>>())
                .filter(|known| crate::cast::extension_of_type(known.name.as_str()) == Some(name.as_str()))
                .collect();
            for data_type in types {
                self.drop_columns_of(&data_type, drop.behavior, "extension", name.as_str())?;
            }
            self.drop_users_of_extension(&name, drop.behavior)?;
            self.catalog_mut().extensions.remove_mut(&name);
            if !crate::cast::is_known_extension(name.as_str()) {
                self.catalog_mut().mark_incomplete();
            }
        }
        Ok(())
    }

    pub(super) fn extensions_are_known(&self) -> bool {
        self.catalog().extensions.keys().all(|extension| crate::cast::is_known_extension(extension.as_str()))
    }

    pub(super) fn drop_schemas(&mut self, drop: &DropObjects) -> Step {
        let mut schemas: Vec<Ident> = Vec::new();
        for name in &drop.names {
            if self.catalog().has_schema(name.name.as_str()) {
                schemas.push(name.name.clone());
            } else if !drop.if_exists && !self.catalog().is_incomplete() {
                return refuse("3F000", format!("schema \"{}\" does not exist", name.name));
            }
        }
        for schema in &schemas {
            let inside = |name: &QualifiedName| {
                name.schema.as_ref() == Some(schema) || (*schema == "public" && name.schema.is_none())
            };
            let relations: Vec<QualifiedName> = self
                .catalog()
                .relations()
                .filter(|(name, relation)| {
                    let owned = match relation {
                        Relation::Index { .. } => true,
                        Relation::Sequence(sequence) => sequence.owned_by.is_some(),
                        _ => false,
                    };
                    inside(name) && !owned
                })
                .map(|(name, _)| name.clone())
                .collect();
            let types: Vec<QualifiedName> = self.catalog().types.keys().filter(|name| inside(name)).cloned().collect();
            let functions: Vec<QualifiedName> =
                self.catalog().functions.keys().filter(|name| inside(name)).cloned().collect();
            let statistics: Vec<QualifiedName> =
                self.catalog().statistics.keys().filter(|name| inside(name)).cloned().collect();
            let empty = relations.is_empty() && types.is_empty() && functions.is_empty() && statistics.is_empty();
            if !empty && drop.behavior == DropBehavior::Restrict {
                let message = match schemas.as_slice() {
                    [_] => format!("cannot drop schema {schema} because other objects depend on it"),
                    _ => "cannot drop desired object(s) because other objects depend on them".to_owned(),
                };
                return refuse("2BP01", message);
            }
            self.drop_statistics(&statistics, true)?;
            self.remove_relations(&relations, DropBehavior::Cascade, "table")?;
            for name in types {
                self.drop_columns_of(&name, DropBehavior::Cascade, "type", name.name.as_str())?;
                self.catalog_mut().types.remove_mut(&name);
            }
            for name in functions {
                if self.catalog().functions(&name).len() == 1 {
                    // What uses it elsewhere goes with it.
                    self.drop_functions(&DropObjects {
                        kind: ObjectKind::Function,
                        names: vec![name.clone()],
                        arguments: Vec::new(),
                        if_exists: true,
                        behavior: DropBehavior::Cascade,
                        concurrently: false,
                        on: None,
                    })?;
                }
                self.catalog_mut().functions.remove_mut(&name);
            }
            self.catalog_mut().schemas.remove_mut(schema);
        }
        Ok(())
    }

    /// ALTER FUNCTION … IMMUTABLE and the like: what uses it already is not looked at.
    pub(super) fn set_volatility(
        &mut self,
        name: &QualifiedName,
        arguments: Option<&[DataType]>,
        volatility: Volatility,
    ) {
        let Some(name) = self.find_function(name) else { return };
        let mut overloads = self.catalog().functions(&name).to_vec();
        let resolved = |data_type: &DataType| self.resolve_type(data_type).unwrap_or_else(|_| data_type.clone());
        let wanted: Option<Vec<DataType>> = arguments.map(|arguments| arguments.iter().map(resolved).collect());
        for overload in &mut overloads {
            let same = wanted.as_ref().is_none_or(|wanted| {
                wanted.len() == overload.arguments.len()
                    && wanted.iter().zip(&overload.arguments).all(|(wanted, known)| {
                        known.as_ref().is_none_or(|known| self.shown(known) == self.shown(wanted))
                    })
            });
            if same {
                overload.volatility = volatility;
            }
        }
        self.catalog_mut().functions.insert_mut(name, Arc::new(overloads));
    }

    fn rename_function(&mut self, from: &QualifiedName, to: QualifiedName, arguments: Option<&[DataType]>) -> Step {
        if to == *from {
            return Ok(());
        }
        let (moved, left): (Vec<Function>, Vec<Function>) = match arguments.and_then(|given| self.overload(from, given))
        {
            Some(types) => {
                let is_meant =
                    |function: &Function| function.arguments.iter().map(Option::as_ref).eq(types.iter().map(Some));
                self.catalog().functions(from).iter().cloned().partition(is_meant)
            }
            None => (self.catalog().functions(from).to_vec(), Vec::new()),
        };
        let mut known = self.catalog().functions(&to).to_vec();
        if let Some(taken) =
            moved.iter().find(|function| known.iter().any(|known| known.arguments == function.arguments))
            && let Some(types) = taken.arguments.iter().cloned().collect::<Option<Vec<DataType>>>()
        {
            let schema = to.schema.as_ref().map_or("public", Ident::as_str);
            let bare = QualifiedName::as_written(None, to.name.clone());
            let signature = self.spaced_signature(&bare, &types);
            return refuse("42723", format!("function {signature} already exists in schema \"{schema}\""));
        }
        if left.is_empty() {
            self.rename_calls(from, &to);
            self.catalog_mut().functions.remove_mut(from);
        } else {
            self.leave_overloads(from, left);
        }
        known.extend(moved);
        self.catalog_mut().functions.insert_mut(to, Arc::new(known));
        Ok(())
    }

    /// Renames and moves of objects that no table names: functions and schemas; others have no entry.
    pub(super) fn alter_other_object(
        &mut self,
        kind: ObjectKind,
        name: &QualifiedName,
        arguments: Option<&[DataType]>,
        rename_to: Option<&Ident>,
        set_schema: Option<&Ident>,
    ) -> Step {
        match kind {
            ObjectKind::Function | ObjectKind::Procedure | ObjectKind::Routine => {
                let Some(from) = self.find_function(name) else { return self.need_function(kind, name, arguments) };
                if let Some(arguments) = arguments {
                    self.need_overload(kind, name, &from, arguments)?;
                    self.need_kind(kind, name, &from, arguments)?;
                } else {
                    self.need_only_one(kind, name, &from)?;
                }
                let to = match (rename_to, set_schema) {
                    (Some(to), _) => from.sibling(to.truncated()),
                    (None, Some(schema)) => QualifiedName::with_schema(schema.clone(), from.name.clone()),
                    (None, None) => return Ok(()),
                };
                self.need_schema_of(&to)?;
                self.rename_function(&from, to, arguments)
            }
            ObjectKind::Publication => {
                let Some(to) = rename_to else { return Ok(()) };
                let Some(parts) = self.catalog().publications.get(&name.name).cloned() else {
                    return if self.catalog().is_incomplete() {
                        Ok(())
                    } else {
                        refuse("42704", format!("publication \"{}\" does not exist", name.name))
                    };
                };
                if self.catalog().publications.contains_key(to) {
                    return refuse("42710", format!("publication \"{to}\" already exists"));
                }
                self.catalog_mut().publications.remove_mut(&name.name);
                self.catalog_mut().publications.insert_mut(to.clone(), parts);
                Ok(())
            }
            ObjectKind::Schema => {
                let (Some(to), from) = (rename_to, &name.name) else { return Ok(()) };
                if !self.catalog().has_schema(from.as_str()) {
                    return if self.catalog().is_incomplete() {
                        Ok(())
                    } else {
                        refuse("3F000", format!("schema \"{from}\" does not exist"))
                    };
                }
                if self.catalog().has_schema(to.as_str()) {
                    return refuse("42P06", format!("schema \"{to}\" already exists"));
                }
                let inside: Vec<QualifiedName> = self
                    .catalog()
                    .relations()
                    .filter(|(name, relation)| {
                        name.schema.as_ref() == Some(from) && !matches!(relation, Relation::Index { .. })
                    })
                    .map(|(name, _)| name.clone())
                    .collect();
                self.catalog_mut().schemas.remove_mut(from);
                self.catalog_mut().schemas.insert_mut(to.clone(), ());
                for relation in inside {
                    let moved = QualifiedName::with_schema(to.clone(), relation.name.clone());
                    self.move_relation(&relation, &moved);
                }
                let of_schema = |name: &&QualifiedName| name.schema.as_ref() == Some(from);
                let types: Vec<QualifiedName> = self.catalog().types.keys().filter(of_schema).cloned().collect();
                for data_type in types {
                    self.move_type(&data_type, to)?;
                }
                let functions: Vec<QualifiedName> =
                    self.catalog().functions.keys().filter(of_schema).cloned().collect();
                for function in functions {
                    let moved = QualifiedName::with_schema(to.clone(), function.name.clone());
                    self.rename_function(&function, moved, None)?;
                }
                Ok(())
            }
            ObjectKind::Statistics => self.alter_statistics(name, rename_to, set_schema),
            ObjectKind::EventTrigger => {
                let Some(to) = rename_to else { return self.need_event_trigger(&name.name) };
                self.need_event_trigger(&name.name)?;
                if self.catalog().event_triggers.contains_key(to) {
                    return refuse("42710", format!("event trigger \"{to}\" already exists"));
                }
                self.catalog_mut().event_triggers.remove_mut(&name.name);
                self.catalog_mut().event_triggers.insert_mut(to.truncated(), ());
                Ok(())
            }
            ObjectKind::Type | ObjectKind::Domain => match (candidates_of_type(self, name), rename_to) {
                (Some(from), Some(to)) => self.rename_type(&from, &from.sibling(to.truncated())),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

impl Run {
    fn alter_statistics(
        &mut self,
        name: &QualifiedName,
        rename_to: Option<&Ident>,
        set_schema: Option<&Ident>,
    ) -> Step {
        let found = candidates(self.catalog(), &self.state.settings, name)
            .find(|candidate| self.catalog().statistics.contains_key(candidate));
        let Some(from) = found else {
            if self.catalog().is_incomplete() {
                return Ok(());
            }
            self.need_schema_of(name)?;
            return refuse("42704", format!("statistics object \"{}\" does not exist", super::written(name)));
        };
        let to = match (rename_to, set_schema) {
            (Some(to), _) => from.sibling(to.truncated()),
            (None, Some(schema)) => QualifiedName::with_schema(schema.clone(), from.name.clone()),
            (None, None) => return Ok(()),
        };
        if to == from {
            return Ok(());
        }
        if self.catalog().statistics.contains_key(&to) {
            let schema = to.schema.clone().unwrap_or_else(|| Ident::new("public"));
            return refuse("42710", format!("statistics object \"{}\" already exists in schema \"{schema}\"", to.name));
        }
        if let Some(statistics) = self.catalog().statistics.get(&from).cloned() {
            self.catalog_mut().statistics.remove_mut(&from);
            self.catalog_mut().statistics.insert_mut(to, statistics);
        }
        Ok(())
    }

    pub(super) fn need_event_trigger(&self, name: &Ident) -> Step {
        if self.catalog().event_triggers.contains_key(name) || self.catalog().is_incomplete() {
            return Ok(());
        }
        refuse("42704", format!("event trigger \"{name}\" does not exist"))
    }
}

/// Every constant of the type by its new name.
fn rename_literals(node: &mut ExprNode, name: &QualifiedName, from: &str, to: &str) {
    if let ExprNode::Cast { expr, data_type } = node
        && data_type.name == *name
        && let ExprNode::Text(text) = &mut **expr
        && text == from
    {
        to.clone_into(text);
    }
    for child in node.children_mut() {
        rename_literals(child, name, from, to);
    }
}

fn candidates_of_type(run: &Run, name: &QualifiedName) -> Option<QualifiedName> {
    candidates(run.catalog(), &run.state.settings, name).find(|candidate| run.catalog().user_type(candidate).is_some())
}

/// A label is a name, with the length of one.
fn check_label(label: &str) -> Step {
    if label.len() > 63 {
        return refuse("42602", format!("invalid enum label \"{label}\""));
    }
    Ok(())
}
