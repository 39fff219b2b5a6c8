//! The names of a mirror's trigger and function, which are one and the same.
//!
//! `zdm_mirror_TABLE_TARGET_HASH`: the hash is of the whole table name and all targets, so that the name is the same
//! at every call, differs for every table and set of targets, and stays within 63 bytes whatever they are called.
//! The schema is not in it: a function lives in its table's schema. Triggers of one table fire in the order of their
//! names, and `z` is late in it.

use std::fmt::Write as _;

use md5::{Digest as _, Md5};
use zdm_conn::Ident;

/// How the names of all triggers and functions of mirrors begin.
pub const PREFIX: &str = "zdm_mirror_";

/// Hexadecimal digits of the hash.
const HASH: usize = 10;

/// PostgreSQL's limit.
const MOST_BYTES: usize = 63;

/// The name of the trigger on `table` that sets `targets`, and of its function.
pub fn object_name(table: &str, targets: &[&str]) -> Ident {
    let mut targets = targets.to_vec();
    targets.sort_unstable();
    derived(PREFIX, table, &targets)
}

/// A name for what stands beside an object of `table` while a swap is prepared: `zdm_swap_NAME_HASH`.
pub fn swap_name(table: &str, object: &str) -> Ident {
    derived("zdm_swap_", object, &[table])
}

fn derived(prefix: &str, first: &str, more: &[&str]) -> Ident {
    let mut hasher = Md5::new();
    for part in std::iter::once(&first).chain(more) {
        // A length before each part: ("a", "bc") and ("ab", "c") differ.
        hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    let mut hash = String::with_capacity(32);
    for byte in hasher.finalize() {
        // Writing to a String cannot fail.
        let _ = write!(hash, "{byte:02x}");
    }
    hash.truncate(HASH);
    let mut readable = std::iter::once(&first).chain(more).copied().collect::<Vec<_>>().join("_");
    let room = MOST_BYTES - prefix.len() - HASH - 1;
    readable = zdm_postgres::name::truncate_bytes(&readable, room).replace('\0', "");
    Ident::new(format!("{prefix}{readable}_{hash}")).expect("a name of ours is a name")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_short_and_differ() {
        assert_eq!(
            object_name("shop_order", &["size_bigint"]).as_str(),
            "zdm_mirror_shop_order_size_bigint_c253176e21"
        );
        assert_eq!(object_name("t", &["a", "b"]), object_name("t", &["b", "a"]), "the order of columns says nothing");
        let long = "é".repeat(31);
        let names: BTreeSet<Ident> = [
            ("t_a", vec!["b"]),
            ("t", vec!["a_b"]),
            ("t", vec!["a", "b"]),
            (long.as_str(), vec![long.as_str()]),
            (long.as_str(), vec![long.as_str(), "x"]),
            (&long[2..], vec![long.as_str()]),
        ]
        .iter()
        .map(|(table, targets)| object_name(table, targets))
        .collect();
        assert_eq!(names.len(), 6);
        assert!(names.iter().all(|name| name.as_str().len() <= 63));
    }
}
