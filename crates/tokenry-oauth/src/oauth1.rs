//! OAuth 1.0a (RFC 5849) with HMAC-SHA1, for the services that never left it.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokenry_model::Account;
use url::{Position, Url};

use crate::answer::{self, Members, text};
use crate::ask::with_params;
use crate::capture::captured;
use crate::data::{IdentityFrom, Place};
use crate::engine::OAuth;
use crate::signing::once;
use crate::wire::Call;
use crate::{Kind, OAuthError, Provider, Values, identity};

/// What is written as it is (RFC 5849 §3.6).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A request that the person is to allow.
#[derive(Debug, Clone)]
pub struct Oauth1Begun {
    /// Where to send the person.
    pub url: Url,
    /// The temporary token: it comes back as `oauth_token` and says which request it was.
    pub token: String,
    /// Its secret, to be sealed until then.
    pub secret: SecretString,
}

/// What opens an account.
#[derive(Debug, Clone)]
pub struct Oauth1Credential {
    /// The token.
    pub token: SecretString,
    /// Its secret: it signs and is never sent.
    pub secret: SecretString,
    /// Whose it is, where the answer says so.
    pub account: Option<Account>,
    /// Values of the answer that are worth keeping. No secrets.
    pub captured: Values,
}

/// The secrets that sign, and what the signature names them by.
struct Signer<'a> {
    client_id: &'a str,
    client_secret: &'a str,
    token: Option<&'a str>,
    token_secret: &'a str,
}

impl OAuth {
    /// Has a temporary token (RFC 5849 §2.1), and says where to send the person (§2.2).
    ///
    /// # Errors
    /// [`OAuthError::NotSupported`] when the provider speaks another language; whatever a call can end in.
    pub async fn oauth1_begin(&self, provider: &Provider, callback: &Url) -> Result<Oauth1Begun, OAuthError> {
        let request_url =
            provider.data.oauth1.request_url.as_ref().filter(|_| provider.kind() == Kind::Oauth1);
        let request_url =
            request_url.ok_or_else(|| provider.not_supported_because("it does not speak OAuth 1.0a"))?;
        let authorize = address(provider, provider.data.authorize.url.as_ref(), "authorize_url")?;
        self.wire().check(authorize)?;
        let signer = provider.signer(None, "")?;
        let extra = [("oauth_callback", callback.as_str())];
        let answer = self.ask_signed(provider, http::Method::POST, request_url, &signer, &extra).await?;
        if answer.get("oauth_callback_confirmed").and_then(text).as_deref() != Some("true") {
            // Without it the server speaks 1.0, where whoever sent the person a link can take the account.
            return Err(OAuthError::nonsense("it does not confirm the callback, as OAuth 1.0a wants it"));
        }
        let (token, secret) = token_and_secret(&answer)?;
        let fixed = &provider.data.authorize.params;
        let mut params: Vec<(&str, &str)> = fixed.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        params.push(("oauth_token", &token));
        Ok(Oauth1Begun { url: with_params(authorize, &params), token: token.clone(), secret })
    }

    /// Exchanges the temporary token that came back with its verifier for one that lasts (RFC 5849 §2.3).
    ///
    /// # Errors
    /// Whatever a call can end in.
    pub async fn oauth1_finish(
        &self,
        provider: &Provider,
        token: &str,
        secret: &SecretString,
        verifier: &SecretString,
    ) -> Result<Oauth1Credential, OAuthError> {
        let to = address(provider, provider.data.token.url.as_ref(), "token_url")?;
        let signer = provider.signer(Some(token), secret.expose_secret())?;
        let extra = [("oauth_verifier", verifier.expose_secret())];
        let answer = self.ask_signed(provider, http::Method::POST, to, &signer, &extra).await?;
        let (token, secret) = token_and_secret(&answer)?;
        let account = match provider.data.identity.from {
            IdentityFrom::Token => Some(identity::account(provider, &answer)?),
            IdentityFrom::Url => None,
        };
        let captured = captured(&provider.data, &answer, &answer);
        Ok(Oauth1Credential { token: token.into(), secret, account, captured })
    }

