//! The rules of tokens: codes, families of tokens, rotation, reuse. No I/O; the time and the new tokens are arguments.
//!
//! One consent is one *family*. Every token points at its family, and a token whose family is gone is dead. So ending
//! a family is one removal, and the tokens that point at it are swept up later.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use secrecy::SecretString;

use crate::{
    fresh::{Fresh, Key, verifier_matches},
    options::Account,
    refused::Refused,
};

/// How long the use of a code is remembered, so that its replay ends the family (RFC 6749 §4.1.2: codes live at most
/// ten minutes).
const USED_CODE_KEPT: Duration = Duration::from_mins(10);
/// How many spent refresh tokens a family remembers. An older one is merely unknown. Keeps memory bounded when one
/// grant is refreshed for hours.
const SPENT_KEPT: usize = 1024;
/// Below this many entries a sweep is not worth it.
const SWEEP_FROM: usize = 4096;

/// When something ends; `None` is never.
type Until = Option<Instant>;

fn passed(until: Until, now: Instant) -> bool {
    until.is_some_and(|until| until <= now)
}

fn later(a: Until, b: Until) -> Until {
    Some(a?.max(b?))
}

/// Who let whom do what.
#[derive(Clone)]
pub(crate) struct Consent {
    pub(crate) client: Arc<str>,
    pub(crate) account: Arc<Account>,
    pub(crate) scope: Arc<str>,
}

/// What a consent leaves behind for the token endpoint to check.
pub(crate) struct NewCode {
    pub(crate) consent: Consent,
    pub(crate) redirect_uri: String,
    pub(crate) challenge: Option<String>,
}

/// A code as it comes back at the token endpoint.
pub(crate) struct Redemption<'a> {
    pub(crate) client: &'a str,
    pub(crate) code: Key,
    pub(crate) redirect_uri: Option<&'a str>,
    pub(crate) verifier: Option<&'a str>,
}

/// Tokens to send to the client.
pub(crate) struct Issued {
    pub(crate) access: SecretString,
    pub(crate) expires_in: u64,
    /// Absent when the client keeps the refresh token that it has.
    pub(crate) refresh: Option<SecretString>,
    pub(crate) scope: Arc<str>,
}

/// A living token, for userinfo and introspection.
pub(crate) struct Living {
    pub(crate) consent: Consent,
    pub(crate) is_access: bool,
    /// How long it still lives; `None` is for ever.
    pub(crate) left: Option<Duration>,
}

/// What became of a revocation (RFC 7009).
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Revoked {
    Family,
    AccessToken,
    Unknown,
    NotYours,
}

struct Code {
    new: NewCode,
    until: Until,
    family: Option<u64>,
}

struct Family {
    consent: Consent,
    spent: VecDeque<Key>,
    until: Until,
}

struct Access {
    family: u64,
    scope: Arc<str>,
    until: Until,
}

struct Refresh {
    family: u64,
    spent: bool,
    until: Until,
}

/// How tokens are to live.
pub(crate) struct Rules {
    pub(crate) access_ttl: Duration,
    pub(crate) refresh_ttl: Option<Duration>,
    pub(crate) code_ttl: Duration,
    pub(crate) rotate: bool,
}

/// Everything that was granted and lives.
pub(crate) struct Grants {
    pub(crate) rules: Rules,
    codes: HashMap<Key, Code>,
    families: HashMap<u64, Family>,
    access: HashMap<Key, Access>,
    refresh: HashMap<Key, Refresh>,
    next_family: u64,
    sweep_at: usize,
}

