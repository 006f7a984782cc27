//! Who operates: the first by a link that a start prints, the others by those who do.

use std::time::Duration;

use tokenry_model::{
    Action, Actor, Email, ExposeSecret as _, Origin, SecretString, Timestamp, User, UserId, Username,
    check_password,
};
use tokenry_store::{FirstOperator, NewUser, StoreError};
use url::Url;

use crate::audit::Note;
use crate::boot::{Broker, hash_of, random_token};
use crate::error::BrokerError;
use crate::problem::Problem;
use crate::sessions::Claims;

/// How long the link to become the first operator is good.
const LINK_TTL: Duration = Duration::from_hours(24);

/// The link by which somebody becomes the first operator. Good once.
#[derive(Debug, Clone)]
pub struct SetupLink {
    /// The address. A secret.
    pub url: SecretString,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

/// A user as an operator sees them.
#[derive(Debug, Clone)]
pub struct Person {
    /// Who it is.
    pub user: User,
    /// How many connections they have.
    pub connections: i64,
}

impl Broker {
    /// The caller, who must have the operator's role now.
    ///
    /// # Errors
    /// [`BrokerError::OperatorOnly`], and those of a session that has ended.
    pub(crate) async fn operator(&self, claims: &Claims) -> Result<User, BrokerError> {
        let user = self.user(claims).await?;
        if user.is_operator { Ok(user) } else { Err(BrokerError::OperatorOnly) }
    }

    /// A link by which somebody becomes the operator, if nobody is. It is for a person at the server's console.
    ///
    /// # Errors
    /// [`BrokerError::Store`].
    pub async fn make_setup_link(&self) -> Result<Option<SetupLink>, BrokerError> {
        if self.store.has_operator().await? {
            return Ok(None);
        }
        let (token, now) = (random_token(&*self.random)?, self.clock.now());
        let expires_at = now.plus(LINK_TTL);
        self.store.insert_setup_link(&hash_of(token.expose_secret()), expires_at, now).await?;
        let url = under(&self.settings.public_url, &["setup", token.expose_secret()]);
        Ok(Some(SetupLink { url: String::from(url).into(), expires_at }))
    }

    /// Whether the link with this token would make somebody the operator now. Changes nothing.
    ///
    /// # Errors
    /// [`BrokerError::SetupLinkEnded`] when it would not.
    pub async fn check_setup_link(&self, token: &SecretString) -> Result<(), BrokerError> {
        let hash = hash_of(token.expose_secret());
        if self.store.is_setup_link_good(&hash, self.clock.now()).await? {
            Ok(())
        } else {
            Err(BrokerError::SetupLinkEnded)
        }
    }

    /// The caller becomes the operator. Of all who try, one does.
    ///
    /// # Errors
    /// [`BrokerError::SetupLinkEnded`].
    pub async fn claim_setup_link(&self, claims: &Claims, token: &SecretString) -> Result<(), BrokerError> {
        let claimed = async {
            let user = self.user(claims).await?;
            let hash = hash_of(token.expose_secret());
            let first = FirstOperator::User(user.id);
            let claimed = self.store.claim_setup_link(&hash, first, self.clock.now()).await?;
            claimed.map(drop).ok_or(BrokerError::SetupLinkEnded)
        };
        let claimed = claimed.await;
        self.noted(Note::by(claims, Action::SetupClaim), claimed).await
    }

    /// Signs somebody up who becomes the operator with it, also where nobody else can sign up, and opens a session for their
    /// browser. Returns its cookie.
    ///
    /// # Errors
    /// [`BrokerError::SetupLinkEnded`]; those of [`Broker::sign_up`], after which the link is as it was.
    pub async fn sign_up_operator(
        &self,
        token: &SecretString,
        username: &str,
        email: &str,
        password: &SecretString,
        from: Origin,
    ) -> Result<SecretString, BrokerError> {
        let claimed = self.insert_operator(token, username, email, password).await;
        let actor = claimed.as_ref().map_or(Actor::Anonymous, |id| Actor::User(*id));
        let note = Note::new(actor, Action::SetupClaim).from(from.clone());
        let id = self.noted(note, claimed).await?;
        self.note_act(Note::new(Actor::User(id), Action::SignUp).from(from)).await;
        let user = self.store.find_user(id).await?.ok_or(BrokerError::NoSuchUser)?;
        self.open_session(&user, None).await
    }

