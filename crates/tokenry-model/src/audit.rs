//! The audit log: what is written down of an act, and the bytes that its row is sealed into the chain by.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use crate::{ConnectionId, ProviderId, Timestamp, UserId};

macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$doc])* $variant,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The stable word for it: rows, the API and the command line say the same.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }
    };
}

words! {
    /// What was done, or tried.
    Action {
        /// A token was handed out.
        TokenRead = "token.read",
        /// A list of connections was handed out, with their tokens.
        TokenList = "token.list",
        /// A header for one call of a service was handed out.
        CallAuthorize = "call.authorize",
        /// A service was called with a connection on its owner's behalf.
        CallProxy = "call.proxy",
        /// A link, or a code for a device, was made at which an account can be connected.
        ConnectBegin = "connect.begin",
        /// A grant came back in another browser than the one that asked, and waits for its owner.
        ConnectPark = "connect.park",
        /// A waiting grant was not wanted.
        ConnectAbandon = "connect.abandon",
        /// A connect link was made.
        LinkMake = "link.make",
        /// A browser opened a connect link first, and has it from then on.
        LinkOpen = "link.open",
        /// Its owner took a connect link over into another browser.
        LinkTake = "link.take",
        /// A connect link was spent on a connection.
        LinkUse = "link.use",
        /// An account was connected.
        Connect = "connection.connect",
        /// The account of a connection was connected again.
        Reconnect = "connection.reconnect",
        /// A token was pasted.
        Add = "connection.add",
        /// A credential was brought along.
        Import = "connection.import",
        /// A connection was renamed.
        Rename = "connection.rename",
        /// The token of a connection was replaced by another.
        Replace = "connection.replace",
        /// A connection was revoked and kept.
        Revoke = "connection.revoke",
        /// A connection was deleted.
        Delete = "connection.delete",
        /// A connection was taken out of service, to be deleted in a short while.
        DeleteLater = "connection.delete_later",
        /// A delete was taken back before it was carried out.
        DeleteUndo = "connection.delete_undo",
        /// A connection was looked at. Only refusals are written down.
        View = "connection.view",
        /// An access token was refreshed.
        Refresh = "connection.refresh",
        /// A provider was told that a grant is over.
        GrantRevoke = "grant.revoke",
        /// Somebody signed up.
        SignUp = "user.sign_up",
        /// Somebody logged in.
        LogIn = "user.log_in",
        /// The bearer of a good access token got another.
        RenewSession = "user.renew_session",
        /// Somebody logged out.
        LogOut = "user.log_out",
        /// Somebody signed out of one browser.
        SignOut = "user.sign_out",
        /// Somebody changed their password.
        ChangePassword = "user.change_password",
        /// Somebody took their own connections out, in a sealed file.
        ExportOwn = "user.export",
        /// A request came without a good access token, or its session had ended. Only refusals are written down.
        Access = "user.access",
        /// The operator added a user.
        UserCreate = "operator.user_create",
        /// The operator set a user's password.
        PasswordSet = "operator.password_set",
        /// A user got the operator's role.
        RoleGrant = "operator.role_grant",
        /// A user lost the operator's role.
        RoleRevoke = "operator.role_revoke",
        /// Somebody became the first operator, by the link that a start had printed.
        SetupClaim = "operator.setup_claim",
        /// An operator ended all sessions of a user.
        SessionsEnd = "operator.sessions_end",
        /// An operator set a service's client up, or changed it.
        ServiceSet = "operator.service_set",
        /// An operator took a service's client away.
        ServiceRemove = "operator.service_remove",
        /// The operator had the services read again.
        ProvidersReload = "operator.providers_reload",
        /// The operator had a new key made.
        KeyRotate = "operator.key_rotate",
        /// The operator had an old key retired.
        KeyRetire = "operator.key_retire",
        /// The operator changed the master key.
        MasterKey = "operator.master_key",
        /// The operator made a backup.
        Backup = "operator.backup",
        /// The operator restored a backup.
        Restore = "operator.restore",
        /// The operator took connections out, to bring them to another installation.
        Export = "operator.export",
        /// The operator brought in connections of another installation.
        ImportAll = "operator.import",
        /// The operator moved everything to another database.
        MigrateStore = "operator.migrate_store",
        /// A server began to serve. Without a stop before it, the one before was cut off.
        ServerStart = "server.start",
        /// A server stopped, and had written down all it knew.
        ServerStop = "server.stop",
        /// The log was begun.
        AuditBegin = "audit.begin",
        /// Old rows were taken out of the log, as the operator configured; the count says how many.
        AuditPrune = "audit.prune",
        /// There was no room for refusals and background work; the count says how much went unwritten.
        AuditLost = "audit.lost",
        /// What is written after this row found the end of the log changed by somebody else.
        AuditBroken = "audit.broken",
    }
}

