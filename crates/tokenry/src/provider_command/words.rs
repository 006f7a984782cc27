//! Facts as words.

use std::time::Duration;

use tokenry_oauth::{Kind, Provider, Readiness, Source};

const DAY_S: u64 = 86_400;

/// How a service lets programs in.
pub(super) const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Oauth2 => "OAuth 2.0: a person says yes in the browser",
        Kind::Oauth1 => "OAuth 1.0a: a person says yes in the browser",
        Kind::ClientCredentials => "OAuth 2.0 client credentials: the program itself is the account",
        Kind::ApiKey => "a key that a person pastes",
        Kind::Basic => "a user name and a password",
    }
}

/// How it is connected here, in a few words.
pub(super) fn here(provider: &Provider) -> String {
    match provider.readiness() {
        Readiness::Ready => "ready".to_owned(),
        Readiness::Missing { what, .. } => format!("needs {}", what.join(", ")),
        Readiness::NeedsSettings { names, .. } => format!("asks for {} at each connection", names.join(", ")),
        Readiness::NotSupported { .. } => match provider.kind() {
            Kind::Oauth2 | Kind::Oauth1 | Kind::ClientCredentials => {
                format!("paste a token: {}", provider.credential_name())
            }
            Kind::ApiKey | Kind::Basic => format!("paste: {}", provider.credential_name()),
        },
    }
}

/// Who describes it.
pub(super) fn source(provider: &Provider) -> String {
    match provider.source() {
        Source::BuiltIn => "Tokenry, built in".to_owned(),
        Source::File(file) => format!("the file {file}"),
        Source::Replacement(file) => format!("the file {file}, in place of the built-in description"),
        Source::Configuration => "the configuration".to_owned(),
    }
}

/// A time in its largest whole unit; months are added where a person counts in them.
pub(super) fn time(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (count, unit) = [(DAY_S, "day"), (3600, "hour"), (60, "minute")]
        .into_iter()
        .find(|(length, _)| seconds >= *length && seconds.is_multiple_of(*length))
        .map_or((seconds, "second"), |(length, unit)| (seconds / length, unit));
    let plural = if count == 1 { "" } else { "s" };
    let months = seconds / (30 * DAY_S);
    if unit == "day" && months >= 2 {
        format!("{count} day{plural} (about {months} months)")
    } else {
        format!("{count} {unit}{plural}")
    }
}

/// Text of unknown origin on one line.
pub(super) fn one_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_in_their_largest_whole_unit() {
        for (seconds, said) in [
            (1, "1 second"),
            (90, "90 seconds"),
            (60, "1 minute"),
            (3600, "1 hour"),
            (DAY_S, "1 day"),
            (45 * DAY_S, "45 days"),
            (180 * DAY_S, "180 days (about 6 months)"),
        ] {
            assert_eq!(time(Duration::from_secs(seconds)), said);
        }
    }
}
