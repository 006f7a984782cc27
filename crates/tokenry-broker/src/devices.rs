//! Saying yes on another device (RFC 8628): for programs that cannot open a browser.

use std::time::Duration;

use tokenry_model::{
    Action, AuditOutcome, ConnectionId, ExposeSecret as _, Flow, FlowKind, SecretString, StateHash,
    Timestamp, Values,
};
use tokenry_oauth::{DeviceAuthorization, DevicePoll, OAuthError};
use tokenry_store::DeviceFlow;
use url::Url;

use crate::audit::Note;
use crate::boot::{Broker, filled, hash_of, random_token};
use crate::connect::{ConnectError, SecretsOut};
use crate::error::{BrokerError, is_passing};
use crate::fields;
use crate::pauses::pause_until;
use crate::sessions::Claims;

/// No code is waited for longer.
const LONGEST: Duration = Duration::from_hours(1);
/// For so long nobody else asks while one asks: longer than a call may take.
const ASKING: Duration = Duration::from_mins(2);
/// By so much the pause grows when the provider is asked too often (RFC 8628 §3.5).
const SLOWER_S: i64 = 5;
/// Nobody is made to wait longer between two questions.
const SLOWEST_S: i64 = 300;

/// What is to be connected.
#[derive(Debug)]
pub struct BeginDevice {
    /// The service: an id or an alias.
    pub service: String,
    /// What to call the connection; after the service and the account if it is `None`.
    pub name: Option<String>,
    /// What to ask for; the service's usual scopes if it is `None`.
    pub scopes: Option<Vec<String>>,
    /// What differs from connection to connection at this service.
    pub settings: Values,
}

/// A connect on another device that has begun.
#[derive(Debug)]
pub struct DeviceBegun {
    /// What to ask with how it is getting on.
    pub id: SecretString,
    /// What the person types.
    pub user_code: String,
    /// Where they type it.
    pub verification_uri: Url,
    /// The same place with the code in it already.
    pub verification_uri_complete: Option<Url>,
    /// Until when.
    pub expires_at: Timestamp,
    /// How many seconds to wait between two questions.
    pub interval_s: i64,
}

/// What became of it so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceStatus {
    /// The person has not decided yet.
    Pending,
    /// The connection is stored.
    Connected,
    /// The person said no.
    Declined,
    /// Nobody said anything in time.
    Expired,
}

impl DeviceStatus {
    const ALL: [Self; 4] = [Self::Pending, Self::Connected, Self::Declined, Self::Expired];

    /// The word for it, as it is stored and said.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Connected => "connected",
            Self::Declined => "declined",
            Self::Expired => "expired",
        }
    }

    fn parse(word: &str) -> Result<Self, BrokerError> {
        let found = Self::ALL.into_iter().find(|status| status.as_str() == word);
        found.ok_or(BrokerError::Internal("a device flow ended in an unknown way"))
    }
}

/// How a connect on another device is getting on.
#[derive(Debug)]
pub struct DeviceProgress {
    /// What became of it so far.
    pub status: DeviceStatus,
    /// The connection, if there is one.
    pub connection: Option<ConnectionId>,
    /// How many seconds to wait between two questions.
    pub interval_s: i64,
}

impl Broker {
    /// Begins a connect on another device.
    ///
    /// # Errors
    /// [`BrokerError::DeviceFlowNotSupported`], [`BrokerError::ProviderNotConfigured`], [`BrokerError::Field`],
    /// [`BrokerError::Setting`], [`BrokerError::UnknownService`]; [`BrokerError::ProviderAway`] and
    /// [`BrokerError::ProviderRefused`] when the provider gives no codes; those of a caller who may not.
    pub async fn begin_device(
        &self,
        claims: &Claims,
        owner: &str,
        new: BeginDevice,
    ) -> Result<DeviceBegun, BrokerError> {
        let mut note = Note::at(claims, Action::ConnectBegin, owner);
        let begun = self.begin_device_alone(claims, owner, new, &mut note).await;
        self.noted(note, begun).await
    }

