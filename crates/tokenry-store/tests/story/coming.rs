//! What becomes due hour by hour, and what is said of an hour that holds too much to be looked at.

use std::time::Duration;

use tokenry_model::{ConnectionId, Deadlines, Timestamp, UserId};
use tokenry_store::Coming;

use crate::fixture::{Fixture, NOW, after, grant, provider, stores};

const HOUR: u64 = 3600;
/// More than there are.
const ALL: i64 = 1000;
const WEEK: Duration = Duration::from_hours(7 * 24);

/// Adds a connection of an account of its own.
async fn add(db: &Fixture, user: UserId, service: &str, times: Deadlines) -> ConnectionId {
    let count = db.store.count_all_connections().await.unwrap();
    let mut new = grant(user, &count.to_string());
    (new.provider, new.credential.times) = (provider(service), times);
    db.try_add(&new, "access", Some("refresh")).await.unwrap()
}

fn renew(at: u64) -> Deadlines {
    Deadlines { expires_at: Some(after(at + 60)), renew_at: Some(after(at)), ..Deadlines::default() }
}

fn keep(at: u64) -> Deadlines {
    Deadlines { keep_at: Some(after(at)), idle_ends_at: Some(after(at + 100)), ..Deadlines::default() }
}

async fn coming(db: &Fixture, now: Timestamp, hours: u32, most: i64) -> Vec<Coming> {
    db.store.list_coming(now, now.minus(WEEK), hours, most).await.unwrap()
}

fn of(service: &str, hour: u32, count: i64) -> Coming {
    Coming { provider: provider(service), hour, count, is_estimate: false }
}

#[tokio::test]
async fn what_comes_due_is_counted_by_provider_and_hour_and_each_connection_once() {
    for db in stores().await {
        let ada = db.user().await;
        // Due already, at this very moment, and so late that it is not looked at.
        for at in [10, 100, 100 + 3 * HOUR + 1] {
            add(&db, ada, "github", renew(at)).await;
        }
        for at in [101, 100 + HOUR, 101 + HOUR, 100 + 3 * HOUR] {
            add(&db, ada, "github", renew(at)).await;
        }
        add(&db, ada, "spotify", renew(200)).await;
        add(&db, ada, "spotify", keep(100 + 2 * HOUR)).await;
        // By both clocks: its access token counts, unless that comes later than what is looked at.
        add(&db, ada, "spotify", Deadlines { keep_at: Some(after(2 * HOUR)), ..renew(300) }).await;
        add(&db, ada, "spotify", Deadlines { keep_at: Some(after(150)), ..renew(2 * HOUR) }).await;
        add(&db, ada, "spotify", Deadlines { keep_at: Some(after(150)), ..renew(9 * HOUR) }).await;
        // Due already, by its access token.
        add(&db, ada, "spotify", Deadlines { keep_at: Some(after(2 * HOUR)), ..renew(50) }).await;
        let gone = add(&db, ada, "spotify", renew(300)).await;
        assert!(db.store.delete_connection(ada, gone, false, NOW).await.unwrap());
        let marked = add(&db, ada, "spotify", Deadlines { keep_at: Some(after(300)), ..renew(300) }).await;
        assert!(db.store.update_reconnect_required(marked, 1, "invalid_grant").await.unwrap());

        let expected = [
            of("github", 0, 2),
            of("spotify", 0, 3),
            of("github", 1, 1),
            of("spotify", 1, 2),
            of("github", 2, 1),
        ];
        assert_eq!(coming(&db, after(100), 3, ALL).await, expected, "{}", db.name);
        assert_eq!(coming(&db, after(100), 1, ALL).await.len(), 2, "{}", db.name);
    }
}

#[tokio::test]
async fn what_nobody_reads_does_not_come_due_unless_its_refresh_token_would_die() {
    for db in stores().await {
        let ada = db.user().await;
        let week = WEEK.as_secs() + 60;
        add(&db, ada, "github", renew(week + 10)).await;
        let read = add(&db, ada, "github", renew(week + 20)).await;
        let later = Deadlines { keep_at: Some(after(week + HOUR + 30)), ..renew(week + 30) };
        add(&db, ada, "github", later).await;
        db.store.update_used(&[(read, after(400))]).await.unwrap();
        let expected = [of("github", 0, 1), of("github", 1, 1)];
        assert_eq!(coming(&db, after(week), 2, ALL).await, expected, "{}", db.name);
        // As it is when its time has come.
        let due = db.store.list_due(after(week + HOUR), after(week + HOUR).minus(WEEK)).await.unwrap();
        assert_eq!(due.iter().map(|it| it.count).sum::<i64>(), 0, "nobody has read it for a week by then");
        let due = db.store.list_due(after(week + 40), after(week).minus(WEEK)).await.unwrap();
        assert_eq!(due[0].count, 1, "{}", db.name);
    }
}

#[tokio::test]
async fn a_quarter_with_more_than_is_looked_at_is_taken_to_go_on_as_it_began() {
    for db in stores().await {
        let ada = db.user().await;
        // Two a minute in the third quarter of the hour: two thirds at one service, a third at the other. One in each other.
        for half in 60..90 {
            let service = if half % 3 == 0 { "spotify" } else { "github" };
            add(&db, ada, service, renew(half * 30 + 15)).await;
        }
        for at in [5, 15 * 60 + 5, 45 * 60 + 5, HOUR + 5] {
            add(&db, ada, "github", renew(at)).await;
        }
        let about = |service, count| Coming { is_estimate: true, ..of(service, 0, count) };
        // Ten and six of them, within seven and a half minutes; nearly as many are left, and three are by themselves.
        let expected = [about("github", 19 + 3), about("spotify", 11), of("github", 1, 1)];
        assert_eq!(coming(&db, NOW, 2, 16).await, expected, "{}", db.name);
        // One more than there are is looked for: then they are all.
        let expected = [of("github", 0, 20 + 3), of("spotify", 0, 10)];
        assert_eq!(coming(&db, NOW, 1, 31).await, expected, "{}", db.name);
    }
}

#[tokio::test]
async fn a_heap_at_one_moment_is_no_measure_for_the_rest() {
    for db in stores().await {
        let ada = db.user().await;
        for _ in 0..12 {
            add(&db, ada, "github", renew(1)).await;
        }
        // Ten in nine seconds, for the rest of the quarter; and not ten in no time.
        let expected = [Coming { is_estimate: true, ..of("github", 0, 1008) }];
        assert_eq!(coming(&db, NOW, 1, 10).await, expected, "{}", db.name);
    }
}
