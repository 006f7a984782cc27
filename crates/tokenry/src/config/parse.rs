//! From text to what it means. Nothing here knows where the text came from.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use tokenry_broker::{ReturnPlace, WebOrigin};
use tokenry_model::Scopes;
use tokenry_oauth::{ClientAuth, Issuer};
use tracing_subscriber::EnvFilter;
use url::Url;

use super::keys::Pairs;
use super::{LogFormat, Signup};

/// Why a value is not taken. What is allowed instead stands in the table of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It is not of the kind.
    Value,
    /// One entry of a list is not; counted from 1.
    Entry(usize),
}

type Parsed<T> = Result<T, Wrong>;

/// A word or a line; white space around it does not count.
pub(super) fn text(text: &str) -> Parsed<String> {
    let text = text.trim();
    if text.is_empty() || text.chars().any(char::is_control) {
        Err(Wrong::Value)
    } else {
        Ok(text.to_owned())
    }
}

pub(super) fn count(number: i64) -> Parsed<usize> {
    let count = usize::try_from(number).map_err(|_| Wrong::Value)?;
    if (1..=1_000_000).contains(&count) { Ok(count) } else { Err(Wrong::Value) }
}

/// How many of something a user may have; 0: any number.
pub(super) fn quota(number: i64) -> Parsed<i64> {
    if (0..=1_000_000_000).contains(&number) { Ok(number) } else { Err(Wrong::Value) }
}

pub(super) fn socket(text: &str) -> Parsed<SocketAddr> {
    text.trim().parse().map_err(|_| Wrong::Value)
}

fn web_url(text: &str) -> Parsed<Url> {
    let url = Url::parse(text.trim()).map_err(|_| Wrong::Value)?;
    let fits = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none();
    if fits { Ok(url) } else { Err(Wrong::Value) }
}

/// A provider's endpoint. It may have a query (RFC 6749 §3.1), but no fragment.
pub(super) fn endpoint(text: &str) -> Parsed<Url> {
    web_url(text)
}

/// The public URL, without the slash at its end.
pub(super) fn public_url(text: &str) -> Parsed<Url> {
    let mut url = web_url(text)?;
    if url.query().is_some() {
        return Err(Wrong::Value);
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

pub(super) fn issuer(text: &str) -> Parsed<Issuer> {
    Issuer::parse(text.trim()).map_err(|_| Wrong::Value)
}

/// A directory. `?` and `#` would mean something else in the database's URL, which is made from it.
pub(super) fn data_dir(path: &str) -> Parsed<PathBuf> {
    let path = text(path)?;
    if path.contains(['?', '#']) { Err(Wrong::Value) } else { Ok(PathBuf::from(path)) }
}

pub(super) fn directory(path: &str) -> Parsed<PathBuf> {
    text(path).map(PathBuf::from)
}

/// Only that it is a URL: which databases there are, the store knows.
pub(super) fn database_url(url: SecretString) -> Parsed<SecretString> {
    let text = url.expose_secret().trim();
    let fits = text.split_once("://").is_some_and(|(scheme, rest)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && !rest.is_empty()
    });
    match (fits, text.len() == url.expose_secret().len()) {
        (false, _) => Err(Wrong::Value),
        (true, true) => Ok(url),
        (true, false) => Ok(text.to_owned().into()),
    }
}

/// A secret of any form that is more than white space.
pub(super) fn secret(secret: SecretString) -> Parsed<SecretString> {
    if secret.expose_secret().trim().is_empty() { Err(Wrong::Value) } else { Ok(secret) }
}

/// A secret that travels in a header as it is.
pub(super) fn header_secret(secret: SecretString) -> Parsed<SecretString> {
    let text = secret.expose_secret();
    let fits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
    if fits { Ok(secret) } else { Err(Wrong::Value) }
}

pub(super) fn signup(text: &str) -> Parsed<Signup> {
    match text.trim() {
        "open" => Ok(Signup::Open),
        "closed" => Ok(Signup::Closed),
        _ => Err(Wrong::Value),
    }
}

pub(super) fn log_format(text: &str) -> Parsed<LogFormat> {
    match text.trim() {
        "human" => Ok(LogFormat::Human),
        "json" => Ok(LogFormat::Json),
        _ => Err(Wrong::Value),
    }
}

/// Directives of `tracing_subscriber::EnvFilter`.
///
/// That type takes a bare word it does not know for the name of a module, so a misspelt level would turn the log off.
/// Here a bare word is a level.
pub(super) fn log_level(directives: &str) -> Parsed<String> {
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    let is_level = |word: &str| levels.iter().any(|level| word.eq_ignore_ascii_case(level));
    let mut directives = text(directives)?;
    // A span's fields have commas of their own.
    if !directives.contains('[') {
        let parts: Vec<&str> = directives.split(',').map(str::trim).collect();
        if !parts.iter().all(|part| part.contains('=') || is_level(part)) {
            return Err(Wrong::Value);
        }
        directives = parts.join(",");
    }
    if EnvFilter::try_new(&directives).is_ok() { Ok(directives) } else { Err(Wrong::Value) }
}

pub(super) fn token_auth(text: &str) -> Parsed<ClientAuth> {
    match text.trim() {
        "basic" => Ok(ClientAuth::Basic),
        "body" => Ok(ClientAuth::Body),
        "none" => Ok(ClientAuth::None),
        "secret_as_basic_user" => Ok(ClientAuth::SecretAsBasicUser),
        "private_key_jwt" => Ok(ClientAuth::PrivateKeyJwt),
        "signed_secret" => Ok(ClientAuth::SignedSecret),
        _ => Err(Wrong::Value),
    }
}

/// Names and values. What they may be, the service says.
pub(super) fn pairs(pairs: &Pairs) -> Parsed<BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    for (at, (name, value)) in pairs.iter().enumerate() {
        let is_name = !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !is_name || value.trim().is_empty() || all.insert(name.clone(), value.clone()).is_some() {
            return Err(Wrong::Entry(at + 1));
        }
    }
    Ok(all)
}

