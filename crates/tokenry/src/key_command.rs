//! The master key from a command: whatever a KMS, a secret manager or the holders of a split key have on the command line.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use secrecy::{ExposeSecret as _, SecretString};
use tokenry_vault::MasterKey;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use zeroize::Zeroizing;

/// How long the command may take.
const WITHIN: Duration = Duration::from_secs(30);
/// How much of what it prints is read, in bytes. A key has 44 characters.
const MOST: u64 = 16 * 1024;
/// How much of what it complains of is told, in characters.
const MOST_SAID: usize = 1000;

/// Runs the command, without a shell, and reads the master key from its standard output.
///
/// # Errors
/// When it cannot be run, fails, takes longer than 30 s, or prints no master key. What it printed to standard error is told,
/// and never what it printed to standard output.
pub(crate) async fn run(command: &[String]) -> anyhow::Result<MasterKey> {
    let Some((program, arguments)) = command.split_first() else { bail!("master_key_command is empty") };
    let what = || format!("master_key_command ({program})");
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("{} cannot be run", what()))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let ended = tokio::time::timeout(WITHIN, async {
        let (printed, said) = tokio::join!(read(out), read(err));
        Ok::<_, std::io::Error>((child.wait().await?, printed?, said?))
    });
    let Ok(ended) = ended.await else {
        bail!("{} did not end within {} s", what(), WITHIN.as_secs());
    };
    let (status, printed, said) = ended.with_context(|| format!("{} could not be read", what()))?;
    // Not UTF-8 is no key either; which byte was odd stays here.
    let printed: SecretString = str::from_utf8(&printed).unwrap_or_default().trim().into();
    if !status.success() {
        bail!("{} failed ({status}){}", what(), complaint(&said, &printed));
    }
    MasterKey::from_base64(&printed).with_context(|| format!("what {} printed is not a master key", what()))
}

/// All that a pipe gives, up to the limit; the rest is thrown away, so that whoever writes does not wait.
async fn read(pipe: Option<impl AsyncRead + Unpin>) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let Some(mut pipe) = pipe else { return Ok(Zeroizing::default()) };
    // As large as it may get from the beginning: growing would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(MOST).unwrap_or_default() + 1));
    (&mut pipe).take(MOST).read_to_end(&mut bytes).await?;
    tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await?;
    Ok(bytes)
}

/// What it said on standard error, on one line; nothing if the key may be in it.
fn complaint(said: &[u8], printed: &SecretString) -> String {
    let said = String::from_utf8_lossy(said);
    let secret = printed.expose_secret();
    if secret.split_whitespace().any(|word| word.len() >= 8 && said.contains(word)) {
        return "; what it said holds what it printed, and is not shown".to_owned();
    }
    let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let words: String = words.chars().filter(|c| !c.is_control()).take(MOST_SAID).collect();
    if words.is_empty() { String::new() } else { format!(": {words}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn of(script: &str) -> Result<String, String> {
        let command = ["sh", "-c", script].map(str::to_owned);
        let key = run(&command).await;
        key.map(|key| key.to_base64().expose_secret().to_owned()).map_err(|error| format!("{error:#}"))
    }

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    #[tokio::test]
    async fn a_command_prints_the_key() {
        assert_eq!(of(&format!("echo; echo ' {KEY} '; echo fine >&2")).await.as_deref(), Ok(KEY));
    }

    #[tokio::test]
    async fn a_command_that_fails_is_quoted_from_its_standard_error_alone() {
        let error = of(&format!("echo {KEY}; printf 'no\\n\\033such secret' >&2; exit 3")).await.unwrap_err();
        assert!(error.contains("master_key_command (sh) failed (exit status: 3): no such secret"), "{error}");
        assert!(!error.contains(KEY), "{error}");
        let error = of(&format!("echo {KEY}; echo 'got {KEY}' >&2; exit 1")).await.unwrap_err();
        assert!(!error.contains(KEY) && error.contains("is not shown"), "{error}");
    }

    #[tokio::test]
    async fn what_is_no_key_is_not_repeated() {
        for script in ["echo sentinel", "true", "printf '\\377'", "yes sentinel | head -c 1000000"] {
            let error = of(script).await.unwrap_err();
            assert!(error.contains("is not a master key") && !error.contains("sentinel"), "{error}");
        }
        let error = run(&["/nowhere/at-all".to_owned()]).await.unwrap_err();
        assert!(format!("{error:#}").contains("cannot be run"), "{error:#}");
    }
}
