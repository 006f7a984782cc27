//! SQLite's file: who may read it, how it is opened, and what a look at it leaves behind.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use sqlx::Connection as _;
use tokenry_store::{Store, StoreError, StoredKey};

use crate::fixture::{NOW, plain, sqlite};

/// Every file beside the database, but for the shared memory: it is an index over the log and holds nothing of its own.
fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    files
        .map(|file| (file.file_name().into_string().unwrap(), std::fs::read(file.path()).unwrap()))
        .filter(|(name, _)| !name.ends_with("-shm"))
        .collect()
}

#[tokio::test]
async fn the_file_has_a_write_ahead_log_and_keeps_foreign_keys() {
    let db = sqlite().await;
    let mut raw = db.raw().await;
    let (mode,): (String,) = sqlx::query_as("PRAGMA journal_mode").fetch_one(&mut raw).await.unwrap();
    assert_eq!(mode, "wal");
    raw.close().await.unwrap();
    let of_nobody = plain(tokenry_model::UserId::new(999));
    assert!(matches!(db.try_add(&of_nobody, "x", None).await, Err(StoreError::Unavailable(_))));
    assert_eq!(db.number("SELECT COUNT(*) FROM connections").await, Some(0));
}

#[tokio::test]
async fn only_the_owner_reads_the_database_and_what_lies_beside_it() {
    let db = sqlite().await;
    db.user().await;
    let path = db.path();
    let dir = path.parent().unwrap();
    let mut seen = 0;
    for file in std::fs::read_dir(dir).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.path().display());
        seen += 1;
    }
    assert_eq!(seen, 3, "the database, its log and its shared memory");
}

#[tokio::test]
async fn opening_again_keeps_what_is_there() {
    let db = sqlite().await;
    let ada = db.user_named("ada").await;
    db.store.close().await;
    let again = Store::open(&db.url).await.unwrap();
    assert_eq!(again.list_users().await.unwrap()[0].id, ada);
    again.ping().await.unwrap();
    again.close().await;
    assert!(again.ping().await.is_err(), "a closed database does not answer");
}

fn key() -> StoredKey {
    StoredKey { id: 1, wrapped: b"wrapped".to_vec(), is_current: true }
}

#[tokio::test]
async fn looking_at_the_keys_of_a_closed_database_changes_no_byte() {
    let db = sqlite().await;
    db.store.insert_key(&key(), NOW).await.unwrap();
    db.store.close().await;
    let path = db.path();
    let dir = path.parent().unwrap();
    let before = contents(dir);
    assert_eq!(before.len(), 1, "a clean close leaves the database alone: {:?}", before.keys());
    assert_eq!(Store::peek_keys(&db.url).await.unwrap().len(), 1);
    let mut after = contents(dir);
    // SQLite may make an empty log to read; it may not put anything into it.
    after.retain(|name, bytes| !(name.ends_with("-wal") && bytes.is_empty()));
    assert!(before == after, "the files changed: {:?}", after.keys());
}

#[tokio::test]
async fn looking_at_the_keys_reads_a_log_that_a_crash_left_and_changes_no_byte_of_it() {
    let db = sqlite().await;
    db.store.insert_key(&key(), NOW).await.unwrap();
    // As a kill leaves it: the database and its log, copied while they are open, and no shared memory.
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in contents(db.path().parent().unwrap()) {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    let before = contents(dir.path());
    assert!(before["tokenry.db-wal"].len() > 1000, "the key is still in the log");
    let url = format!("sqlite://{}", dir.path().join("tokenry.db").display());
    let ring = Store::peek_keys(&url).await.unwrap();
    assert_eq!((ring.len(), &ring[0].wrapped[..]), (1, &b"wrapped"[..]));
    assert!(before == contents(dir.path()), "the database or its log changed");
}

#[tokio::test]
async fn looking_at_the_keys_makes_no_database() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/none.db", dir.path().display());
    assert!(Store::peek_keys(&url).await.unwrap().is_empty());
    std::fs::write(dir.path().join("empty.db"), "").unwrap();
    assert!(Store::peek_keys(&url.replace("none", "empty")).await.unwrap().is_empty());
    assert_eq!(contents(dir.path()).keys().collect::<Vec<_>>(), ["empty.db"]);
    assert_eq!(std::fs::metadata(dir.path().join("empty.db")).unwrap().len(), 0);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_not_taken_for_an_empty_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.txt");
    let text = "these are my notes, and they are longer than a header. ".repeat(100);
    std::fs::write(&path, &text).unwrap();
    let url = format!("sqlite://{}", path.display());
    assert!(Store::peek_keys(&url).await.is_err());
    assert!(Store::open(&url).await.is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn another_kind_of_address_is_refused_in_words_and_without_its_password() {
    for url in [
        "postgres://ada:hush-hush@db.example.org:port/tokenry",
        "mysql://ada:hush-hush@db/tokenry?password=hush-hush",
        "hush-hush",
        "sqlite:hush-hush.db",
        "",
        "sqlite://",
        "sqlite://:memory:",
        "sqlite://tokenry.db?mode=hush-hush",
    ] {
        for error in [Store::open(url).await.err(), Store::peek_keys(url).await.err()] {
            let error = error.unwrap_or_else(|| panic!("{url} was taken"));
            assert!(matches!(error, StoreError::Url { .. }), "{url}: {error:?}");
            let (text, debug) = (error.to_string(), format!("{error:?}"));
            assert!(
                text.contains("write sqlite://") || text.contains("write postgres://"),
                "{url}: the error does not say what to write: {text}"
            );
            assert!(!text.contains("hush-hush") && !debug.contains("hush-hush"), "{text}");
        }
    }
}

#[tokio::test]
async fn a_path_that_cannot_be_opened_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/no/such/dir/tokenry.db", dir.path().display());
    let Err(error) = Store::open(&url).await else { panic!("it opened") };
    assert!(error.to_string().contains("/no/such/dir/tokenry.db"), "{error}");
}

#[tokio::test]
async fn a_schema_of_a_newer_version_is_refused() {
    let db = sqlite().await;
    db.store.close().await;
    db.execute(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'from the future', 1, x'00', 0)",
    )
    .await;
    let Err(error) = Store::open(&db.url).await else { panic!("it opened") };
    assert!(matches!(error, StoreError::Migration(_)), "{error:?}");
}