    /// Asks whose account the token opens. `None` where the provider has no place for that.
    ///
    /// # Errors
    /// Whatever a call can end in.
    pub async fn oauth1_identify(
        &self,
        provider: &Provider,
        token: &SecretString,
        secret: &SecretString,
    ) -> Result<Option<Account>, OAuthError> {
        let Some(url) = provider.data.identity.url.as_ref().and_then(Place::url) else { return Ok(None) };
        let signer = provider.signer(Some(token.expose_secret()), secret.expose_secret())?;
        let members = self.ask_signed(provider, http::Method::GET, url, &signer, &[]).await?;
        identity::account(provider, &members).map(Some)
    }

    /// The value of the `Authorization` header for one call of the API (RFC 5849 §3.5.1). It is good for this method and
    /// this URL with this query, once, and not for the fields of a form body, which would have to be signed too
    /// (§3.4.1.3.1).
    ///
    /// # Errors
    /// [`OAuthError::NotConfigured`] without id and secret; [`OAuthError::NotSupported`] when the provider speaks another
    /// language.
    pub fn oauth1_sign(
        &self,
        provider: &Provider,
        token: &SecretString,
        secret: &SecretString,
        method: &str,
        url: &Url,
    ) -> Result<SecretString, OAuthError> {
        let signer = provider.signer(Some(token.expose_secret()), secret.expose_secret())?;
        Ok(signer.header(method, url, &[], self.wire().now().seconds(), &once()?).into())
    }

    async fn ask_signed(
        &self,
        provider: &Provider,
        method: http::Method,
        url: &Url,
        signer: &Signer<'_>,
        extra: &[(&str, &str)],
    ) -> Result<Members, OAuthError> {
        let header = signer.header(method.as_str(), url, extra, self.wire().now().seconds(), &once()?);
        let mut value = HeaderValue::try_from(&header)
            .map_err(|_| OAuthError::nonsense("the signature does not fit in a header"))?;
        value.set_sensitive(true);
        let mut secrets =
            vec![signer.client_secret, signer.token_secret, signer.token.unwrap_or_default(), &header];
        secrets.extend(extra.iter().filter(|(name, _)| *name == "oauth_verifier").map(|(_, value)| *value));
        let data = &provider.data;
        let is_api = method == http::Method::GET;
        let headers = provider.headers(if is_api { &data.api.headers } else { &data.token.headers })?;
        let call = Call {
            method,
            url,
            authorization: Some((AUTHORIZATION, value)),
            headers,
            fields: None,
            secrets: &secrets,
        };
        let answer = self.wire().send(call).await?;
        answer::read_api(&answer, &provider.data.errors, &secrets)
    }
}

impl Provider {
    fn signer<'a>(&'a self, token: Option<&'a str>, token_secret: &'a str) -> Result<Signer<'a>, OAuthError> {
        if self.kind() != Kind::Oauth1 {
            return Err(self.not_supported_because("it does not speak OAuth 1.0a"));
        }
        let client_secret = self.require_client_secret()?.expose_secret();
        Ok(Signer { client_id: self.require_client_id()?, client_secret, token, token_secret })
    }
}

fn address<'a>(
    provider: &Provider,
    place: Option<&'a Place>,
    what: &'static str,
) -> Result<&'a Url, OAuthError> {
    if let Some(why) = provider.open_places() {
        return Err(provider.not_supported_because(why));
    }
    place.and_then(Place::url).ok_or_else(|| provider.missing(what))
}

pub(crate) fn token_and_secret(answer: &Members) -> Result<(String, SecretString), OAuthError> {
    let member = |name: &str| {
        let found = answer.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        found.ok_or_else(|| OAuthError::nonsense(format!("there is no {name} in it")))
    };
    Ok((member("oauth_token")?.to_owned(), member("oauth_token_secret")?.into()))
}

