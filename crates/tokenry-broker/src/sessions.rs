//! Access tokens of Tokenry itself: JWTs (RFC 7519), HS256, ended at once by the epoch on the user's row.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use tokenry_model::{ExposeSecret, Origin, Random, SecretSlice, SecretString, Timestamp, User, UserId};

use crate::error::BrokerError;

/// The longest token worth looking at, in bytes. Ours have about 300.
const MAX_TOKEN: usize = 2048;

/// Whom a token was issued to. The signature and the expiry are checked; whether the session has ended since is checked
/// by the verb, with the same query that reads what the verb needs.
#[derive(Debug, Clone)]
pub struct Claims {
    pub(crate) user: UserId,
    pub(crate) username: String,
    pub(crate) epoch: i64,
    pub(crate) device: String,
    pub(crate) expires_at: i64,
    /// Where the request came from that brought it.
    pub(crate) from: Origin,
}

impl Claims {
    /// The name the token was issued to.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// The user, if a path with this username is theirs.
    pub(crate) fn own(&self, path_username: &str) -> Result<UserId, BrokerError> {
        if self.username.eq_ignore_ascii_case(path_username) {
            Ok(self.user)
        } else {
            Err(BrokerError::Forbidden)
        }
    }

    /// Refuses a session that has ended: by a log-out, a new password, or because the user is gone.
    pub(crate) fn check_epoch(&self, epoch: Option<i64>) -> Result<(), BrokerError> {
        if epoch == Some(self.epoch) { Ok(()) } else { Err(ENDED) }
    }
}

/// The session behind the token has ended.
pub(crate) const ENDED: BrokerError =
    BrokerError::Unauthenticated("this token was ended by a log-out or a new password; log in again");
const BAD: BrokerError = BrokerError::Unauthenticated("this access token is not valid; log in to get one");
/// What is said of a token that has expired, and where there is none.
pub(crate) const EXPIRED_TEXT: &str = "this access token has expired; log in again";
pub(crate) const MISSING_TEXT: &str = "send an access token in the Authorization header; log in to get one";
const EXPIRED: BrokerError = BrokerError::Unauthenticated(EXPIRED_TEXT);

#[derive(Serialize, Deserialize)]
struct WireClaims {
    username: String,
    sub: String,
    iat: i64,
    exp: i64,
    jti: String,
    /// What every renewal of one log-in has in common: guesses made with any of them count as one bearer's.
    device: String,
    epoch: i64,
}

/// Issues and reads tokens.
pub(crate) struct Sessions {
    current: i64,
    encoding: EncodingKey,
    decoding: BTreeMap<i64, DecodingKey>,
    validation: Validation,
    ttl: Duration,
}

impl Sessions {
    /// With signing keys by id, the newest last. `ttl` is how long a token lives.
    pub(crate) fn new(keys: &[(i64, SecretSlice<u8>)], ttl: Duration) -> Option<Self> {
        let (current, newest) = keys.last()?;
        let mut validation = Validation::new(Algorithm::HS256);
        // The expiry is checked below, by the clock we are given.
        validation.validate_exp = false;
        validation.validate_aud = false;
        let decoding =
            keys.iter().map(|(id, key)| (*id, DecodingKey::from_secret(key.expose_secret()))).collect();
        Some(Self {
            current: *current,
            encoding: EncodingKey::from_secret(newest.expose_secret()),
            decoding,
            validation,
            ttl,
        })
    }

    /// The key that signs.
    pub(crate) const fn current(&self) -> i64 {
        self.current
    }

    /// All keys, oldest first.
    pub(crate) fn ids(&self) -> Vec<i64> {
        self.decoding.keys().copied().collect()
    }

    /// The key that a token names, if it is none of these. Nothing vouches for it.
    pub(crate) fn unknown_key(&self, token: &str) -> Option<i64> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        key_id_of(token).filter(|id| !self.decoding.contains_key(id))
    }

    /// Issues a token to a user; `renews` is the one it follows.
    pub(crate) fn issue(
        &self,
        user: &User,
        renews: Option<&Claims>,
        now: Timestamp,
        random: &dyn Random,
    ) -> Result<SecretString, BrokerError> {
        let mut id = [0; 16];
        random.fill(&mut id)?;
        let id = URL_SAFE_NO_PAD.encode(id);
        let claims = WireClaims {
            username: user.username.to_string(),
            sub: user.id.to_string(),
            iat: now.seconds(),
            exp: now.plus(self.ttl).seconds(),
            device: renews.map_or_else(|| id.clone(), |claims| claims.device.clone()),
            jti: id,
            epoch: user.session_epoch,
        };
        let header = Header { kid: Some(self.current.to_string()), ..Header::new(Algorithm::HS256) };
        jsonwebtoken::encode(&header, &claims, &self.encoding)
            .map(SecretString::from)
            .map_err(|_| BrokerError::Internal("a token could not be signed"))
    }

    /// Reads a token that must be good now.
    pub(crate) fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, BrokerError> {
        let claims = self.read(token).ok_or(BAD)?;
        if claims.expires_at <= now.seconds() {
            return Err(EXPIRED);
        }
        Ok(claims)
    }

    /// Reads a token that we once issued, however old.
    pub(crate) fn read(&self, token: &str) -> Option<Claims> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        let key = self.decoding.get(&key_id_of(token)?)?;
        let wire = jsonwebtoken::decode::<WireClaims>(token, key, &self.validation).ok()?.claims;
        Some(Claims {
            user: UserId::parse(&wire.sub).ok()?,
            username: wire.username,
            epoch: wire.epoch,
            device: wire.device,
            expires_at: wire.exp,
            from: Origin::default(),
        })
    }
}

