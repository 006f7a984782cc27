//! What every endpoint shares.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::HeaderMap,
    middleware,
    routing::{any, get, post},
};
use secrecy::SecretString;
use tokio::sync::watch;

use crate::{
    api, authorize,
    client_auth::{Clients, How},
    control, device,
    faults::Faults,
    fresh::NoRandomness,
    grants::{Caller, Consent, Grants, Rules},
    incoming::Incoming,
    introspect,
    journal::Journal,
    metadata, oauth1,
    options::{Account, ApiKey, SandboxOptions},
    pace::Pace,
    pages, par,
    params::Params,
    quirks::{Auth, Quirks},
    refused::Refused,
    revoke,
    seen::{Seen, Tally},
    tenants, token,
};

/// Forms are small.
const BODY_LIMIT: usize = 64 * 1024;

/// A handle on the one shared state.
#[derive(Clone)]
pub(crate) struct App(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) issuer: String,
    pub(crate) clients: Clients,
    pub(crate) accounts: Vec<Arc<Account>>,
    pub(crate) api_keys: Vec<ApiKey>,
    pub(crate) require_pkce: bool,
    pub(crate) quirks: Arc<Quirks>,
    /// How far the sandbox's clock is ahead, in milliseconds.
    ahead_ms: AtomicU64,
    state: Mutex<State>,
    stopping: watch::Receiver<bool>,
}

/// What changes.
pub(crate) struct State {
    pub(crate) grants: Grants,
    pub(crate) devices: device::Devices,
    pub(crate) pushed: par::Pushed,
    pub(crate) oauth1: oauth1::Tokens,
    /// Who has consented to which client before.
    pub(crate) consented: HashSet<(Caller, String)>,
    pub(crate) faults: Faults,
    pub(crate) pace: Pace,
    pub(crate) tally: Tally,
    pub(crate) journal: Journal,
}

/// Tokens that were issued without a browser.
#[derive(Clone, Debug)]
pub struct IssuedGrant {
    /// Whose it is.
    pub account: String,
    /// The access token.
    pub access_token: SecretString,
    /// The refresh token, unless quirks give none.
    pub refresh_token: Option<SecretString>,
    /// How long the access token lives, in seconds.
    pub expires_in: u64,
}

impl std::ops::Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl App {
    pub(crate) fn new(issuer: String, options: SandboxOptions, stopping: watch::Receiver<bool>) -> Self {
        let SandboxOptions { access_ttl, refresh_ttl, code_ttl, rotate, .. } = options;
        let quirks = Arc::new(options.quirks);
        let rules = Rules { access_ttl, refresh_ttl, code_ttl, rotate, quirks: Arc::clone(&quirks) };
        Self(Arc::new(Shared {
            issuer,
            clients: Clients::new(options.clients),
            accounts: options.accounts.into_iter().map(Arc::new).collect(),
            api_keys: options.api_keys,
            require_pkce: options.require_pkce,
            quirks,
            ahead_ms: AtomicU64::new(0),
            state: Mutex::new(State {
                grants: Grants::new(rules),
                devices: device::Devices::default(),
                pushed: par::Pushed::default(),
                oauth1: oauth1::Tokens::default(),
                consented: HashSet::new(),
                faults: Faults::default(),
                pace: Pace::new(options.limit_per_s, options.fault_rates),
                tally: Tally::default(),
                journal: Journal::default(),
            }),
            stopping,
        }))
    }

    pub(crate) fn router(self) -> Router {
        let routes = Router::new()
            .route("/", get(pages::home))
            .route("/style.css", get(pages::style))
            .route("/authorize", get(authorize::ask).post(authorize::decide))
            .route("/par", post(par::push))
            .route("/token", any(token::token))
            .route("/refresh", any(token::refresh_only))
            .route("/upgrade", any(token::upgrade_only))
            .route("/device_authorization", post(device::authorize))
            .route("/device", get(device::ask).post(device::decide))
            .route("/userinfo", get(api::userinfo).post(api::userinfo))
            .route("/api/me", get(api::me))
            .route("/revoke", any(revoke::revoke))
            .route("/revoke/{client}", any(revoke::revoke))
            .route("/introspect", post(introspect::introspect))
            .route("/oauth1/request_token", post(oauth1::request_token))
            .route("/oauth1/authorize", get(oauth1::ask).post(oauth1::decide))
            .route("/oauth1/access_token", post(oauth1::access_token))
            .route("/oauth1/me", get(oauth1::me))
            .route("/.well-known/oauth-authorization-server", get(metadata::metadata))
            .route("/.well-known/openid-configuration", get(metadata::metadata))
            .route("/seen", get(control::seen))
            .route("/control", post(control::control))
            .layer(DefaultBodyLimit::max(BODY_LIMIT))
            .with_state(self.clone());
        // The tenant's name is taken off before the path is looked up, so this layer is around all of it.
        Router::new().fallback_service(routes).layer(middleware::from_fn_with_state(self, tenants::take_off))
    }
}

