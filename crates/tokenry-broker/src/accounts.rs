//! Signing up, logging in, and ending sessions.

use std::net::IpAddr;

use tokenry_model::{
    Action, Actor, AuditOutcome, Email, Origin, SecretString, User, UserId, Username, check_password,
};
use tokenry_store::{NewUser, StoreError};
use tracing::Instrument as _;

use crate::audit::{Note, reason_of};
use crate::boot::Broker;
use crate::error::BrokerError;
use crate::problem::Problem;
use crate::sessions::{Claims, ENDED, MISSING_TEXT};
use crate::throttle;

impl Broker {
    /// Adds a user who signs up.
    ///
    /// # Errors
    /// [`BrokerError::SignupClosed`], [`BrokerError::Field`], [`BrokerError::UsernameTaken`], [`BrokerError::Busy`].
    pub async fn sign_up(
        &self,
        username: &str,
        email: &str,
        password: &SecretString,
        from: Origin,
    ) -> Result<UserId, BrokerError> {
        let added = if self.settings.signup_open {
            self.insert_user(username, email, password).await
        } else {
            Err(BrokerError::SignupClosed)
        };
        let actor = added.as_ref().map_or(Actor::Anonymous, |id| Actor::User(*id));
        self.noted(Note::new(actor, Action::SignUp).from(from), added).await
    }

    /// Adds a user, as the operator.
    ///
    /// # Errors
    /// As [`Broker::sign_up`], but for the closed door.
    pub async fn add_user(
        &self,
        username: &str,
        email: &str,
        password: &SecretString,
    ) -> Result<UserId, BrokerError> {
        let id = self.insert_user(username, email, password).await?;
        self.note_act(Note { owner: Some(id), ..Note::new(Actor::Operator, Action::UserCreate) }).await;
        Ok(id)
    }

    async fn insert_user(
        &self,
        username: &str,
        email: &str,
        password: &SecretString,
    ) -> Result<UserId, BrokerError> {
        let username = Username::parse(username).map_err(|e| BrokerError::field("username", e))?;
        if username.folded() == self.nobody.folded() {
            return Err(BrokerError::field("username", Problem::Reserved));
        }
        let email = Email::parse(email).map_err(|e| BrokerError::field("email", e))?;
        check_password(password).map_err(|e| BrokerError::field("password", e))?;
        let hash = self.passwords.turn_to_sign_up().await?.hash(password).await?;
        let new = NewUser { username: &username, email: &email, password_hash: &hash };
        match self.store.insert_user(&new, self.clock.now()).await {
            Err(StoreError::Conflict) => Err(BrokerError::UsernameTaken),
            other => Ok(other?),
        }
    }

    /// All users, oldest first. For the operator.
    ///
    /// # Errors
    /// [`BrokerError::Store`].
    pub async fn list_users(&self) -> Result<Vec<User>, BrokerError> {
        Ok(self.store.list_users().await?)
    }

    /// Sets a user's password and ends their sessions, as the operator. Returns whether there is such a user.
    ///
    /// # Errors
    /// [`BrokerError::Field`], [`BrokerError::Busy`].
    pub async fn set_password(&self, username: &str, password: &SecretString) -> Result<bool, BrokerError> {
        let username = Username::parse(username).map_err(|e| BrokerError::field("username", e))?;
        check_password(password).map_err(|e| BrokerError::field("password", e))?;
        let Some(login) = self.store.find_login(&username).await? else { return Ok(false) };
        let hash = self.passwords.turn_to_sign_up().await?.hash(password).await?;
        let set = self.store.update_password(login.user.id, &hash, self.clock.now()).await?;
        let owner = Some(login.user.id);
        self.note_act(Note { owner, ..Note::new(Actor::Operator, Action::PasswordSet) }).await;
        Ok(set)
    }

    /// Checks a name and a password and issues an access token. `device` is a token sent along, however old: one that was
    /// issued to this user sets its bearer apart from a guesser (see the throttle).
    ///
    /// # Errors
    /// [`BrokerError::WrongLogin`], the same for a wrong password and a user who is not there;
    /// [`BrokerError::TooManyAttempts`]; [`BrokerError::Busy`].
    pub async fn log_in(
        &self,
        username: &str,
        password: &SecretString,
        from: Origin,
        device: Option<&str>,
    ) -> Result<SecretString, BrokerError> {
        // A name that cannot exist is refused by the same path as one that does not.
        let name = Username::parse(username).unwrap_or(self.nobody.clone());
        let device = device.and_then(|token| self.sessions.read(token));
        let user = self.check_and_note(&name, password, from, device).await?;
        self.issue(&user, None, self.clock.now()).await
    }

    /// As [`Broker::check_login`], where the password opens a session.
    pub(crate) async fn check_and_note(
        &self,
        name: &Username,
        password: &SecretString,
        from: Origin,
        device: Option<Claims>,
    ) -> Result<User, BrokerError> {
        let checked = self.check_login(name, password, address_of(&from), device).await;
        let checked = checked.and_then(|user| user.ok_or(BrokerError::WrongLogin));
        let note = match &checked {
            Ok(user) => Note::new(Actor::User(user.id), Action::LogIn),
            Err(_) => Note::new(Actor::Anonymous, Action::LogIn).of_name(name.as_str()),
        };
        self.noted(note.from(from), checked).await
    }

