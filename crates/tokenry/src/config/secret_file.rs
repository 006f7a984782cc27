//! Secrets in files, as Docker, Kubernetes and systemd hand them over.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use secrecy::SecretString;

/// A secret is a line, not a book. Bytes.
const MAX_LEN: u64 = 64 * 1024;

/// Why a file yields no secret. Neither the path nor the content is in it.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// It cannot be read.
    #[error("the one it names cannot be read ({0})")]
    Unreadable(#[from] io::Error),
    /// It has more than 64 KiB.
    #[error("the one it names has more than 64 KiB")]
    TooLong,
    /// It is not UTF-8.
    #[error("the one it names is not text in UTF-8")]
    NotText,
    /// Nothing, or nothing but white space.
    #[error("the one it names is blank")]
    Blank,
}

/// Reads a secret from a file. One line break at the end is not part of it.
///
/// # Errors
/// [`SecretFileError`], which repeats nothing of the file.
pub fn read_secret_file(path: &Path) -> Result<SecretString, SecretFileError> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_LEN + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_LEN {
        return Err(SecretFileError::TooLong);
    }
    let mut text = String::from_utf8(bytes).map_err(|_| SecretFileError::NotText)?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.trim().is_empty() {
        return Err(SecretFileError::Blank);
    }
    Ok(text.into())
}

/// Checks a secret's file without using it up: a pipe can be read only once, so it is left alone.
pub(super) fn check(path: &Path) -> Result<(), SecretFileError> {
    let kind = std::fs::metadata(path)?;
    if kind.is_file() || kind.is_dir() {
        read_secret_file(path)?;
    }
    Ok(())
}

/// The permissions of a file that everybody on the machine may use.
pub(super) fn mode_open_to_all(path: &Path) -> Option<u32> {
    let data = std::fs::metadata(path).ok()?;
    let mode = data.permissions().mode() & 0o777;
    (data.is_file() && mode & 0o007 != 0).then_some(mode)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn read(content: &[u8]) -> Result<String, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, content).unwrap();
        read_secret_file(&path).map(|s| s.expose_secret().to_owned()).map_err(|e| e.to_string())
    }

    #[test]
    fn one_line_break_at_the_end_is_not_part_of_the_secret() {
        for (content, secret) in
            [("s", "s"), ("s\n", "s"), ("s\r\n", "s"), ("s\n\n", "s\n"), (" s ", " s "), ("s\r", "s\r")]
        {
            assert_eq!(read(content.as_bytes()).as_deref(), Ok(secret), "{content:?}");
        }
    }

    #[test]
    fn a_file_without_a_secret_says_why_and_repeats_nothing() {
        for blank in [&b""[..], b"\n", b" \t\r\n\n"] {
            assert!(read(blank).unwrap_err().contains("blank"));
        }
        assert!(read(b"sentinel\xff").unwrap_err().ends_with("is not text in UTF-8"));
        assert!(read(&vec![b'x'; 64 * 1024]).is_ok());
        assert!(read(&vec![b'x'; 64 * 1024 + 1]).unwrap_err().contains("64 KiB"));
        let error = read_secret_file(Path::new("/nowhere/sentinel")).unwrap_err().to_string();
        assert!(error.contains("cannot be read") && !error.contains("sentinel"), "{error}");
        assert!(read_secret_file(tempfile::tempdir().unwrap().path()).is_err());
    }
}
