#![doc = include_str!("../README.md")]

mod api;
mod app;
mod assertion;
mod authorize;
mod client_auth;
mod connection;
mod control;
mod decision;
mod device;
mod dialect;
mod faults;
mod fresh;
mod grants;
mod incoming;
mod introspect;
mod journal;
mod metadata;
mod oauth1;
mod options;
mod pace;
mod pages;
mod par;
mod params;
pub mod quirks;
mod refused;
mod revoke;
mod seen;
mod shape;
mod tenants;
mod token;

use std::{
    collections::BTreeMap,
    future::IntoFuture as _,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use crate::{
    app::App,
    connection::{Tear, TearableListener},
};
pub use crate::{
    app::IssuedGrant,
    faults::{Endpoint, Fault, FaultKind, Grant},
    journal::{Reuse, TokenState},
    options::{Account, ApiKey, Client, SandboxOptions},
    pace::FaultRates,
    quirks::Quirks,
    seen::{Event, Seen},
};

/// How long a stop waits for connections that do not end by themselves, such as those a browser opens ahead of need.
const STOP_WAIT: Duration = Duration::from_secs(2);

/// A running provider. It stops when this handle is dropped; [`Sandbox::stop`] also waits for the end.
pub struct Sandbox {
    app: App,
    addr: SocketAddr,
    stop: watch::Sender<bool>,
    server: JoinHandle<io::Result<()>>,
}

impl Sandbox {
    /// Binds, and serves in a task of the current tokio runtime.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when the options contradict themselves (no account, one id twice, a redirect URI that is none);
    /// otherwise what binding the address says.
    pub async fn start(options: SandboxOptions) -> io::Result<Self> {
        options.check()?;
        let listener = TcpListener::bind(options.listen).await?;
        let addr = listener.local_addr()?;
        let issuer = match &options.base_url {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None => format!("http://{}", reachable(addr)),
        };
        let (stop, stopping) = watch::channel(false);
        let app = App::new(issuer, options, stopping.clone());
        let service = app.clone().router().into_make_service_with_connect_info::<Tear>();
        let mut stopping = stopping;
        let until_stop = async move {
            // An error means that the handle was dropped.
            let _ = stopping.wait_for(|stopping| *stopping).await;
        };
        let server = axum::serve(TearableListener(listener), service).with_graceful_shutdown(until_stop);
        let server = tokio::spawn(server.into_future());
        tracing::info!(%addr, issuer = app.issuer, "sandbox provider listens");
        Ok(Self { app, addr, stop, server })
    }

    /// The issuer and the root of every endpoint, without a slash at its end.
    pub fn base_url(&self) -> &str {
        &self.app.issuer
    }

    /// The address it listens on, with the real port.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What it saw until now; the same as `GET /seen`.
    pub fn seen(&self) -> Seen {
        self.app.seen()
    }

    /// Adds a fault behind those that wait.
    pub fn inject(&self, fault: Fault) {
        self.app.state().faults.add(fault);
    }

    /// Drops the faults that still wait.
    pub fn clear_faults(&self) {
        self.app.state().faults.clear();
    }

    /// The person removed the app at the provider: all tokens and waiting codes of this account die, and every later
    /// refresh is `invalid_grant`. Answers how many grants there were.
    pub fn forget_grants_of(&self, account: &str) -> usize {
        self.app.forget(account)
    }

    /// How long access tokens live that are issued from now on; told to clients in whole seconds.
    pub fn set_access_ttl(&self, ttl: Duration) {
        self.app.state().grants.rules.access_ttl = ttl;
    }

    /// Grants for `n` new accounts, `<account_prefix>0` and so on, as if each had consented. `scopes` has spaces between
    /// them.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when there is no such client.
    pub fn issue_grants(
        &self,
        client: &str,
        account_prefix: &str,
        n: usize,
        scopes: &str,
    ) -> io::Result<Vec<IssuedGrant>> {
        self.app
            .issue_grants(client, account_prefix, n, scopes)
            .map_err(|refused| io::Error::new(io::ErrorKind::InvalidInput, refused.description()))
    }

    /// How often the grants of each account were refreshed, as far as the grants are still there.
    pub fn refreshes_by_account(&self) -> BTreeMap<String, u64> {
        self.app.state().grants.refreshes_by_account()
    }

    /// Spent refresh tokens that were presented again while their grants lived, oldest first; the last thousand.
    pub fn reuses(&self) -> Vec<Reuse> {
        self.app.state().journal.reuses()
    }

    /// How an access token stands, without a request that would be counted.
    pub fn state_of(&self, access_token: &str) -> TokenState {
        let now = self.app.now();
        self.app.state().grants.state_of(now, fresh::Key::of(access_token))
    }

    /// Moves the sandbox's clock ahead: tokens, codes and pauses age by as much.
    pub fn advance(&self, by: Duration) {
        self.app.advance(by);
    }

    /// How many requests the token endpoint takes in any one second from now on.
    pub fn set_limit_per_s(&self, limit: Option<u32>) {
        self.app.state().pace.set_limit(limit);
    }

    /// What goes wrong by chance from now on.
    pub fn set_fault_rates(&self, rates: FaultRates) {
        self.app.state().pace.set_rates(rates);
    }

    /// The person types in the code that a device shows, and allows (with an account) or declines (`None`).
    ///
    /// # Errors
    ///
    /// `InvalidInput` when no device waits for the code, or there is no such account.
    pub fn decide_device(&self, user_code: &str, account: Option<&str>) -> io::Result<()> {
        device::decide_for(&self.app, user_code, account)
            .map(|_| ())
            .map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))
    }

    /// Stops: takes no new connections, finishes the requests that run, cuts short the faults that wait. Returns after two
    /// seconds at the latest.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        match tokio::time::timeout(STOP_WAIT, &mut self.server).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(%error, "the sandbox provider failed"),
            Ok(Err(error)) => tracing::warn!(%error, "the sandbox provider broke off"),
            Err(_) => self.server.abort(),
        }
    }
}

/// An address that a client can connect to: nobody can call `0.0.0.0`.
fn reachable(addr: SocketAddr) -> SocketAddr {
    match addr.ip() {
        ip if ip.is_unspecified() => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), addr.port()),
        _ => addr,
    }
}