    /// The user, if the password is theirs. Counts the try, also when whoever made it hangs up before the answer.
    pub(crate) async fn check_login(
        &self,
        name: &Username,
        password: &SecretString,
        address: IpAddr,
        device: Option<Claims>,
    ) -> Result<Option<User>, BrokerError> {
        let (broker, name, password) = (self.clone(), name.clone(), password.clone());
        let work = async move { broker.check_login_alone(&name, &password, address, device.as_ref()).await };
        self.tasks
            .spawn(work.in_current_span())
            .await
            .map_err(|_| BrokerError::Internal("a log-in ended without an outcome"))?
    }

    async fn check_login_alone(
        &self,
        name: &Username,
        password: &SecretString,
        address: IpAddr,
        device: Option<&Claims>,
    ) -> Result<Option<User>, BrokerError> {
        let login = self.store.find_login(name).await?;
        let id = login.as_ref().map(|login| login.user.id);
        let device = device.filter(|claims| id == Some(claims.user));
        // Whoever is at the limit already takes no place in the queue.
        self.begin_attempt(name, id, address, device, self.clock.now()).await?;
        let network = throttle::network(address);
        let who = device.map_or(network.as_str(), |claims| &claims.device);
        let turn = self.passwords.turn(who, device.is_some()).await?;
        let attempt = self.begin_attempt(name, id, address, device, self.clock.now()).await?;
        let hash = login.as_ref().map(|login| login.password_hash.clone());
        let right = turn.check(password, hash).await?;
        if let Some(login) = login.filter(|_| right) {
            self.attempt_succeeded(&attempt, login.user.id, self.clock.now()).await?;
            Ok(Some(login.user))
        } else {
            self.attempt_failed(&attempt, self.clock.now()).await?;
            Ok(None)
        }
    }

    /// Reads the access token of a request, as [`Broker::read_token`], and keeps where it came from. A refusal is noted.
    ///
    /// # Errors
    /// [`BrokerError::Unauthenticated`], also where there is none.
    pub async fn authenticate(&self, token: Option<&str>, from: Origin) -> Result<Claims, BrokerError> {
        let claims = match token {
            Some(token) => self.read_token(token).await,
            None => Err(BrokerError::Unauthenticated(MISSING_TEXT)),
        };
        match claims {
            Ok(claims) => Ok(Claims { from, ..claims }),
            Err(error) => {
                if let Some((outcome, reason)) = reason_of(&error) {
                    let note = Note::new(Actor::Anonymous, Action::Access).from(from);
                    self.note_passing(note, outcome, Some(reason));
                }
                Err(error)
            }
        }
    }

    /// Issues another token to the bearer of a good one.
    ///
    /// # Errors
    /// [`BrokerError::Unauthenticated`] when the session has ended.
    pub async fn renew_token(&self, claims: &Claims) -> Result<SecretString, BrokerError> {
        let renewed = async {
            let user = self.user(claims).await?;
            self.issue(&user, Some(claims), self.clock.now()).await
        };
        let renewed = renewed.await;
        self.noted(Note::by(claims, Action::RenewSession), renewed).await
    }

    /// Who the caller is, for the caller.
    ///
    /// # Errors
    /// [`BrokerError::Unauthenticated`] when the session has ended.
    pub async fn whoami(&self, claims: &Claims) -> Result<User, BrokerError> {
        let user = self.user(claims).await;
        self.noted(Note::by(claims, Action::Access), user).await
    }

    /// Who the caller is.
    ///
    /// # Errors
    /// [`BrokerError::Unauthenticated`] when the session has ended.
    pub(crate) async fn user(&self, claims: &Claims) -> Result<User, BrokerError> {
        let user = self.store.find_user(claims.user).await?.ok_or(ENDED)?;
        claims.check_epoch(Some(user.session_epoch))?;
        Ok(user)
    }

    /// Ends every session of the caller, at once.
    ///
    /// # Errors
    /// [`BrokerError::Unauthenticated`] when the session has ended already.
    pub async fn log_out(&self, claims: &Claims) -> Result<(), BrokerError> {
        let ended = async {
            let user = self.user(claims).await?;
            Ok(self.store.update_session_epoch(user.id, self.clock.now()).await?)
        };
        let ended = ended.await;
        self.noted(Note::by(claims, Action::LogOut), ended).await
    }

    /// Gives the caller a new password and ends every session, at once.
    ///
    /// # Errors
    /// [`BrokerError::Field`] when the current password is wrong or the new one is not allowed;
    /// [`BrokerError::TooManyAttempts`].
    pub async fn change_password(
        &self,
        claims: &Claims,
        current: &SecretString,
        new: &SecretString,
    ) -> Result<(), BrokerError> {
        let note = Note::by(claims, Action::ChangePassword);
        let changed = async {
            let user = self.user(claims).await?;
            check_password(new).map_err(|e| BrokerError::field("new_password", e))?;
            let address = address_of(&claims.from);
            if self.check_login(&user.username, current, address, Some(claims.clone())).await?.is_none() {
                self.note_passing(note.clone(), AuditOutcome::Refused, Some("wrong_password"));
                return Err(BrokerError::field("current_password", Problem::NotYourPassword));
            }
            let hash = self.passwords.turn(&claims.device, true).await?.hash(new).await?;
            self.store.update_password(user.id, &hash, self.clock.now()).await?;
            Ok(())
        };
        let changed = changed.await;
        self.noted(note, changed).await
    }
}

/// The address that log-ins are counted by.
pub(crate) fn address_of(from: &Origin) -> IpAddr {
    from.address.unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED))
}