    async fn begin_device_alone(
        &self,
        claims: &Claims,
        owner: &str,
        new: BeginDevice,
        note: &mut Note,
    ) -> Result<DeviceBegun, BrokerError> {
        let user = claims.own(owner)?;
        self.user(claims).await?;
        let name = new.name.as_deref().map(fields::name).transpose()?;
        self.fresh_services().await?;
        let provider = self.find_provider(&new.service, Some("service"))?;
        note.provider = Some(provider.id.clone());
        let scopes = match &new.scopes {
            Some(scopes) => fields::scopes(scopes)?,
            None => provider.default_scopes().clone(),
        };
        let none = || BrokerError::DeviceFlowNotSupported { service: provider.name.clone() };
        let values = fields::settings(&provider, &new.settings)?;
        let own = filled(&provider, &values)?;
        if !own.has_device_flow() {
            return Err(none());
        }
        self.require_ready(&own)?;
        self.require_no_pause(&own).await?;
        let begun = match self.oauth.device_begin(&own, &scopes).await {
            Ok(begun) => begun,
            Err(OAuthError::NotSupported { .. }) => return Err(none()),
            Err(cause) => return Err(self.heard(&own, cause).await),
        };
        let id = random_token(&*self.random)?;
        let now = self.clock.now();
        let DeviceAuthorization { expires_in, interval, .. } = begun;
        let expires_at = now.plus(expires_in.min(LONGEST));
        let interval_s = i64::try_from(interval.as_secs()).unwrap_or(SLOWEST_S).clamp(1, SLOWEST_S);
        let state_hash = StateHash::new(hash_of(id.expose_secret()));
        let secrets =
            SecretsOut { device_code: Some(begun.device_code.expose_secret()), ..SecretsOut::default() };
        let flow = Flow {
            state_hash,
            user_id: user,
            token_type: new.service.to_ascii_lowercase(),
            provider: provider.id.clone(),
            redirect_uri: String::new(),
            token_url: String::new(),
            scopes,
            secrets: self.seal_flow_secrets(user, &state_hash, &secrets)?,
            // No browser comes back.
            browser_hash: hash_of(random_token(&*self.random)?.expose_secret()),
            expires_at,
            kind: FlowKind::Device,
            values,
            name,
            connection: None,
            link: None,
        };
        let first = now.plus(seconds(interval_s));
        self.store.insert_device_flow(&flow, interval_s, first, now).await?;
        self.forget_oldest_flows(&flow).await?;
        Ok(DeviceBegun {
            id,
            user_code: begun.user_code,
            verification_uri: begun.verification_uri,
            verification_uri_complete: begun.verification_uri_complete,
            expires_at,
            interval_s,
        })
    }

    /// How a connect on another device is getting on. Asks the provider if it is time to; of several callers, over all
    /// processes, one does.
    ///
    /// # Errors
    /// [`BrokerError::NoSuchDeviceFlow`]; [`BrokerError::ProviderRefused`] when the provider refuses this server; those of
    /// a caller who may not.
    pub async fn poll_device(
        &self,
        claims: &Claims,
        owner: &str,
        id: &str,
    ) -> Result<DeviceProgress, BrokerError> {
        let progress = self.poll_device_alone(claims, owner, id).await;
        self.noted(Note::at(claims, Action::View, owner), progress).await
    }

    async fn poll_device_alone(
        &self,
        claims: &Claims,
        owner: &str,
        id: &str,
    ) -> Result<DeviceProgress, BrokerError> {
        let user = claims.own(owner)?;
        self.user(claims).await?;
        let state = StateHash::new(hash_of(id));
        let find = async || {
            let found = self.store.find_device_flow(user, &state).await?;
            found.ok_or(BrokerError::NoSuchDeviceFlow)
        };
        let device = find().await?;
        let now = self.clock.now();
        let is_due = device.outcome.is_none() && device.flow.expires_at > now && device.next_poll_at <= now;
        if !is_due || !self.store.claim_device_poll(&state, now, now.plus(ASKING)).await? {
            return progress(&device, now);
        }
        let broker = self.clone();
        let mut note = Note::by(claims, Action::Connect);
        note.provider = Some(device.flow.provider.clone());
        // The tokens come once: whoever hangs up meanwhile must not cost the person the grant.
        let asked = self.untorn(async move { broker.ask_device(&device, note).await }).await;
        match asked {
            Ok(()) => progress(&find().await?, self.clock.now()),
            Err(ConnectError::Broker(error)) => Err(error),
            Err(_) => Err(BrokerError::Internal("a device went the way of a link")),
        }
    }

