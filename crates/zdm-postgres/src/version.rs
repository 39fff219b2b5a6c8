//! Server versions.

use std::fmt;
use std::str::FromStr;

/// A server version: `16` or `16.4`. Without a minor the newest minor of that major is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PgVersion {
    pub major: u16,
    pub minor: Option<u16>,
}

impl PgVersion {
    pub const OLDEST: Self = Self::major(12);
    pub const NEWEST: Self = Self::major(18);

    pub const fn major(major: u16) -> Self {
        Self { major, minor: None }
    }

    pub const fn at_least(self, major: u16) -> bool {
        self.major >= major
    }

    /// An index that is built or rebuilt CONCURRENTLY may lack rows that change meanwhile, in 14.0 to 14.3. Source:
    /// PostgreSQL 14.4 release notes, "Prevent possible corruption of indexes created or rebuilt with the CONCURRENTLY
    /// option".
    pub fn corrupts_concurrent_builds(self) -> bool {
        self.major == 14 && self.minor.is_some_and(|minor| minor <= 3)
    }

    pub fn is_supported(self) -> bool {
        (Self::OLDEST.major..=Self::NEWEST.major).contains(&self.major)
    }
}

impl Default for PgVersion {
    fn default() -> Self {
        Self::NEWEST
    }
}

impl fmt::Display for PgVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.minor {
            Some(minor) => write!(formatter, "{}.{minor}", self.major),
            None => write!(formatter, "{}", self.major),
        }
    }
}

/// The text is not of the form `16` or `16.4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidVersion;

impl FromStr for PgVersion {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        let (major, minor) = match text.trim().split_once('.') {
            Some((major, minor)) => (major, Some(minor)),
            None => (text.trim(), None),
        };
        let number = |part: &str| part.parse::<u16>().map_err(|_| InvalidVersion);
        Ok(Self { major: number(major)?, minor: minor.map(number).transpose()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!("16".parse(), Ok(PgVersion::major(16)));
        assert_eq!("14.2".parse(), Ok(PgVersion { major: 14, minor: Some(2) }));
        assert_eq!("sixteen".parse::<PgVersion>(), Err(InvalidVersion));
    }
}
