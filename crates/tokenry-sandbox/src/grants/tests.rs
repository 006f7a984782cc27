use secrecy::ExposeSecret as _;

use super::*;
use crate::{fresh::Token, options::Account};

const SECOND: Duration = Duration::from_secs(1);

fn rules() -> Rules {
    Rules {
        access_ttl: 30 * SECOND,
        refresh_ttl: None,
        code_ttl: 60 * SECOND,
        rotate: true,
        quirks: Arc::default(),
    }
}

fn caller(client: &str) -> Caller {
    Caller { client: Arc::from(client), tenant: None }
}

fn consent() -> Consent {
    let account =
        Account { id: "ada".to_owned(), name: "Ada".to_owned(), email: "ada@example.org".to_owned() };
    Consent {
        caller: caller("app"),
        account: Arc::new(account),
        scope: Arc::from("read write"),
        second_scope: None,
        refreshable: true,
    }
}

fn code_for(grants: &mut Grants, now: Instant) -> Key {
    let key = Token::code().unwrap().key;
    let new = NewCode {
        consent: consent(),
        redirect_uri: "https://app.example.org/cb".to_owned(),
        challenge: None,
    };
    grants.add_code(now, key, new);
    key
}

fn redeem(grants: &mut Grants, now: Instant, code: Key) -> Result<Issued, Refused> {
    let redirect_uri = Some("https://app.example.org/cb");
    grants.redeem(
        now,
        &Redemption { caller: &caller("app"), code, redirect_uri, verifier: None },
        Fresh::new().unwrap(),
    )
}

fn grant(grants: &mut Grants, now: Instant) -> Issued {
    let code = code_for(grants, now);
    redeem(grants, now, code).unwrap()
}

fn access_of(issued: &Issued) -> Key {
    Key::of(issued.access.expose_secret())
}

fn refresh_of(issued: &Issued) -> Key {
    Key::of(issued.refresh.as_ref().unwrap().expose_secret())
}

fn refresh(grants: &mut Grants, now: Instant, token: Key) -> Result<Issued, Refused> {
    grants.refresh(now, Some(&caller("app")), token, None, Fresh::new().unwrap())
}

#[test]
fn an_old_access_token_survives_a_refresh_until_its_own_expiry() {
    let (mut grants, now) = (Grants::new(rules()), Instant::now());
    let first = grant(&mut grants, now);
    let second = refresh(&mut grants, now + 20 * SECOND, refresh_of(&first)).unwrap();
    assert!(grants.find_living(now + 29 * SECOND, access_of(&first)).is_some());
    assert!(grants.find_living(now + 30 * SECOND, access_of(&first)).is_none());
    assert!(grants.find_living(now + 49 * SECOND, access_of(&second)).is_some());
}

#[test]
fn a_code_is_good_until_its_time_is_over() {
    let (mut grants, now) = (Grants::new(rules()), Instant::now());
    let code = code_for(&mut grants, now);
    assert!(redeem(&mut grants, now + 60 * SECOND, code).is_err());
    let code = code_for(&mut grants, now);
    assert!(redeem(&mut grants, now + 59 * SECOND, code).is_ok());
}

#[test]
fn a_code_of_another_client_is_refused_and_stays_good_for_its_own() {
    let (mut grants, now) = (Grants::new(rules()), Instant::now());
    let code = code_for(&mut grants, now);
    let theirs = Redemption { caller: &caller("other"), code, redirect_uri: None, verifier: None };
    assert!(grants.redeem(now, &theirs, Fresh::new().unwrap()).is_err());
    assert!(redeem(&mut grants, now, code).is_ok());
}

#[test]
fn a_refresh_token_dies_at_its_ttl_and_each_rotation_starts_it_anew() {
    let mut grants = Grants::new(Rules { refresh_ttl: Some(100 * SECOND), ..rules() });
    let now = Instant::now();
    let first = grant(&mut grants, now);
    let second = refresh(&mut grants, now + 90 * SECOND, refresh_of(&first)).unwrap();
    assert_eq!(grants.live_families(now + 189 * SECOND), 1);
    assert_eq!(grants.live_families(now + 190 * SECOND), 0);
    let late = refresh(&mut grants, now + 190 * SECOND, refresh_of(&second)).err();
    assert!(matches!(late, Some(Refused::InvalidGrant(_))), "{late:?}");
}

#[test]
fn a_refresh_token_of_another_client_is_refused_and_not_spent() {
    let (mut grants, now) = (Grants::new(rules()), Instant::now());
    let issued = grant(&mut grants, now);
    assert!(
        grants
            .refresh(now, Some(&caller("other")), refresh_of(&issued), None, Fresh::new().unwrap())
            .is_err()
    );
    assert!(refresh(&mut grants, now, refresh_of(&issued)).is_ok());
}

#[test]
fn a_refresh_may_narrow_the_scope_and_never_widen_it() {
    let (mut grants, now) = (Grants::new(rules()), Instant::now());
    let issued = grant(&mut grants, now);
    let wide = grants.refresh(
        now,
        Some(&caller("app")),
        refresh_of(&issued),
        Some("read admin"),
        Fresh::new().unwrap(),
    );
    assert_eq!(wide.err(), Some(Refused::InvalidScope));
    let narrow = grants
        .refresh(now, Some(&caller("app")), refresh_of(&issued), Some("read"), Fresh::new().unwrap())
        .unwrap();
    assert_eq!(&*narrow.scope, "read");
    assert_eq!(&*grants.find_living(now, access_of(&narrow)).unwrap().consent.scope, "read");
    // The grant itself stays as wide as it was.
    assert_eq!(&*refresh(&mut grants, now, refresh_of(&narrow)).unwrap().scope, "read write");
}

#[test]
fn revoking_a_token_of_another_client_changes_nothing() {
    let (mut grants, now) = (Grants::new(rules()), Instant::now());
    let issued = grant(&mut grants, now);
    assert_eq!(grants.revoke(now, Some(&caller("other")), refresh_of(&issued)), Revoked::NotYours);
    assert_eq!(grants.revoke(now, Some(&caller("other")), access_of(&issued)), Revoked::NotYours);
    assert!(refresh(&mut grants, now, refresh_of(&issued)).is_ok());
}

#[test]
fn memory_stays_bounded_over_a_hundred_thousand_refreshes() {
    let (mut grants, start) = (Grants::new(rules()), Instant::now());
    let mut token = refresh_of(&grant(&mut grants, start));
    let mut largest = 0;
    for i in 0..100_000 {
        // A hundred refreshes a second, so 3000 access tokens live at any moment.
        let issued = refresh(&mut grants, start + 10 * i * Duration::from_millis(1), token).unwrap();
        token = refresh_of(&issued);
        largest = largest.max(grants.access.len() + grants.refresh.len());
    }
    assert!(largest <= 3 * SWEEP_FROM, "{largest}");
    assert!(grants.refresh.len() <= SPENT_KEPT + 1);
}

#[test]
fn what_is_swept_is_dead_and_what_lives_stays() {
    let (mut grants, now) =
        (Grants::new(Rules { refresh_ttl: Some(50 * SECOND), ..rules() }), Instant::now());
    for _ in 0..SWEEP_FROM {
        grant(&mut grants, now);
    }
    let alive = grant(&mut grants, now + 40 * SECOND);
    grants.sweep_at = 0;
    let then = now + 55 * SECOND;
    assert!(refresh(&mut grants, then, refresh_of(&alive)).is_ok());
    assert!(grants.find_living(then, access_of(&alive)).is_some());
    assert_eq!(grants.families.len(), 1);
    assert_eq!(grants.refresh.len(), 2);
}
