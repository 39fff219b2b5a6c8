//! A project on a live server, and processes that work on its tables.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use zdm_source::Severity;
use zdm_testkit::{Database, Django, USER};
use zdm_workspace::{Request, Workspace};

pub(crate) struct Project {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) django: Django,
    pub(crate) database: Database,
    /// Its app with the tables.
    pub(crate) app: &'static str,
}

impl Project {
    pub(crate) fn new(django: Django, database: Database, apps: &[(&'static str, &str)], worker: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let condition = if matches!(django.version(), "3.2" | "4.2") { "check" } else { "condition" };
        let installed: Vec<String> = apps.iter().map(|(app, _)| format!("'{app}'")).collect();
        let settings = format!(
            "SECRET_KEY = 'x'\nINSTALLED_APPS = [{}]\nUSE_TZ = True\nDEFAULT_AUTO_FIELD = 'django.db.models.BigAutoField'\n\
             DATABASES = {{'default': {{'ENGINE': 'django.db.backends.postgresql', 'NAME': '{}', 'HOST': '{}', 'PORT': '{}', 'USER': '{USER}'}}}}\n",
            installed.join(", "),
            database.name(),
            database.server().socket_dir().display(),
            database.server().port()
        );
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("settings.py", &settings);
        write(
            "manage.py",
            "import sys\nfrom django.core.management import execute_from_command_line\nexecute_from_command_line(sys.argv)\n",
        );
        for (app, models) in apps {
            write(&format!("{app}/__init__.py"), "");
            write(&format!("{app}/migrations/__init__.py"), "");
            write(&format!("{app}/models.py"), &models.replace("CHECK", condition));
        }
        write("worker.py", worker);
        write(
            "zdm.toml",
            &format!("django = \"{}\"\npostgres = \"{}\"\n", django.version(), database.server().major()),
        );
        Self { folder, django, database, app: apps[0].0 }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn python(&self, release: &str) -> Command {
        let mut command = self.django.command();
        command.current_dir(self.path()).env("DJANGO_SETTINGS_MODULE", "settings").env("RELEASE", release);
        command
    }

    pub(crate) fn try_manage(&self, release: &str, arguments: &[&str]) -> Output {
        self.python(release).arg("manage.py").args(arguments).output().unwrap()
    }

    #[track_caller]
    pub(crate) fn manage(&self, release: &str, arguments: &[&str]) -> String {
        let output = self.try_manage(release, arguments);
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {text}");
        text
    }

    /// `manage.py migrate` as a deploy runs it beside the application: under `zdm migrate`, whose short waits for locks end
    /// before PostgreSQL looks for a deadlock and picks a victim.
    pub(crate) fn try_migrate(&self, release: &str, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_zdm"))
            .env_clear()
            .env("DATABASE_URL", self.database.url())
            .env("DJANGO_SETTINGS_MODULE", "settings")
            .env("RELEASE", release)
            .current_dir(self.path())
            // On a slow machine a swap may take longer than the default allows.
            .args(["migrate", "--max-block", "1min", "--"])
            .arg(self.django.python())
            .args(["manage.py", "migrate"])
            .args(arguments)
            .output()
            .unwrap()
    }

    #[track_caller]
    pub(crate) fn migrate(&self, release: &str, arguments: &[&str]) -> String {
        let output = self.try_migrate(release, arguments);
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {text}");
        text
    }

    #[track_caller]
    pub(crate) fn zdm(&self, arguments: &[&str], exit: i32) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_zdm"))
            .env_clear()
            .env("DATABASE_URL", self.database.url())
            .current_dir(self.path())
            .args(arguments)
            .output()
            .unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {text}");
        text
    }

    pub(crate) fn migrations(&self) -> Vec<PathBuf> {
        let mut found: Vec<PathBuf> = fs::read_dir(self.path().join(self.app).join("migrations"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with('0'))
            .collect();
        found.sort();
        found
    }

    /// What the linter finds in the migrations behind the first.
    pub(crate) fn findings(&self) -> Vec<String> {
        let request = Request { current: self.path().to_owned(), ..Request::default() };
        let analysis = Workspace::load(&request).unwrap().analyse(&request).unwrap();
        analysis
            .diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.suppressed.is_none() && diagnostic.severity > Severity::Info)
            .filter(|diagnostic| diagnostic.subject.migration.as_deref().is_some_and(|name| !name.starts_with("0001")))
            .map(|diagnostic| {
                format!(
                    "{} {:?} {}: {}",
                    diagnostic.code.code,
                    diagnostic.severity,
                    diagnostic.subject.migration.as_deref().unwrap_or_default(),
                    diagnostic.message
                )
            })
            .collect()
    }
}

/// A process of one release that works on the table.
pub(crate) struct Worker {
    child: Child,
    lines: std::sync::mpsc::Receiver<String>,
    release: &'static str,
}

impl Worker {
    pub(crate) fn start(project: &Project, release: &'static str) -> Self {
        let mut child =
            project.python(release).arg("worker.py").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = std::sync::mpsc::channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines, release }
    }

    /// So many rounds from now on, without an error.
    #[track_caller]
    pub(crate) fn works(&self, phase: &str) {
        while let Ok(line) = self.lines.try_recv() {
            assert!(!line.starts_with("error"), "{} before `{phase}`: {line}", self.release);
        }
        for _ in 0..2 {
            let line = self.lines.recv_timeout(Duration::from_mins(3)).unwrap();
            assert!(line.starts_with("round"), "{} in `{phase}`: {line}", self.release);
        }
    }

    pub(crate) fn end(mut self) {
        drop(self.child.stdin.take());
        let line = self.lines.iter().find(|line| !line.starts_with("round")).unwrap();
        self.child.wait().unwrap();
        assert!(line.starts_with("end") && line.ends_with(" 0"), "{}: {line}", self.release);
    }
}
