//! Composite types and the row types of relations: where values of them are stored, and what holds their attributes.

use super::{Run, Step, refuse};
use crate::catalog::{Column, ConstraintKind, Table, UserTypeKind};
use crate::data_type::{DataType, quoted_if_needed};
use crate::expr::ExprNode;
use crate::lock::LockMode;
use crate::name::{Ident, QualifiedName};
use crate::naming;
use crate::statement::{AlterTypeAction, DropBehavior, IndexKey, TypeDefinition};

impl Run {
    /// `find_composite_type_dependencies`: a column that stores values of the type, in whatever holds them. `direct`: the
    /// type itself counts, and not only what holds it.
    fn stored_in(&self, name: &QualifiedName, direct: bool) -> Option<(Ident, Ident)> {
        self.stored_among(name, direct, &mut Vec::new())
    }

    fn stored_among(
        &self,
        name: &QualifiedName,
        direct: bool,
        seen: &mut Vec<QualifiedName>,
    ) -> Option<(Ident, Ident)> {
        if seen.contains(name) {
            return None;
        }
        seen.push(name.clone());
        // The type of its arrays was made with the type, and so is looked at first.
        for array in [true, false] {
            let stores = |data_type: &DataType| data_type.name == *name && data_type.is_array() == array;
            if (array || direct)
                && let Some(found) = self.column_that(&name.name, &stores)
            {
                return Some(found);
            }
            for user_type in self.catalog().types.values() {
                let holds = match &user_type.kind {
                    UserTypeKind::Domain(over) => stores(&over.base) && (array || direct),
                    UserTypeKind::Defined(TypeDefinition::Composite(attributes)) => {
                        attributes.iter().any(|(_, data_type)| stores(data_type))
                    }
                    UserTypeKind::Defined(_) => false,
                };
                if holds && let Some(found) = self.stored_among(&user_type.name, true, seen) {
                    return Some(found);
                }
            }
        }
        None
    }

    /// A column of a table, or of an index, whose type has that name and is such.
    fn column_that(&self, name: &Ident, stores: &dyn Fn(&DataType) -> bool) -> Option<(Ident, Ident)> {
        // A parent was there before its children.
        let column_of = |inherited: bool| {
            self.catalog().tables_naming_type(name).filter(|table| !table.foreign).find_map(|table| {
                let such = |column: &&Column| column.inherited == inherited && stores(&column.data_type);
                let column = table.columns.iter().find(such)?;
                Some((table.name.name.clone(), column.name.clone()))
            })
        };
        column_of(false).or_else(|| column_of(true)).or_else(|| {
            let indexes = self.catalog().tables_naming_type(name).flat_map(|table| table.indexes.iter());
            indexes.into_iter().find_map(|index| {
                let place = index.elements.iter().position(|element| match &element.key {
                    IndexKey::Expr(expr) => matches!(&*expr.node, ExprNode::Cast { data_type, .. }
                        if self.resolve_type(data_type).is_ok_and(|resolved| stores(&resolved))),
                    IndexKey::Column(_) => false,
                })?;
                let names = naming::index_column_names(&index.elements, &index.include, self.version);
                Some((index.name.clone(), Ident::from(names.get(place)?.as_str())))
            })
        })
    }

    /// The values of a domain inside arrays and composite types cannot be read.
    pub(super) fn refuse_containers_of_domain(&self, domain: &QualifiedName) -> Step {
        self.domains_over(domain).iter().try_for_each(|current| self.refuse_stored(current, false))
    }

    fn refuse_stored(&self, name: &QualifiedName, direct: bool) -> Step {
        match self.stored_in(name, direct) {
            Some((relation, column)) => refuse(
                "0A000",
                format!("cannot alter type \"{}\" because column \"{relation}.{column}\" uses it", name.name),
            ),
            None => Ok(()),
        }
    }

    /// Rows that are stored in columns of other tables would have to change with those of the table.
    pub(super) fn refuse_stored_rows(&self, table: &QualifiedName) -> Step {
        match self.stored_in(table, true) {
            Some((relation, column)) => refuse(
                "0A000",
                format!(
                    "cannot alter table \"{}\" because column \"{relation}.{column}\" uses its row type",
                    table.name
                ),
            ),
            None => Ok(()),
        }
    }

    /// `CheckAttributeType`: a row cannot have itself inside.
    pub(super) fn refuse_member_of_itself(&self, data_type: &DataType, containing: &[QualifiedName]) -> Step {
        self.look_for_itself(data_type, containing, &mut Vec::new())
    }

