//! Table-level lock modes and who waits for whom.
//!
//! Source: PostgreSQL manual, "Explicit Locking", table "Conflicting Lock Modes" (the same for versions 12 to 18).

use std::fmt;

/// A table-level lock mode, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LockMode {
    AccessShare,
    RowShare,
    RowExclusive,
    ShareUpdateExclusive,
    Share,
    ShareRowExclusive,
    Exclusive,
    AccessExclusive,
}

impl LockMode {
    pub const ALL: [Self; 8] = [
        Self::AccessShare,
        Self::RowShare,
        Self::RowExclusive,
        Self::ShareUpdateExclusive,
        Self::Share,
        Self::ShareRowExclusive,
        Self::Exclusive,
        Self::AccessExclusive,
    ];

    /// The manual's spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessShare => "ACCESS SHARE",
            Self::RowShare => "ROW SHARE",
            Self::RowExclusive => "ROW EXCLUSIVE",
            Self::ShareUpdateExclusive => "SHARE UPDATE EXCLUSIVE",
            Self::Share => "SHARE",
            Self::ShareRowExclusive => "SHARE ROW EXCLUSIVE",
            Self::Exclusive => "EXCLUSIVE",
            Self::AccessExclusive => "ACCESS EXCLUSIVE",
        }
    }

    /// Whether two transactions cannot hold these modes on one table at the same time.
    pub const fn conflicts_with(self, other: Self) -> bool {
        self.conflict_bits() & (1 << other as u8) != 0
    }

    const fn conflict_bits(self) -> u8 {
        // One bit per mode, ACCESS SHARE lowest.
        match self {
            Self::AccessShare => 0b1000_0000,
            Self::RowShare => 0b1100_0000,
            Self::RowExclusive => 0b1111_0000,
            Self::ShareUpdateExclusive => 0b1111_1000,
            Self::Share => 0b1110_1100,
            Self::ShareRowExclusive => 0b1111_1100,
            Self::Exclusive => 0b1111_1110,
            Self::AccessExclusive => 0b1111_1111,
        }
    }

    /// The mode that SELECT takes waits.
    pub const fn blocks_select(self) -> bool {
        self.conflicts_with(Self::AccessShare)
    }

    /// INSERT, UPDATE, DELETE and MERGE take ROW EXCLUSIVE.
    pub const fn blocks_writes(self) -> bool {
        self.conflicts_with(Self::RowExclusive)
    }

    /// SELECT FOR UPDATE and FOR SHARE take ROW SHARE.
    pub const fn blocks_select_for_update(self) -> bool {
        self.conflicts_with(Self::RowShare)
    }

    /// The manual's spelling, or the abbreviation of its initials (`SRE`, `AE`).
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_uppercase();
        Self::ALL.into_iter().find(|mode| mode.as_str() == text || mode.initials() == text)
    }

    /// `AS RS RE SUE S SRE E AE`, as in the recorded measurements.
    pub const fn initials(self) -> &'static str {
        match self {
            Self::AccessShare => "AS",
            Self::RowShare => "RS",
            Self::RowExclusive => "RE",
            Self::ShareUpdateExclusive => "SUE",
            Self::Share => "S",
            Self::ShareRowExclusive => "SRE",
            Self::Exclusive => "E",
            Self::AccessExclusive => "AE",
        }
    }
}

impl fmt::Display for LockMode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matrix_is_symmetric() {
        for left in LockMode::ALL {
            for right in LockMode::ALL {
                assert_eq!(left.conflicts_with(right), right.conflicts_with(left), "{left} {right}");
            }
        }
    }

    #[test]
    fn rows_of_the_manual() {
        use LockMode::*;
        let conflicts =
            |mode: LockMode| LockMode::ALL.into_iter().filter(|other| mode.conflicts_with(*other)).collect::<Vec<_>>();
        assert_eq!(conflicts(AccessShare), [AccessExclusive]);
        assert_eq!(conflicts(RowShare), [Exclusive, AccessExclusive]);
        assert_eq!(conflicts(RowExclusive), [Share, ShareRowExclusive, Exclusive, AccessExclusive]);
        assert_eq!(
            conflicts(ShareUpdateExclusive),
            [ShareUpdateExclusive, Share, ShareRowExclusive, Exclusive, AccessExclusive]
        );
        assert_eq!(
            conflicts(Share),
            [RowExclusive, ShareUpdateExclusive, ShareRowExclusive, Exclusive, AccessExclusive]
        );
        assert_eq!(
            conflicts(ShareRowExclusive),
            [RowExclusive, ShareUpdateExclusive, Share, ShareRowExclusive, Exclusive, AccessExclusive]
        );
        assert_eq!(conflicts(Exclusive).len(), 7);
        assert_eq!(conflicts(AccessExclusive).len(), 8);
    }
}