impl Shared {
    /// Locks the state. A panic under the lock leaves at worst a half-counted request, so the poison is ignored.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What time the sandbox believes it is.
    pub(crate) fn now(&self) -> Instant {
        Instant::now() + self.ahead()
    }

    /// The same, since 1970-01-01 UTC.
    pub(crate) fn unix_now(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + self.ahead()
    }

    fn ahead(&self) -> Duration {
        Duration::from_millis(self.ahead_ms.load(Ordering::Relaxed))
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.ahead_ms.fetch_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn account(&self, id: &str) -> Option<&Arc<Account>> {
        self.accounts.iter().find(|account| account.id == id)
    }

    /// Names the caller, in the way that `auth` says.
    pub(crate) fn authenticate(
        &self,
        incoming: &Incoming,
        params: &Params,
        auth: Auth,
    ) -> Result<Caller, Refused> {
        self.authenticate_by(&incoming.headers, incoming.tenant.as_ref(), params, auth)
    }

    /// The same, with other headers than the request's.
    pub(crate) fn authenticate_by(
        &self,
        headers: &HeaderMap,
        tenant: Option<&Arc<str>>,
        params: &Params,
        auth: Auth,
    ) -> Result<Caller, Refused> {
        let how = How { auth, quirks: &self.quirks, issuer: &self.issuer, now: self.unix_now() };
        let client = self.clients.authenticate(&how, headers, params)?;
        Ok(Caller { client: client.clone(), tenant: tenant.cloned() })
    }

    pub(crate) fn seen(&self) -> Seen {
        let state = self.state();
        let mut seen = state.tally.seen(state.grants.live_families(self.now()));
        seen.grants_by_refreshes.clone_from(state.grants.by_refreshes());
        seen
    }

    pub(crate) fn forget(&self, account: &str) -> usize {
        let mut state = self.state();
        let families = state.grants.forget(account) + state.oauth1.forget(account);
        state.tally.note("control", None, "the person removed the app");
        families
    }

    /// Grants for `n` new accounts, as if each had consented.
    pub(crate) fn issue_grants(
        &self,
        client: &str,
        account_prefix: &str,
        n: usize,
        scopes: &str,
    ) -> Result<Vec<IssuedGrant>, Refused> {
        let (client, _) = self.clients.find(client).ok_or(Refused::InvalidClient)?;
        let caller = Caller { client: client.clone(), tenant: None };
        let scope: Arc<str> = Arc::from(scopes);
        let quirks = &self.quirks;
        let refreshable = !quirks.refresh_token.never && !quirks.refresh.spends_access_token;
        let mut state = self.state();
        let mut issued = Vec::with_capacity(n);
        for i in 0..n {
            let id = format!("{account_prefix}{i}");
            let email = format!("{id}@example.org");
            let consent = Consent {
                caller: caller.clone(),
                account: Arc::new(Account { name: id.clone(), email, id: id.clone() }),
                scope: scope.clone(),
                second_scope: None,
                refreshable,
            };
            let fresh = crate::fresh::Fresh::new().map_err(|NoRandomness| Refused::ServerError)?;
            let (_, tokens) = state.grants.open(self.now(), consent, fresh)?;
            issued.push(IssuedGrant {
                account: id,
                access_token: tokens.access,
                refresh_token: tokens.refresh,
                expires_in: tokens.expires_in,
            });
        }
        state.tally.note("control", Some(client), "grants issued");
        Ok(issued)
    }

    /// Waits, but not longer than the sandbox runs. Answers whether the sandbox stops.
    pub(crate) async fn stops_within(&self, wait: Duration) -> bool {
        let mut stopping = self.stopping.clone();
        // An error means that the handle is gone, which is a stop too.
        tokio::time::timeout(wait, stopping.wait_for(|stopping| *stopping)).await.is_ok()
    }
}
