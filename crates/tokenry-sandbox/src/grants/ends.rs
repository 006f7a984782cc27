//! How grants end, and what is left of them.

use std::{collections::BTreeMap, time::Instant};

use super::{Caller, Grants, Living, Revoked, SWEEP_FROM, passed, sooner};
use crate::{fresh::Key, journal::TokenState};

impl Grants {
    /// The token, if it is good at this moment.
    pub(crate) fn find_living(&self, now: Instant, token: Key) -> Option<Living> {
        let (family, scope, until, is_access) = if let Some(access) = self.access.get(&token) {
            (access.family, Some(&access.scope), access.until, true)
        } else {
            let refresh = self.refresh.get(&token).filter(|refresh| refresh.spent.is_none())?;
            let family = self.families.get(&refresh.family)?;
            (refresh.family, None, sooner(sooner(refresh.until, refresh.idle), family.dies), false)
        };
        let mut consent = self.families.get(&family)?.consent.clone();
        if let Some(scope) = scope {
            consent.scope = scope.clone();
        }
        let left = until.map(|until| until.saturating_duration_since(now));
        (!passed(until, now)).then_some(Living { consent, is_access, left })
    }

    /// How an access token stands.
    pub(crate) fn state_of(&self, now: Instant, token: Key) -> TokenState {
        let Some(access) = self.access.get(&token) else { return TokenState::Unknown };
        let Some(family) = self.families.get(&access.family) else { return TokenState::Ended };
        let account = family.consent.account.id.clone();
        match access.until {
            Some(until) if until <= now => {
                TokenState::Expired { account, since: now.saturating_duration_since(until) }
            }
            until => {
                let left = until.map(|until| until.saturating_duration_since(now));
                TokenState::Living { account, left }
            }
        }
    }

    /// Revokes (RFC 7009 §2.1): a refresh token takes its family with it, an access token goes alone. Quirks may say
    /// otherwise.
    pub(crate) fn revoke(&mut self, now: Instant, caller: Option<&Caller>, token: Key) -> Revoked {
        self.sweep(now);
        let (id, is_access) = match (self.access.get(&token), self.refresh.get(&token)) {
            (Some(access), _) if !passed(access.until, now) => (access.family, true),
            (_, Some(refresh)) => (refresh.family, false),
            _ => return Revoked::Unknown,
        };
        let Some(family) = self.families.get(&id) else { return Revoked::Unknown };
        if caller.is_some_and(|caller| family.consent.caller != *caller) {
            return Revoked::NotYours;
        }
        let rules = &self.rules.quirks.revoke;
        if rules.access_token_only && !is_access {
            return Revoked::WrongKind;
        }
        if rules.shared {
            let (caller, account) = (family.consent.caller.clone(), family.consent.account.id.clone());
            self.families
                .retain(|_, family| family.consent.caller != caller || family.consent.account.id != account);
            return Revoked::Family;
        }
        if is_access && !rules.access_token_only {
            self.access.remove(&token);
            return Revoked::AccessToken;
        }
        self.families.remove(&id);
        Revoked::Family
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

    /// How many grants were refreshed how often.
    pub(crate) fn by_refreshes(&self) -> &BTreeMap<u32, u64> {
        &self.by_refreshes
    }

    /// How often the grants of each account were refreshed, as far as the grants are still there.
    pub(crate) fn refreshes_by_account(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for family in self.families.values() {
            *counts.entry(family.consent.account.id.clone()).or_default() += u64::from(family.refreshes);
        }
        counts
    }

    /// Drops what is dead, once there is twice as much as the last sweep left. So its cost per token is constant.
    pub(super) fn sweep(&mut self, now: Instant) {
        if self.codes.len() + self.access.len() + self.refresh.len() < self.sweep_at {
            return;
        }
        let Self { codes, families, access, refresh, same, .. } = self;
        families.retain(|_, family| !passed(family.until, now));
        codes.retain(|_, code| !passed(code.until, now));
        access.retain(|_, access| !passed(access.until, now) && families.contains_key(&access.family));
        refresh.retain(|_, refresh| families.contains_key(&refresh.family));
        same.retain(|_, (family, _)| families.contains_key(family));
        self.sweep_at = SWEEP_FROM.max(2 * (codes.len() + access.len() + refresh.len()));
    }
}