    /// Each type is looked into once: what is over a type that nobody is known to have made may be over itself.
    fn look_for_itself(
        &self,
        data_type: &DataType,
        containing: &[QualifiedName],
        seen: &mut Vec<QualifiedName>,
    ) -> Step {
        let name = &data_type.name;
        if !data_type.is_array() && containing.contains(name) {
            return refuse(
                "42P16",
                format!("composite type {} cannot be made a member of itself", self.shown(data_type)),
            );
        }
        if data_type.is_array() {
            let element = DataType { array_dimensions: 0, ..data_type.clone() };
            return self.look_for_itself(&element, containing, seen);
        }
        if seen.contains(name) {
            return Ok(());
        }
        seen.push(name.clone());
        let members: Vec<DataType> = match self.catalog().user_type(name).map(|known| &known.kind) {
            Some(UserTypeKind::Domain(domain)) => return self.look_for_itself(&domain.base, containing, seen),
            Some(UserTypeKind::Defined(TypeDefinition::Composite(attributes))) => {
                attributes.iter().map(|(_, data_type)| data_type.clone()).collect()
            }
            Some(UserTypeKind::Defined(_)) => return Ok(()),
            None => match self.catalog().table(name) {
                Some(table) => table.columns.iter().map(|column| column.data_type.clone()).collect(),
                None => return Ok(()),
            },
        };
        let mut containing = containing.to_vec();
        containing.push(name.clone());
        members.iter().try_for_each(|member| self.look_for_itself(member, &containing, seen))
    }

    /// The actions of ALTER TYPE on the attributes of a composite type.
    pub(super) fn alter_attribute(
        &mut self,
        name: &QualifiedName,
        action: &AlterTypeAction,
        mut attributes: Vec<(Ident, DataType)>,
    ) -> Step {
        let place = |attribute: &Ident| attributes.iter().position(|(known, _)| known == attribute);
        let missing = |attribute: &Ident| {
            refuse("42703", format!("column \"{attribute}\" of relation \"{}\" does not exist", name.name))
        };
        let taken = |attribute: &Ident| {
            refuse("42701", format!("column \"{attribute}\" of relation \"{}\" already exists", name.name))
        };
        match action {
            AlterTypeAction::AddAttribute { name: attribute, data_type, .. } => {
                if place(attribute).is_some() {
                    return taken(attribute);
                }
                let data_type = self.resolve_type(data_type)?;
                super::domain::refuse_pseudo_type(attribute, &data_type)?;
                self.refuse_member_of_itself(&data_type, std::slice::from_ref(name))?;
                attributes.push((attribute.truncated(), data_type));
            }
            AlterTypeAction::DropAttribute { name: attribute, if_exists, behavior } => match place(attribute) {
                Some(place) => {
                    self.drop_users_of_attribute(name, attribute, *behavior)?;
                    attributes.remove(place);
                }
                None if *if_exists => return Ok(()),
                None => return missing(attribute),
            },
            AlterTypeAction::AlterAttribute { name: attribute, data_type, .. } => {
                let Some(place) = place(attribute) else { return missing(attribute) };
                let data_type = self.resolve_type(data_type)?;
                super::domain::refuse_pseudo_type(attribute, &data_type)?;
                self.refuse_member_of_itself(&data_type, std::slice::from_ref(name))?;
                self.refuse_stored(name, true)?;
                if let Some((_, known)) = attributes.get_mut(place) {
                    *known = data_type;
                }
            }
            AlterTypeAction::RenameAttribute { from, to, .. } => {
                let Some(found) = place(from) else {
                    return refuse("42703", format!("column \"{from}\" does not exist"));
                };
                if place(to).is_some() {
                    return taken(to);
                }
                if let Some((known, _)) = attributes.get_mut(found) {
                    *known = to.truncated();
                }
                self.rename_selected(name, from, to);
            }
            _ => return Ok(()),
        }
        self.put_type(name, UserTypeKind::Defined(TypeDefinition::Composite(attributes)));
        Ok(())
    }

    /// The type of what `node` reads, where it is a column of the table or an attribute of one.
    fn type_of_path(&self, node: &ExprNode, table: &Table) -> Option<DataType> {
        match node {
            ExprNode::Column { name, .. } => Some(table.column(name.as_str())?.data_type.clone()),
            ExprNode::Cast { data_type, .. } => self.resolve_type(data_type).ok(),
            ExprNode::Field { expr, name } => {
                let composite = self.type_of_path(expr, table)?;
                self.catalog().attribute_type(&composite, name)
            }
            _ => None,
        }
    }

    /// Whether an expression of the table selects that attribute of a value of the type.
    fn selects(&self, node: &ExprNode, table: &Table, of_type: &QualifiedName, attribute: &Ident) -> bool {
        let mut found = false;
        node.walk(&mut |node| {
            if let ExprNode::Field { expr, name } = node {
                found |= name == attribute
                    && self.type_of_path(expr, table).is_some_and(|data_type| data_type.name == *of_type);
            }
        });
        found
    }

