//! What was changed behind the server's back is found, and named.

use std::time::Duration;

use reqwest::StatusCode;
use tokenry::server;
use tokenry_broker::AuditFault;
use tokenry_model::{Action, SystemClock};
use tokenry_testkit::app::TestApp;

use crate::support::{BOTH, On, assert_whole, execute, faults, rows_after, short, start, verify};

/// An app with a dozen rows and more in its log, and a copy of them in the database.
async fn with_rows(on: On) -> (TestApp, i64) {
    let app = start(on, |_| {}).await;
    let ada = app.user("ada").await;
    for number in 1..=3 {
        let id = ada.add("", "spotify", "t").await;
        ada.token_of(id).await;
        ada.get_token(number + 100).await.expect_error(404, "no_such_connection");
        app.server().broker().flush_audit().await.unwrap();
    }
    let last = rows_after(&app, 0).await.len();
    assert!(last > 12, "{on:?}: {last}");
    assert_whole(&app).await;
    for table in ["audit_log", "audit_head"] {
        execute(on, &app, &format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}")).await;
    }
    (app, i64::try_from(last).unwrap())
}

/// Puts the copy back.
async fn restore(on: On, app: &TestApp) {
    for table in ["audit_log", "audit_head"] {
        execute(on, app, &format!("DELETE FROM {table}")).await;
        execute(on, app, &format!("INSERT INTO {table} SELECT * FROM kept_{table}")).await;
    }
    assert_whole(app).await;
}

/// Bytes as a statement writes them.
fn literal(on: On, bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let hex = bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    });
    match on {
        On::Sqlite => format!("x'{hex}'"),
        On::Postgres => format!("'\\x{hex}'::bytea"),
    }
}

#[tokio::test]
async fn one_byte_that_is_flipped_in_any_column_of_any_row_is_found_and_the_row_is_named() {
    for on in BOTH {
        let (app, last) = with_rows(on).await;
        let rows = rows_after(&app, 0).await;
        let text = |column: &str| format!("{column} = substr({column}, 1, length({column}) - 1) || '~'");
        let mut tried = 0;
        for seq in [1, 2, 7, last - 1, last] {
            let hash = &rows[usize::try_from(seq - 1).unwrap()].row.hash;
            let mut changes = vec![
                "at = at + 1".to_owned(),
                "last_at = last_at - 256".to_owned(),
                "times = times + 1".to_owned(),
                text("actor"),
                "actor_id = COALESCE(actor_id, 0) + 1".to_owned(),
                text("action"),
                text("outcome"),
                "reason = COALESCE(reason, '') || 'x'".to_owned(),
                "owner_id = COALESCE(owner_id, 0) + 1".to_owned(),
                "connection_id = COALESCE(connection_id, 0) + 1".to_owned(),
                "provider = COALESCE(provider, '') || 'x'".to_owned(),
                "address = COALESCE(address, '') || '1'".to_owned(),
                "agent = COALESCE(agent, '') || ' '".to_owned(),
            ];
            for place in [0, hash.len() - 1] {
                let mut flipped = hash.clone();
                flipped[place] ^= 1;
                changes.push(format!("hash = {}", literal(on, &flipped)));
            }
            for change in changes {
                let sql = format!("UPDATE audit_log SET {change} WHERE seq = {seq}");
                assert_eq!(execute(on, &app, &sql).await, 1, "{on:?} {sql}");
                assert_eq!(faults(&app).await, [format!("row {seq} was altered")], "{on:?} {sql}");
                restore(on, &app).await;
                tried += 1;
            }
        }
        println!("{on:?}: {tried} changes, each found and named");
        assert_eq!(tried, 75);
    }
}

