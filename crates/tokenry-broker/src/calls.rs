//! How a program calls the service with a connection.

use std::time::Duration;

use tokenry_model::{
    Action, Connection, ConnectionId, ConnectionState, CredentialKind, Scopes, SecretString, Timestamp,
};
use tokenry_oauth::{Kind, Provider};
use tokenry_vault::ConnectionField;
use url::Url;

use crate::audit::Note;
use crate::boot::Broker;
use crate::error::BrokerError;
use crate::grants;
use crate::sessions::Claims;

/// A name and a value that carry a credential.
#[derive(Debug)]
pub struct Carrier {
    /// The name.
    pub name: String,
    /// The value, with the credential in it.
    pub value: SecretString,
}

/// A token, and how a call of the service's API carries it.
#[derive(Debug)]
pub struct CallToken {
    /// The token, valid now.
    pub token: SecretString,
    /// What kind of credential it is.
    pub kind: CredentialKind,
    /// The header, where one carries it as it is.
    pub header: Option<Carrier>,
    /// The parameter of the query, where the API reads no header.
    pub query: Option<Carrier>,
    /// When it dies; `None` when it does not, or nobody said.
    pub expires_at: Option<Timestamp>,
    /// What it may do.
    pub scopes: Scopes,
    /// With OAuth 1.0a: what signs. Never sent to the service.
    pub token_secret: Option<SecretString>,
}

impl Broker {
    /// The token of a connection, as [`Broker::hand_out`] gives it, and how a call carries it.
    ///
    /// # Errors
    /// Those of [`Broker::hand_out`].
    pub async fn token_for_calls(
        &self,
        claims: &Claims,
        owner: &str,
        id: ConnectionId,
        min_valid: Duration,
    ) -> Result<CallToken, BrokerError> {
        let mut note = Note::at(claims, Action::TokenRead, owner).on(id);
        let token = async {
            let connection = self.own_connection(claims, owner, id).await?;
            note.saw(&connection);
            self.call_token(connection, min_valid).await
        };
        let token = token.await;
        self.noted(note, token).await
    }

    async fn call_token(
        &self,
        connection: Connection,
        min_valid: Duration,
    ) -> Result<CallToken, BrokerError> {
        let fresh = self.hand_out_of(&connection, min_valid).await?;
        // A refresh may have brought other scopes.
        let now_there = self.reread(&connection).await?.unwrap_or(connection);
        // A service that is no longer set up has its tokens all the same.
        let provider = self.provider_of(&now_there).ok();
        let (mut header, mut query) = (None, None);
        if let Some(provider) = provider.filter(|provider| carries_as_it_is(&now_there, provider)) {
            match provider.api_query_param() {
                Some(name) => {
                    query = Some(Carrier { name: name.to_owned(), value: fresh.token.clone() });
                }
                // A pasted text need not fit into a header.
                None => header = header_of(&provider, &fresh.token).ok(),
            }
        }
        Ok(CallToken {
            kind: now_there.kind,
            header,
            query,
            expires_at: fresh.expires_at,
            scopes: now_there.scopes.clone(),
            token_secret: self.token_secret(&now_there).await?,
            token: fresh.token,
        })
    }

    /// The header for exactly this call of the service's API. With OAuth 1.0a it is signed: good for this method and this
    /// URL with its query, once.
    ///
    /// # Errors
    /// [`BrokerError::Field`] when the method or the URL cannot be used, or the URL's host is not one of the service's API;
    /// [`BrokerError::NoHeader`] when no header carries the credential; those of [`Broker::hand_out`].
    pub async fn authorize_call(
        &self,
        claims: &Claims,
        owner: &str,
        id: ConnectionId,
        method: &str,
        url: &str,
    ) -> Result<Carrier, BrokerError> {
        let mut note = Note::at(claims, Action::CallAuthorize, owner).on(id);
        let carrier = async {
            let connection = self.own_connection(claims, owner, id).await?;
            note.saw(&connection);
            self.carrier(&connection, method, url).await
        };
        let carrier = carrier.await;
        self.noted(note, carrier).await
    }

