//! From the listener to the router: each TCP connection in a task of its own, all of them within the limits.

mod limits;
mod line;
mod lines;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::Service as _;

pub use limits::Limits;
pub(crate) use line::{Line, Phase};
pub use lines::Lines;

use line::Watched;
use lines::Place;

/// A head that is longer is not read: hyper answers 431 without a body. A shorter one that is too long all the same is
/// told so in our own words.
const MAX_HEAD: usize = 64 * 1024;
/// How long nothing is accepted when the machine has no room for another connection.
const PAUSE: Duration = Duration::from_millis(100);
/// How often it is looked for clients that have had their time.
const SWEEP: Duration = Duration::from_secs(1);

/// Serves `router` until `stop`: then takes no more connections, and ends when the requests under way have been answered.
/// Whoever drops this future cuts them off.
pub async fn serve(listener: TcpListener, router: Router, lines: Arc<Lines>, stop: CancellationToken) {
    let mut open = JoinSet::new();
    let mut sweep =
        tokio::time::interval(SWEEP.min(lines.limits().head_within / 2).max(Duration::from_millis(10)));
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = sweep.tick() => lines.sweep(),
            Some(_) = open.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    // Without a place it is closed at once.
                    if let Some(place) = lines.admit() {
                        open.spawn(talk(stream, peer, router.clone(), place, stop.clone()));
                    }
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "no connection can be accepted; the oldest one that waits is closed");
                    lines.make_room();
                    tokio::time::sleep(PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    loop {
        tokio::select! {
            ended = open.join_next() => if ended.is_none() { return },
            _ = sweep.tick() => lines.sweep(),
        }
    }
}

/// Whether it was the client's end that failed, and not ours.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn talk(stream: TcpStream, peer: SocketAddr, router: Router, place: Place, stop: CancellationToken) {
    // An answer is written in one piece: nothing is won by waiting for more.
    let _ = stream.set_nodelay(true);
    let line = Arc::clone(&place.line);
    let service = {
        let line = Arc::clone(&line);
        service_fn(move |request: hyper::Request<Incoming>| {
            line.enter(Phase::Working);
            let (line, mut router) = (Arc::clone(&line), router.clone());
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            request.extensions_mut().insert(Arc::clone(&line));
            async move {
                let response = router.call(request).await;
                line.enter(Phase::Still);
                response
            }
        })
    };
    let limits = *place.limits();
    let io = TokioIo::new(Watched { stream, line: Arc::clone(&line) });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            // It counts the stillness before as well; the sweep is stricter.
            .header_read_timeout(limits.still_for + limits.head_within)
            .max_buf_size(MAX_HEAD)
            .keep_alive(!line.is_spare)
            .serve_connection(io, service)
    );
    let mut stopping = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection broke off");
                }
                return;
            }
            () = line.closed() => return,
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}
