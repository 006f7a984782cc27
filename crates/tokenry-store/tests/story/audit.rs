//! The audit log: rows that follow one another, and the head that says where they end.

use std::time::Duration;

use tokenry_model::{Action, Actor, AuditEntry, AuditOutcome, ConnectionId, Timestamp, UserId};
use tokenry_store::{AuditHead, AuditRow, AuditWanted, Store, StoreError};

use crate::fixture::{after, provider, stores};

/// Stands in for the keyed hash of the broker: what follows what can be seen by it.
fn hash(seq: i64, before: &[u8], entry: &AuditEntry) -> Vec<u8> {
    let sum = |bytes: &[u8]| {
        bytes.iter().fold(14_695_981_039_346_656_037_u64, |sum, byte| {
            (sum ^ u64::from(*byte)).wrapping_mul(1_099_511_628_211)
        })
    };
    sum(&entry.to_bytes(seq, before)).to_be_bytes().repeat(4)
}

fn chained(head: &AuditHead, entries: &[AuditEntry]) -> (Vec<AuditRow>, AuditHead) {
    let mut head = head.clone();
    let mut rows = Vec::new();
    for entry in entries {
        head.seq += 1;
        head.hash = hash(head.seq, &head.hash, entry);
        rows.push(AuditRow { seq: head.seq, entry: entry.clone(), hash: head.hash.clone() });
    }
    head.mac = b"vouched for".to_vec();
    (rows, head)
}

async fn append(store: &Store, entries: &[AuditEntry]) -> Result<(), StoreError> {
    store.append_audit(|head, _| Ok(chained(head, entries))).await
}

fn entry(user: i64, connection: i64, at: Timestamp) -> AuditEntry {
    let user = UserId::new(user);
    AuditEntry::new(Actor::User(user), Action::TokenRead, AuditOutcome::Ok, at).about(
        Some(user),
        Some(ConnectionId::new(connection)),
        Some(&provider("github")),
    )
}

async fn all(store: &Store) -> Vec<AuditRow> {
    store.list_audit(0, 100_000).await.unwrap()
}

/// That each row follows the one before, and that the head says where they end.
async fn assert_chained(store: &Store, name: &str) {
    let head = store.find_audit_head().await.unwrap();
    let (mut before, mut seq) = (head.kept_before, head.kept_seq);
    for row in all(store).await {
        assert_eq!(row.seq, seq, "{name}");
        assert_eq!(row.hash, hash(seq, &before, &row.entry), "{name}: row {seq}");
        (before, seq) = (row.hash, seq + 1);
    }
    assert_eq!((head.seq, head.hash), (seq - 1, before), "{name}");
}

#[tokio::test]
async fn what_is_appended_is_read_back_as_it_was_however_much_it_is() {
    for db in stores().await {
        let head = db.store.find_audit_head().await.unwrap();
        assert_eq!((head.seq, head.kept_seq, head.mac.len()), (0, 1, 0), "{}", db.name);
        let full = AuditEntry {
            last_at: after(9),
            count: 3,
            reason: Some("forbidden".into()),
            address: Some("2001:db8::1".to_owned()),
            agent: Some("a program".to_owned()),
            ..entry(1, 2, after(1))
        };
        let bare = AuditEntry::new(Actor::Anonymous, Action::Access, AuditOutcome::Refused, after(2));
        append(&db.store, &[full.clone(), bare.clone()]).await.unwrap();
        let rows = all(&db.store).await;
        assert_eq!(rows.iter().map(|row| &row.entry).collect::<Vec<_>>(), [&full, &bare], "{}", db.name);
        assert_eq!(db.store.find_audit(2).await.unwrap(), Some(rows[1].clone()));
        assert_eq!(db.store.find_audit(3).await.unwrap(), None);
        let mut there = 2;
        for count in [1, 7, 8, 9, 63, 64, 65, 600] {
            let many: Vec<_> = (0..count).map(|n| entry(1, n + 1, after(3))).collect();
            append(&db.store, &many).await.unwrap();
            there += usize::try_from(count).unwrap();
            assert_eq!(all(&db.store).await.len(), there, "{}: {count}", db.name);
        }
        assert_chained(&db.store, db.name).await;
        assert_eq!(
            db.store.list_audit(10, 3).await.unwrap().iter().map(|r| r.seq).collect::<Vec<_>>(),
            [11, 12, 13]
        );
        assert_eq!(db.store.list_audit_places(10, 2).await.unwrap(), [11, 12]);
    }
}