    async fn carrier(
        &self,
        connection: &Connection,
        method: &str,
        url: &str,
    ) -> Result<Carrier, BrokerError> {
        let is_method =
            (1..=32).contains(&method.len()) && method.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-');
        if !is_method {
            return Err(BrokerError::field("method", "must be an HTTP method, such as GET"));
        }
        let url = api_url(url)?;
        let to_a_known_place = |provider: &Provider| {
            provider
                .api_base_url()
                .is_some_and(|base| (base.scheme(), base.host()) == (url.scheme(), url.host()))
        };
        if let ConnectionState::ReconnectRequired { reason } | ConnectionState::Revoked { reason } =
            &connection.state
        {
            return Err(BrokerError::ReconnectRequired { reason: reason.clone() });
        }
        if connection.kind == CredentialKind::OAuth1 {
            // Each call is signed with the operator's secret as well.
            self.fresh_services().await?;
        }
        let provider = self.provider_of(connection)?;
        check_host(&provider, &url)?;
        if url.scheme() == "http" && !is_this_machine(&url) && !to_a_known_place(&provider) {
            return Err(BrokerError::field(
                "url",
                "must be https: a header sent over plain http is everybody's",
            ));
        }
        let no_header = |what: String| BrokerError::NoHeader { service: provider.name.clone(), what };
        if let Some(name) = provider.api_query_param() {
            return Err(no_header(format!("put the credential into the parameter {name} of the query")));
        }
        let fresh = self.hand_out_of(connection, Duration::ZERO).await?;
        if connection.kind == CredentialKind::OAuth1 {
            let secret = self
                .token_secret(connection)
                .await?
                .ok_or(BrokerError::Internal("an OAuth 1.0a token has no secret"))?;
            let value = self
                .oauth
                .oauth1_sign(&provider, &fresh.token, &secret, method, &url)
                .map_err(|cause| BrokerError::provider(&provider.name, cause))?;
            return Ok(Carrier { name: "authorization".to_owned(), value });
        }
        if !carries_as_it_is(connection, &provider) {
            return Err(no_header("its calls are signed, and a pasted token alone cannot sign".to_owned()));
        }
        header_of(&provider, &fresh.token)
            .map_err(|_| no_header("what was pasted as a token does not fit into one".to_owned()))
    }

    /// With OAuth 1.0a, what signs.
    async fn token_secret(&self, connection: &Connection) -> Result<Option<SecretString>, BrokerError> {
        if connection.kind != CredentialKind::OAuth1 {
            return Ok(None);
        }
        let context = grants::context(connection.user_id, connection.id, ConnectionField::RefreshToken);
        let sealed = connection.refresh_token.as_ref();
        self.opened(|vault| sealed.map(|sealed| vault.open_text(&context, sealed)).transpose()).await
    }
}

/// Whether calls carry the credential itself, and not a signature.
fn carries_as_it_is(connection: &Connection, provider: &Provider) -> bool {
    connection.kind != CredentialKind::OAuth1 && provider.kind() != Kind::Oauth1
}

fn header_of(provider: &Provider, token: &SecretString) -> Result<Carrier, BrokerError> {
    let refused = |cause| BrokerError::provider(&provider.name, cause);
    let (name, value) = provider.authorization(token).map_err(refused)?;
    let value = value.to_str().map_err(|_| BrokerError::Internal("a header is not text"))?;
    Ok(Carrier { name: name.as_str().to_owned(), value: value.into() })
}

fn api_url(text: &str) -> Result<Url, BrokerError> {
    Url::parse(text)
        .ok()
        .filter(|url| {
            matches!(url.scheme(), "https" | "http")
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none()
        })
        .filter(|_| text.len() <= 8192)
        .ok_or_else(|| {
            BrokerError::field(
                "url",
                "must be an http or https URL with a host and without user and password",
            )
        })
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The credential goes to the service's own hosts, where those are known.
fn check_host(provider: &Provider, url: &Url) -> Result<(), BrokerError> {
    let mut known: Vec<&str> = provider.api_hosts().iter().map(String::as_str).collect();
    known.extend(provider.api_base_url().and_then(Url::host_str));
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    let is_known = |known: &&str| {
        *known == host || known.strip_prefix('*').is_some_and(|end| end.len() > 1 && host.ends_with(end))
    };
    if known.is_empty() || known.iter().any(is_known) {
        return Ok(());
    }
    known.sort_unstable();
    known.dedup();
    let problem = format!("leads to none of the hosts of {}: {}", provider.name, known.join(", "));
    Err(BrokerError::field("url", problem))
}
