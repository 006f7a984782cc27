//! `tokenry export` and `tokenry import`: connections on their way to another installation.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};
use tokenry::config::{Config, read_secret_file};
use tokenry::{logging, server};
use tokenry_broker::{Broker, ExportSecret, ExportWanted};
use tokenry_model::{Action, SystemClock};
use tokenry_vault::MasterKey;

use crate::store_command::directory_of;

/// A passphrase that is shorter is guessed by whoever has the file.
const SHORTEST: usize = 12;

#[derive(Args)]
pub(crate) struct ExportFlags {
    /// Export the connections of this user
    #[arg(long, value_name = "NAME", conflicts_with = "all")]
    user: Option<String>,
    /// Export the connections of all users
    #[arg(long)]
    all: bool,
    /// The file to write
    #[arg(long, value_name = "FILE", required_unless_present = "take_back")]
    to: Option<PathBuf>,
    /// From now on whoever imports the file refreshes the grants in it, and this installation no more
    #[arg(long)]
    hand_over: bool,
    /// Take back what was handed over with this export; whoever imported it must not use it any more
    #[arg(long, value_name = "EXPORT", conflicts_with_all = ["user", "all", "to", "hand_over"])]
    take_back: Option<String>,
    /// The file was not imported anywhere, or what was imported is gone
    #[arg(long, requires = "take_back")]
    yes: bool,
    #[command(flatten)]
    secret: SecretFlags,
}

#[derive(Args)]
pub(crate) struct ImportFlags {
    /// The file that was exported
    file: PathBuf,
    /// Bring all connections to this user, whoever had them
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    #[command(flatten)]
    secret: SecretFlags,
}

/// Without either, a passphrase is asked for, or read from standard input.
#[derive(Args)]
struct SecretFlags {
    /// A file with the passphrase
    #[arg(long, value_name = "FILE", conflicts_with = "key_file")]
    passphrase_file: Option<PathBuf>,
    /// A file with 32 bytes in base64, as `tokenry key generate` makes them
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

impl SecretFlags {
    fn read(&self, is_new: bool) -> anyhow::Result<ExportSecret> {
        let read = |path: &Path| {
            read_secret_file(path).with_context(|| format!("{} cannot be read", path.display()))
        };
        if let Some(path) = &self.key_file {
            let key = MasterKey::from_base64(&read(path)?)
                .with_context(|| format!("{} does not hold a key", path.display()))?;
            return Ok(ExportSecret::Key(key));
        }
        let passphrase = match &self.passphrase_file {
            Some(path) => read(path)?,
            None => ask(is_new)?,
        };
        if is_new && passphrase.expose_secret().chars().count() < SHORTEST {
            bail!("the passphrase must be at least {SHORTEST} characters long");
        }
        Ok(ExportSecret::Passphrase(passphrase))
    }
}

fn ask(is_new: bool) -> anyhow::Result<SecretString> {
    if !std::io::stdin().is_terminal() {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line)?;
        return Ok(line.trim_end_matches(['\r', '\n']).into());
    }
    let first: SecretString = rpassword::prompt_password("Passphrase: ")?.into();
    if is_new {
        let again: SecretString = rpassword::prompt_password("Again: ")?.into();
        if first.expose_secret() != again.expose_secret() {
            bail!("the two are not the same");
        }
    }
    Ok(first)
}

pub(crate) async fn export(config: &Config, flags: &ExportFlags) -> anyhow::Result<()> {
    logging::start(config.log.format, "warn")?;
    if let Some(export) = &flags.take_back {
        return take_back(config, export, flags.yes).await;
    }
    let Some(to) = &flags.to else { bail!("name the file to write with --to") };
    if flags.user.is_none() && !flags.all {
        bail!("say whose connections: --user <name> or --all");
    }
    if to.exists() {
        bail!("{} is there already; an export overwrites nothing", to.display());
    }
    let secret = flags.secret.read(true)?;
    let wanted = ExportWanted { user: flags.user.clone(), hand_over: flags.hand_over };
    let (broker, _) = server::open(config, Arc::new(SystemClock)).await?;
    let done = write(&broker, to, &secret, &wanted).await;
    if done.is_ok() {
        broker.note_operator(Action::Export).await;
    }
    broker.close().await;
    done
}

