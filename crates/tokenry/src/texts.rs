//! What the pages say: the texts in the binary, with the operator's files.

use std::sync::Arc;

use tokenry_web::{TextFile, Texts};

use crate::config::Config;
use crate::own_files;

/// Reads the directory of texts.
///
/// # Errors
/// When the directory was configured and is not there, when a file cannot be read, and as [`Texts::with`]; each error is for the
/// operator and names the file.
pub fn texts(config: &Config) -> anyhow::Result<Arc<Texts>> {
    let files = own_files::read_all(config, "texts_dir", &config.texts_dir, "ftl", "file of texts")?;
    let files =
        files.into_iter().map(|file| TextFile { name: file.name, language: file.stem, text: file.text });
    Ok(Texts::with(&files.collect::<Vec<_>>())?)
}
