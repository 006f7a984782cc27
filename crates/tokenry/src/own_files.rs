//! An operator's own files: those of a directory with a certain ending, read whole.

use std::path::Path;

use anyhow::{Context as _, bail};

use crate::config::{Config, Origin};

/// A file that is longer is none of those.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// A file of the operator's.
pub(crate) struct OwnFile {
    /// Where it is.
    pub(crate) name: String,
    /// What it is called, without its ending.
    pub(crate) stem: String,
    /// What is in it.
    pub(crate) text: String,
}

/// Every file of the directory `dir` that ends in `ending`, by name; `key` is the setting that names the directory, and `what` what
/// such a file is called. Files that begin with a dot are an editor's.
///
/// # Errors
/// When the directory was configured and is not there, and when a file cannot be read; each error is for the operator and names
/// the file.
pub(crate) fn read_all(
    config: &Config,
    key: &str,
    dir: &Path,
    ending: &str,
    what: &str,
) -> anyhow::Result<Vec<OwnFile>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return match config.origin(key) {
                Origin::Default => Ok(Vec::new()),
                origin => bail!(
                    "{origin} names the directory {}, which is not there; make it, or correct the path",
                    dir.display()
                ),
            };
        }
        Err(error) => {
            return Err(error)
                .with_context(|| format!("the directory {} cannot be read; {key} names it", dir.display()));
        }
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("{} cannot be read", dir.display()))?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && path.extension().is_some_and(|extension| extension == ending) {
            files.push(read(&path, what)?);
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

fn read(path: &Path, what: &str) -> anyhow::Result<OwnFile> {
    let name = path.display().to_string();
    let context = || format!("the {what} {name} cannot be read");
    let meta = std::fs::metadata(path).with_context(context)?;
    if !meta.is_file() || meta.len() > MAX_FILE_BYTES {
        bail!("the {what} {name} must be a file of at most 1 MiB");
    }
    let text = std::fs::read_to_string(path).with_context(context)?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(OwnFile { name, stem, text })
}