    async fn insert_operator(
        &self,
        token: &SecretString,
        username: &str,
        email: &str,
        password: &SecretString,
    ) -> Result<UserId, BrokerError> {
        // Before the work of hashing: who has no link makes none of it.
        self.check_setup_link(token).await?;
        let username = Username::parse(username).map_err(|e| BrokerError::field("username", e))?;
        if username.folded() == self.nobody.folded() {
            return Err(BrokerError::field("username", Problem::Reserved));
        }
        let email = Email::parse(email).map_err(|e| BrokerError::field("email", e))?;
        check_password(password).map_err(|e| BrokerError::field("password", e))?;
        let hash = self.passwords.turn_to_sign_up().await?.hash(password).await?;
        let new = NewUser { username: &username, email: &email, password_hash: &hash };
        let link = hash_of(token.expose_secret());
        match self.store.claim_setup_link(&link, FirstOperator::New(&new), self.clock.now()).await {
            Err(StoreError::Conflict) => Err(BrokerError::UsernameTaken),
            claimed => claimed?.ok_or(BrokerError::SetupLinkEnded),
        }
    }

    /// Gives a user the operator's role or takes it away, from the command line, where the last operator may go too. Returns
    /// whether there is such a user.
    ///
    /// # Errors
    /// [`BrokerError::Field`] for what is no username.
    pub async fn set_role(&self, username: &str, is_operator: bool) -> Result<bool, BrokerError> {
        let username = Username::parse(username).map_err(|e| BrokerError::field("username", e))?;
        let Some(login) = self.store.find_login(&username).await? else { return Ok(false) };
        if self.store.update_role(login.user.id, is_operator, self.clock.now()).await? {
            let note = Note::new(Actor::Operator, role_action(is_operator));
            self.note_act(Note { owner: Some(login.user.id), ..note }).await;
        }
        Ok(true)
    }

    /// Users whose name begins with `prefix`, with an id above `after`, oldest first, at most `limit`. For an operator.
    ///
    /// # Errors
    /// [`BrokerError::OperatorOnly`].
    pub async fn list_people(
        &self,
        claims: &Claims,
        prefix: &str,
        after: i64,
        limit: i64,
    ) -> Result<Vec<Person>, BrokerError> {
        self.operator(claims).await?;
        let listed = self.store.list_people(&prefix.to_ascii_lowercase(), after, limit).await?;
        let person = |tokenry_store::ListedUser { user, connections }| Person { user, connections };
        Ok(listed.into_iter().map(person).collect())
    }

    /// Gives another user the operator's role or takes it away, or gives up one's own. It takes effect with the next request.
    /// The last operator stays one.
    ///
    /// # Errors
    /// [`BrokerError::NoSuchUser`]; [`BrokerError::Field`] when there would be no operator; [`BrokerError::OperatorOnly`].
    pub async fn change_role(
        &self,
        claims: &Claims,
        user: UserId,
        is_operator: bool,
    ) -> Result<(), BrokerError> {
        let mut note = Note::by(claims, role_action(is_operator));
        let changed = async {
            self.operator(claims).await?;
            let user = self.store.find_user(user).await?.ok_or(BrokerError::NoSuchUser)?;
            note.owner = Some(user.id);
            let now = self.clock.now();
            if is_operator {
                self.store.update_role(user.id, true, now).await?;
            } else if user.is_operator && !self.store.demote_unless_last(user.id, now).await? {
                return Err(BrokerError::field("role", Problem::LastOperator));
            }
            Ok(())
        };
        let changed = changed.await;
        self.noted(note, changed).await
    }

    /// Ends all sessions of a user: browsers and programs. For an operator.
    ///
    /// # Errors
    /// [`BrokerError::NoSuchUser`], [`BrokerError::OperatorOnly`].
    pub async fn end_sessions_of(&self, claims: &Claims, user: UserId) -> Result<(), BrokerError> {
        let mut note = Note::by(claims, Action::SessionsEnd);
        let ended = async {
            self.operator(claims).await?;
            let user = self.store.find_user(user).await?.ok_or(BrokerError::NoSuchUser)?;
            note.owner = Some(user.id);
            Ok(self.store.update_session_epoch(user.id, self.clock.now()).await?)
        };
        let ended = ended.await;
        self.noted(note, ended).await
    }
}

const fn role_action(is_operator: bool) -> Action {
    if is_operator { Action::RoleGrant } else { Action::RoleRevoke }
}

/// An address below the public one.
fn under(public_url: &Url, words: &[&str]) -> Url {
    let mut url = public_url.clone();
    let path = format!("{}/{}", public_url.path().trim_end_matches('/'), words.join("/"));
    url.set_path(&path);
    url
}