#[tokio::test]
async fn rows_that_are_removed_moved_or_put_in_are_found_and_named() {
    for on in BOTH {
        let (app, last) = with_rows(on).await;
        let (end, after_end) = (last - 1, last + 1);
        let copy = "at, last_at, times, actor, actor_id, action, outcome, reason, owner_id, connection_id, \
                    provider, address, agent, hash";
        for (statements, found) in [
            (vec!["DELETE FROM audit_log WHERE seq = 1".to_owned()], vec!["row 1 is missing".to_owned()]),
            (vec!["DELETE FROM audit_log WHERE seq = 7".to_owned()], vec!["row 7 is missing".to_owned()]),
            (
                vec!["DELETE FROM audit_log WHERE seq BETWEEN 4 AND 6 OR seq = 9".to_owned()],
                vec!["rows 4 to 6 are missing".to_owned(), "row 9 is missing".to_owned()],
            ),
            (
                vec![format!("DELETE FROM audit_log WHERE seq >= {end}")],
                vec![format!("rows {end} to {last} are missing")],
            ),
            (vec!["DELETE FROM audit_log".to_owned()], vec![format!("rows 1 to {last} are missing")]),
            (
                vec![format!(
                    "INSERT INTO audit_log (seq, {copy}) SELECT {after_end}, {copy} FROM audit_log WHERE seq = 3"
                )],
                vec![format!("row {after_end} does not belong to the log")],
            ),
            (
                vec![format!(
                    "INSERT INTO audit_log (seq, {copy}) SELECT 0, {copy} FROM audit_log WHERE seq = 3"
                )],
                vec!["row 0 does not belong to the log".to_owned()],
            ),
            // The first of two that changed places.
            (
                vec![
                    "UPDATE audit_log SET seq = -5 WHERE seq = 5".to_owned(),
                    "UPDATE audit_log SET seq = 5 WHERE seq = 8".to_owned(),
                    "UPDATE audit_log SET seq = 8 WHERE seq = -5".to_owned(),
                ],
                vec!["row 5 was altered".to_owned(), "row 8 was altered".to_owned()],
            ),
            // The end is cut off, and the head says so too.
            (
                vec![
                    format!("DELETE FROM audit_log WHERE seq > {end}"),
                    format!("UPDATE audit_head SET seq = {end}, hash = (SELECT hash FROM audit_log WHERE seq = {end})"),
                ],
                vec!["the row that says where the log begins and ends was altered".to_owned()],
            ),
            // So is the beginning, as if it were too old.
            (
                vec![
                    "UPDATE audit_head SET kept_seq = 4, kept_before = (SELECT hash FROM audit_log WHERE seq = 3)"
                        .to_owned(),
                    "DELETE FROM audit_log WHERE seq < 4".to_owned(),
                ],
                vec!["the row that says where the log begins and ends was altered".to_owned()],
            ),
            (vec!["DELETE FROM audit_head".to_owned()], vec!["row 1 does not belong to the log".to_owned()]),
        ] {
            for sql in &statements {
                assert!(execute(on, &app, sql).await >= 1, "{on:?} {sql}");
            }
            let report = verify(&app).await;
            let mut said: Vec<_> = report.faults.iter().map(ToString::to_string).collect();
            // What stands beside two that changed places is no longer where it was.
            if statements.len() == 3 {
                said.retain(|fault| found.contains(fault));
            }
            assert_eq!(said, found, "{on:?} {statements:?}");
            assert_eq!(report.faults[0].to_string(), found[0], "{on:?} {statements:?}");
            restore(on, &app).await;
        }
    }
}

#[tokio::test]
async fn what_was_cut_off_does_not_heal_when_the_server_writes_on() {
    for on in BOTH {
        for (cut, reason) in [
            (
                "UPDATE audit_head SET seq = 9, hash = (SELECT hash FROM audit_log WHERE seq = 9)",
                "rolled_back",
            ),
            ("UPDATE audit_head SET mac = kept_before", "head_altered"),
            ("DELETE FROM audit_head", "rolled_back"),
        ] {
            let (app, _) = with_rows(on).await;
            if reason == "rolled_back" {
                execute(on, &app, "DELETE FROM audit_log WHERE seq > 9").await;
            }
            if cut.starts_with("DELETE") {
                execute(on, &app, "DELETE FROM audit_log").await;
            }
            execute(on, &app, cut).await;
            let anybody = app.anonymous();
            anybody.get("/api/auth/user").await.expect(StatusCode::UNAUTHORIZED);
            app.server().broker().flush_audit().await.unwrap();
            let report = verify(&app).await;
            let marked = report
                .faults
                .iter()
                .any(|fault| matches!(fault, AuditFault::Marked(_, why) if why == reason));
            assert!(marked && report.fault_count == 1, "{on:?} {cut}: {report:?}");
        }
    }
}

#[tokio::test]
async fn a_head_that_lies_behind_its_rows_stops_nobody_and_is_told() {
    for on in BOTH {
        let (app, last) = with_rows(on).await;
        execute(on, &app, "UPDATE audit_head SET seq = 5, hash = (SELECT hash FROM audit_log WHERE seq = 5)")
            .await;
        let ada = app.anonymous().log_in("ada", tokenry_testkit::app::PASSWORD).await;
        assert!(!ada.is_empty());
        let rows = rows_after(&app, last).await;
        assert_eq!(short(&rows[0]), "audit.broken failed head_behind background - - -", "{on:?}");
        assert_eq!(faults(&app).await.len(), 1, "{on:?}");
    }
}

