//! How refreshes went hour by hour, as several processes add it up.

use tokenry_model::Timestamp;
use tokenry_store::{RefreshHour, Store, StoreError};

use crate::fixture::{Fixture, after, provider, stores};

const HOUR: u64 = 3600;

/// What one process counted in the hour that begins so many hours after the beginning.
fn counted(at_h: u64, of: &str, done: i64, failed: i64) -> RefreshHour {
    RefreshHour { hour: after(at_h * HOUR), provider: provider(of), done, failed, held: false }
}

fn held(at_h: u64, of: &str) -> RefreshHour {
    RefreshHour { held: true, ..counted(at_h, of, 0, 0) }
}

async fn all(db: &Fixture) -> Vec<RefreshHour> {
    db.store.list_refresh_hours(after(0), Timestamp::LAST).await.unwrap()
}

#[tokio::test]
async fn what_several_processes_counted_adds_up_by_provider_and_hour() {
    for db in stores().await {
        let one = [counted(1, "github", 5, 1), counted(2, "github", 7, 0), counted(1, "spotify", 2, 0)];
        // In another order, and one of them twice.
        let other = [counted(2, "github", 1, 0), counted(1, "github", 3, 2), counted(2, "github", 0, 4)];
        db.store.update_refresh_hours(&one).await.unwrap();
        db.store.update_refresh_hours(&other).await.unwrap();
        let expected = [counted(1, "github", 8, 3), counted(1, "spotify", 2, 0), counted(2, "github", 8, 4)];
        assert_eq!(all(&db).await, expected, "{}", db.name);
        assert_eq!(
            db.store.list_refresh_hours(after(2 * HOUR), after(2 * HOUR)).await.unwrap(),
            expected[2..]
        );
        assert!(db.store.list_refresh_hours(after(0), after(HOUR - 1)).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn an_hour_that_was_held_back_once_stays_so_and_keeps_its_counts() {
    for db in stores().await {
        db.store.update_refresh_hours(&[counted(1, "github", 5, 1), held(2, "github")]).await.unwrap();
        db.store.update_refresh_hours(&[held(1, "github"), held(2, "github")]).await.unwrap();
        db.store.update_refresh_hours(&[counted(1, "github", 1, 0)]).await.unwrap();
        let first = RefreshHour { held: true, ..counted(1, "github", 6, 1) };
        assert_eq!(all(&db).await, [first, held(2, "github")], "{}", db.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_add_at_the_same_moment_lose_nothing() {
    for db in stores().await {
        let mut writers = tokio::task::JoinSet::new();
        for number in 0..4 {
            let store = Store::open(&db.url).await.unwrap();
            writers.spawn(async move {
                // Each in an order of its own.
                let mut some: Vec<_> = ["a", "b", "c", "d"].iter().map(|of| counted(1, of, 1, 1)).collect();
                some.rotate_left(number);
                for _ in 0..25 {
                    store.update_refresh_hours(&some).await.unwrap();
                }
                store.close().await;
            });
        }
        writers.join_all().await;
        let sums: Vec<_> = all(&db).await.iter().map(|it| (it.done, it.failed)).collect();
        assert_eq!(sums, [(100, 100); 4], "{}", db.name);
    }
}

#[tokio::test]
async fn old_hours_are_forgotten_and_a_row_that_names_no_provider_is_an_error() {
    for db in stores().await {
        let some = [counted(1, "github", 1, 0), counted(2, "github", 1, 0), counted(3, "spotify", 1, 0)];
        db.store.update_refresh_hours(&some).await.unwrap();
        assert_eq!(db.store.delete_old_refresh_hours(after(3 * HOUR)).await.unwrap(), 2, "{}", db.name);
        assert_eq!(all(&db).await, some[2..]);
        db.execute("UPDATE refresh_hours SET provider = 'no provider'").await;
        let error = db.store.list_refresh_hours(after(0), Timestamp::LAST).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{}: {error}", db.name);
    }
}
