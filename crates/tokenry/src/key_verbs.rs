//! `tokenry key …`: make keys, change them, and see what needs which. They work on the database, while servers run or not.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;
use clap::Subcommand;
use secrecy::ExposeSecret as _;
use tokenry::config::{Config, MasterKeySource};
use tokenry::{logging, master_key, server};
use tokenry_broker::{KeyAdmin, KeyStatus};
use tokenry_model::{Action, SystemClock};
use tokenry_store::{Spool, Store};
use tokenry_vault::SystemRandom;

#[derive(Subcommand)]
pub(crate) enum KeyCommand {
    /// Print a new master key
    Generate,
    /// List the data keys and the signing keys
    List,
    /// Say what was sealed with which data key, how far it is sealed again, and which processes need which
    Status,
    /// Add a data key that seals from now on; servers that run take it over, and seal again what the others sealed
    Rotate {
        /// Add a key that signs access tokens instead; those before it verify until their last token has expired
        #[arg(long)]
        signing: bool,
    },
    /// Delete a data key that nothing needs any more
    Retire {
        /// Its number
        id: u32,
        /// A spool that is gone for good: what was in it may have been sealed with the key
        #[arg(long, value_name = "NAME")]
        forget_spool: Option<String>,
    },
    /// Seal the data keys with another master key
    ChangeMaster {
        /// A file that holds the new one, as `tokenry key generate` prints it
        #[arg(long, value_name = "FILE")]
        new_key_file: PathBuf,
    },
}

/// Runs a command that needs the database.
pub(crate) async fn run(config: &Config, command: KeyCommand) -> anyhow::Result<()> {
    logging::start(config.log.format, "warn")?;
    let url = config.database_url.expose_secret();
    // Before anything is made: a command that looks after keys makes neither a database nor a master key.
    if Store::peek_keys(url).await?.is_empty() {
        bail!("the database has no data keys yet; `tokenry serve` makes it, and them");
    }
    let master = master_key::find(&config.master_key, url).await?.key;
    let random = Arc::new(SystemRandom);
    tokenry_broker::check_master_key(url, &master, random.clone()).await?;
    let store = Store::open_with(url, &config.database_pool).await?;
    // Opened before: the row in the audit log is written with what the old master key opens.
    let broker = match noted_as(&command) {
        Some(_) => Some(server::open(config, Arc::new(SystemClock)).await?.0),
        None => None,
    };
    let admin = KeyAdmin::open(store, master, Arc::new(SystemClock), random).await?;
    let noted = noted_as(&command);
    let done = act(config, &admin, command).await;
    admin.close().await;
    if let (Some(broker), Some(action)) = (broker, noted) {
        if done.is_ok() {
            broker.note_operator(action).await;
        }
        broker.close().await;
    }
    done
}

/// What the audit log calls it. Nothing for what changes nothing.
const fn noted_as(command: &KeyCommand) -> Option<Action> {
    match command {
        KeyCommand::Generate | KeyCommand::List | KeyCommand::Status => None,
        KeyCommand::Rotate { .. } => Some(Action::KeyRotate),
        KeyCommand::Retire { .. } => Some(Action::KeyRetire),
        KeyCommand::ChangeMaster { .. } => Some(Action::MasterKey),
    }
}