/// A program and its arguments. What they are is not looked at before they are run.
pub(super) fn command(words: &[String]) -> Parsed<Vec<String>> {
    let fits = words.first().is_some_and(|program| !program.trim().is_empty())
        && words.iter().all(|word| !word.contains('\0'));
    if fits { Ok(words.to_vec()) } else { Err(Wrong::Value) }
}

/// What stands between scopes. White space counts here.
pub(super) fn scope_separator(text: &str) -> Parsed<String> {
    let fits =
        (1..=4).contains(&text.chars().count()) && text.chars().all(|c| c == ' ' || c.is_ascii_punctuation());
    if fits { Ok(text.to_owned()) } else { Err(Wrong::Value) }
}

/// A whole number with a unit: `90s`, `15m`, `24h`, `30d`.
pub(super) fn duration(text: &str, min: Duration, max: Duration) -> Parsed<Duration> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit_s = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(Wrong::Value),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Wrong::Value);
    }
    let seconds = digits.parse::<u64>().ok().and_then(|n| n.checked_mul(unit_s)).ok_or(Wrong::Value)?;
    let duration = Duration::from_secs(seconds);
    if (min..=max).contains(&duration) { Ok(duration) } else { Err(Wrong::Value) }
}

/// The other way round, in the largest unit that fits. A day is `24h`: that is how people say it of a session.
pub(super) fn show_duration(duration: Duration) -> String {
    match duration.as_secs() {
        s if s >= 2 * 86_400 && s.is_multiple_of(86_400) => format!("{}d", s / 86_400),
        s if s >= 3600 && s.is_multiple_of(3600) => format!("{}h", s / 3600),
        s if s >= 60 && s.is_multiple_of(60) => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

/// The entries of a list that is written as one text.
pub(super) fn split(text: &str) -> Vec<String> {
    text.split([',', ' ', '\t', '\n', '\r']).filter(|s| !s.is_empty()).map(str::to_owned).collect()
}

fn each<T>(entries: &[String], parse: impl Fn(&str) -> Option<T>) -> Parsed<Vec<T>> {
    entries.iter().enumerate().map(|(at, entry)| parse(entry.trim()).ok_or(Wrong::Entry(at + 1))).collect()
}

/// Addresses and ranges; an address is the range that holds only it.
pub(super) fn networks(entries: &[String]) -> Parsed<Vec<IpNet>> {
    each(entries, |entry| {
        let range = entry.parse::<IpNet>().map(|net| net.trunc()).ok();
        range.or_else(|| entry.parse::<IpAddr>().map(IpNet::from).ok())
    })
}

/// Places that people may be sent back to.
pub(super) fn return_places(entries: &[String]) -> Parsed<Vec<ReturnPlace>> {
    each(entries, ReturnPlace::parse)
}

/// Sites whose pages may do more than others.
pub(super) fn web_origins(entries: &[String]) -> Parsed<Vec<WebOrigin>> {
    each(entries, WebOrigin::parse)
}

/// Scopes in the letters that RFC 6749 §3.3 allows.
pub(super) fn scopes(entries: &[String]) -> Parsed<Scopes> {
    let fits = |scope: &str| {
        !scope.is_empty() && scope.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
    };
    each(entries, |entry| fits(entry).then(|| entry.to_owned())).map(Scopes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    #[test]
    fn durations_are_whole_numbers_with_a_unit() {
        let parse = |text| duration(text, Duration::from_mins(1), 365 * DAY).map(|d| d.as_secs());
        for (text, seconds) in
            [("60s", 60), ("1m", 60), ("24h", 86_400), (" 7d ", 604_800), ("365d", 31_536_000)]
        {
            assert_eq!(parse(text), Ok(seconds), "{text}");
        }
        for text in [
            "",
            "s",
            "h",
            "59s",
            "0d",
            "366d",
            "24",
            "24 h",
            "24H",
            "1.5h",
            "-1h",
            "+1h",
            "1h30m",
            "1w",
            "٣h",
            "18446744073709551615d",
            "99999999999999999999s",
        ] {
            assert_eq!(parse(text), Err(Wrong::Value), "{text:?}");
        }
    }

    #[test]
    fn a_shown_duration_means_the_same_again() {
        for (seconds, text) in
            [(1, "1s"), (60, "1m"), (61, "61s"), (86_400, "24h"), (172_800, "2d"), (90_000, "25h")]
        {
            let duration = Duration::from_secs(seconds);
            assert_eq!(show_duration(duration), text);
            assert_eq!(super::duration(text, Duration::ZERO, 365 * DAY), Ok(duration));
        }
    }

    #[test]
    fn a_public_url_is_a_plain_web_address_without_a_slash_at_its_end() {
        let parse = |text| public_url(text).map(|url| url.to_string());
        assert_eq!(parse("https://t.example/a/").as_deref(), Ok("https://t.example/a"));
        assert_eq!(parse("https://t.example/a//").as_deref(), Ok("https://t.example/a"));
        assert_eq!(parse("https://t.example").as_deref(), Ok("https://t.example/"));
        for text in [
            "",
            "t.example",
            "/a",
            "ftp://t.example",
            "https://",
            "https://u@t.example",
            "https://u:p@t.example",
            "https://t.example/?",
            "https://t.example/?a=b",
            "https://t.example/#",
            "javascript:alert(1)",
        ] {
            assert_eq!(parse(text), Err(Wrong::Value), "{text:?}");
        }
    }

    #[test]
    fn proxies_are_addresses_or_ranges_and_the_wrong_entry_is_counted() {
        let parse = |text| networks(&split(text)).map(|nets| nets.iter().map(ToString::to_string).collect());
        assert_eq!(
            parse("10.1.2.3/8, 127.0.0.1 ::1,,fd00::/8"),
            Ok(vec![
                "10.0.0.0/8".to_owned(),
                "127.0.0.1/32".to_owned(),
                "::1/128".to_owned(),
                "fd00::/8".to_owned()
            ])
        );
        assert_eq!(parse("10.0.0.1 proxy.example"), Err(Wrong::Entry(2)));
        assert_eq!(parse("10.0.0.0/33"), Err(Wrong::Entry(1)));
    }

    #[test]
    fn a_misspelt_level_is_not_taken_for_a_module() {
        for text in ["info", "WARN", "info,tokenry_oauth=debug", "tokenry=trace , warn", "[span{id=1}]=debug"]
        {
            assert!(log_level(text).is_ok(), "{text}");
        }
        for text in ["", "infoo", "tokenry", "info,debgu", "tokenry=loud", "a=b=c"] {
            assert_eq!(log_level(text), Err(Wrong::Value), "{text}");
        }
    }

    #[test]
    fn scopes_and_separators_keep_to_the_letters_of_the_rfc() {
        let list = |words: &[&str]| words.iter().map(|&w| w.to_owned()).collect::<Vec<_>>();
        assert_eq!(scopes(&list(&["openid", "a:b", "https://x.example/y"])).unwrap().iter().count(), 3);
        assert_eq!(scopes(&list(&["openid", "two words"])), Err(Wrong::Entry(2)));
        assert_eq!(scopes(&list(&["qu\"ote"])), Err(Wrong::Entry(1)));
        assert_eq!(scope_separator(" ").as_deref(), Ok(" "));
        assert_eq!(scope_separator(",").as_deref(), Ok(","));
        for text in ["", "and", "\n", ",,,,,"] {
            assert_eq!(scope_separator(text), Err(Wrong::Value), "{text:?}");
        }
    }
}
