//! What the pages say: the texts in the binary, with the operator's files.

use std::sync::Arc;

use anyhow::bail;
use tokenry_web::{TextFile, Texts, TextsError};

use crate::config::Config;
use crate::own_files;

/// Reads the directory of texts. What cannot be said as it stands in a file is logged, and said in English: a newer version may
/// say other things, and a translation does not keep it from its start.
///
/// # Errors
/// When the directory was configured and is not there, when a file cannot be read, and as [`Texts::with`]; each error is for the
/// operator and names the file.
pub fn texts(config: &Config) -> anyhow::Result<Arc<Texts>> {
    let (texts, unsaid) = read(config)?;
    for what in unsaid {
        tracing::warn!("{what}; it is said in English");
    }
    Ok(texts)
}

/// Checks the directory of texts, to the last of them. Gives a line for each language that lacks some.
///
/// # Errors
/// As [`texts`], and for what cannot be said as it stands in a file.
pub fn check(config: &Config) -> anyhow::Result<Vec<String>> {
    let (texts, unsaid) = read(config)?;
    if unsaid.is_empty() {
        let line = |(tag, count)| {
            format!("The language {tag} lacks {count} of its texts: English stands in for them.")
        };
        return Ok(texts.lacking().into_iter().map(line).collect());
    }
    let unsaid: Vec<String> = unsaid.iter().map(ToString::to_string).collect();
    bail!("{}", unsaid.join("\n"))
}

/// The texts, and what cannot be said as it stands in a file.
///
/// # Errors
/// As [`texts`].
pub fn read(config: &Config) -> anyhow::Result<(Arc<Texts>, Vec<TextsError>)> {
    let files = own_files::read_all(config, "texts_dir", &config.texts_dir, "ftl", "file of texts")?;
    let texts =
        files.into_iter().map(|file| TextFile { name: file.name, language: file.stem, text: file.text });
    Ok(Texts::with(&texts.collect::<Vec<_>>())?)
}
