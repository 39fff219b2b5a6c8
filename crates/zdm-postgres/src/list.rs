//! A list that many versions of a table share until one of them changes it.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, OnceLock};

use crate::name::Ident;

/// A `Vec` behind a shared pointer. Reading is reading the `Vec`; the first change of a shared list copies it.
///
/// Most statements change one part of a table: the others stay the same allocation in every version of the catalog.
pub struct List<T>(Arc<Items<T>>);

struct Items<T> {
    items: Vec<T>,
    /// The places of a long list's items by name, made when one is first asked for. A change begins without it.
    places: OnceLock<BTreeMap<Ident, usize>>,
}

/// What a list finds by name.
pub trait Named {
    fn name(&self) -> &Ident;
}

impl<T> List<T> {
    pub fn new() -> Self {
        Self::from(Vec::new())
    }

    /// Gives back room that was kept for more items, where nobody shares the list.
    pub(crate) fn trim(&mut self) {
        if let Some(list) = Arc::get_mut(&mut self.0) {
            list.items.shrink_to_fit();
        }
    }

    /// Whether both are one allocation, so that nothing in them differs.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<T: Named> List<T> {
    /// The first item of that name.
    pub fn named(&self, name: &str) -> Option<&T> {
        /// Up to so many it is quicker to look at each than to make the places.
        const SHORT: usize = 64;
        let items = &self.0.items;
        if items.len() <= SHORT {
            return items.iter().find(|item| item.name().as_str() == name);
        }
        let places = self.0.places.get_or_init(|| {
            // The last one that is put in stays, which is the first of the list.
            items.iter().enumerate().rev().map(|(place, item)| (item.name().clone(), place)).collect()
        });
        items.get(*places.get(name)?)
    }
}

impl<T: Clone> Clone for Items<T> {
    fn clone(&self) -> Self {
        Self { items: self.items.clone(), places: OnceLock::new() }
    }
}

impl<T> Deref for List<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.0.items
    }
}

impl<T: Clone> DerefMut for List<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        let list = Arc::make_mut(&mut self.0);
        list.places.take();
        &mut list.items
    }
}

impl<T> Clone for List<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for List<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.items.fmt(formatter)
    }
}

impl<T: PartialEq> PartialEq for List<T> {
    fn eq(&self, other: &Self) -> bool {
        self.is_same(other) || self.0.items == other.0.items
    }
}

impl<T> From<Vec<T>> for List<T> {
    fn from(items: Vec<T>) -> Self {
        Self(Arc::new(Items { items, places: OnceLock::new() }))
    }
}

impl<T> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::from(items.into_iter().collect::<Vec<T>>())
    }
}

impl<T: Clone> IntoIterator for List<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        Arc::unwrap_or_clone(self.0).items.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a List<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.items.iter()
    }
}

impl<'a, T: Clone> IntoIterator for &'a mut List<T> {
    type Item = &'a mut T;
    type IntoIter = std::slice::IterMut<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::{List, Named};
    use crate::name::Ident;

    #[test]
    fn a_change_of_one_leaves_the_others() {
        let first: List<u8> = vec![1, 2].into();
        let mut second = first.clone();
        assert!(first.is_same(&second));
        second.push(3);
        assert_eq!((&first[..], &second[..]), (&[1, 2][..], &[1, 2, 3][..]));
        assert_ne!(first, second);
    }

    impl Named for (Ident, u8) {
        fn name(&self) -> &Ident {
            &self.0
        }
    }

    #[test]
    fn long_lists_find_the_first_of_a_name_after_each_change() {
        let mut list: List<(Ident, u8)> = (0..100).map(|number| (Ident::new(format!("c{number}")), number)).collect();
        list.push((Ident::new("c3"), 200));
        assert_eq!(list.named("c3").map(|item| item.1), Some(3));
        assert_eq!(list.named("c141"), None);
        let before = list.clone();
        list.retain(|item| item.1 != 3);
        list.push((Ident::new("c141"), 141));
        assert_eq!(list.named("c3").map(|item| item.1), Some(200));
        assert_eq!(list.named("c141").map(|item| item.1), Some(141));
        assert_eq!(before.named("c3").map(|item| item.1), Some(3));
        if let Some(first) = list.iter_mut().next() {
            first.0 = Ident::new("other");
        }
        assert_eq!((list.named("c0"), list.named("other").map(|item| item.1)), (None, Some(0)));
    }
}
