//! What a token endpoint gives (RFC 6749 §5.1).

use std::time::Duration;

use secrecy::SecretString;
use serde_json::Value;
use tokenry_model::{Account, Scopes};

use crate::answer::{Members, at, number, text};
use crate::capture::captured;
use crate::data::{ExpiryUnit, ProviderData, Spends};
use crate::{OAuthError, Values};

/// No token is believed to live longer: ten years.
const MAX_LIFETIME_S: f64 = 10.0 * 365.0 * 86400.0;

/// Fresh tokens.
#[derive(Debug, Clone)]
pub struct TokenSet {
    /// The access token: never empty, only visible ASCII, so that it fits into a header.
    pub access_token: SecretString,
    /// The refresh token; `None` after a refresh means that the old one goes on (RFC 6749 §6).
    pub refresh_token: Option<SecretString>,
    /// How long the access token lives from now. Zero: it is due already. `None`: the answer does not say.
    pub expires_in: Option<Duration>,
    /// How long the refresh token lives from now, if the answer says.
    pub refresh_expires_in: Option<Duration>,
    /// What was granted. `None`: what was asked for (RFC 6749 §5.1).
    pub scopes: Option<Scopes>,
    /// Who the person is, from a checked id token. Only from [`OAuth::exchange`](crate::OAuth::exchange).
    pub id_claims: Option<IdClaims>,
    /// Whose they are, where the answer itself says so and no userinfo does.
    pub account: Option<Account>,
    /// Values of the answer that are worth keeping ([`Provider::token_captures`](crate::Provider::token_captures)), each
    /// as it must look. No secrets.
    pub captured: Values,
}

/// What a checked id token says about the person (OpenID Connect Core 1.0 §2). The identity is the pair of
/// issuer and subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdClaims {
    /// Who says so.
    pub issuer: String,
    /// The issuer's stable id for the person.
    pub subject: String,
    /// A word by which the person knows the account.
    pub label: Option<String>,
}

/// How long an access token lives and how much earlier it is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// Its life from now.
    pub expires_in: Duration,
    /// By how much the refresh comes before the end.
    pub leeway: Duration,
}

impl Lifetime {
    /// The leeway is the data's, at most half the life; without one, 60 s or a tenth of the life, whichever
    /// is shorter. So that a token of three seconds is not due the moment it comes.
    pub(crate) fn new(expires_in: Duration, leeway_s: Option<u64>) -> Self {
        let leeway = leeway_s.map_or_else(
            || Duration::from_mins(1).min(expires_in / 10),
            |s| Duration::from_secs(s).min(expires_in / 2),
        );
        Self { expires_in, leeway }
    }
}

impl TokenSet {
    /// Reads the tokens from a token endpoint's answer.
    pub(crate) fn read(data: &ProviderData, answer: &Members) -> Result<Self, OAuthError> {
        let members = match &data.token.answer_at {
            None => answer,
            Some(path) => at(answer, path)
                .and_then(Value::as_object)
                .ok_or_else(|| OAuthError::nonsense(format!("there is no object at {path}")))?,
        };
        let fields = &data.token.fields;
        let member =
            |name: &str| fields.get(name).map_or_else(|| members.get(name), |path| at(members, path));
        let unit = match data.expiry.unit {
            ExpiryUnit::Seconds => 1.0,
            ExpiryUnit::Milliseconds => 0.001,
        };
        let lifetime = |value: &Value| lifetime(value, unit);
        let access_token = member("access_token")
            .and_then(Value::as_str)
            .ok_or_else(|| OAuthError::nonsense("there is no access token in it"))?;
        if access_token.is_empty() || !access_token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(OAuthError::nonsense("its access token is empty or does not fit into a header"));
        }
        let token_type = member("token_type").and_then(text).unwrap_or_else(|| "Bearer".to_owned());
        let known = ["Bearer"].into_iter().chain(data.token.token_types.iter().map(String::as_str));
        if !known.into_iter().any(|known| known.eq_ignore_ascii_case(token_type.trim())) {
            // Not shown: nobody knows what a server puts there that does not know what belongs there.
            return Err(OAuthError::nonsense("its token type is not Bearer"));
        }
        let refresh_token = member("refresh_token").and_then(Value::as_str).filter(|t| !t.is_empty());
        let scopes = match member("scope") {
            Some(Value::String(text)) => Some(data.scope.granted(text)),
            Some(Value::Array(list)) => Some(list.iter().filter_map(Value::as_str).collect()),
            _ => None,
        };
        // Three names are in use. Zero means "does not expire" where it is sent (offline tokens of Keycloak).
        let refresh_expires_in =
            ["refresh_token_expires_in", "refresh_expires_in", "x_refresh_token_expires_in"]
                .into_iter()
                .find_map(|name| member(name).and_then(lifetime))
                .filter(|life| !life.is_zero());
        let spent = match data.refresh.spends {
            Spends::RefreshToken => refresh_token,
            // It is its own refresh token.
            Spends::AccessToken => Some(access_token),
        };
        Ok(Self {
            access_token: access_token.into(),
            refresh_token: spent.map(SecretString::from),
            expires_in: member("expires_in").and_then(lifetime).filter(|_| !data.expiry.never),
            refresh_expires_in,
            scopes,
            id_claims: None,
            account: None,
            captured: captured(data, answer, members),
        })
    }
}

