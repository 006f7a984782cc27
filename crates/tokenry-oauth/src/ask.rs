//! One request to an endpoint at which the client names itself.

use http::header::AUTHORIZATION;
use url::Url;

use crate::answer::{self, Members};
use crate::data::{Encoding, Method};
use crate::engine::OAuth;
use crate::wire::Call;
use crate::{ClientAuth, OAuthError, Provider};

/// What is asked, and where.
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    pub(crate) url: &'a Url,
    pub(crate) auth: ClientAuth,
    /// For whom a signature is made.
    pub(crate) token_url: &'a Url,
    pub(crate) fields: Vec<(String, String)>,
    /// What is among the fields and must not show in an error.
    pub(crate) secrets: &'a [&'a str],
    /// Whether it is the token endpoint, or one like it, with the provider's own names for the fields, ways to write them and
    /// headers.
    pub(crate) as_token: bool,
}

impl OAuth {
    pub(crate) async fn ask(&self, provider: &Provider, ask: Ask<'_>) -> Result<Members, OAuthError> {
        let Ask { method, url, auth, token_url, mut fields, secrets: sent, as_token } = ask;
        let token = &provider.data.token;
        // Once is enough (RFC 6749 §3.1): whoever names the client in a field does so below.
        let mut client = Vec::new();
        let named = auth.apply(provider, token_url, self.wire().now(), &mut client)?;
        fields.retain(|(name, _)| !client.iter().any(|(ours, _)| ours == name));
        fields.extend(client);
        let mut secrets: Vec<&str> = named.secrets.iter().map(String::as_str).collect();
        secrets.extend(sent);
        let encoding = if as_token {
            fields.retain(|(name, _)| !token.drop.contains(name));
            provider.rename(&mut fields);
            token.encoding
        } else {
            Encoding::Form
        };
        let headers = if as_token { provider.headers(&token.headers)? } else { http::HeaderMap::new() };
        let (with_query, fields) = match method {
            Method::Post => (None, Some((encoding, fields))),
            Method::Get => {
                let pairs: Vec<_> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
                (Some(with_params(url, &pairs)), None)
            }
        };
        let call = Call {
            method: if fields.is_some() { http::Method::POST } else { http::Method::GET },
            url: with_query.as_ref().unwrap_or(url),
            authorization: named.header.map(|value| (AUTHORIZATION, value)),
            headers,
            fields,
            secrets: &secrets,
        };
        let answer = self.wire().send(call).await?;
        answer::read(&answer, &provider.data.errors, &secrets)
    }
}

/// The URL with the parameters; those it has by itself stay, unless they are named again.
pub(crate) fn with_params(url: &Url, params: &[(&str, &str)]) -> Url {
    let own: Vec<_> = url
        .query_pairs()
        .filter(|(name, _)| !params.iter().any(|(ours, _)| ours == name))
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    let mut url = url.clone();
    url.set_fragment(None);
    url.query_pairs_mut().clear().extend_pairs(own).extend_pairs(params);
    url
}

pub(crate) fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}