async fn write(
    broker: &Broker,
    to: &Path,
    secret: &ExportSecret,
    wanted: &ExportWanted,
) -> anyhow::Result<()> {
    let mut name = to.as_os_str().to_owned();
    name.push(".unfinished");
    let unfinished = PathBuf::from(name);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file =
        options.open(&unfinished).with_context(|| format!("{} cannot be written", unfinished.display()))?;
    if file.try_lock().is_err() {
        bail!("{} is being written by another export", unfinished.display());
    }
    let done = broker.export_connections(&mut file, secret, wanted).await.with_context(|| {
        format!(
            "{} was not written. If grants were handed over already, they are in {}: the same command goes on from there",
            to.display(),
            unfinished.display()
        )
    })?;
    // Not a rename: that would go over a file that somebody has put there meanwhile.
    fs::hard_link(&unfinished, to).with_context(|| format!("{} cannot be written", to.display()))?;
    fs::remove_file(&unfinished)?;
    File::open(directory_of(to))?.sync_all()?;
    println!("{} connections are in {}.", done.connections, to.display());
    if done.went_on {
        println!("It went on with an export that was interrupted.");
    }
    for line in &done.left_out {
        println!("  left out  {line}");
    }
    for line in &done.held {
        println!("  a copy    {line}: it was being refreshed all the time");
    }
    if wanted.hand_over {
        println!("{} grants were handed over with the export {}.", done.handed_over, done.export);
        println!(
            "Here they are not refreshed any more. Import the file in ONE installation, then delete it."
        );
        println!("If it is to be imported nowhere: tokenry export --take-back {} --yes", done.export);
    } else if done.copies > 0 {
        println!(
            "{} grants are copies: they end with their access token, because this installation goes on refreshing them. \
             --hand-over moves them.",
            done.copies
        );
    }
    Ok(())
}

async fn take_back(config: &Config, export: &str, yes: bool) -> anyhow::Result<()> {
    if !yes {
        bail!(
            "whoever imported this export refreshes its grants. If both do, the providers end them for both. Delete what was \
             imported and every copy of the file first; then say --yes"
        );
    }
    let (broker, _) = server::open(config, Arc::new(SystemClock)).await?;
    let taken = broker.take_back_export(export).await;
    broker.close().await;
    let taken = taken?;
    if taken == 0 {
        bail!("nothing was handed over with an export {export:?}, or all of it is back");
    }
    println!("{taken} grants are refreshed here again. The file must not be imported any more: delete it.");
    Ok(())
}

pub(crate) async fn import(config: &Config, flags: &ImportFlags) -> anyhow::Result<()> {
    logging::start(config.log.format, "warn")?;
    let file = File::open(&flags.file).with_context(|| format!("{} cannot be read", flags.file.display()))?;
    let secret = flags.secret.read(false)?;
    let (broker, _) = server::open(config, Arc::new(SystemClock)).await?;
    let done = broker.import_connections(BufReader::new(file), &secret, flags.user.as_deref()).await;
    if done.is_ok() {
        broker.note_operator(Action::ImportAll).await;
    }
    broker.close().await;
    let done = done?;
    println!("{} connections are new here; {} were here already.", done.added, done.already);
    println!("{} grants were handed over: they are refreshed here from now on.", done.activated);
    if done.copies > 0 {
        println!("{} are copies, which end with their access token.", done.copies);
    }
    for line in &done.left_out {
        println!("  left out  {line}");
    }
    if done.activated > 0 {
        println!("Delete the file: imported anywhere else it would cost these grants.");
    }
    if !done.left_out.is_empty() {
        bail!("{} connections did not come; the same import can be done again", done.left_out.len());
    }
    Ok(())
}
