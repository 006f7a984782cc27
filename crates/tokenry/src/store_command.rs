//! `tokenry backup`, `tokenry restore` and `tokenry migrate-store`: the whole state, put somewhere else.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};
use tokenry::config::{Config, read_secret_file};
use tokenry::{logging, master_key, server};
use tokenry_broker::check_master_key;
use tokenry_model::{Action, Clock as _, SystemClock};
use tokenry_store::{BackedUp, Described, Spool, Store};
use tokenry_vault::SystemRandom;

#[derive(Args)]
pub(crate) struct RestoreFlags {
    /// The backup
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "already_there",
        conflicts_with = "already_there"
    )]
    from: Option<PathBuf>,
    /// The database's own tools have put the data back: only mark what may have been spent since the backup
    #[arg(long)]
    already_there: bool,
    /// The installation that the backup was made of lives on: refresh nothing here that it refreshes
    #[arg(long)]
    copy: bool,
}

#[derive(Args)]
pub(crate) struct MigrateFlags {
    /// The database to move away from [default: the configured one]
    #[arg(long, value_name = "URL")]
    from: Option<String>,
    /// The database to move to; it must hold nothing
    #[arg(long, value_name = "URL", required_unless_present_any = ["to_file", "take_back"])]
    to: Option<String>,
    /// A file with the URL of the database to move to: other users of the machine see flags
    #[arg(long, value_name = "FILE", conflicts_with = "to")]
    to_file: Option<PathBuf>,
    /// Make the database of --from, which was moved away, the one in use again; the other must never run any more
    #[arg(long, conflicts_with_all = ["to", "to_file"])]
    take_back: bool,
}

/// The path of the database, if it is a file.
fn sqlite_file(config: &Config) -> Option<PathBuf> {
    config.database_url.expose_secret().strip_prefix("sqlite://").map(PathBuf::from)
}

fn spool(config: &Config) -> Spool {
    Spool::new(config.data_dir.join("spool"))
}

/// Makes a backup, or says how the database's own tools make one.
pub(crate) async fn backup(config: &Config, to: &Path) -> anyhow::Result<()> {
    logging::start(config.log.format, "warn")?;
    let Some(database) = sqlite_file(config) else { return advise(config, to).await };
    if to.exists() {
        bail!("{} is there already; a backup overwrites nothing", to.display());
    }
    if !fs::metadata(&database).is_ok_and(|file| file.len() > 0) {
        bail!("there is no database at {}", database.display());
    }
    let url = config.database_url.expose_secret();
    let key = master_key::find(&config.master_key, url).await?.key;
    let dir = directory_of(to);
    // Only its owner reads it; it has another name until it is whole.
    let file = tempfile::Builder::new().prefix(".tokenry-backup-").tempfile_in(dir)?;
    let made = tokenry_store::back_up(url, &spool(config), file.path(), SystemClock.now()).await?;
    let copy = format!("sqlite://{}", file.path().display());
    check_master_key(&copy, &key, Arc::new(SystemRandom)).await?;
    file.as_file().sync_all()?;
    file.persist_noclobber(to).with_context(|| format!("{} cannot be written", to.display()))?;
    File::open(dir)?.sync_all()?;
    // After the copy, which would else end in the middle of it.
    note(config, Action::Backup).await?;
    println!(
        "The backup is in {}, and was read back: it is sound, and the master key opens it.",
        to.display()
    );
    print!("{}", contents(&made));
    println!("The master key is not in it: keep that elsewhere. Without it nothing in there opens.");
    Ok(())
}

/// What the operator of a database server does.
async fn advise(config: &Config, to: &Path) -> anyhow::Result<()> {
    let url = config.database_url.expose_secret();
    let Described { version, schema, tables } = tokenry_store::describe(url).await?;
    let key = master_key::find(&config.master_key, url).await?.key;
    check_master_key(url, &key, Arc::new(SystemRandom)).await?;
    println!("The database answers, and the master key opens it: {version}, schema {schema}.");
    for (table, rows) in tables {
        println!("  {rows:>10}  {table}");
    }
    println!("It has tools of its own for backups, which work while servers run:");
    println!("  pg_dump --format=custom --file={} \"$TOKENRY_DATABASE_URL\"   (one moment)", to.display());
    println!(
        "  pg_basebackup and an archive of the write-ahead log   (every moment; the fewest connections to connect again)"
    );
    println!("After putting one back: tokenry restore --already-there");
    let waiting = spool(config).files()?.len();
    if waiting > 0 {
        println!(
            "{waiting} answers wait in {}: back that up as well.",
            config.data_dir.join("spool").display()
        );
    }
    Ok(())
}

/// Writes into the audit log what the operator did.
async fn note(config: &Config, action: Action) -> anyhow::Result<()> {
    let (broker, _) = server::open(config, Arc::new(SystemClock)).await?;
    broker.note_operator(action).await;
    broker.close().await;
    Ok(())
}

fn contents(made: &BackedUp) -> String {
    let mut text = format!("  of {}, schema {}\n", made.made_at, made.schema);
    for (table, rows) in &made.tables {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {rows:>10}  {table}");
    }
    if made.spooled > 0 {
        let _ = writeln!(text, "  {:>10}  answers that wait in the spool", made.spooled);
    }
    text
}

