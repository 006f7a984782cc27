//! The rules of tokens: codes, families of tokens, rotation, reuse. No I/O; the time and the new tokens are arguments.
//!
//! One consent is one *family*. Every token points at its family, and a token whose family is gone is dead. So ending
//! a family is one removal, and the tokens that point at it are swept up later.

mod ends;
#[cfg(test)]
mod tests;
mod types;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use self::types::{Access, Code, Family, Refresh, Spent, Until, later, passed, sooner};
pub(crate) use self::types::{Caller, Consent, Issued, Living, NewCode, Redemption, Renewal, Revoked, Rules};
use secrecy::ExposeSecret as _;

use crate::{
    fresh::{Fresh, Key, verifier_matches},
    quirks::{Quirks, Reuse, RotationMode},
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

const GONE: Refused = Refused::InvalidGrant("the refresh token is unknown, revoked or expired");
const TOO_YOUNG: Refused = Refused::InvalidRequest("the access token is too young to be refreshed");

/// Everything that was granted and lives.
pub(crate) struct Grants {
    pub(crate) rules: Rules,
    codes: HashMap<Key, Code>,
    families: HashMap<u64, Family>,
    access: HashMap<Key, Access>,
    refresh: HashMap<Key, Refresh>,
    /// The answer that every connection of an account gets, where that is so.
    same: HashMap<(Caller, String), (u64, Issued)>,
    /// How many grants were refreshed how often, the ended ones included.
    by_refreshes: BTreeMap<u32, u64>,
    next_family: u64,
    sweep_at: usize,
}

/// How the tokens of one answer are issued.
#[derive(Clone, Copy)]
struct Manner {
    with_refresh: bool,
    is_short: bool,
}

impl Grants {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            codes: HashMap::new(),
            families: HashMap::new(),
            access: HashMap::new(),
            refresh: HashMap::new(),
            same: HashMap::new(),
            by_refreshes: BTreeMap::new(),
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
        if code.new.consent.caller != *by.caller {
            return Err(Refused::InvalidGrant("the code is another client's"));
        }
        if let Some(family) = code.family {
            self.families.remove(&family);
            return Err(Refused::InvalidGrant("the code was used before; its tokens are revoked"));
        }
        let Some(Code { new, .. }) = self.codes.remove(&by.code) else {
            return Err(Refused::ServerError);
        };
        let sends_redirect = !self.rules.quirks.token.drop.iter().any(|name| name == "redirect_uri");
        if sends_redirect && by.redirect_uri != Some(&new.redirect_uri) {
            return Err(Refused::InvalidGrant("redirect_uri is not the one of the authorization request"));
        }
        match (&new.challenge, by.verifier) {
            (None, None) => {}
            (Some(challenge), Some(verifier)) if verifier_matches(verifier, challenge) => {}
            // A verifier without a challenge is a PKCE downgrade (RFC 9700 §4.8.2).
            _ => return Err(Refused::InvalidGrant("code_verifier does not match code_challenge")),
        }
        let (id, issued) = self.open(now, new.consent.clone(), fresh)?;
        let until = now.checked_add(USED_CODE_KEPT);
        self.codes.insert(by.code, Code { new, until, family: Some(id) });
        Ok(issued)
    }

    /// Begins a family: somebody consented, and the client has proven that it is the one.
    pub(crate) fn open(
        &mut self,
        now: Instant,
        consent: Consent,
        mut fresh: Fresh,
    ) -> Result<(u64, Issued), Refused> {
        self.sweep(now);
        let shares = self.rules.quirks.identity.same_access_token;
        let who = (consent.caller.clone(), consent.account.id.clone());
        if shares
            && let Some((id, issued)) = self.same.get(&who)
            && self.find_living(now, Key::of(issued.access.expose_secret())).is_some()
        {
            return Ok((*id, issued.clone()));
        }
        let id = self.next_family;
        self.next_family += 1;
        let quirks = Arc::clone(&self.rules.quirks);
        let dies = quirks.rotation.absolute_ttl_s.and_then(|s| now.checked_add(Duration::from_secs(s)));
        let manner = Manner { with_refresh: consent.refreshable, is_short: quirks.refresh.upgrade.is_some() };
        let (scope, second) = (consent.scope.clone(), consent.second_scope.clone());
        let family =
            Family { consent, spent: VecDeque::new(), until: Some(now), dies, issued_at: now, refreshes: 0 };
        self.families.insert(id, family);
        *self.by_refreshes.entry(0).or_default() += 1;
        let second = second.map(|scope| {
            let token = std::mem::replace(&mut fresh.second.text, String::new().into());
            let until = now.checked_add(self.rules.access_ttl);
            let access = Access { family: id, scope: scope.clone(), until, is_short: false };
            self.access.insert(fresh.second.key, access);
            (token, scope)
        });
        let mut issued = self.issue(now, id, scope, fresh, manner)?;
        issued.second = second;
        if shares {
            self.same.insert(who, (id, issued.clone()));
        }
        Ok((id, issued))
    }

    /// Refreshes (RFC 6749 §6). `scope` may ask for less than was granted.
    pub(crate) fn refresh(
        &mut self,
        now: Instant,
        caller: Option<&Caller>,
        token: Key,
        scope: Option<&str>,
        fresh: Fresh,
    ) -> Result<Issued, Refused> {
        self.sweep(now);
        let quirks = Arc::clone(&self.rules.quirks);
        let known = self.refresh.get_mut(&token);
        let known = known.and_then(|refresh| Some((self.families.get_mut(&refresh.family)?, refresh)));
        let Some((family, refresh)) = known else { return Err(GONE) };
        if caller.is_some_and(|caller| family.consent.caller != *caller) {
            return Err(Refused::InvalidGrant("the refresh token is another client's"));
        }
        let id = refresh.family;
        if let Some(spent) = &refresh.spent {
            let grace = Duration::from_secs(quirks.rotation.grace_s);
            if let Some(answer) = &spent.answer
                && now.saturating_duration_since(spent.at) < grace
            {
                return Ok(Issued { again: true, ..(**answer).clone() });
            }
            if quirks.rotation.reuse == Reuse::EndsGrant {
                self.families.remove(&id);
            }
            return Err(Refused::Reuse);
        }
        if passed(refresh.until, now) || passed(refresh.idle, now) || passed(family.dies, now) {
            return Err(GONE);
        }
        if now.saturating_duration_since(family.issued_at) < Duration::from_secs(quirks.refresh.min_age_s) {
            return Err(TOO_YOUNG);
        }
        let scope = narrowed(&family.consent.scope, scope)?;
        let rotates = match quirks.rotation.mode {
            None => self.rules.rotate,
            Some(RotationMode::Keep) => false,
            Some(RotationMode::Always) => true,
            Some(RotationMode::Optional) => family.refreshes % 2 == 1,
        };
        if rotates {
            refresh.spent = Some(Spent { at: now, answer: None });
            family.spent.push_back(token);
            if family.spent.len() > SPENT_KEPT
                && let Some(oldest) = family.spent.pop_front()
            {
                self.refresh.remove(&oldest);
            }
        } else {
            refresh.idle = idle_end(&quirks, now);
            family.until = later(family.until, sooner(sooner(refresh.until, refresh.idle), family.dies));
        }
        self.count_refresh(id);
        let manner = Manner { with_refresh: rotates, is_short: false };
        let issued = self.issue(now, id, scope, fresh, manner)?;
        if quirks.rotation.grace_s > 0
            && let Some(spent) = self.refresh.get_mut(&token).and_then(|refresh| refresh.spent.as_mut())
        {
            spent.answer = Some(Box::new(issued.clone()));
        }
        Ok(issued)
    }

    /// Gives a new access token for one that still lives; the old one lives on until its own end.
    pub(crate) fn renew(
        &mut self,
        now: Instant,
        caller: Option<&Caller>,
        token: Key,
        renewal: Renewal,
        fresh: Fresh,
    ) -> Result<Issued, Refused> {
        self.sweep(now);
        let known = self.access.get(&token).filter(|access| !passed(access.until, now));
        let known = known.and_then(|access| Some((access, self.families.get(&access.family)?)));
        let Some((access, family)) = known.filter(|(_, family)| !passed(family.dies, now)) else {
            return Err(Refused::InvalidGrant("the access token is unknown, revoked or expired"));
        };
        if caller.is_some_and(|caller| family.consent.caller != *caller) {
            return Err(Refused::InvalidGrant("the access token is another client's"));
        }
        let (id, scope) = (access.family, access.scope.clone());
        if access.is_short != (renewal == Renewal::Upgrade) {
            return Err(Refused::InvalidGrant(
                "a short-lived access token is upgraded, a long-lived one refreshed",
            ));
        }
        if renewal == Renewal::Refresh {
            let min_age = Duration::from_secs(self.rules.quirks.refresh.min_age_s);
            if now.saturating_duration_since(family.issued_at) < min_age {
                return Err(TOO_YOUNG);
            }
            self.count_refresh(id);
        }
        self.issue(now, id, scope, fresh, Manner { with_refresh: false, is_short: false })
    }

    fn count_refresh(&mut self, id: u64) {
        let Some(family) = self.families.get_mut(&id) else { return };
        if let Some(before) = self.by_refreshes.get_mut(&family.refreshes) {
            *before -= 1;
            if *before == 0 {
                self.by_refreshes.remove(&family.refreshes);
            }
        }
        family.refreshes = family.refreshes.saturating_add(1);
        *self.by_refreshes.entry(family.refreshes).or_default() += 1;
    }

    fn issue(
        &mut self,
        now: Instant,
        id: u64,
        scope: Arc<str>,
        fresh: Fresh,
        manner: Manner,
    ) -> Result<Issued, Refused> {
        let quirks = &self.rules.quirks;
        let family = self.families.get_mut(&id).ok_or(Refused::ServerError)?;
        let short = quirks.refresh.upgrade.as_ref().filter(|_| manner.is_short);
        let ttl = short.map_or(self.rules.access_ttl, |upgrade| Duration::from_secs(upgrade.first_ttl_s));
        let until = now.checked_add(ttl);
        let access = Access { family: id, scope: scope.clone(), until, is_short: manner.is_short };
        self.access.insert(fresh.access.key, access);
        family.issued_at = now;
        family.until = later(family.until, until);
        let mut refresh_ends = None;
        if manner.with_refresh {
            let until = self.rules.refresh_ttl.and_then(|ttl| now.checked_add(ttl));
            let idle = idle_end(quirks, now);
            refresh_ends = sooner(sooner(until, idle), family.dies);
            family.until = later(family.until, refresh_ends);
            self.refresh.insert(fresh.refresh.key, Refresh { family: id, spent: None, until, idle });
        }
        Ok(Issued {
            access: fresh.access.text,
            expires_in: ttl.as_secs(),
            refresh: manner.with_refresh.then_some(fresh.refresh.text),
            refresh_expires_in: refresh_ends.map(|end| end.saturating_duration_since(now).as_secs()),
            scope,
            second: None,
            account: family.consent.account.clone(),
            again: false,
        })
    }
}

fn idle_end(quirks: &Quirks, now: Instant) -> Until {
    quirks.rotation.idle_ttl_s.and_then(|s| now.checked_add(Duration::from_secs(s)))
}

/// The scope of a refreshed access token: as granted, or the part of it that was asked for.
fn narrowed(granted: &Arc<str>, asked: Option<&str>) -> Result<Arc<str>, Refused> {
    let Some(asked) = asked else { return Ok(granted.clone()) };
    let covered = asked.split(' ').all(|scope| granted.split(' ').any(|granted| granted == scope));
    if covered { Ok(Arc::from(asked)) } else { Err(Refused::InvalidScope) }
}
