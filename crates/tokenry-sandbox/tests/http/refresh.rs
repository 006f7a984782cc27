use std::time::Duration;

use tokenry_sandbox::{SandboxOptions, TokenState};

use crate::fixture::{invalid_grant, options, refusal, start, start_with, tokens};

#[tokio::test]
async fn a_spent_refresh_token_that_comes_back_ends_the_family_with_all_its_access_tokens() {
    let fx = start().await;
    let first = fx.connect("ada").await;
    let second = tokens(fx.refresh(&first.refresh).await).await;
    let third = tokens(fx.refresh(&second.refresh).await).await;
    assert!(fx.accepts(&first.access).await && fx.accepts(&third.access).await);

    assert_eq!(refusal(fx.refresh(&first.refresh).await).await, invalid_grant());
    for dead in [&first.access, &second.access, &third.access] {
        assert!(!fx.accepts(dead).await);
    }
    assert_eq!(refusal(fx.refresh(&third.refresh).await).await, invalid_grant());
    let seen = fx.sandbox.seen();
    assert_eq!((seen.reuses_detected, seen.live_families), (1, 0));
    assert_eq!((seen.refreshes, seen.refresh_attempts), (2, 4));
    let reuses = fx.sandbox.reuses();
    assert_eq!((reuses.len(), reuses[0].account.as_str()), (1, "ada"));
    assert!(reuses[0].spent_at < reuses[0].at && reuses[0].spent_from.ip().is_loopback());
}

#[tokio::test]
async fn how_a_token_stands_is_told_without_asking_for_it() {
    let fx = start().await;
    let first = fx.connect("ada").await;
    let stands = |token: &str| fx.sandbox.state_of(token);
    assert!(
        matches!(stands(&first.access), TokenState::Living { account, left: Some(_) } if account == "ada")
    );
    assert_eq!(stands("sbx_at_nobody_has_it"), TokenState::Unknown);
    fx.sandbox.advance(Duration::from_hours(1));
    assert!(matches!(stands(&first.access), TokenState::Expired { account, .. } if account == "ada"));
    let second = tokens(fx.refresh(&first.refresh).await).await;
    fx.sandbox.forget_grants_of("ada");
    assert_eq!(stands(&second.access), TokenState::Ended);
    assert_eq!(fx.sandbox.seen().introspections, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_four_refreshes_at_once_one_succeeds_and_the_family_is_dead() {
    let fx = start().await;
    for round in 1..=10 {
        let token = fx.connect("ada").await.refresh;
        let at_once = (fx.refresh(&token), fx.refresh(&token), fx.refresh(&token), fx.refresh(&token));
        let (a, b, c, d) = tokio::join!(at_once.0, at_once.1, at_once.2, at_once.3);
        let (won, lost): (Vec<_>, Vec<_>) =
            [a, b, c, d].into_iter().partition(|answer| answer.status() == 200);
        assert_eq!(won.len(), 1);
        for answer in lost {
            assert_eq!(refusal(answer).await, invalid_grant());
        }
        for answer in won {
            let issued = tokens(answer).await;
            assert!(!fx.accepts(&issued.access).await);
            assert_eq!(refusal(fx.refresh(&issued.refresh).await).await, invalid_grant());
        }
        let seen = fx.sandbox.seen();
        assert_eq!((seen.reuses_detected, seen.live_families, seen.refreshes), (round, 0, round));
    }
}

#[tokio::test]
async fn without_rotation_the_refresh_token_stays_and_none_is_sent_back() {
    let fx = start_with(SandboxOptions { rotate: false, ..options() }).await;
    let issued = fx.connect("ada").await;
    for _ in 0..3 {
        let again = tokens(fx.refresh(&issued.refresh).await).await;
        assert!(again.refresh.is_empty() && fx.accepts(&again.access).await);
    }
    assert_eq!(fx.sandbox.seen().reuses_detected, 0);
}

#[tokio::test]
async fn a_refresh_token_can_be_too_old() {
    let fx = start_with(SandboxOptions { refresh_ttl: Some(Duration::ZERO), ..options() }).await;
    let issued = fx.connect("ada").await;
    assert_eq!(refusal(fx.refresh(&issued.refresh).await).await, invalid_grant());
    assert_eq!(fx.sandbox.seen().reuses_detected, 0);
}

#[tokio::test]
async fn when_the_person_removes_the_app_every_refresh_is_an_invalid_grant() {
    let fx = start().await;
    let (ada, grace) = (fx.connect("ada").await, fx.connect("grace").await);
    let waiting = fx.allow("ada").await;
    assert_eq!(fx.sandbox.forget_grants_of("ada"), 1);
    assert_eq!(refusal(fx.refresh(&ada.refresh).await).await, invalid_grant());
    assert_eq!(refusal(fx.exchange(&waiting).await).await, invalid_grant());
    assert!(!fx.accepts(&ada.access).await);
    assert_eq!(fx.refresh(&grace.refresh).await.status(), 200);
    assert!(!fx.connect("ada").await.refresh.is_empty(), "she may come back");
}