/// Puts a backup back where no database is.
pub(crate) async fn restore(config: &Config, flags: &RestoreFlags) -> anyhow::Result<()> {
    logging::start(config.log.format, "warn")?;
    let Some(from) = &flags.from else { return mark_restored(config, flags.copy).await };
    let Some(database) = sqlite_file(config) else {
        bail!(
            "a backup file goes into a SQLite database; PostgreSQL is put back by its own tools (pg_restore)"
        )
    };
    for ending in ["", "-wal", "-journal"] {
        let path = beside(&database, ending);
        if path.exists() {
            bail!(
                "{} is there already; a restore goes where no database is: move it away first",
                path.display()
            );
        }
    }
    let backup = tokenry_store::check_backup(from).await?;
    let backup_url = format!("sqlite://{}", from.display());
    // None is made: the backup was sealed with one that is there already.
    let key = master_key::find(&config.master_key, &backup_url).await?.key;
    check_master_key(&backup_url, &key, Arc::new(SystemRandom)).await?;

    master_key::make_data_dir(&config.data_dir)?;
    let dir = directory_of(&database);
    let workshop = tempfile::Builder::new().prefix(".tokenry-restore-").tempdir_in(dir)?;
    let copy = workshop.path().join("tokenry.db");
    fs::copy(from, &copy)?;
    make_private(&copy)?;
    let why = if flags.copy {
        format!("it is in a copy, put back from a backup of {}: the original keeps it fresh", backup.made_at)
    } else {
        format!(
            "the database was put back from a backup of {}, and its refresh token may have been used since",
            backup.made_at
        )
    };
    let spool = spool(config);
    tokenry_store::unpack_backup(&copy, (!flags.copy).then_some(&spool)).await?;
    let store = Store::open(&format!("sqlite://{}", copy.display())).await?;
    let grants = mark(&store, &spool, &why, flags.copy).await?;
    store.close().await;
    File::open(&copy)?.sync_all()?;
    // Not a rename: that would go over a database that somebody has made meanwhile.
    fs::hard_link(&copy, &database).with_context(|| format!("{} cannot be written", database.display()))?;
    File::open(dir)?.sync_all()?;
    drop(workshop);

    let (broker, _) = server::open(config, Arc::new(SystemClock)).await?;
    broker.ready().await?;
    broker.note_operator(Action::Restore).await;
    broker.close().await;
    println!("{} is put back to {}, and opens.", from.display(), database.display());
    print!("{}", contents(&backup));
    tell(grants, flags.copy);
    Ok(())
}

/// Marks what the database's own tools have put back.
async fn mark_restored(config: &Config, copy: bool) -> anyhow::Result<()> {
    let store = Store::open_with(config.database_url.expose_secret(), &config.database_pool).await?;
    let now = SystemClock.now();
    let why = if copy {
        format!("it is in a copy, put back at {now}: the original keeps it fresh")
    } else {
        format!(
            "the database was put back at {now} from a backup, and its refresh token may have been used since that was made"
        )
    };
    let grants = mark(&store, &spool(config), &why, copy).await;
    store.close().await;
    let grants = grants?;
    note(config, Action::Restore).await?;
    tell(grants, copy);
    Ok(())
}

async fn mark(store: &Store, spool: &Spool, why: &str, copy: bool) -> anyhow::Result<u64> {
    if !copy {
        // An answer that waits here may be newer than the backup: then it is what counts.
        for answer in spool.list()? {
            store.update_to_await(&answer).await?;
        }
    }
    Ok(store.update_restored(why, copy).await?)
}

fn tell(grants: u64, copy: bool) {
    if copy {
        println!(
            "{grants} grants stay with the original: here their tokens are handed out until they end, and nothing is \
             refreshed or revoked."
        );
    } else {
        println!(
            "{grants} grants may have been refreshed since the backup: each is tried once. One that its provider refuses \
             then says so, and must be connected again.\nThe installation that the backup was made of must not run any more."
        );
    }
    println!(
        "All sign-ins have ended. Log-outs, new passwords, deletes and new users since the backup are lost."
    );
}

/// Moves the store to another database.
pub(crate) async fn migrate(config: &Config, flags: &MigrateFlags) -> anyhow::Result<()> {
    logging::start(config.log.format, "warn")?;
    let from: SecretString = match &flags.from {
        Some(url) => url.clone().into(),
        None => config.database_url.clone(),
    };
    if flags.take_back {
        return take_back(from.expose_secret()).await;
    }
    let to: SecretString = match (&flags.to, &flags.to_file) {
        (Some(url), _) => url.clone().into(),
        (None, Some(file)) => {
            read_secret_file(file).with_context(|| format!("{} cannot be read", file.display()))?
        }
        (None, None) => bail!("name the database to move to with --to"),
    };
    let moved =
        tokenry_store::move_store(from.expose_secret(), to.expose_secret(), SystemClock.now()).await?;
    let mut there = config.clone();
    there.database_url = to;
    note(&there, Action::MigrateStore).await?;
    println!("Everything was moved, and read back:");
    for (table, rows) in &moved.tables {
        println!("  {rows:>10}  {table}");
    }
    println!("The old database is marked as moved: no server starts on it. Set database_url to the new one.");
    let waiting = spool(config).files()?.len();
    if waiting > 0 {
        println!(
            "{waiting} answers wait in {}: keep that directory as the data directory; the first start takes them up.",
            config.data_dir.join("spool").display()
        );
    }
    Ok(())
}

async fn take_back(url: &str) -> anyhow::Result<()> {
    let now = SystemClock.now();
    let doubt = format!(
        "the database was moved away and taken back at {now}; the other one may have used its refresh token meanwhile"
    );
    if !tokenry_store::take_back_store(url, &doubt).await? {
        bail!("this database was not moved away");
    }
    println!("The database is the one in use again, and all sign-ins have ended.");
    println!("What it was moved to must never run any more: two that refresh the same grants lose them.");
    Ok(())
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

pub(crate) fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Its owner alone reads it, whatever the original allows.
fn make_private(path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}
