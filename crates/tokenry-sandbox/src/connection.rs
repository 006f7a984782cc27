//! Connections that a handler can tear: the client sees a reset, not an answer.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};

/// A handler's grip on the connection that its request came over.
#[derive(Clone)]
pub(crate) struct Tear {
    torn: Arc<AtomicBool>,
    /// The caller's end of it.
    pub(crate) peer: SocketAddr,
}

impl Tear {
    /// From now on not one byte leaves on this connection; the next try to write ends it.
    pub(crate) fn now(&self) {
        self.torn.store(true, Ordering::Relaxed);
    }
}

impl Connected<IncomingStream<'_, TearableListener>> for Tear {
    fn connect_info(stream: IncomingStream<'_, TearableListener>) -> Self {
        stream.io().tear.clone()
    }
}

/// Accepts connections that can be torn.
pub(crate) struct TearableListener(pub(crate) TcpListener);

impl Listener for TearableListener {
    type Io = TearableStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TearableStream, SocketAddr) {
        let (inner, addr) = Listener::accept(&mut self.0).await;
        // Answers are small and somebody measures them. Without this they can wait for an acknowledgement.
        if let Err(error) = inner.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
        (TearableStream { inner, tear: Tear { torn: Arc::default(), peer: addr } }, addr)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

pub(crate) struct TearableStream {
    inner: TcpStream,
    tear: Tear,
}

impl TearableStream {
    /// Fails once the connection is torn. The zero linger makes the close that follows a reset.
    fn check(&self) -> io::Result<()> {
        if !self.tear.torn.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.inner.set_zero_linger()?;
        Err(io::Error::new(io::ErrorKind::ConnectionAborted, "torn on purpose"))
    }
}

impl AsyncRead for TearableStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for TearableStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A shutdown would say goodbye politely first.
        self.check()?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
