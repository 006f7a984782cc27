//! Looking whether a provider's addresses lead anywhere, without spending anything.

use url::Url;

use crate::engine::OAuth;
use crate::revoke::filled;
use crate::{OAuthError, Provider};

/// What came of looking at one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Which of the provider's addresses it is: `authorize`, `token`, `refresh`, `revoke`, `userinfo`, `device`, `pushed`,
    /// `request` (OAuth 1.0a) or `discovery`.
    pub what: &'static str,
    /// The address.
    pub url: Url,
    /// What came of it.
    pub outcome: ProbeOutcome,
}

/// What came of looking at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// Somebody answers there. An error status is what a request without anything in it deserves.
    Answered {
        /// The HTTP status.
        status: u16,
    },
    /// Somebody answers, and says that there is no such place (404 or 410). Some say so to everything but a POST.
    NotFound {
        /// The HTTP status.
        status: u16,
    },
    /// Nobody answers, or with something that cannot be read.
    Unreachable {
        /// What was seen.
        why: String,
    },
    /// The outbound policy does not let Tokenry go there. No request was made.
    Forbidden {
        /// Which address, and why.
        why: String,
    },
}

impl OAuth {
    /// Looks at each address of the provider: a GET without credentials and without parameters, and no redirect is
    /// followed. With discovery, the issuer's description first. Addresses that lack a setting are passed over.
    pub async fn probe(&self, provider: &Provider) -> Vec<Probe> {
        let mut probes = Vec::new();
        let known = match self.known(provider).await {
            Ok(known) => {
                if let Some(url) = described_at(provider) {
                    probes.push(Probe {
                        what: "discovery",
                        url,
                        outcome: ProbeOutcome::Answered { status: 200 },
                    });
                }
                known
            }
            Err(error) => {
                let url = described_at(provider).into_iter();
                return url.map(|url| Probe { what: "discovery", url, outcome: failed(&error) }).collect();
            }
        };
        let client_id = provider.client_id().unwrap_or("client");
        let refresh = provider.data.refresh.url.as_ref().and_then(|place| place.url().cloned());
        let places = [
            ("authorize", known.authorize),
            ("token", known.token),
            ("refresh", refresh),
            ("revoke", known.revoke.and_then(|place| filled(place, client_id).ok())),
            ("userinfo", known.userinfo),
            ("device", known.device),
            ("pushed", known.pushed),
            ("request", provider.data.oauth1.request_url.clone()),
        ];
        for (what, url) in places {
            let Some(url) = url else { continue };
            let outcome = match self.wire().look(&url).await {
                Ok(status @ (404 | 410)) => ProbeOutcome::NotFound { status },
                Ok(status) => ProbeOutcome::Answered { status },
                Err(error) => failed(&error),
            };
            probes.push(Probe { what, url, outcome });
        }
        probes
    }
}

fn described_at(provider: &Provider) -> Option<Url> {
    let [first, _] = provider.issuer().filter(|_| provider.discovers())?.well_known().ok()?;
    Some(first)
}

fn failed(error: &OAuthError) -> ProbeOutcome {
    match error {
        OAuthError::Forbidden { what } => ProbeOutcome::Forbidden { why: what.clone() },
        other => ProbeOutcome::Unreachable { why: other.to_string() },
    }
}