    /// CASCADE drops what selects the attribute; otherwise 2BP01.
    fn drop_users_of_attribute(&mut self, of_type: &QualifiedName, attribute: &Ident, behavior: DropBehavior) -> Step {
        let stored = self.columns_of_type(of_type);
        let views: Vec<QualifiedName> = self
            .catalog()
            .views()
            .filter(|(_, view)| view.query.fields.contains(attribute))
            .filter(|(_, view)| {
                stored.iter().any(|(table, column)| {
                    view.dependencies.iter().any(|(relation, read)| relation == table && read.contains(column))
                })
            })
            .map(|(name, _)| name.clone())
            .collect();
        if !views.is_empty() && behavior == DropBehavior::Restrict {
            return self.attribute_is_used(of_type, attribute);
        }
        self.remove_relations(&views, DropBehavior::Cascade, "view")?;
        let tables: Vec<_> = self.catalog().tables().cloned().collect();
        for table in tables {
            let selects = |node: &ExprNode| self.selects(node, &table, of_type, attribute);
            let constraints: Vec<_> = table
                .constraints
                .iter()
                .filter(|constraint| match &constraint.kind {
                    ConstraintKind::Check { expr, .. } => selects(&expr.node),
                    _ => false,
                })
                .cloned()
                .collect();
            let indexes: Vec<Ident> = table
                .indexes
                .iter()
                .filter(|index| {
                    index.predicate.as_ref().is_some_and(|predicate| selects(&predicate.node))
                        || index.elements.iter().any(|element| match &element.key {
                            IndexKey::Expr(expr) => selects(&expr.node),
                            IndexKey::Column(_) => false,
                        })
                })
                .map(|index| index.name.clone())
                .collect();
            let columns: Vec<Ident> = table
                .columns
                .iter()
                .filter(|column| column.generated.as_ref().is_some_and(|generated| selects(&generated.expr.node)))
                .map(|column| column.name.clone())
                .collect();
            if constraints.is_empty() && indexes.is_empty() && columns.is_empty() {
                continue;
            }
            // Before 15 generated columns go without CASCADE.
            let held = !(constraints.is_empty() && indexes.is_empty()) || self.version.at_least(15);
            if behavior == DropBehavior::Restrict && held {
                return self.attribute_is_used(of_type, attribute);
            }
            self.lock(&table.name, LockMode::AccessExclusive);
            for constraint in &constraints {
                self.drop_constraint_of(&table.name, constraint, behavior)?;
            }
            for index in &indexes {
                self.lock(&table.name.sibling(index.clone()), LockMode::AccessExclusive);
                self.remove_index(&table.name, index);
            }
            for column in &columns {
                if self.drop_column_of(&table.name, column, behavior).is_err() {
                    return self.attribute_is_used(of_type, attribute);
                }
            }
        }
        Ok(())
    }

    fn attribute_is_used(&self, of_type: &QualifiedName, attribute: &Ident) -> Step {
        let shown = self.shown(&DataType { name: of_type.clone(), ..DataType::named("record") });
        let object = format!("column {} of composite type {shown}", quoted_if_needed(attribute));
        refuse("2BP01", format!("cannot drop {object} because other objects depend on it"))
    }

    /// What selects the attribute finds it under its new name.
    fn rename_selected(&mut self, of_type: &QualifiedName, from: &Ident, to: &Ident) {
        let tables: Vec<_> = self.catalog().tables().cloned().collect();
        for table in tables {
            let renamed = |expr: &crate::expr::SqlExpr| {
                self.selects(&expr.node, &table, of_type, from).then(|| {
                    let mut node = ExprNode::clone(&expr.node);
                    self.rename_field(&mut node, &table, of_type, (from, to));
                    crate::expr::SqlExpr::new(expr.text.clone(), node)
                })
            };
            let mut changed = Table::clone(&table);
            let mut any = false;
            for constraint in &mut changed.constraints {
                if let ConstraintKind::Check { expr, .. } = &mut constraint.kind
                    && let Some(new) = renamed(expr)
                {
                    (*expr, any) = (new, true);
                }
            }
            for index in &mut changed.indexes {
                let keys = index.elements.iter_mut().filter_map(|element| match &mut element.key {
                    IndexKey::Expr(expr) => Some(expr),
                    IndexKey::Column(_) => None,
                });
                for expr in keys.chain(&mut index.predicate) {
                    if let Some(new) = renamed(expr) {
                        (*expr, any) = (new, true);
                    }
                }
            }
            for generated in changed.columns.iter_mut().filter_map(|column| column.generated.as_mut()) {
                if let Some(new) = renamed(&generated.expr) {
                    (generated.expr, any) = (new, true);
                }
            }
            if any {
                self.catalog_mut().edit_table(&table.name, |table| *table = changed);
            }
        }
    }

    fn rename_field(&self, node: &mut ExprNode, table: &Table, of_type: &QualifiedName, (from, to): (&Ident, &Ident)) {
        if let ExprNode::Field { expr, name } = node
            && name == from
            && self.type_of_path(expr, table).is_some_and(|data_type| data_type.name == *of_type)
        {
            *name = to.truncated();
        }
        for child in node.children_mut() {
            self.rename_field(child, table, of_type, (from, to));
        }
    }
}