#[tokio::test]
async fn a_log_that_was_put_back_as_a_whole_is_found_by_the_end_that_was_kept_elsewhere() {
    for on in BOTH {
        let (app, _) = with_rows(on).await;
        app.user("bob").await;
        let report = verify(&app).await;
        let broker = app.server().broker();
        let kept = Some((report.to, report.end.as_str()));
        assert_eq!(broker.verify_audit(kept).await.unwrap().faults, []);
        // It is found later on as well.
        app.user("carol").await;
        assert_eq!(broker.verify_audit(kept).await.unwrap().faults, []);
        restore(on, &app).await;
        assert_eq!(verify(&app).await.faults, [], "nothing in it tells");
        let found = broker.verify_audit(kept).await.unwrap();
        assert_eq!(found.faults, [AuditFault::Unexpected(report.to)], "{on:?}");
        // The server that wrote more than is there notices by itself.
        app.anonymous().get("/api/auth/user").await.expect(StatusCode::UNAUTHORIZED);
        broker.flush_audit().await.unwrap();
        assert!(faults(&app).await[0].contains("rolled_back"), "{on:?}");
    }
}

#[tokio::test]
async fn what_is_too_old_goes_and_the_rest_is_still_whole() {
    for on in BOTH {
        let (app, last) = with_rows(on).await;
        let day = Duration::from_hours(24);
        app.server().broker().do_chores().await;
        assert_eq!(rows_after(&app, 0).await.len(), usize::try_from(last).unwrap(), "{on:?}: nothing is old");
        app.clock.advance(day * 89);
        app.anonymous().log_in("ada", tokenry_testkit::app::PASSWORD).await;
        app.clock.advance(day * 2);
        app.server().broker().do_chores().await;
        let rows: Vec<_> = rows_after(&app, 0).await.iter().map(short).collect();
        assert_eq!(rows, ["user.log_in ok - ada ada - -", "audit.prune ok - background - - -"], "{on:?}");
        let report = verify(&app).await;
        assert_eq!((report.faults.len(), report.pruned, report.from), (0, true, last + 1), "{on:?}");
        let pruned = rows_after(&app, last + 1).await;
        assert_eq!(pruned[0].row.entry.count, last, "{on:?}");
        // The first that is kept is held by the one before, which is gone.
        execute(on, &app, &format!("UPDATE audit_log SET address = '192.0.2.1' WHERE seq = {}", last + 1))
            .await;
        assert_eq!(faults(&app).await, [format!("row {} was altered", last + 1)], "{on:?}");
    }
}

#[tokio::test]
async fn a_head_that_somebody_changed_is_not_vouched_for_by_taking_old_rows_out() {
    for on in BOTH {
        let (app, last) = with_rows(on).await;
        execute(on, &app, "UPDATE audit_head SET mac = hash").await;
        app.clock.advance(Duration::from_hours(24 * 91));
        app.server().broker().do_chores().await;
        let found = verify(&app).await;
        assert_eq!((&found.faults[..], found.rows), (&[AuditFault::Head][..], u64::try_from(last).unwrap()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_servers_that_write_at_once_make_one_chain() {
    for on in BOTH {
        let app = start(on, |_| {}).await;
        let mut brokers = vec![app.server().broker().clone()];
        for number in 0..2 {
            let mut config = app.config.clone();
            config.data_dir = app.data_dir().join(format!("other{number}"));
            let (broker, _) = server::open(&config, std::sync::Arc::new(SystemClock)).await.unwrap();
            brokers.push(broker);
        }
        let work = (0..90).map(|number| {
            let broker = brokers[number % 3].clone();
            tokio::spawn(async move { broker.note_operator(Action::Backup).await })
        });
        for each in work.collect::<Vec<_>>() {
            each.await.unwrap();
        }
        let rows: Vec<_> = rows_after(&app, 0).await.iter().map(short).collect();
        assert_eq!(rows.iter().filter(|row| row.starts_with("operator.backup")).count(), 90, "{on:?}");
        assert_eq!(rows.iter().filter(|row| row.starts_with("audit.begin")).count(), 1, "{on:?}");
        assert_whole(&app).await;
        for broker in &brokers[1..] {
            broker.close().await;
        }
    }
}
