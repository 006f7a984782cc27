//! What an export says of a connection, as JSON. It is sealed at once, and wiped when it was read.

use serde::{Deserialize, Serialize, Serializer};
use tokenry_model::{ExposeSecret as _, ProviderId, Scopes, SecretString, Values};
use zeroize::Zeroizing;

/// The first chunk: what the export is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    /// The installation it comes from.
    pub(super) installation: String,
    /// What this export is called.
    pub(super) export: String,
    /// Whose connections; of all users if it is `None`.
    pub(super) user: Option<String>,
    /// Whether grants are handed over with it.
    pub(super) hand_over: bool,
    /// When it was begun: microseconds since 1970.
    pub(super) begun_at: i64,
}

/// The last chunk: what came of it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Tail {
    /// How many chunks are between the first and this one.
    pub(super) records: u64,
    /// How many connections they are about.
    pub(super) connections: usize,
    /// The connections whose grants were handed over. All other grants are copies.
    pub(super) handed_over: Vec<i64>,
    /// The connections that were deleted before they could be.
    pub(super) gone: Vec<i64>,
}

/// A connection. One that comes again replaces what was said of it before.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) id: i64,
    pub(super) generation: i64,
    pub(super) username: String,
    pub(super) name: String,
    pub(super) token_type: String,
    pub(super) provider: ProviderId,
    /// The operator's client that a grant was given to: nobody else's refreshes it.
    pub(super) client_id: Option<String>,
    pub(super) kind: String,
    pub(super) state: String,
    pub(super) state_reason: Option<String>,
    pub(super) account: Option<(String, Option<String>)>,
    pub(super) requested: Scopes,
    pub(super) scopes: Scopes,
    pub(super) settings: Values,
    #[serde(serialize_with = "write_secret")]
    pub(super) access: SecretString,
    #[serde(serialize_with = "write_optional_secret")]
    pub(super) refresh: Option<SecretString>,
    pub(super) times: [Option<i64>; 6],
    /// Whether both installations may renew it: its refresh token stays the same.
    pub(super) shared: bool,
    pub(super) doubt: Option<String>,
    pub(super) connected_at: Option<i64>,
    pub(super) last_refreshed_at: Option<i64>,
    pub(super) created_at: i64,
}

fn write_secret<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

#[allow(clippy::ref_option, reason = "serde passes the field")]
fn write_optional_secret<S: Serializer>(
    secret: &Option<SecretString>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(|secret| secret.expose_secret()).serialize(serializer)
}

/// As JSON, in memory that wipes itself.
pub(super) fn to_json(value: &impl Serialize) -> Option<Zeroizing<Vec<u8>>> {
    serde_json::to_vec(value).ok().map(Zeroizing::new)
}