#[tokio::test]
async fn nothing_is_appended_when_the_chain_cannot_be_made_or_there_is_nothing_to_say() {
    for db in stores().await {
        append(&db.store, &[entry(1, 1, after(1))]).await.unwrap();
        let before = db.store.find_audit_head().await.unwrap();
        let refused = db.store.append_audit(|_, _| Err(StoreError::Conflict)).await;
        assert!(matches!(refused, Err(StoreError::Conflict)), "{}", db.name);
        append(&db.store, &[]).await.unwrap();
        // A row that stands there already is not written over.
        let taken = db
            .store
            .append_audit(|head, last| {
                assert_eq!(last.unwrap().0, 1);
                let earlier = AuditHead { seq: 0, ..head.clone() };
                Ok::<_, StoreError>(chained(&earlier, &[entry(2, 2, after(2)), entry(2, 2, after(2))]))
            })
            .await;
        assert!(taken.is_err(), "{}", db.name);
        assert_eq!(db.store.find_audit_head().await.unwrap(), before, "{}", db.name);
        assert_eq!(all(&db.store).await.len(), 1);
        assert_chained(&db.store, db.name).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_processes_that_append_at_once_make_one_chain_without_gaps() {
    for db in stores().await {
        let others = [Store::open(&db.url).await.unwrap(), Store::open(&db.url).await.unwrap()];
        let stores = [db.store.clone(), others[0].clone(), others[1].clone()];
        let work = (0..60_i64).map(|number| {
            let store = stores[usize::try_from(number % 3).unwrap()].clone();
            tokio::spawn(async move {
                let entries: Vec<_> = (0..=number % 5).map(|n| entry(number + 1, n + 1, after(1))).collect();
                append(&store, &entries).await.unwrap();
                entries.len()
            })
        });
        let mut written = 0;
        for each in work.collect::<Vec<_>>() {
            written += each.await.unwrap();
        }
        let rows = all(&db.store).await;
        assert_eq!(rows.len(), written, "{}", db.name);
        assert_chained(&db.store, db.name).await;
        // What was appended together stands together.
        let mut blocks: Vec<_> = rows.iter().map(|row| row.entry.owner).collect();
        blocks.dedup();
        assert_eq!(blocks.len(), 60, "{}", db.name);
    }
}

#[tokio::test]
async fn rows_are_found_by_whose_they_are_by_connection_and_by_time() {
    for db in stores().await {
        let list =
            AuditEntry::new(Actor::User(UserId::new(1)), Action::TokenList, AuditOutcome::Ok, after(30))
                .about(Some(UserId::new(1)), None, None);
        let refused = AuditEntry {
            outcome: "refused".into(),
            reason: Some("forbidden".into()),
            actor_id: Some(2),
            ..entry(1, 10, after(50))
        };
        let nobodys = AuditEntry::new(Actor::Background, Action::ServerStart, AuditOutcome::Ok, after(60));
        let rows = [
            entry(1, 10, after(10)),
            entry(1, 11, after(20)),
            list,
            entry(2, 12, after(40)),
            refused,
            nobodys,
        ];
        append(&db.store, &rows).await.unwrap();
        let find = async |wanted: AuditWanted| {
            let found = db.store.list_audit_wanted(&wanted, i64::MAX, 100).await.unwrap();
            found.iter().map(|row| row.seq).collect::<Vec<_>>()
        };
        let one = AuditWanted { owner: Some(UserId::new(1)), ..AuditWanted::default() };
        assert_eq!(find(AuditWanted::default()).await, [6, 5, 4, 3, 2, 1], "{}", db.name);
        assert_eq!(find(one.clone()).await, [5, 3, 2, 1], "{}", db.name);
        let of_10 = AuditWanted { connection: Some(10), ..one.clone() };
        assert_eq!(find(of_10.clone()).await, [5, 1], "{}", db.name);
        let listed = |seconds| AuditWanted { listed_since: Some(after(seconds)), ..of_10.clone() };
        assert_eq!(find(listed(5)).await, [5, 3, 1], "{}", db.name);
        assert_eq!(find(listed(31)).await, [5, 1], "{}: made after the list", db.name);
        let two = AuditWanted { either: Some(UserId::new(2)), ..AuditWanted::default() };
        assert_eq!(find(two.clone()).await, [5, 4], "{}", db.name);
        assert_eq!(find(AuditWanted { since: Some(after(45)), ..two }).await, [5], "{}", db.name);
        let page = db.store.list_audit_wanted(&one, 5, 2).await.unwrap();
        assert_eq!(page.iter().map(|row| row.seq).collect::<Vec<_>>(), [3, 2], "{}", db.name);
    }
}

#[tokio::test]
async fn of_which_provider_a_connection_is_is_told_of_its_owner_alone_be_it_deleted() {
    for db in stores().await {
        let (ada, bob) = (db.user().await, db.user().await);
        let mut asked = Vec::new();
        for _ in 0..9 {
            asked.push((ada, db.add_plain(ada).await.get()));
        }
        db.store.delete_connection(ada, ConnectionId::new(asked[0].1), false, after(1)).await.unwrap();
        asked.extend([(bob, asked[1].1), (ada, 1_000_000)]);
        let found = db.store.list_providers_of(&asked).await.unwrap();
        assert_eq!(found.len(), 9, "{}", db.name);
        assert!(asked[..9].iter().all(|one| found[one] == "github"), "{}", db.name);
        assert_eq!(db.store.list_providers_of(&asked[7..]).await.unwrap().len(), 2, "{}", db.name);
        assert!(db.store.list_providers_of(&[]).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn old_rows_go_from_the_front_and_what_is_kept_still_follows_one_another() {
    for db in stores().await {
        let rows: Vec<_> = (1..=10).map(|n| entry(1, n, after(u64::try_from(n).unwrap() * 10))).collect();
        append(&db.store, &rows).await.unwrap();
        let vouch = |_: &AuditHead, next: AuditHead| Some(AuditHead { mac: b"anew".to_vec(), ..next });
        assert_eq!(db.store.delete_old_audit(after(10), 100, vouch).await.unwrap(), 0, "{}", db.name);
        assert_eq!(db.store.delete_old_audit(after(31), 2, vouch).await.unwrap(), 2, "at most so many");
        assert_eq!(db.store.delete_old_audit(after(31), 100, vouch).await.unwrap(), 1, "{}", db.name);
        let head = db.store.find_audit_head().await.unwrap();
        assert_eq!((head.kept_seq, head.seq, &head.mac[..]), (4, 10, &b"anew"[..]), "{}", db.name);
        assert_chained(&db.store, db.name).await;
        let nobody = |_: &AuditHead, _| None;
        assert_eq!(db.store.delete_old_audit(after(1000), 100, nobody).await.unwrap(), 0, "{}", db.name);
        assert_eq!(db.store.delete_old_audit(after(1000), 100, vouch).await.unwrap(), 6, "{}", db.name);
        assert_eq!(all(&db.store).await.len(), 1, "{}: the last of all stays", db.name);
        append(&db.store, &[entry(1, 1, after(2000))]).await.unwrap();
        assert_chained(&db.store, db.name).await;
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_said_to_be_so_and_its_place_is_known() {
    // A column of PostgreSQL holds nothing but its type.
    let db = crate::fixture::sqlite().await;
    append(&db.store, &[entry(1, 1, after(1)), entry(1, 2, after(2))]).await.unwrap();
    db.execute("UPDATE audit_log SET times = 'three' WHERE seq = 2").await;
    assert!(matches!(db.store.find_audit(2).await, Err(StoreError::Corrupt { .. })));
    assert!(matches!(db.store.list_audit(0, 10).await, Err(StoreError::Corrupt { .. })));
    assert_eq!(db.store.list_audit_places(0, 10).await.unwrap(), [1, 2]);
}

#[tokio::test]
async fn a_batch_that_is_given_up_half_way_leaves_nothing_and_holds_up_nobody() {
    for db in stores().await {
        let hold = {
            let store = db.store.clone();
            // Dropped while it has the head: its caller hung up.
            tokio::time::timeout(Duration::from_millis(1), async move {
                loop {
                    append(&store, &vec![entry(1, 1, after(1)); 300]).await.unwrap();
                }
            })
        };
        assert!(hold.await.is_err(), "{}", db.name);
        append(&db.store, &[entry(1, 1, after(2))]).await.unwrap();
        assert_chained(&db.store, db.name).await;
        assert_eq!(all(&db.store).await.len() % 300, 1, "{}", db.name);
    }
}
