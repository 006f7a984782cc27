//! The configuration as a whole: files on disk, variables and flags in, a configuration or sentences out.

mod example;
mod layers;
mod problems;
mod secrets;

use std::path::Path;

use tempfile::TempDir;

use super::{Config, ConfigErrors, Overrides};

/// A directory with files in it. `tokenry.toml` is found there.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with_config(text: &str) -> Self {
        let place = Self::new();
        place.write("tokenry.toml", text);
        place
    }

    /// Writes a file that only its owner may read; gives its path.
    fn write(&self, name: &str, content: &str) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        set_mode(&path, 0o600);
        path.to_str().unwrap().to_owned()
    }

    fn load(&self, env: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
        self.load_with(&Overrides::default(), env)
    }

    fn load_with(&self, overrides: &Overrides, env: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
        Config::load_in(self.0.path(), overrides, env.iter().copied())
    }

    /// What is wrong, without the path of this directory.
    fn problems(&self, env: &[(&str, &str)]) -> Vec<String> {
        let here = format!("{}/", self.0.path().display());
        let errors = self.load(env).unwrap_err();
        errors.problems().iter().map(|p| p.to_string().replace(&here, "")).collect()
    }
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// The only problem of a file.
fn problem_of_file(text: &str) -> String {
    only(Place::with_config(text).problems(&[]))
}

/// The only problem of a variable.
fn problem_of_variable(name: &str, value: &str) -> String {
    only(Place::new().problems(&[(name, value)]))
}

fn only(mut problems: Vec<String>) -> String {
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems.remove(0)
}
