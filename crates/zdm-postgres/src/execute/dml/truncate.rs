//! TRUNCATE.

use crate::execute::{Run, Step, refuse};
use crate::lock::LockMode;
use crate::name::QualifiedName;
use crate::statement::DropBehavior;

impl Run {
    pub(in crate::execute) fn truncate(
        &mut self,
        tables: &[QualifiedName],
        only: &[QualifiedName],
        restart_identity: bool,
        behavior: DropBehavior,
    ) -> Step {
        let mut names: Vec<QualifiedName> = Vec::new();
        for written_name in tables {
            let name = self.open(written_name)?;
            if self.catalog().table(&name).is_none() {
                return refuse("42809", format!("\"{}\" is not a table", name.name));
            }
            if !names.contains(&name) {
                names.push(name.clone());
            }
            if only.contains(written_name) {
                if self.table(&name).partition_by.is_some() {
                    return refuse("42809", "cannot truncate only a partitioned table");
                }
                continue;
            }
            for child in self.catalog().descendants(&name) {
                if !names.contains(&child) {
                    names.push(child);
                }
            }
        }
        let mut next = 0;
        while let Some(name) = names.get(next).cloned() {
            next += 1;
            self.lock(&name, LockMode::AccessExclusive);
            for (referencing, _, _) in self.keys_into(&name) {
                if names.contains(&referencing) {
                    continue;
                }
                if behavior == DropBehavior::Restrict {
                    return refuse("0A000", "cannot truncate a table referenced in a foreign key constraint");
                }
                // Partitions have the key themselves, inheritance children have not.
                let below = self.partitions(&referencing);
                for name in std::iter::once(referencing).chain(below) {
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
            }
        }
        for name in names {
            self.check_not_in_use(&name, "TRUNCATE")?;
            if !self.version.at_least(14) {
                self.read_bound_of(&name);
            }
            if restart_identity {
                for (_, sequence) in self.catalog().sequences_of(&name) {
                    self.lock(&sequence, LockMode::AccessExclusive);
                }
            }
            if self.has_storage(&name) {
                let indexes: Vec<QualifiedName> =
                    self.catalog().indexes_of(&name).iter().map(|index| name.sibling(index.name.clone())).collect();
                for index in indexes {
                    self.build(&index);
                }
            }
            self.fire_triggers(&name, "TRUNCATE", &[]);
            self.state.facts.pending.retain(|(table, _), _| *table != name);
            self.state.facts.empty.insert(name);
        }
        Ok(())
    }
}
