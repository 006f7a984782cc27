#![doc = include_str!("../README.md")]

mod app;
mod authorize;
mod client_auth;
mod connection;
mod control;
mod faults;
mod fresh;
mod grants;
mod introspect;
mod metadata;
mod options;
mod pages;
mod params;
mod refused;
mod revoke;
mod seen;
mod token;
mod userinfo;

use std::{
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
    faults::{Endpoint, Fault, FaultKind, Grant},
    options::{Account, Client, SandboxOptions},
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