impl Signer<'_> {
    fn header(&self, method: &str, url: &Url, extra: &[(&str, &str)], now_s: i64, nonce: &str) -> String {
        let now = now_s.to_string();
        let mut oauth = vec![
            ("oauth_consumer_key", self.client_id),
            ("oauth_nonce", nonce),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", &now),
            ("oauth_version", "1.0"),
        ];
        oauth.extend(self.token.map(|token| ("oauth_token", token)));
        oauth.extend(extra);
        let signature = self.signature(&base_string(method, url, &oauth, &[]));
        oauth.push(("oauth_signature", &signature));
        let parts: Vec<_> = oauth.iter().map(|(n, v)| format!("{}=\"{}\"", escape(n), escape(v))).collect();
        format!("OAuth {}", parts.join(", "))
    }

    /// RFC 5849 §3.4.2.
    fn signature(&self, base: &str) -> String {
        let key = format!("{}&{}", escape(self.client_secret), escape(self.token_secret));
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.as_bytes());
        STANDARD.encode(hmac::sign(&key, base.as_bytes()))
    }
}

/// What is signed (RFC 5849 §3.4.1): method, address, and all parameters, sorted as they are escaped.
fn base_string(method: &str, url: &Url, oauth: &[(&str, &str)], body: &[(&str, &str)]) -> String {
    let query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let query = query.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let mut params: Vec<_> = query
        .chain(oauth.iter().copied())
        .chain(body.iter().copied())
        .map(|(name, value)| (escape(name), escape(value)))
        .collect();
    params.sort();
    let params: Vec<_> = params.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    let address = &url[..Position::AfterPath];
    format!("{}&{}&{}", method.to_ascii_uppercase(), escape(address), escape(&params.join("&")))
}

fn escape(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: (&str, &str) = ("dpf43f3p2l4k3l03", "kd94hf93k423kf44");

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn the_base_string_is_the_one_of_rfc_5849_section_3_4_1_1() {
        let oauth = [
            ("oauth_consumer_key", "9djdj82h48djs9d2"),
            ("oauth_token", "kkk9d7dh3k39sjv7"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "137131201"),
            ("oauth_nonce", "7d8f3e4a"),
        ];
        let address = url("http://EXAMPLE.COM:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b");
        assert_eq!(
            base_string("post", &address, &oauth, &[("c2", ""), ("a3", "2 q")]),
            "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D\
             %26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1\
             %26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
        );
    }

    #[test]
    fn the_signatures_are_those_of_rfc_5849_section_1_2() {
        let sign = |token, token_secret, method: &str, address: &str, more: &[(&str, &str)]| {
            let signer =
                Signer { client_id: CLIENT.0, client_secret: CLIENT.1, token: Some(token), token_secret };
            let mut oauth = vec![
                ("oauth_consumer_key", CLIENT.0),
                ("oauth_token", token),
                ("oauth_signature_method", "HMAC-SHA1"),
            ];
            oauth.extend(more);
            signer.signature(&base_string(method, &url(address), &oauth, &[]))
        };
        let more = [
            ("oauth_timestamp", "137131201"),
            ("oauth_nonce", "walatlh"),
            ("oauth_verifier", "hfdp7dh39dks9884"),
        ];
        assert_eq!(
            sign("hh5s93j4hdidpola", "hdhd0244k9j7ao03", "POST", "https://photos.example.net/token", &more),
            "gKgrFCywp7rO0OXSjdot/IHF7IU="
        );
        let photo = "http://photos.example.net/photos?file=vacation.jpg&size=original";
        let more = [("oauth_timestamp", "137131202"), ("oauth_nonce", "chapoH")];
        assert_eq!(
            sign("nnch734d00sl2jdk", "pfkkdhi9sl3r4s00", "GET", photo, &more),
            "MdpQcU8iPSUjWoN/UDMsK2sui9I="
        );
    }
}