/// The number in `kid`, in the one spelling that we give it.
fn key_id_of(token: &str) -> Option<i64> {
    let kid = jsonwebtoken::decode_header(token).ok()?.kid?;
    kid.parse::<i64>().ok().filter(|id| id.to_string() == kid)
}

#[cfg(test)]
mod tests {
    use tokenry_model::{Email, Username};
    use tokenry_vault::SystemRandom;

    use super::*;

    fn sessions(keys: &[i64]) -> Sessions {
        let keys: Vec<_> =
            keys.iter().map(|id| (*id, SecretSlice::from(vec![u8::try_from(*id).unwrap(); 32]))).collect();
        Sessions::new(&keys, Duration::from_mins(1)).unwrap()
    }

    fn ada() -> User {
        User {
            id: UserId::new(7),
            username: Username::parse("Ada").unwrap(),
            email: Email::parse("ada@example.org").unwrap(),
            session_epoch: 3,
            is_operator: false,
            created_at: Timestamp::from_micros(0),
        }
    }

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    #[test]
    fn a_token_names_its_user_and_begins_with_the_username() {
        let sessions = sessions(&[1]);
        let token = sessions.issue(&ada(), None, NOW, &SystemRandom).unwrap();
        let payload = token.expose_secret().split('.').nth(1).unwrap();
        let payload = String::from_utf8(URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
        assert!(
            payload.starts_with(r#"{"username":"Ada","sub":"7","iat":1700000000,"exp":1700000060,"jti":"#)
        );
        let claims = sessions.verify(token.expose_secret(), NOW).unwrap();
        assert_eq!((claims.user, claims.epoch), (UserId::new(7), 3));
        assert!(claims.own("aDA").is_ok());
        assert!(claims.own("adam").is_err());
        assert!(claims.check_epoch(Some(3)).is_ok());
        assert!(claims.check_epoch(Some(4)).is_err());
        assert!(claims.check_epoch(None).is_err());
    }

    #[test]
    fn a_token_dies_on_the_second() {
        let sessions = sessions(&[1]);
        let token = sessions.issue(&ada(), None, NOW, &SystemRandom).unwrap();
        assert!(sessions.verify(token.expose_secret(), NOW.plus(Duration::from_secs(59))).is_ok());
        assert!(sessions.verify(token.expose_secret(), NOW.plus(Duration::from_mins(1))).is_err());
        assert!(sessions.read(token.expose_secret()).is_some());
    }

    #[test]
    fn an_older_key_still_reads_and_an_unknown_one_does_not() {
        let token = sessions(&[1]).issue(&ada(), None, NOW, &SystemRandom).unwrap();
        assert!(sessions(&[1, 2]).verify(token.expose_secret(), NOW).is_ok());
        assert!(sessions(&[2]).verify(token.expose_secret(), NOW).is_err());
    }

    #[test]
    fn forged_tokens_are_refused() {
        let sessions = sessions(&[1]);
        let good = sessions.issue(&ada(), None, NOW, &SystemRandom).unwrap().expose_secret().to_owned();
        let parts: Vec<&str> = good.split('.').collect();
        let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT","kid":"1"}"#);
        let hs512 = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS512","typ":"JWT","kid":"1"}"#);
        for token in [
            String::new(),
            "a.b.c".to_owned(),
            format!("{none}.{}.", parts[1]),
            format!("{none}.{}.{}", parts[1], parts[2]),
            format!("{hs512}.{}.{}", parts[1], parts[2]),
            format!("{}.{}.", parts[0], parts[1]),
            format!("{}.{}x.{}", parts[0], parts[1], parts[2]),
            "x".repeat(10_000),
        ] {
            assert!(sessions.verify(&token, NOW).is_err(), "{token}");
        }
    }
}
