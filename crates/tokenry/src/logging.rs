//! The log: to standard error, for people or as JSON.

use std::io::{self, IsTerminal as _, Write};

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Starts the log.
///
/// # Errors
/// When `level` is not a filter that `tracing` knows.
pub fn start(format: LogFormat, level: &str) -> anyhow::Result<()> {
    let filter =
        EnvFilter::try_new(level).context("log.level is not a log level, such as info or tokenry=debug")?;
    // Colours are for eyes: in a file or a journal they are noise.
    let colours = io::stderr().is_terminal();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || OneLine { to: io::stderr(), colours })
        .with_ansi(colours);
    match format {
        LogFormat::Human => log.init(),
        LogFormat::Json => log.json().init(),
    }
    Ok(())
}

/// Writes each event as one line, whatever is in it: what somebody else said must not look like a line of ours
/// (log injection), nor speak to a terminal.
struct OneLine<W> {
    to: W,
    /// Whether the log has escape sequences of its own.
    colours: bool,
}

impl<W: Write> Write for OneLine<W> {
    /// An event comes in one piece, with the end of its line.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let (line, end) = match event.strip_suffix(b"\n") {
            Some(line) => (line, "\n"),
            None => (event, ""),
        };
        let line = String::from_utf8_lossy(line);
        let is_plain = |c: char| !breaks(c) && (!c.is_control() || (c == '\u{1b}' && self.colours));
        if line.chars().all(is_plain) {
            self.to.write_all(event)?;
            return Ok(event.len());
        }
        let mut escaped = String::with_capacity(line.len() + 16);
        for c in line.chars() {
            if is_plain(c) {
                escaped.push(c);
            } else {
                escaped.extend(c.escape_default());
            }
        }
        escaped.push_str(end);
        self.to.write_all(escaped.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// What some viewers take for the end of a line, or turn a line around with.
const fn breaks(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(event: &str, colours: bool) -> String {
        let mut to = Vec::new();
        let done = OneLine { to: &mut to, colours }.write(event.as_bytes()).unwrap();
        assert_eq!(done, event.len());
        String::from_utf8(to).unwrap()
    }

    #[test]
    fn an_event_is_one_line_whatever_is_in_it() {
        assert_eq!(written("all is well: é\n", false), "all is well: é\n");
        assert_eq!(written("one\ntwo\r\nthree\n", false), "one\\ntwo\\r\\nthree\n");
        assert_eq!(
            written("a\u{1b}[31mb\u{0}c\u{85}\u{2028}\u{202e}\n", false),
            "a\\u{1b}[31mb\\u{0}c\\u{85}\\u{2028}\\u{202e}\n"
        );
        assert_eq!(written("\u{1b}[32mINFO\u{1b}[0m x\ny\n", true), "\u{1b}[32mINFO\u{1b}[0m x\\ny\n");
    }
}
