//! A backup of SQLite while somebody writes, and what a damaged one is called.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokenry_store::{self as store_room, Spool, Store, StoreError};

use crate::fixture::{NOW, bytes, plain, sealed, sqlite};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_one_moment_while_others_write_and_comes_back_as_it_was() {
    let db = sqlite().await;
    let ada = db.user().await;
    let first = db.add_plain(ada).await;
    let stop = Arc::new(AtomicBool::new(false));
    let writing = {
        let (store, stop) = (db.store.clone(), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut written = 0;
            while !stop.load(Ordering::Relaxed) {
                let sealed = sealed("more", None);
                store.insert_connection(&plain(ada), NOW, |_| Ok::<_, StoreError>(sealed)).await.unwrap();
                written += 1;
            }
            written
        })
    };
    let spool = Spool::new(db.path().parent().unwrap().join("spool"));
    spool.put_file("1-1.spooled", b"sealed answer").unwrap();
    let dir = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let to = dir.path().join(format!("{round}.backup"));
        std::fs::File::create(&to).unwrap();
        std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o600)).unwrap();
        let made = store_room::back_up(&db.url, &spool, &to, NOW).await.unwrap();
        assert_eq!((made.made_at, made.spooled), (NOW, 1));
        assert!(made.schema >= 6 && made.tables.contains(&("users".to_owned(), 1)), "{made:?}");
        assert_eq!(store_room::check_backup(&to).await.unwrap(), made);
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
        assert_eq!(left.len(), round + 1, "a backup is one file");
        assert_eq!(std::fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
    }
    stop.store(true, Ordering::Relaxed);
    assert!(writing.await.unwrap() > 0, "nobody wrote meanwhile");

    let copy = dir.path().join("0.backup");
    let there = Spool::new(dir.path().join("spool"));
    store_room::unpack_backup(&copy, Some(&there)).await.unwrap();
    assert_eq!(there.files().unwrap(), spool.files().unwrap());
    let store = Store::open(&format!("sqlite://{}", copy.display())).await.unwrap();
    let it = store.find_connection(ada, first).await.unwrap().unwrap().connection.unwrap();
    assert_eq!(it.access_token, bytes("sealed pasted token"));
}

#[tokio::test]
async fn what_is_damaged_or_no_backup_is_said_to_be_so() {
    let db = sqlite().await;
    let ada = db.user().await;
    for _ in 0..200 {
        db.add_plain(ada).await;
    }
    let spool = Spool::new(db.path().parent().unwrap().join("spool"));
    let dir = tempfile::tempdir().unwrap();
    let good = dir.path().join("good");
    std::fs::File::create(&good).unwrap();
    store_room::back_up(&db.url, &spool, &good, NOW).await.unwrap();
    let whole = std::fs::read(&good).unwrap();
    let refused = async |what: &str, content: &[u8]| {
        let path = dir.path().join("bad");
        std::fs::write(&path, content).unwrap();
        let Err(error) = store_room::check_backup(&path).await else { panic!("{what} was taken") };
        error.to_string()
    };
    refused("half of one", &whole[..whole.len() / 2]).await;
    assert!(refused("nothing", b"").await.contains("no backup"));
    refused("a text", "these are my notes. ".repeat(100).as_bytes()).await;
    // Pages in the middle that hold rows.
    let mut torn = whole.clone();
    let middle = whole.len() / 2;
    torn[middle..middle + 4096].fill(0xAA);
    refused("a torn one", &torn).await;

    // A database that is no backup, such as one that a copy was made of while it ran.
    db.store.close().await;
    let raw = std::fs::read(db.path()).unwrap();
    assert!(refused("a database", &raw).await.contains("no backup that came to its end"));
    // A file that has something in it is not written over.
    std::fs::write(dir.path().join("mine"), "mine").unwrap();
    assert!(store_room::back_up(&db.url, &spool, &dir.path().join("mine"), NOW).await.is_err());
    assert_eq!(std::fs::read(dir.path().join("mine")).unwrap(), b"mine");
}