async fn act(config: &Config, admin: &KeyAdmin, command: KeyCommand) -> anyhow::Result<()> {
    match command {
        // Needs nothing, and was done before.
        KeyCommand::Generate => {}
        KeyCommand::List => print!("{}", list(&admin.status().await?)),
        KeyCommand::Status => print!("{}", status(&admin.status().await?)),
        KeyCommand::Rotate { signing: false } => {
            let id = admin.rotate().await?;
            println!(
                "Data key {id} seals from now on. Servers that run take it over within seconds, and seal again"
            );
            println!(
                "what the others sealed: `tokenry key status` shows how far it is, and `tokenry key retire`"
            );
            println!("deletes an older key that nothing needs any more.");
        }
        KeyCommand::Rotate { signing: true } => {
            let id = admin.rotate_signing().await?;
            println!(
                "Signing key {id} signs from now on. Those before it go when their last token has expired."
            );
        }
        KeyCommand::Retire { id, forget_spool } => {
            let spool = Spool::new(config.data_dir.join("spool"));
            admin.retire(id, &spool, forget_spool.as_deref()).await?;
            println!(
                "Data key {id} is retired: it opens nothing any more, and its bytes are gone from the database."
            );
        }
        KeyCommand::ChangeMaster { new_key_file } => {
            let count = admin.change_master(&master_key::read(&new_key_file)?).await?;
            println!(
                "{count} data keys are sealed with the new master key; the old one opens nothing any more."
            );
            println!("{}", after_change(&config.master_key));
        }
    }
    Ok(())
}

/// Where the new master key must go.
fn after_change(source: &MasterKeySource) -> String {
    let place = match source {
        MasterKeySource::Value(_) => "Put the new key into TOKENRY_MASTER_KEY".to_owned(),
        MasterKeySource::File(path) | MasterKeySource::DataDir(path) => {
            format!("Put the new key into {}", path.display())
        }
        MasterKeySource::Command(_) => "Have master_key_command print the new key".to_owned(),
    };
    format!(
        "{place}, and restart every server before the next `tokenry key rotate`: until then they go on as they are."
    )
}

fn list(status: &KeyStatus) -> String {
    let mut rows = Vec::new();
    for key in &status.keys {
        let state = if key.is_current { "current" } else { "old" };
        rows.push(format!("data key {}\t{state}\tmade {}", key.id, key.created_at));
    }
    for key in &status.retired {
        rows.push(format!(
            "data key {}\tretired\tmade {}, retired {}",
            key.id, key.created_at, key.retired_at
        ));
    }
    for key in &status.signing {
        let state = match KeyStatus::verifies_until(key) {
            None => "signs".to_owned(),
            Some(until) => format!("verifies until {until}"),
        };
        rows.push(format!("signing key {}\t{state}\tmade {}", key.id, key.created_at));
    }
    rows.into_iter().map(|row| row + "\n").collect()
}

fn status(status: &KeyStatus) -> String {
    let all = status.sealed();
    let mut rows = Vec::new();
    for key in &status.keys {
        let state = if key.is_current { "current" } else { "old" };
        let sealed = status.sealed_with(key.id);
        rows.push(format!("data key {}: {state}, {sealed} of {all} values ({})", key.id, share(sealed, all)));
        for count in status.counts.iter().filter(|count| count.key == Some(key.id)) {
            rows.push(format!("  {} {}", count.count, count.what));
        }
        for hold in status.holds.iter().filter(|hold| hold.key_id == key.id) {
            let how = if status.is_alive(hold) {
                "held by a process that runs"
            } else {
                "held by a process that is gone"
            };
            rows.push(format!("  {how}, last seen {}, spool {}", hold.seen_at, hold.spool));
        }
    }
    if status.keys.len() > 1 {
        let current: i64 =
            status.keys.iter().filter(|key| key.is_current).map(|key| status.sealed_with(key.id)).sum();
        rows.push(format!("sealed with the current key: {}", share(current, all)));
    }
    rows.into_iter().map(|row| row + "\n").collect()
}

/// In tenths of a percent, rounded down: only all of it is 100 %.
fn share(part: i64, all: i64) -> String {
    let tenths = if all == 0 { 1000 } else { part.saturating_mul(1000) / all };
    format!("{}.{} %", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_all_of_it_is_a_hundred_percent() {
        assert_eq!(share(999_999, 1_000_000), "99.9 %");
        assert_eq!(share(1_000_000, 1_000_000), "100.0 %");
        assert_eq!(
            (share(0, 7), share(1, 3), share(0, 0)),
            ("0.0 %".into(), "33.3 %".into(), "100.0 %".into())
        );
    }
}