impl Grants {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            codes: HashMap::new(),
            families: HashMap::new(),
            access: HashMap::new(),
            refresh: HashMap::new(),
            next_family: 0,
            sweep_at: SWEEP_FROM,
        }
    }

    pub(crate) fn add_code(&mut self, now: Instant, key: Key, new: NewCode) {
        self.sweep(now);
        let until = now.checked_add(self.rules.code_ttl);
        self.codes.insert(key, Code { new, until, family: None });
    }

    /// Exchanges a code (RFC 6749 §4.1.3). A try of the right client spends the code, also when it fails.
    pub(crate) fn redeem(
        &mut self,
        now: Instant,
        by: &Redemption<'_>,
        fresh: Fresh,
    ) -> Result<Issued, Refused> {
        self.sweep(now);
        let Some(code) = self.codes.get(&by.code).filter(|code| !passed(code.until, now)) else {
            return Err(Refused::InvalidGrant("the code is unknown or expired"));
        };
        if *code.new.consent.client != *by.client {
            return Err(Refused::InvalidGrant("the code is another client's"));
        }
        if let Some(family) = code.family {
            self.families.remove(&family);
            return Err(Refused::InvalidGrant("the code was used before; its tokens are revoked"));
        }
        let Some(Code { new, .. }) = self.codes.remove(&by.code) else {
            return Err(Refused::ServerError);
        };
        if by.redirect_uri != Some(&new.redirect_uri) {
            return Err(Refused::InvalidGrant("redirect_uri is not the one of the authorization request"));
        }
        match (&new.challenge, by.verifier) {
            (None, None) => {}
            (Some(challenge), Some(verifier)) if verifier_matches(verifier, challenge) => {}
            // A verifier without a challenge is a PKCE downgrade (RFC 9700 §4.8.2).
            _ => return Err(Refused::InvalidGrant("code_verifier does not match code_challenge")),
        }

        let id = self.next_family;
        self.next_family += 1;
        let consent = new.consent.clone();
        let until = now.checked_add(USED_CODE_KEPT);
        self.codes.insert(by.code, Code { new, until, family: Some(id) });
        let family = Family { consent: consent.clone(), spent: VecDeque::new(), until: Some(now) };
        self.families.insert(id, family);
        Ok(self.issue(now, id, consent.scope, fresh, true))
    }

    /// Refreshes (RFC 6749 §6). `scope` may ask for less than was granted.
    pub(crate) fn refresh(
        &mut self,
        now: Instant,
        client: &str,
        token: Key,
        scope: Option<&str>,
        fresh: Fresh,
    ) -> Result<Issued, Refused> {
        self.sweep(now);
        let known = self.refresh.get_mut(&token);
        let known = known.and_then(|refresh| Some((self.families.get_mut(&refresh.family)?, refresh)));
        let Some((family, refresh)) = known else {
            return Err(Refused::InvalidGrant("the refresh token is unknown, revoked or expired"));
        };
        if *family.consent.client != *client {
            return Err(Refused::InvalidGrant("the refresh token is another client's"));
        }
        let id = refresh.family;
        if refresh.spent {
            self.families.remove(&id);
            return Err(Refused::Reuse);
        }
        if passed(refresh.until, now) {
            return Err(Refused::InvalidGrant("the refresh token is unknown, revoked or expired"));
        }
        let scope = narrowed(&family.consent.scope, scope)?;
        if self.rules.rotate {
            refresh.spent = true;
            family.spent.push_back(token);
            if family.spent.len() > SPENT_KEPT
                && let Some(oldest) = family.spent.pop_front()
            {
                self.refresh.remove(&oldest);
            }
        }
        Ok(self.issue(now, id, scope, fresh, self.rules.rotate))
    }

    fn issue(&mut self, now: Instant, id: u64, scope: Arc<str>, fresh: Fresh, with_refresh: bool) -> Issued {
        let until = now.checked_add(self.rules.access_ttl);
        let mut family_until = until;
        self.access.insert(fresh.access.key, Access { family: id, scope: scope.clone(), until });
        if with_refresh {
            let until = self.rules.refresh_ttl.and_then(|ttl| now.checked_add(ttl));
            family_until = later(family_until, until);
            self.refresh.insert(fresh.refresh.key, Refresh { family: id, spent: false, until });
        }
        if let Some(family) = self.families.get_mut(&id) {
            family.until = later(family.until, family_until);
        }
        Issued {
            access: fresh.access.text,
            expires_in: self.rules.access_ttl.as_secs(),
            refresh: with_refresh.then_some(fresh.refresh.text),
            scope,
        }
    }

    /// The token, if it is good at this moment.
    pub(crate) fn find_living(&self, now: Instant, token: Key) -> Option<Living> {
        let (family, scope, until, is_access) = if let Some(access) = self.access.get(&token) {
            (access.family, Some(&access.scope), access.until, true)
        } else {
            let refresh = self.refresh.get(&token).filter(|refresh| !refresh.spent)?;
            (refresh.family, None, refresh.until, false)
        };
        let mut consent = self.families.get(&family)?.consent.clone();
        if let Some(scope) = scope {
            consent.scope = scope.clone();
        }
        let left = until.map(|until| until.saturating_duration_since(now));
        (!passed(until, now)).then_some(Living { consent, is_access, left })
    }

    /// Revokes (RFC 7009 §2.1): a refresh token takes its family with it, an access token goes alone.
    pub(crate) fn revoke(&mut self, now: Instant, client: &str, token: Key) -> Revoked {
        self.sweep(now);
        let (family, is_access) = match (self.access.get(&token), self.refresh.get(&token)) {
            (Some(access), _) if !passed(access.until, now) => (access.family, true),
            (_, Some(refresh)) => (refresh.family, false),
            _ => return Revoked::Unknown,
        };
        match self.families.get(&family) {
            None => Revoked::Unknown,
            Some(family) if *family.consent.client != *client => Revoked::NotYours,
            Some(_) if is_access => {
                self.access.remove(&token);
                Revoked::AccessToken
            }
            Some(_) => {
                self.families.remove(&family);
                Revoked::Family
            }
        }
    }

    /// Ends all families of an account, and its codes that still wait. Answers how many families there were.
    pub(crate) fn forget(&mut self, account: &str) -> usize {
        let before = self.families.len();
        self.families.retain(|_, family| family.consent.account.id != account);
        self.codes.retain(|_, code| code.new.consent.account.id != account);
        before - self.families.len()
    }

    /// How many families have a token that is still good.
    pub(crate) fn live_families(&self, now: Instant) -> u64 {
        self.families.values().filter(|family| !passed(family.until, now)).count() as u64
    }

    /// Drops what is dead, once there is twice as much as the last sweep left. So its cost per token is constant.
    fn sweep(&mut self, now: Instant) {
        if self.codes.len() + self.access.len() + self.refresh.len() < self.sweep_at {
            return;
        }
        let Self { codes, families, access, refresh, .. } = self;
        families.retain(|_, family| !passed(family.until, now));
        codes.retain(|_, code| !passed(code.until, now));
        access.retain(|_, access| !passed(access.until, now) && families.contains_key(&access.family));
        refresh.retain(|_, refresh| families.contains_key(&refresh.family));
        self.sweep_at = SWEEP_FROM.max(2 * (codes.len() + access.len() + refresh.len()));
    }
}

/// The scope of a refreshed access token: as granted, or the part of it that was asked for.
fn narrowed(granted: &Arc<str>, asked: Option<&str>) -> Result<Arc<str>, Refused> {
    let Some(asked) = asked else { return Ok(granted.clone()) };
    let covered = asked.split(' ').all(|scope| granted.split(' ').any(|granted| granted == scope));
    if covered { Ok(Arc::from(asked)) } else { Err(Refused::InvalidScope) }
}

#[cfg(test)]
#[path = "grants_tests.rs"]
mod tests;