/// Seconds as a number or a text. Below zero is zero, and beyond ten years is ten years.
fn lifetime(value: &Value, unit: f64) -> Option<Duration> {
    Duration::try_from_secs_f64((number(value)? * unit).clamp(0.0, MAX_LIFETIME_S)).ok()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use tokenry_model::ProviderId;

    use super::*;

    fn read(body: &str) -> Result<TokenSet, OAuthError> {
        read_with(&ProviderData::standard(ProviderId::parse("p").unwrap()), body)
    }

    fn read_with(data: &ProviderData, body: &str) -> Result<TokenSet, OAuthError> {
        TokenSet::read(data, &crate::answer::members(body.as_bytes()).unwrap())
    }

    fn life(expires_in: &str) -> Option<u64> {
        let body = format!(r#"{{"access_token":"a","expires_in":{expires_in}}}"#);
        read(&body).unwrap().expires_in.map(|d| d.as_secs())
    }

    #[test]
    fn a_lifetime_may_be_odd_but_never_absurd() {
        for (given, read) in [
            ("3600", Some(3600)),
            ("\"3600\"", Some(3600)),
            ("3599.5", Some(3599)),
            ("0", Some(0)),
            ("-5", Some(0)),
            ("1e300", Some(315_360_000)),
            ("99999999999999999999", Some(315_360_000)),
            ("null", None),
            ("\"never\"", None),
            ("\"NaN\"", None),
            ("{}", None),
        ] {
            assert_eq!(life(given), read, "{given}");
        }
    }

    #[test]
    fn an_access_token_must_be_there_and_fit_into_a_header() {
        for body in [
            r#"{"token_type":"Bearer"}"#,
            r#"{"access_token":""}"#,
            r#"{"access_token":7}"#,
            r#"{"access_token":"a\nb"}"#,
            r#"{"access_token":"a b"}"#,
            r#"{"access_token":"ä"}"#,
            r#"{"access_token":null}"#,
        ] {
            assert!(matches!(read(body), Err(OAuthError::Nonsense { .. })), "{body}");
        }
    }

    #[test]
    fn only_bearer_tokens_are_taken_unless_the_data_know_another_word() {
        for token_type in ["bearer", "BEARER", " Bearer"] {
            assert!(read(&format!(r#"{{"access_token":"a","token_type":"{token_type}"}}"#)).is_ok());
        }
        let mac = r#"{"access_token":"a","token_type":"mac"}"#;
        assert!(matches!(read(mac), Err(OAuthError::Nonsense { .. })));
        let mut data = ProviderData::standard(ProviderId::parse("p").unwrap());
        data.token.token_types.push("MAC".into());
        assert!(read_with(&data, mac).is_ok());
    }

    #[test]
    fn what_is_missing_null_or_empty_is_nothing() {
        let set =
            read(r#"{"access_token":"a","refresh_token":"","scope":null,"refresh_expires_in":0}"#).unwrap();
        assert!(set.refresh_token.is_none() && set.scopes.is_none() && set.refresh_expires_in.is_none());
        assert!(set.expires_in.is_none());
        let set = read(
            r#"{"access_token":"a","refresh_token":"r","scope":["x","y"],"refresh_token_expires_in":"9"}"#,
        )
        .unwrap();
        assert_eq!(set.refresh_token.unwrap().expose_secret(), "r");
        assert_eq!(set.scopes.unwrap().to_string(), "x y");
        assert_eq!(set.refresh_expires_in, Some(Duration::from_secs(9)));
    }

    #[test]
    fn the_tokens_may_lie_deeper() {
        let mut data = ProviderData::standard(ProviderId::parse("p").unwrap());
        data.token.answer_at = Some("authed.user".into());
        let set =
            read_with(&data, r#"{"access_token":"bot","authed":{"user":{"access_token":"mine"}}}"#).unwrap();
        assert_eq!(set.access_token.expose_secret(), "mine");
        assert!(read_with(&data, r#"{"access_token":"bot"}"#).is_err());
    }

    #[test]
    fn a_short_token_is_not_due_at_once() {
        let leeway = |life_s, data| Lifetime::new(Duration::from_secs(life_s), data).leeway.as_millis();
        assert_eq!(leeway(3600, None), 60_000);
        assert_eq!(leeway(3, None), 300);
        assert_eq!(leeway(0, None), 0);
        assert_eq!(leeway(3600, Some(300)), 300_000);
        assert_eq!(leeway(3, Some(300)), 1_500);
    }

    #[test]
    fn tokens_do_not_print() {
        let set = read(r#"{"access_token":"s3cret","refresh_token":"als0"}"#).unwrap();
        let shown = format!("{set:?}");
        assert!(!shown.contains("s3cret") && !shown.contains("als0"), "{shown}");
    }
}
