//! What happened, as a person reads it: rows of the audit log in words.

use tokenry_broker::AuditLine;
use tokenry_model::Timestamp;

use super::texts::Language;

/// One row of the audit log.
pub(super) struct Doing {
    /// Its place in the log.
    pub(super) place: i64,
    /// What was done.
    pub(super) what: String,
    /// By whom, in a word or two.
    pub(super) who: String,
    /// Why it was not done, in the log's own word.
    pub(super) why_not: Option<String>,
    /// The last time it happened, and how often.
    pub(super) at: Timestamp,
    pub(super) times: i64,
    /// From where.
    pub(super) from: Option<String>,
}

impl Doing {
    pub(super) fn of(language: &Language, line: &AuditLine) -> Self {
        let entry = &line.row.entry;
        let known = what(&entry.action);
        let who = match &*entry.actor {
            "user" if line.actor.is_some() => language.say("who-you", &[]),
            "background" => language.say("who-server", &[]),
            "operator" => language.say("who-operator", &[]),
            "anonymous" => language.say("who-nobody", &[]),
            _ => language.say("who-other", &[]),
        };
        let why_not = (&*entry.outcome != "ok").then(|| {
            let reason = entry.reason.as_deref().unwrap_or(&entry.outcome);
            language.known("why-not", reason)
        });
        let from = match (&entry.address, &entry.agent) {
            (Some(address), Some(agent)) => Some(format!("{address} · {agent}")),
            (one, other) => one.clone().or_else(|| other.clone()),
        };
        Self {
            place: line.row.seq,
            what: known.map_or_else(|| entry.action.to_string(), |key| language.say(key, &[])),
            who,
            why_not,
            at: entry.last_at,
            times: entry.count,
            from,
        }
    }
}

/// The text for an action of the log.
fn what(action: &str) -> Option<&'static str> {
    Some(match action {
        "token.read" => "did-token-read",
        "token.list" => "did-token-list",
        "call.authorize" => "did-call-authorize",
        "call.proxy" => "did-call-proxy",
        "connect.begin" => "did-connect-begin",
        "connect.park" => "did-connect-park",
        "connect.abandon" => "did-connect-abandon",
        "link.make" => "did-link-make",
        "link.open" => "did-link-open",
        "link.take" => "did-link-take",
        "link.use" => "did-link-use",
        "connection.connect" => "did-connect",
        "connection.reconnect" => "did-reconnect",
        "connection.add" => "did-add",
        "connection.import" => "did-import",
        "connection.rename" => "did-rename",
        "connection.replace" => "did-replace",
        "connection.revoke" => "did-revoke",
        "connection.delete" => "did-delete",
        "connection.delete_later" => "did-delete-later",
        "connection.delete_undo" => "did-delete-undo",
        "connection.view" => "did-view",
        "connection.refresh" => "did-refresh",
        "grant.revoke" => "did-grant-revoke",
        "user.sign_up" => "did-sign-up",
        "user.log_in" => "did-log-in",
        "user.renew_session" => "did-renew-session",
        "user.log_out" => "did-log-out",
        "user.sign_out" => "did-sign-out",
        "user.change_password" => "did-change-password",
        "user.export" => "did-export",
        "user.access" => "did-access",
        "operator.user_create" => "did-user-create",
        "operator.password_set" => "did-password-set",
        "operator.role_grant" => "did-role-grant",
        "operator.role_revoke" => "did-role-revoke",
        "operator.setup_claim" => "did-setup-claim",
        "operator.sessions_end" => "did-sessions-end",
        "operator.export" => "did-operator-export",
        "operator.import" => "did-operator-import",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_that_can_be_somebodys_own_has_words() {
        use tokenry_model::Action;
        let own = Action::ALL.iter().map(|action| action.as_str()).filter(|word| {
            ["token.", "call.", "connect", "link.", "grant.", "user."]
                .iter()
                .any(|kind| word.starts_with(kind))
        });
        for word in own {
            assert!(what(word).is_some(), "{word} has no text");
        }
    }
}