    /// Asks the provider once, and writes down what it says.
    async fn ask_device(&self, device: &DeviceFlow, note: Note) -> Result<(), ConnectError> {
        self.fresh_services().await?;
        let flow = &device.flow;
        let state = &flow.state_hash;
        let provider = self.provider_with(&flow.provider, &flow.values)?;
        let code = self
            .open_flow_secrets(flow)
            .await?
            .device_code
            .ok_or(BrokerError::Internal("a flow does not hold what its kind needs"))?;
        let end = async |status: DeviceStatus, connection| {
            self.store.update_device_ended(state, status.as_str(), connection).await
        };
        let go_on = async |interval_s: i64| {
            let next = self.clock.now().plus(seconds(interval_s));
            self.store.update_device_pace(state, interval_s, next).await
        };
        let health = self.store.find_health(&provider.id).await?;
        if let Some(until) = pause_until(health.paused_until, self.clock.now()) {
            // The codes may die meanwhile; asking a provider that wants to be left alone brings none.
            self.store.update_device_pace(state, device.interval_s, until).await?;
            return Ok(());
        }
        let asked_at = self.clock.now();
        match self.oauth.device_poll(&provider, &code, &flow.scopes).await {
            Ok(DevicePoll::Pending) => go_on(device.interval_s).await?,
            Ok(DevicePoll::SlowDown) => go_on((device.interval_s + SLOWER_S).min(SLOWEST_S)).await?,
            Ok(DevicePoll::Declined) => {
                self.metrics.connected(provider.id.as_str(), "declined");
                self.note_passing(note, AuditOutcome::Refused, Some("declined"));
                end(DeviceStatus::Declined, None).await?;
            }
            Ok(DevicePoll::Expired) => {
                self.note_passing(note, AuditOutcome::Refused, Some("expired_state"));
                end(DeviceStatus::Expired, None).await?;
            }
            Ok(DevicePoll::Done(tokens)) => {
                let granted =
                    self.granted(&provider, tokens, asked_at, &flow.scopes, flow.values.clone()).await?;
                let kept = self.keep_or_give_back(flow, &provider, granted).await;
                let connected = self.noted_connect(note, kept).await?;
                end(DeviceStatus::Connected, Some(connected.id)).await?;
            }
            Err(error) if is_passing(&error) => {
                tracing::warn!(provider = %provider.id, %error, "a device's connect could not be asked after");
                self.note_pause(&provider.id, &error).await;
                // RFC 8628 §3.5: less often after a question without an answer.
                go_on((device.interval_s * 2).min(SLOWEST_S)).await?;
            }
            Err(error) => {
                tracing::warn!(provider = %provider.id, %error, "a device's connect failed");
                self.note_passing(note, AuditOutcome::Failed, Some("provider_refused"));
                if error.is_final_refusal() {
                    end(DeviceStatus::Expired, None).await?;
                } else {
                    go_on(device.interval_s).await?;
                }
                return Err(BrokerError::provider(&provider.name, error).into());
            }
        }
        Ok(())
    }
}

fn seconds(count: i64) -> Duration {
    Duration::from_secs(u64::try_from(count).unwrap_or(0))
}

fn progress(device: &DeviceFlow, now: Timestamp) -> Result<DeviceProgress, BrokerError> {
    let status = match &device.outcome {
        Some(word) => DeviceStatus::parse(word)?,
        None if device.flow.expires_at <= now => DeviceStatus::Expired,
        None => DeviceStatus::Pending,
    };
    Ok(DeviceProgress { status, connection: device.flow.connection, interval_s: device.interval_s })
}
