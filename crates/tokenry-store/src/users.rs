//! Users.

use tokenry_model::{Email, Timestamp, User, UserId, Username};

use crate::database::{Store, on};
use crate::error::StoreError;

/// A user to insert.
#[derive(Debug, Clone)]
pub struct NewUser<'a> {
    /// The name as written.
    pub username: &'a Username,
    /// The address as given.
    pub email: &'a Email,
    /// The Argon2id hash, in PHC form.
    pub password_hash: &'a str,
}

/// A user and what their password is checked against.
#[derive(Debug, Clone)]
pub struct Login {
    /// Who it is.
    pub user: User,
    /// The Argon2id hash, in PHC form.
    pub password_hash: String,
}

#[derive(sqlx::FromRow)]
pub(crate) struct UserRow {
    id: i64,
    username: String,
    email: String,
    session_epoch: i64,
    is_operator: i64,
    created_at: i64,
}

#[derive(sqlx::FromRow)]
struct LoginRow {
    #[sqlx(flatten)]
    user: UserRow,
    password_hash: String,
}

impl TryFrom<UserRow> for User {
    type Error = StoreError;

    fn try_from(row: UserRow) -> Result<Self, StoreError> {
        let corrupt = |why: String| StoreError::corrupt("users", row.id, why);
        Ok(Self {
            id: UserId::new(StoreError::check_id("users", row.id, row.id)?),
            username: Username::parse(&row.username).map_err(|e| corrupt(format!("username {e}")))?,
            email: Email::parse(&row.email).map_err(|e| corrupt(format!("email {e}")))?,
            session_epoch: row.session_epoch,
            is_operator: row.is_operator == 1,
            created_at: Timestamp::from_micros(row.created_at),
        })
    }
}

impl Store {
    /// Adds a user.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the name is taken, in whatever case.
    pub async fn insert_user(&self, new: &NewUser<'_>, now: Timestamp) -> Result<UserId, StoreError> {
        let sql = "INSERT INTO users (username, username_folded, email, password_hash, created_at, updated_at) \
                   VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT (username_folded) DO NOTHING RETURNING id";
        let id: Option<(i64,)> = on!(self, write, |pool| sqlx::query_as(sql)
            .bind(new.username.as_str())
            .bind(new.username.folded())
            .bind(new.email.as_str())
            .bind(new.password_hash)
            .bind(now.micros())
            .fetch_optional(pool)
            .await)?;
        id.map(|(id,)| UserId::new(id)).ok_or(StoreError::Conflict)
    }

    /// The user with this id.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or the row cannot be read.
    pub async fn find_user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        let sql =
            "SELECT id, username, email, session_epoch, is_operator, created_at FROM users WHERE id = $1";
        let row: Option<UserRow> =
            on!(self, read, |pool| sqlx::query_as(sql).bind(id.get()).fetch_optional(pool).await)?;
        row.map(User::try_from).transpose()
    }

    /// The user of this name, in whatever case, with their password's hash.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or the row cannot be read.
    pub async fn find_login(&self, username: &Username) -> Result<Option<Login>, StoreError> {
        let sql = "SELECT id, username, email, session_epoch, is_operator, created_at, password_hash \
                   FROM users WHERE username_folded = $1";
        let row: Option<LoginRow> =
            on!(self, read, |pool| sqlx::query_as(sql).bind(username.folded()).fetch_optional(pool).await)?;
        row.map(|row| Ok(Login { user: row.user.try_into()?, password_hash: row.password_hash })).transpose()
    }

    /// All users, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or a row cannot be read.
    pub async fn list_users(&self) -> Result<Vec<User>, StoreError> {
        let sql = "SELECT id, username, email, session_epoch, is_operator, created_at FROM users ORDER BY id";
        let rows: Vec<UserRow> = on!(self, read, |pool| sqlx::query_as(sql).fetch_all(pool).await)?;
        rows.into_iter().map(User::try_from).collect()
    }

    /// Sets a new password and ends every session, in one statement. Returns whether the user is there.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn update_password(&self, id: UserId, hash: &str, now: Timestamp) -> Result<bool, StoreError> {
        let sql = "UPDATE users SET password_hash = $2, session_epoch = session_epoch + 1, updated_at = $3 \
                   WHERE id = $1";
        let done = on!(self, write, |pool| sqlx::query(sql)
            .bind(id.get())
            .bind(hash)
            .bind(now.micros())
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(done == 1)
    }

    /// Ends every session of a user.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn update_session_epoch(&self, id: UserId, now: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE users SET session_epoch = session_epoch + 1, updated_at = $2 WHERE id = $1";
        on!(self, write, |pool| sqlx::query(sql)
            .bind(id.get())
            .bind(now.micros())
            .execute(pool)
            .await
            .map(drop))?;
        Ok(())
    }

    /// Gives a user the operator's role, or takes it away. Returns whether that changed anything.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn update_role(
        &self,
        id: UserId,
        is_operator: bool,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE users SET is_operator = $2, updated_at = $3 WHERE id = $1 AND is_operator <> $2";
        let done = on!(self, write, |pool| sqlx::query(sql)
            .bind(id.get())
            .bind(i64::from(is_operator))
            .bind(now.micros())
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(done == 1)
    }

    /// Whether anybody has the operator's role.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn has_operator(&self) -> Result<bool, StoreError> {
        let sql = "SELECT id FROM users WHERE is_operator = 1 ORDER BY id LIMIT 1";
        let one: Option<(i64,)> = on!(self, read, |pool| sqlx::query_as(sql).fetch_optional(pool).await)?;
        Ok(one.is_some())
    }
}
