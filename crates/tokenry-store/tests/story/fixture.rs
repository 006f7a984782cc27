//! The databases that the story is told on, and what every chapter begins with.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tempfile::TempDir;
use tokenry_model::{
    Account, Connection, ConnectionId, ConnectionName, CredentialKind, Deadlines, Email, Flow, FlowKind,
    ProviderId, Scopes, Sealed, StateHash, Timestamp, UserId, Username, Values,
};
use tokenry_store::{NewConnection, NewCredential, NewUser, Pool, SealedCredential, Store, StoreError};

/// When the story begins.
pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

/// So many seconds after the beginning.
pub(crate) fn after(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

/// One database with nothing in it but the schema.
pub(crate) struct Fixture {
    /// Which database it is, for the message of a failed test.
    pub(crate) name: &'static str,
    pub(crate) store: Store,
    pub(crate) url: String,
    users: AtomicU32,
    /// Of SQLite: where its file is.
    dir: Option<TempDir>,
}

/// Every database that the store runs on, each fresh.
pub(crate) async fn stores() -> Vec<Fixture> {
    vec![sqlite().await, postgres().await]
}

/// SQLite alone, for what only SQLite has.
pub(crate) async fn sqlite() -> Fixture {
    let dir = tempfile::Builder::new().prefix("tokenry-store-").tempdir().unwrap();
    let url = format!("sqlite://{}/tokenry.db", dir.path().display());
    let store = Store::open(&url).await.unwrap();
    Fixture { name: "SQLite", store, url, users: AtomicU32::new(0), dir: Some(dir) }
}

/// PostgreSQL alone, for what only PostgreSQL has.
pub(crate) async fn postgres() -> Fixture {
    let url = tokio::task::spawn_blocking(|| tokenry_postgres::Server::shared().database()).await.unwrap();
    let few = Pool { connections: 4, ..Pool::default() };
    let store = Store::open_with(&url, &few).await.unwrap();
    Fixture { name: "PostgreSQL", store, url, users: AtomicU32::new(0), dir: None }
}

/// Runs the same code on a connection to either database that knows nothing of the store.
macro_rules! raw {
    ($fixture:expr, |$raw:ident| $body:expr) => {
        if $fixture.dir.is_some() {
            let mut $raw = $fixture.raw().await;
            sqlx::query("PRAGMA foreign_keys = OFF").execute(&mut $raw).await.unwrap();
            let result = $body;
            $raw.close().await.unwrap();
            result
        } else {
            let mut $raw = PgConnection::connect(&$fixture.url).await.unwrap();
            sqlx::query("SET session_replication_role = replica").execute(&mut $raw).await.unwrap();
            let result = $body;
            $raw.close().await.unwrap();
            result
        }
    };
}

impl Fixture {
    /// SQLite's file.
    pub(crate) fn path(&self) -> std::path::PathBuf {
        let dir: &Path = self.dir.as_ref().unwrap().path();
        dir.join("tokenry.db")
    }

    /// A connection to SQLite that knows nothing of the store.
    pub(crate) async fn raw(&self) -> SqliteConnection {
        SqliteConnectOptions::new()
            .filename(self.path())
            .busy_timeout(Duration::from_secs(10))
            .connect()
            .await
            .unwrap()
    }

    /// Runs a statement behind the store's back, as a broken disk or a careless hand would. Foreign keys are not kept.
    pub(crate) async fn execute(&self, sql: impl Into<String>) {
        let sql = self.translate(sql.into());
        raw!(self, |raw| sqlx::query(AssertSqlSafe(sql)).execute(&mut raw).await.map(drop).unwrap());
    }

    /// The number that a query gives, or nothing when it gives NULL.
    pub(crate) async fn number(&self, sql: impl Into<String>) -> Option<i64> {
        let sql = self.translate(sql.into());
        let (value,) =
            raw!(self, |raw| sqlx::query_as(AssertSqlSafe(sql)).fetch_one(&mut raw).await.unwrap());
        value
    }

    /// The bytes that a query gives, or nothing when it gives NULL.
    pub(crate) async fn bytes(&self, sql: impl Into<String>) -> Option<Vec<u8>> {
        let sql = self.translate(sql.into());
        let (value,) =
            raw!(self, |raw| sqlx::query_as(AssertSqlSafe(sql)).fetch_one(&mut raw).await.unwrap());
        value
    }

    /// What tests write in SQLite's words that PostgreSQL has others for: bytes and single characters.
    fn translate(&self, sql: String) -> String {
        if self.dir.is_some() {
            return sql;
        }
        sql.replace(" x'", " '\\x").replace("char(", "chr(")
    }

    /// A user with a name of their own.
    pub(crate) async fn user(&self) -> UserId {
        let number = self.users.fetch_add(1, Ordering::Relaxed);
        self.user_named(&format!("user{number}")).await
    }

    pub(crate) async fn user_named(&self, name: &str) -> UserId {
        self.try_user(name).await.unwrap()
    }

    pub(crate) async fn try_user(&self, name: &str) -> Result<UserId, StoreError> {
        let username = Username::parse(name).unwrap();
        let email = Email::parse(&format!("{name}@example.org")).unwrap();
        let new = NewUser { username: &username, email: &email, password_hash: "a PHC string" };
        self.store.insert_user(&new, NOW).await
    }

    /// Adds a connection whose sealed halves are `access` and `refresh`.
    pub(crate) async fn try_add(
        &self,
        new: &NewConnection,
        access: &str,
        refresh: Option<&str>,
    ) -> Result<ConnectionId, StoreError> {
        let sealed = sealed(access, refresh);
        self.store.insert_connection(new, NOW, |_| Ok::<_, StoreError>(sealed)).await
    }

    /// A pasted token.
    pub(crate) async fn add_plain(&self, user: UserId) -> ConnectionId {
        self.try_add(&plain(user), "sealed pasted token", None).await.unwrap()
    }

    /// A grant for an account.
    pub(crate) async fn add_grant(&self, user: UserId, account: &str) -> ConnectionId {
        self.try_add(&grant(user, account), "sealed access", Some("sealed refresh")).await.unwrap()
    }

    /// The connection, which must be there.
    pub(crate) async fn connection(&self, user: UserId, id: ConnectionId) -> Connection {
        self.store.find_connection(user, id).await.unwrap().unwrap().connection.unwrap()
    }
}

pub(crate) fn bytes(text: &str) -> Sealed {
    Sealed::new(text.as_bytes().to_vec())
}

pub(crate) fn sealed(access: &str, refresh: Option<&str>) -> SealedCredential {
    SealedCredential { access: bytes(access), refresh: refresh.map(bytes) }
}

pub(crate) fn provider(id: &str) -> ProviderId {
    ProviderId::parse(id).unwrap()
}

pub(crate) fn name(text: &str) -> ConnectionName {
    ConnectionName::parse(text).unwrap()
}

pub(crate) fn plain(user: UserId) -> NewConnection {
    NewConnection {
        user_id: user,
        name: name("mine"),
        token_type: "git".to_owned(),
        provider: provider("github"),
        account: None,
        credential: NewCredential {
            kind: CredentialKind::Plain,
            requested: Scopes::default(),
            scopes: Scopes::default(),
            values: Values::new(),
            times: Deadlines::default(),
        },
    }
}

pub(crate) fn grant(user: UserId, account: &str) -> NewConnection {
    NewConnection {
        account: Some(Account { id: account.to_owned(), label: Some(format!("{account}'s label")) }),
        credential: oauth("email profile", 3600),
        ..plain(user)
    }
}

/// The settings of every grant here.
pub(crate) fn realm() -> Values {
    Values::from([("realm".to_owned(), "7".to_owned())])
}

/// An OAuth credential that expires so many seconds after the beginning, and is due a minute before.
pub(crate) fn oauth(scopes: &str, expires_s: u64) -> NewCredential {
    NewCredential {
        kind: CredentialKind::OAuth2,
        requested: Scopes::split(scopes, " "),
        scopes: Scopes::split(scopes, " "),
        values: realm(),
        times: Deadlines {
            expires_at: Some(after(expires_s)),
            due_at: Some(after(expires_s - 60)),
            ..Deadlines::default()
        },
    }
}

/// A flow of this user; `number` makes its state. It ends after ten minutes.
pub(crate) fn flow(user: UserId, number: u8) -> Flow {
    Flow {
        state_hash: StateHash::new([number; 32]),
        user_id: user,
        token_type: "git".to_owned(),
        provider: provider("github"),
        redirect_uri: "http://localhost:8080/callback".to_owned(),
        token_url: "https://github.example/token".to_owned(),
        scopes: Scopes::split("read:user", " "),
        secrets: bytes("sealed verifier"),
        browser_hash: [100 + number; 32],
        expires_at: after(600),
        kind: FlowKind::Code,
        values: Values::from([("subdomain".to_owned(), "acme".to_owned())]),
        name: None,
        connection: None,
        link: None,
    }
}
