//! `tokenry audit …`, on both databases; and what a kill leaves of the log.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};

use crate::process::Home;
use crate::server::Server;

/// How often the server is killed on each database.
const KILLS: usize = 3;

/// A home and a database of its own.
struct Place {
    home: Home,
    url: String,
}

impl Place {
    fn both() -> [Self; 2] {
        let (sqlite, postgres) = (Home::new(), Home::new());
        let file = format!("sqlite://{}", sqlite.path().join("audited.db").display());
        [
            Self { url: file, home: sqlite },
            Self { url: tokenry_postgres::Server::shared().database(), home: postgres },
        ]
    }

    fn env(&self) -> [(&'static str, &str); 1] {
        [("TOKENRY_DATABASE_URL", &self.url)]
    }

    fn serve(&self) -> Server {
        Server::start(&self.home, &self.env())
    }

    /// Runs `tokenry audit` with these words. Gives its status and what it said.
    fn audit(&self, words: &[&str]) -> (Option<i32>, String) {
        let args: Vec<&str> = std::iter::once("audit").chain(words.iter().copied()).collect();
        let done = self.home.run(&args, &self.env());
        (done.status.code(), format!("{}{}", done.out, done.err))
    }

    #[track_caller]
    fn assert_whole(&self) -> String {
        let (status, said) = self.audit(&["verify"]);
        assert_eq!(status, Some(0), "{said}");
        assert!(said.contains("The audit log is whole."), "{said}");
        said
    }

    /// All rows, the newest first.
    fn rows(&self) -> Vec<Value> {
        let (status, said) = self.audit(&["list", "--json", "--limit", "100000"]);
        assert_eq!(status, Some(0), "{said}");
        said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    async fn execute(&self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        let changed = if self.url.starts_with("sqlite") {
            let mut raw = SqliteConnection::connect(&self.url).await.unwrap();
            sqlx::query(sql).execute(&mut raw).await.unwrap().rows_affected()
        } else {
            let mut raw = PgConnection::connect(&self.url).await.unwrap();
            sqlx::query(sql).execute(&mut raw).await.unwrap().rows_affected()
        };
        assert!(changed >= 1);
    }
}

fn has(rows: &[Value], action: &str, connection: i64) -> bool {
    rows.iter()
        .any(|row| row["action"] == action && row["connection"] == connection && row["outcome"] == "ok")
}

#[tokio::test]
async fn verify_names_the_row_that_was_altered_or_removed_and_list_shows_who_did_what() {
    for place in Place::both() {
        let (status, said) = place.audit(&["verify"]);
        assert!(status == Some(0) && said.starts_with("The audit log has not begun."), "{said}");
        let server = place.serve();
        let ada = server.user("ada").await;
        let id = ada.add("mine", "spotify", "t").await;
        ada.token_of(id).await;
        server.user("bob").await;
        // While it serves.
        place.assert_whole();
        let (code, _, log) = server.stop();
        assert!(code.success(), "{log}");
        let said = place.assert_whole();
        let end = said.lines().last().unwrap().rsplit(' ').next().unwrap().to_owned();
        assert_eq!(place.audit(&["verify", "--expect", &end]).0, Some(0));

        let (_, all) = place.audit(&["list"]);
        let read = all.lines().find(|line| line.contains("token.read")).unwrap();
        let columns: Vec<_> = read.split('\t').collect();
        assert_eq!(
            columns[2..10],
            ["1x", "token.read", "ok", "ada", "ada", "1", "spotify", "127.0.0.1"],
            "{all}"
        );
        assert!(all.lines().next().unwrap().contains("server.stop"), "{all}");
        let count = |words: &[&str]| place.audit(words).1.lines().count();
        assert_eq!(count(&["list", "--limit", "3"]), 3);
        assert_eq!(count(&["list", "--user", "bob"]), 2, "{all}");
        assert_eq!(count(&["list", "--connection", "1"]), 2, "{all}");
        assert_eq!(count(&["list", "--since", "1h"]), all.lines().count());
        assert_eq!(count(&["list", "--since", "2199-01-01T00:00:00Z"]), 0);
        let (status, said) = place.audit(&["list", "--user", "nobody"]);
        assert!(status == Some(1) && said.contains("nobody's name"), "{said}");
        let (status, said) = place.audit(&["list", "--since", "yesterday"]);
        assert!(status == Some(1) && said.contains("yesterday"), "{said}");

        place.execute("UPDATE audit_log SET address = '127.0.0.2' WHERE seq = 4").await;
        let (status, said) = place.audit(&["verify"]);
        assert_eq!(status, Some(1), "{said}");
        assert!(said.contains("BROKEN: row 4 was altered") && said.contains("NOT whole: 1 fault"), "{said}");
        place.execute("UPDATE audit_log SET address = '127.0.0.1' WHERE seq = 4").await;
        place.assert_whole();
        place.execute("DELETE FROM audit_log WHERE seq = 5").await;
        let (status, said) = place.audit(&["verify", "--expect", &end]);
        assert_eq!(status, Some(1), "{said}");
        assert!(said.contains("BROKEN: row 5 is missing"), "{said}");
        let wrong = format!("4:{}", "0".repeat(64));
        let (status, said) = place.audit(&["verify", "--expect", &wrong]);
        assert!(status == Some(1) && said.contains("row 4 is not the one that was expected"), "{said}");
        assert_eq!(place.audit(&["verify", "--expect", "17"]).0, Some(1));
    }
}

#[tokio::test]
async fn what_the_operator_does_by_command_is_in_the_log_also_across_a_rotation_of_keys() {
    for place in Place::both() {
        let server = place.serve();
        server.user("ada").await.add("mine", "spotify", "t").await;
        assert!(server.stop().0.success());
        let run = |words: &[&str]| place.home.run(words, &place.env());
        std::fs::write(place.home.path().join("export.key"), run(&["key", "generate"]).ok()).unwrap();
        let mut expected = Vec::new();
        for (words, action) in [
            (&["key", "rotate"][..], "operator.key_rotate"),
            (&["key", "rotate", "--signing"], "operator.key_rotate"),
            (&["export", "--all", "--to", "all", "--key-file", "export.key"], "operator.export"),
            (&["backup", "--to", "backup.db"], "operator.backup"),
        ] {
            // PostgreSQL's own tools make its backups: nothing is done then.
            let does_nothing = action == "operator.backup" && place.url.starts_with("postgres");
            run(words).ok();
            expected.extend((!does_nothing).then_some(action));
        }
        assert!(!run(&["key", "retire", "7"]).status.success(), "there is no such key");
        let mut rows = place.rows();
        rows.reverse();
        let of_operator = rows.iter().filter(|row| row["actor"] == "operator");
        let found: Vec<_> = of_operator.map(|row| row["action"].as_str().unwrap()).collect();
        assert_eq!(found, expected, "{rows:?}");
        place.assert_whole();
    }
}

#[tokio::test]
async fn a_kill_loses_no_act_and_no_read_but_those_of_the_last_moment() {
    for place in Place::both() {
        let mut server = place.serve();
        let mut ada = server.user("ada").await;
        for round in 0..KILLS {
            let first = ada.add("", "spotify", "t").await;
            ada.token_of(first).await;
            let begun = Instant::now();
            while !has(&place.rows(), "token.read", first) {
                assert!(begun.elapsed() < Duration::from_mins(1), "the read is never written");
            }
            let second = ada.add("", "spotify", "t").await;
            let body = json!({"name": format!("round {round}")});
            let rename = ada.path(&format!("update/connection/name/{second}"));
            ada.api.put(&rename, &body).await.expect(StatusCode::OK);
            server.process.kill();
            let rows = place.rows();
            assert!(has(&rows, "token.read", first), "{}: a read that was written is gone", place.url);
            assert!(has(&rows, "connection.add", second), "{}: an act has no row", place.url);
            assert!(has(&rows, "connection.rename", second), "{}: an act has no row", place.url);
            place.assert_whole();
            server = place.serve();
            ada = server.again(&ada);
        }
        let (code, _, log) = server.stop();
        assert!(code.success(), "{log}");
        place.assert_whole();
        // A start without a stop before it says that there was a cut.
        let rows = place.rows();
        let count = |action: &str| rows.iter().filter(|row| row["action"] == action).count();
        assert_eq!((count("server.start"), count("server.stop")), (KILLS + 1, 1), "{}", place.url);
        println!("{KILLS} kills, no act without its row");
    }
}
