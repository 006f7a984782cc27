//! Browsers that are signed in: a cookie that says nothing by itself, and a row that says whose it is.
//!
//! A session ends when its browser signs out, when the user's epoch moves (a log-out everywhere, a new password), after
//! [`IDLE`] without a request, and after [`LONGEST`] in any case. Each request reads the row, so every replica knows.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokenry_model::{Action, ExposeSecret as _, Origin, SecretString, Timestamp, User, Username};
use tokenry_store::NewBrowserSession;

use crate::audit::Note;
use crate::boot::{Broker, hash_of, random_token};
use crate::error::BrokerError;
use crate::sessions::Claims;

/// How long a session lasts that nobody uses.
const IDLE: Duration = Duration::from_hours(12);
/// How long a session lasts at most, and how long a browser is remembered that is signed in no more.
pub(crate) const LONGEST: Duration = Duration::from_hours(7 * 24);
/// How exactly it is known when a browser was last seen: a write for every page would be too many.
const SEEN_STEP: Duration = Duration::from_mins(5);
/// How many browsers a user may be signed in with. The oldest beyond that are signed out.
const MOST: i64 = 50;

/// A browser that is signed in.
#[derive(Debug, Clone)]
pub struct BrowserSession {
    /// Whose it is, as the verbs take it.
    pub claims: Claims,
    /// Who it is.
    pub user: User,
    /// When they signed in.
    pub opened_at: Timestamp,
    /// When it ends at the latest.
    pub ends_at: Timestamp,
}

impl Broker {
    /// Signs a browser in. `cookie` is that of an earlier session, if it has one, however old: it sets the browser of this
    /// user apart from a guesser's, and ends.
    ///
    /// # Errors
    /// As [`Broker::log_in`].
    pub async fn sign_in(
        &self,
        username: &str,
        password: &SecretString,
        from: Origin,
        cookie: Option<&SecretString>,
    ) -> Result<SecretString, BrokerError> {
        let name = Username::parse(username).unwrap_or(self.nobody.clone());
        let device = self.device_of(cookie, &from).await?;
        let user = self.check_and_note(&name, password, from, device.clone()).await?;
        if let Some(cookie) = cookie {
            self.store.delete_browser_session(&hash_of(cookie.expose_secret())).await?;
        }
        self.open_session(&user, device.as_ref()).await
    }

    /// Whose browser it is, if it is signed in.
    ///
    /// # Errors
    /// [`BrokerError::Store`].
    pub async fn browser_session(
        &self,
        cookie: &SecretString,
        from: Origin,
    ) -> Result<Option<BrowserSession>, BrokerError> {
        let id = hash_of(cookie.expose_secret());
        let now = self.clock.now();
        let Some(row) = self.store.find_browser_session(&id).await? else { return Ok(None) };
        let ends_at = row.opened_at.plus(LONGEST).min(row.seen_at.plus(IDLE));
        // What was opened in the future was opened by a clock that was wrong.
        if row.epoch != row.user.session_epoch || ends_at <= now || row.opened_at > now.plus(SEEN_STEP) {
            return Ok(None);
        }
        if row.seen_at.plus(SEEN_STEP) <= now {
            self.store.update_browser_session_seen(&id, now).await?;
        }
        let claims = claims_of(&row.user, row.device, ends_at, from);
        Ok(Some(BrowserSession { claims, user: row.user, opened_at: row.opened_at, ends_at }))
    }

    /// Signs a browser out. Programs and other browsers of the user stay as they are.
    ///
    /// # Errors
    /// [`BrokerError::Store`].
    pub async fn sign_out(&self, cookie: &SecretString, claims: &Claims) -> Result<(), BrokerError> {
        let gone = self.store.delete_browser_session(&hash_of(cookie.expose_secret())).await;
        self.noted(Note::by(claims, Action::SignOut), gone.map(drop).map_err(Into::into)).await
    }

    /// Gives the caller a new password, which ends every session, and signs this browser in again.
    ///
    /// # Errors
    /// As [`Broker::change_password`].
    pub async fn change_password_here(
        &self,
        claims: &Claims,
        current: &SecretString,
        new: &SecretString,
    ) -> Result<SecretString, BrokerError> {
        self.change_password(claims, current, new).await?;
        let user = self.store.find_user(claims.user).await?.ok_or(crate::sessions::ENDED)?;
        self.open_session(&user, Some(claims)).await
    }

    /// Opens a session for a user whose password was just seen, and returns its cookie.
    pub(crate) async fn open_session(
        &self,
        user: &User,
        device: Option<&Claims>,
    ) -> Result<SecretString, BrokerError> {
        let cookie = random_token(&*self.random)?;
        let device = match device.filter(|claims| claims.user == user.id) {
            Some(claims) => claims.device.clone(),
            None => new_device(self)?,
        };
        let id_hash = &hash_of(cookie.expose_secret());
        let new = NewBrowserSession { id_hash, user: user.id, epoch: user.session_epoch, device: &device };
        self.store.insert_browser_session(&new, MOST, self.clock.now()).await?;
        Ok(cookie)
    }

    /// Who once signed in with this cookie, whether that still holds or not.
    async fn device_of(
        &self,
        cookie: Option<&SecretString>,
        from: &Origin,
    ) -> Result<Option<Claims>, BrokerError> {
        let Some(cookie) = cookie else { return Ok(None) };
        let row = self.store.find_browser_session(&hash_of(cookie.expose_secret())).await?;
        Ok(row.map(|row| claims_of(&row.user, row.device, row.opened_at, from.clone())))
    }

    /// What every form of a browser carries. It follows from the cookie and cannot be had without it, so that another site
    /// cannot send the form.
    pub fn form_token(&self, cookie: &SecretString) -> SecretString {
        let text = zeroize::Zeroizing::new(format!("form token\n{}", cookie.expose_secret()));
        URL_SAFE_NO_PAD.encode(hash_of(&text)).into()
    }

    /// A fresh mark for a browser that has none.
    ///
    /// # Errors
    /// [`BrokerError::Internal`] when there are no random bytes.
    pub fn new_browser(&self) -> Result<SecretString, BrokerError> {
        Ok(random_token(&*self.random)?)
    }
}

fn claims_of(user: &User, device: String, ends_at: Timestamp, from: Origin) -> Claims {
    Claims {
        user: user.id,
        username: user.username.to_string(),
        epoch: user.session_epoch,
        device,
        expires_at: ends_at.seconds(),
        from,
    }
}

fn new_device(broker: &Broker) -> Result<String, BrokerError> {
    let mut id = [0; 16];
    broker.random.fill(&mut id)?;
    Ok(URL_SAFE_NO_PAD.encode(id))
}
