//! Connect links: an address that a program makes and sends to a person, who connects an account there, once.
//!
//! The first browser that opens a link has it. In any other, its owner must be signed in to take it over; and a connect that
//! comes back in another browser than the link's waits for its owner, as every connect does. So does one in a browser that
//! somebody else is signed in to; what is brought along there is not taken.

mod bring;
mod end;
mod make;
mod places;
mod services;
mod visit;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokenry_model::{ConnectionId, LinkId, Origin, ProviderId, SecretString, Timestamp};
use url::Url;

pub use self::places::{Embedding, ReturnPlace, WebOrigin};
pub use self::services::{LinkAsk, LinkService};
use crate::error::BrokerError;
use crate::sessions::Claims;
use tokenry_store::StoreError;

/// What a link is made for.
#[derive(Debug, Default)]
pub struct NewLink {
    /// The services that can be connected with it, by id or alias; all of the catalogue if it is `None`.
    pub services: Option<Vec<String>>,
    /// Where the person is sent in the end.
    pub return_to: Option<String>,
    /// The origin whose page opens it in a window of its own.
    pub origin: Option<String>,
}

/// A link that was made.
#[derive(Debug)]
pub struct MadeLink {
    /// What names it, and opens nothing.
    pub id: String,
    /// What opens it: the last part of its address.
    pub token: SecretString,
    /// The services that can be connected with it; none: all.
    pub services: Vec<ProviderId>,
    /// Until when a connect can be begun with it.
    pub expires_at: Timestamp,
}

/// How a link is getting on, for whoever knows its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkStatus {
    /// `open`, `connected`, `declined`, `failed` or `expired`.
    pub status: &'static str,
    /// The connection, once there is one.
    pub connection: Option<ConnectionId>,
    /// Its service.
    pub service: Option<ProviderId>,
}

/// Who opens a link.
#[derive(Debug, Default)]
pub struct Visitor {
    /// The cookie that marks the browser.
    pub browser: Option<SecretString>,
    /// Who is signed in there.
    pub claims: Option<Claims>,
    /// Where the request came from.
    pub from: Origin,
}

/// What a browser may do with a link.
#[derive(Debug)]
pub enum LinkVisit {
    /// This browser has it.
    Here(LinkPage),
    /// No browser has it yet, and this one did not ask for it.
    Unopened(LinkPage),
    /// Another browser has it. `may_take`: the owner is signed in here, and may take it over.
    Elsewhere {
        /// The link.
        page: LinkPage,
        /// Whether the owner is signed in in this browser.
        may_take: bool,
    },
}

/// What there is to show of a link.
#[derive(Debug)]
pub struct LinkPage {
    /// What names it, and, in the browser that has it, opens it again.
    pub id: String,
    /// Whose account gets the access.
    pub username: String,
    /// The services that can be connected with it; none: all.
    pub services: Vec<ProviderId>,
    /// Where the person is sent in the end.
    pub return_to: Option<Url>,
    /// The page that opened it, if one did.
    pub opener: Option<Opener>,
    /// The cookie that marks this browser.
    pub browser: SecretString,
    /// Until when a connect can be begun with it.
    pub expires_at: Timestamp,
}

/// The page of another site that opened a link in a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opener {
    /// Its origin, which was named when the link was made.
    pub origin: String,
    /// What it knows its window by.
    pub nonce: String,
}

/// How a connect ended that was begun with a link.
#[derive(Debug, Clone)]
pub struct LinkEnd {
    /// What names the link.
    pub id: String,
    /// `connected`, `declined` or `failed`.
    pub status: &'static str,
    /// The connection, if there is one.
    pub connection: Option<ConnectionId>,
    /// The service.
    pub service: ProviderId,
    /// Where the person is sent, with how it ended.
    pub return_to: Option<Url>,
    /// The page that opened it.
    pub opener: Option<Opener>,
}

/// Why a link cannot be used. The display text is for the person in front of the browser.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// There is none.
    #[error("this link is not one of ours, or it is so old that it is forgotten")]
    Unknown,
    /// It is too old.
    #[error("this link has expired: it was good for ten minutes")]
    Expired,
    /// An account was connected with it.
    #[error("this link was used before, and each can be used only once")]
    Used,
    /// A connect is just coming to its end.
    #[error("an account is being connected with this link at this moment")]
    Finishing,
    /// Its owner signed out everywhere, or is gone.
    #[error("whoever made this link has signed out since, and their links ended with that")]
    Ended,
    /// Another browser has it.
    #[error("this link was opened in another browser first, and it works only there")]
    Elsewhere,
    /// Somebody else is signed in in the browser, who may not know whom it is for.
    #[error("somebody else is signed in here than the person whose account would get it")]
    Stranger,
    /// It was made for other services.
    #[error("this link is not for that service")]
    OtherService,
    /// It cannot be done.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

impl From<StoreError> for LinkError {
    fn from(error: StoreError) -> Self {
        Self::Broker(error.into())
    }
}

/// A link's id as text: what is in addresses.
fn text_of(id: &LinkId) -> String {
    URL_SAFE_NO_PAD.encode(id.as_bytes())
}

/// The id that a text means.
fn id_of(text: &str) -> Option<LinkId> {
    let mut hash = [0; 32];
    let length = URL_SAFE_NO_PAD.decode_slice(text, &mut hash).ok()?;
    (length == hash.len()).then(|| LinkId::new(hash))
}

/// Where a person is sent, with how it ended.
fn with_result(mut to: Url, status: &str, connection: Option<ConnectionId>, service: &ProviderId) -> Url {
    let mut query = to.query_pairs_mut();
    if let Some(id) = connection {
        query.append_pair("connection", &id.to_string());
    }
    query.append_pair("service", service.as_str()).append_pair("status", status);
    drop(query);
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written_and_in_no_other_way() {
        let id = LinkId::new([0xfb; 32]);
        let text = text_of(&id);
        assert_eq!((text.len(), id_of(&text)), (43, Some(id)));
        let (short, long) = (&text[..42], format!("{text}A"));
        for bad in
            ["", short, &long, &text.replace('-', "+"), &text.replace('_', "/"), "x", &"A".repeat(4000)]
        {
            assert_eq!(id_of(bad).filter(|id| text_of(id) != *bad), None, "{bad}");
        }
        assert_eq!(id_of(short), None);
    }

    #[test]
    fn a_return_address_keeps_what_it_had_and_is_told_how_it_ended() {
        let to = Url::parse("https://app.example.org/done?tab=2&x=%26").unwrap();
        let service = ProviderId::parse("spotify").unwrap();
        let url = with_result(to.clone(), "connected", Some(ConnectionId::new(7)), &service);
        let ended = "https://app.example.org/done?tab=2&x=%26&connection=7&service=spotify&status=connected";
        assert_eq!(url.as_str(), ended);
        let url = with_result(to, "declined", None, &service);
        assert_eq!(url.as_str(), "https://app.example.org/done?tab=2&x=%26&service=spotify&status=declined");
    }
}
