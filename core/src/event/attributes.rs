//! The attributes of a stored event: a few texts by name, in the order of names.
//!
//! Tens of thousands of events are kept. A node of a map has room for eleven attributes, which is
//! more memory than all the rest of an event.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Serialize, Serializer};

/// A text that is often one of a few constants.
pub type Text = Cow<'static, str>;

/// The attributes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Attributes(Vec<(Text, String)>);

impl Attributes {
    /// None yet.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds an attribute, or replaces the one of this name.
    pub fn insert(&mut self, name: Text, value: String) {
        match self.0.binary_search_by(|(known, _)| known.cmp(&name)) {
            Ok(place) => self.0[place].1 = value,
            Err(place) => {
                self.0.reserve_exact(1);
                self.0.insert(place, (name, value));
            }
        }
    }

    /// The attribute of this name.
    pub fn get(&self, name: &str) -> Option<&String> {
        let place = self.0.binary_search_by(|(known, _)| (**known).cmp(name)).ok()?;
        Some(&self.0[place].1)
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each name with its value, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Text, &String)> {
        self.0.iter().map(|(name, value)| (name, value))
    }
}

impl FromIterator<(Text, String)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (Text, String)>>(attributes: I) -> Self {
        let mut made = Self::new();
        attributes.into_iter().for_each(|(name, value)| made.insert(name, value));
        made
    }
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::format;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn they_are_what_a_map_is(names in prop::collection::vec("[a-d]{0,2}", 0..12)) {
            let mut map: BTreeMap<Text, String> = BTreeMap::new();
            let mut attributes = Attributes::new();
            for (number, name) in names.into_iter().enumerate() {
                map.insert(name.clone().into(), format!("{number}"));
                attributes.insert(name.into(), format!("{number}"));
            }
            prop_assert!(map.iter().eq(attributes.iter()));
            prop_assert_eq!(format!("{attributes:?}"), format!("{map:?}"));
            for name in ["", "a", "aa", "dd", "x"] {
                prop_assert_eq!(map.get(name), attributes.get(name));
            }
            prop_assert_eq!(&map.into_iter().collect::<Attributes>(), &attributes);
        }
    }
}
