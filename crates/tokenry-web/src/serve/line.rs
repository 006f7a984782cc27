//! One TCP connection as the door sees it: what it waits for, and since when.

use std::io;
use std::pin::Pin;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::Limits;

/// What times are counted from.
static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// What a connection is about. Everything but `Working` waits for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Between two requests, before the first, or while an answer is taken.
    Still,
    /// A request has begun to arrive.
    Head,
    /// Its body arrives.
    Body,
    /// It is worked on.
    Working,
    /// It is being closed.
    Gone,
}

impl Phase {
    const fn of(byte: u8) -> Self {
        match byte {
            0 => Self::Still,
            1 => Self::Head,
            2 => Self::Body,
            3 => Self::Working,
            _ => Self::Gone,
        }
    }
}

/// One TCP connection. Atomics alone: every read, write and request passes here.
#[derive(Debug)]
pub(crate) struct Line {
    phase: AtomicU8,
    /// In milliseconds after [`BEGUN`].
    since: AtomicU64,
    /// Over the limit: good for a refusal, and for whoever asks whether the server lives.
    pub(crate) is_spare: bool,
    closed: CancellationToken,
}

fn now_ms() -> u64 {
    u64::try_from(BEGUN.elapsed().as_millis()).unwrap_or(u64::MAX)
}

impl Line {
    pub(crate) fn new(is_spare: bool) -> Self {
        Self {
            phase: AtomicU8::new(Phase::Still as u8),
            since: AtomicU64::new(now_ms()),
            is_spare,
            closed: CancellationToken::new(),
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        Phase::of(self.phase.load(Ordering::Acquire))
    }

    /// Goes on to another phase. One that is being closed stays so.
    pub(crate) fn enter(&self, phase: Phase) {
        self.since.store(now_ms(), Ordering::Release);
        let _ = self.phase.try_update(Ordering::AcqRel, Ordering::Acquire, |now| {
            (Phase::of(now) != Phase::Gone).then_some(phase as u8)
        });
    }

    fn heard(&self) {
        let (still, head) = (Phase::Still as u8, Phase::Head as u8);
        if self.phase.load(Ordering::Acquire) == still {
            self.since.store(now_ms(), Ordering::Release);
            let _ = self.phase.compare_exchange(still, head, Ordering::AcqRel, Ordering::Acquire);
        }
    }

    fn told(&self) {
        if self.phase() == Phase::Still {
            self.since.store(now_ms(), Ordering::Release);
        }
    }

    /// Since when it waits for its client, in milliseconds of [`BEGUN`]; `None` while it is worked on.
    pub(crate) fn waits_since(&self) -> Option<u64> {
        match self.phase() {
            Phase::Still | Phase::Head | Phase::Body => Some(self.since.load(Ordering::Acquire)),
            Phase::Working | Phase::Gone => None,
        }
    }

    /// Whether its client has had its time. The body's time is kept where the body is read.
    pub(crate) fn is_overdue(&self, limits: &Limits) -> bool {
        let within = match self.phase() {
            Phase::Still if self.is_spare => limits.head_within,
            Phase::Still => limits.still_for,
            Phase::Head => limits.head_within,
            Phase::Body | Phase::Working | Phase::Gone => return false,
        };
        now_ms().saturating_sub(self.since.load(Ordering::Acquire)) >= ms(within)
    }

    /// Closes it, unless a request on it has come to be worked on meanwhile.
    pub(crate) fn hang_up(&self) -> bool {
        let gone = self.phase.try_update(Ordering::AcqRel, Ordering::Acquire, |now| {
            (!matches!(Phase::of(now), Phase::Working | Phase::Gone)).then_some(Phase::Gone as u8)
        });
        if gone.is_ok() {
            self.closed.cancel();
        }
        gone.is_ok()
    }

    /// Ends when somebody has closed it.
    pub(crate) async fn closed(&self) {
        self.closed.cancelled().await;
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A stream that tells its line what goes through it.
pub(crate) struct Watched {
    pub(crate) stream: TcpStream,
    pub(crate) line: std::sync::Arc<Line>,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if read.is_ready() && buf.filled().len() > before {
            self.line.heard();
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        if written.is_ready() {
            self.line.told();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        if written.is_ready() {
            self.line.told();
        }
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_worked_on_is_not_closed_and_a_closed_one_stays_so() {
        let line = Line::new(false);
        line.heard();
        assert_eq!(line.phase(), Phase::Head);
        line.enter(Phase::Working);
        assert!(!line.hang_up());
        assert_eq!(line.waits_since(), None);
        line.enter(Phase::Still);
        assert!(line.waits_since().is_some());
        assert!(line.hang_up() && !line.hang_up());
        line.enter(Phase::Working);
        assert_eq!(line.phase(), Phase::Gone);
    }

    #[test]
    fn what_arrives_while_a_request_is_worked_on_begins_no_other() {
        let line = Line::new(false);
        line.enter(Phase::Working);
        line.heard();
        assert_eq!(line.phase(), Phase::Working);
    }

    #[test]
    fn only_what_waits_for_its_client_is_overdue() {
        let at_once = Limits { head_within: Duration::ZERO, still_for: Duration::ZERO, ..Limits::default() };
        let line = Line::new(false);
        for (phase, overdue) in
            [(Phase::Head, true), (Phase::Body, false), (Phase::Working, false), (Phase::Still, true)]
        {
            line.enter(phase);
            assert_eq!(line.is_overdue(&at_once), overdue, "{phase:?}");
            assert!(!line.is_overdue(&Limits::default()), "{phase:?}");
        }
    }
}