words! {
    /// How it ended.
    AuditOutcome {
        /// It was done.
        Ok = "ok",
        /// Whoever asked may not, or must do something first.
        Refused = "refused",
        /// It could not be done.
        Failed = "failed",
    }
}

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Actor {
    /// A user, by an access token or a password.
    User(UserId),
    /// Whoever runs the server, by its command line.
    Operator,
    /// The server itself.
    Background,
    /// Nobody knows.
    Anonymous,
}

impl Actor {
    /// The stable word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Operator => "operator",
            Self::Background => "background",
            Self::Anonymous => "anonymous",
        }
    }

    /// Its id, where it has one.
    pub const fn id(self) -> Option<i64> {
        match self {
            Self::User(id) => Some(id.get()),
            _ => None,
        }
    }
}

/// Where a request came from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The address of the client.
    pub address: Option<IpAddr>,
    /// What the client calls itself, made harmless by [`Origin::harmless`].
    pub agent: Option<Arc<str>>,
}

impl Origin {
    /// The longest name of a client that is kept, in bytes.
    pub const MOST: usize = 120;

    /// What a client calls itself, as far as it can be shown anywhere: visible ASCII and spaces, at most [`Origin::MOST`] of
    /// them. Nothing if nothing is left.
    pub fn harmless(agent: &[u8]) -> Option<Arc<str>> {
        let end = agent.len().min(Self::MOST);
        let plain = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
        let kept: String = agent[..end].iter().filter(|byte| plain(byte)).copied().map(char::from).collect();
        let kept = kept.trim();
        (!kept.is_empty()).then(|| kept.into())
    }
}

/// What a row of the audit log says. Read from a database it holds whatever is there: whether a word is one of ours, the
/// chain tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When it happened, or the first of several times.
    pub at: Timestamp,
    /// The last of several times.
    pub last_at: Timestamp,
    /// How often it happened between the two.
    pub count: i64,
    /// What kind of actor it was.
    pub actor: Cow<'static, str>,
    /// Which one.
    pub actor_id: Option<i64>,
    /// What was done.
    pub action: Cow<'static, str>,
    /// How it ended.
    pub outcome: Cow<'static, str>,
    /// Why, in a short word, unless it went well.
    pub reason: Option<Cow<'static, str>>,
    /// The user whose it is.
    pub owner: Option<i64>,
    /// The connection.
    pub connection: Option<i64>,
    /// The provider.
    pub provider: Option<String>,
    /// The address it came from.
    pub address: Option<String>,
    /// What the client called itself.
    pub agent: Option<String>,
}

impl AuditEntry {
    /// Something that happened once.
    pub fn new(actor: Actor, action: Action, outcome: AuditOutcome, at: Timestamp) -> Self {
        Self {
            at,
            last_at: at,
            count: 1,
            actor: actor.as_str().into(),
            actor_id: actor.id(),
            action: action.as_str().into(),
            outcome: outcome.as_str().into(),
            reason: None,
            owner: None,
            connection: None,
            provider: None,
            address: None,
            agent: None,
        }
    }

    /// With the reason why it did not go well.
    #[must_use]
    pub fn because(self, reason: &'static str) -> Self {
        Self { reason: Some(reason.into()), ..self }
    }

    /// With whose it is, and which connection of which provider.
    #[must_use]
    pub fn about(
        self,
        owner: Option<UserId>,
        connection: Option<ConnectionId>,
        provider: Option<&ProviderId>,
    ) -> Self {
        Self {
            owner: owner.map(UserId::get),
            connection: connection.map(ConnectionId::get),
            provider: provider.map(ToString::to_string),
            ..self
        }
    }

    /// The bytes that stand for this entry as the row `seq` after a row with the hash `before`: each part behind its kind and
    /// its length, so that no two rows run into the same bytes.
    pub fn to_bytes(&self, seq: i64, before: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(320);
        bytes.extend_from_slice(b"tokenry-audit-v1");
        number(&mut bytes, Some(seq));
        part(&mut bytes, Some(before));
        for value in [Some(self.at.micros()), Some(self.last_at.micros()), Some(self.count)] {
            number(&mut bytes, value);
        }
        text(&mut bytes, Some(self.actor.as_ref()));
        number(&mut bytes, self.actor_id);
        text(&mut bytes, Some(self.action.as_ref()));
        text(&mut bytes, Some(self.outcome.as_ref()));
        text(&mut bytes, self.reason.as_deref());
        number(&mut bytes, self.owner);
        number(&mut bytes, self.connection);
        text(&mut bytes, self.provider.as_deref());
        text(&mut bytes, self.address.as_deref());
        text(&mut bytes, self.agent.as_deref());
        bytes
    }
}

