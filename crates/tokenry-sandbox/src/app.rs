//! What every endpoint shares.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{get, post},
};
use tokio::sync::watch;

use crate::{
    authorize,
    client_auth::Clients,
    control,
    faults::Faults,
    grants::{Grants, Rules},
    introspect, metadata,
    options::{Account, SandboxOptions},
    pages, revoke,
    seen::{Seen, Tally},
    token, userinfo,
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
    pub(crate) require_pkce: bool,
    state: Mutex<State>,
    stopping: watch::Receiver<bool>,
}

/// What changes.
pub(crate) struct State {
    pub(crate) grants: Grants,
    pub(crate) faults: Faults,
    pub(crate) tally: Tally,
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
        let grants = Grants::new(Rules { access_ttl, refresh_ttl, code_ttl, rotate });
        Self(Arc::new(Shared {
            issuer,
            clients: Clients::new(options.clients),
            accounts: options.accounts.into_iter().map(Arc::new).collect(),
            require_pkce: options.require_pkce,
            state: Mutex::new(State { grants, faults: Faults::default(), tally: Tally::default() }),
            stopping,
        }))
    }

    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/", get(pages::home))
            .route("/style.css", get(pages::style))
            .route("/authorize", get(authorize::ask).post(authorize::decide))
            .route("/token", post(token::token))
            .route("/userinfo", get(userinfo::userinfo))
            .route("/revoke", post(revoke::revoke))
            .route("/introspect", post(introspect::introspect))
            .route("/.well-known/oauth-authorization-server", get(metadata::metadata))
            .route("/.well-known/openid-configuration", get(metadata::metadata))
            .route("/seen", get(control::seen))
            .route("/control", post(control::control))
            .layer(DefaultBodyLimit::max(BODY_LIMIT))
            .with_state(self)
    }
}

impl Shared {
    /// Locks the state. A panic under the lock leaves at worst a half-counted request, so the poison is ignored.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn account(&self, id: &str) -> Option<&Arc<Account>> {
        self.accounts.iter().find(|account| account.id == id)
    }

    pub(crate) fn seen(&self) -> Seen {
        let state = self.state();
        state.tally.seen(state.grants.live_families(Instant::now()))
    }

    pub(crate) fn forget(&self, account: &str) -> usize {
        let mut state = self.state();
        let families = state.grants.forget(account);
        state.tally.note("control", None, "the person removed the app");
        families
    }

    /// Waits, but not longer than the sandbox runs. Answers whether the sandbox stops.
    pub(crate) async fn stops_within(&self, wait: Duration) -> bool {
        let mut stopping = self.stopping.clone();
        // An error means that the handle is gone, which is a stop too.
        tokio::time::timeout(wait, stopping.wait_for(|stopping| *stopping)).await.is_ok()
    }
}