fn number(bytes: &mut Vec<u8>, value: Option<i64>) {
    match value {
        Some(value) => {
            bytes.push(b'i');
            bytes.extend_from_slice(&value.to_be_bytes());
        }
        None => bytes.push(b'n'),
    }
}

fn text(bytes: &mut Vec<u8>, value: Option<&str>) {
    part(bytes, value.map(str::as_bytes));
}

fn part(bytes: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        Some(value) => {
            bytes.push(b't');
            bytes.extend_from_slice(&(value.len() as u64).to_be_bytes());
            bytes.extend_from_slice(value);
        }
        None => bytes.push(b'n'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> AuditEntry {
        let at = Timestamp::from_micros(1_700_000_000_000_000);
        let provider = ProviderId::parse("github").unwrap();
        AuditEntry {
            address: Some("192.0.2.7".to_owned()),
            agent: Some("curl/8".to_owned()),
            ..AuditEntry::new(Actor::User(UserId::new(3)), Action::TokenRead, AuditOutcome::Ok, at).about(
                Some(UserId::new(3)),
                Some(ConnectionId::new(10)),
                Some(&provider),
            )
        }
    }

    #[test]
    fn the_bytes_of_a_row_are_what_they_were_in_the_first_version() {
        let bytes = entry().to_bytes(7, &[0xab; 4]);
        let text: String = bytes
            .iter()
            .map(|b| if b.is_ascii_graphic() { char::from(*b).to_string() } else { format!("{b:02x}.") })
            .collect();
        let i = |n: i64| format!("i{}", text_of(&n.to_be_bytes()));
        let t = |s: &str| format!("t{}{s}", text_of(&(s.len() as u64).to_be_bytes()));
        let at = i(1_700_000_000_000_000);
        let expected = [
            "tokenry-audit-v1".to_owned(),
            i(7),
            format!("t{}ab.ab.ab.ab.", text_of(&4_u64.to_be_bytes())),
            at.clone(),
            at,
            i(1),
            t("user"),
            i(3),
            t("token.read"),
            t("ok"),
            "n".to_owned(),
            i(3),
            i(10),
            t("github"),
            t("192.0.2.7"),
            t("curl/8"),
        ];
        assert_eq!(text, expected.concat());
    }

    fn text_of(bytes: &[u8]) -> String {
        bytes
            .iter()
            .map(|b| if b.is_ascii_graphic() { char::from(*b).to_string() } else { format!("{b:02x}.") })
            .collect()
    }

    #[test]
    fn each_part_of_a_row_and_its_place_change_its_bytes() {
        let base = entry();
        let changes: [fn(&mut AuditEntry); 13] = [
            |e| e.at = Timestamp::from_micros(1),
            |e| e.last_at = Timestamp::from_micros(1),
            |e| e.count = 2,
            |e| e.actor = "operator".into(),
            |e| e.actor_id = None,
            |e| e.action = "token.list".into(),
            |e| e.outcome = "failed".into(),
            |e| e.reason = Some("".into()),
            |e| e.owner = Some(4),
            |e| e.connection = Some(11),
            |e| e.provider = None,
            |e| e.address = Some(String::new()),
            |e| e.agent = Some("curl/9".to_owned()),
        ];
        let mut seen = std::collections::HashSet::from([base.to_bytes(7, b"before")]);
        for change in changes {
            let mut changed = base.clone();
            change(&mut changed);
            assert!(seen.insert(changed.to_bytes(7, b"before")), "{changed:?}");
        }
        assert!(seen.insert(base.to_bytes(8, b"before")));
        assert!(seen.insert(base.to_bytes(7, b"after!")));
        // What is left of one text does not become the beginning of the next.
        let mut moved = base.clone();
        moved.address = Some("192.0.2.7curl".to_owned());
        moved.agent = Some("/8".to_owned());
        assert!(seen.insert(moved.to_bytes(7, b"before")));
    }

    #[test]
    fn words_are_stable_and_no_two_are_the_same() {
        let words: std::collections::BTreeSet<_> = Action::ALL.iter().map(|action| action.as_str()).collect();
        assert_eq!(words.len(), Action::ALL.len());
        for word in words {
            let (room, act) = word.split_once('.').unwrap();
            assert!(
                [room, act].iter().all(|w| w.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')),
                "{word}"
            );
        }
    }

    #[test]
    fn what_a_client_calls_itself_is_made_harmless() {
        let of = |bytes: &[u8]| Origin::harmless(bytes).map(|agent| agent.to_string());
        assert_eq!(of(b"curl/8.5.0").as_deref(), Some("curl/8.5.0"));
        assert_eq!(of(b" a\tb\x1b[31m\xff\xc3\xa4 ").as_deref(), Some("ab[31m"));
        assert_eq!(of(b"\x00 \r\n"), None);
        assert_eq!(of(&[b'x'; 1000]).map(|agent| agent.len()), Some(Origin::MOST));
    }
}
