//! How refreshes go hour by hour, as an operator sees it: what was done, what failed, when they were held back, and what comes.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use tokenry_broker::{Claims, HourOverview, ProviderOverview};
use tokenry_model::{Clock as _, ExposeSecret as _, ProviderId, SecretString};
use tokenry_sandbox::{Fault, FaultKind};
use tokenry_testkit::app::{PASSWORD, TestApp, TestUser};
use tokenry_testkit::browser::{Browser, Page};

use crate::world::{PAST_EXPIRY, World};

/// The place of the hour that has begun.
const NOW: usize = 23;

fn done(done: i64) -> HourOverview {
    HourOverview { done, ..HourOverview::default() }
}

fn answers(code: u16, retry_after_s: Option<u64>) -> Fault {
    Fault::on_refresh(FaultKind::Status { code, retry_after_s })
}

/// A world whose clock stands at five minutes past, so that no hour ends while somebody looks at it.
async fn world() -> World {
    let world = World::start().await;
    to_five_past(&world.app);
    world
}

fn to_five_past(app: &TestApp) {
    let into = u64::try_from(app.clock.now().seconds().rem_euclid(3600)).unwrap();
    app.clock.advance(Duration::from_secs(3600 + 300 - into));
}

/// This user operates from now on.
async fn operates(app: &TestApp, user: &TestUser) -> Claims {
    let broker = app.server().broker();
    let claims = broker.read_token(user.api.token.as_deref().unwrap()).await.unwrap();
    let setup = broker.make_setup_link().await.unwrap().unwrap();
    let token = setup.url.expose_secret().rsplit('/').next().unwrap().to_owned();
    broker.claim_setup_link(&claims, &SecretString::from(token)).await.unwrap();
    claims
}

/// The overview as an operator of this name sees it who has just signed in.
async fn overview_of(app: &TestApp, name: &str) -> Page {
    let mut browser = Browser::new();
    let page = browser.get(format!("{}/sign-in?next=/operator", app.base())).await;
    let form = page.form_with("password").unwrap();
    let page = browser.submit(&form, &[("username", name), ("password", PASSWORD)]).await;
    assert_eq!((page.status, page.url.path()), (StatusCode::OK, "/operator"), "{}", page.body);
    page
}

/// What is said of the sandbox.
async fn of_sandbox(app: &TestApp, claims: &Claims) -> ProviderOverview {
    let found = app.server().broker().overview(claims).await.unwrap();
    found.providers.into_iter().find(|it| it.id == "sandbox").unwrap()
}

#[tokio::test]
async fn a_refresh_is_counted_in_the_hour_it_was_made_in_and_so_is_one_that_failed() {
    let world = world().await;
    let user = world.app.user("ada").await;
    let claims = operates(&world.app, &user).await;
    let id = world.connect(&user, "grace").await;
    world.app.clock.advance(PAST_EXPIRY);
    user.token_of(id).await;
    // The very next look, at the process that made it.
    let seen = of_sandbox(&world.app, &claims).await;
    assert_eq!((seen.hours.len(), seen.hours[NOW], seen.done, seen.failed), (24, done(1), 1, 0));

    world.app.clock.advance(PAST_EXPIRY);
    world.sandbox.inject(answers(500, None));
    user.get_token(id).await.expect_error(503, "provider_unavailable");
    let seen = of_sandbox(&world.app, &claims).await;
    assert_eq!(seen.hours[NOW], HourOverview { failed: 1, ..done(0) });
    assert_eq!(seen.hours[NOW - 2], done(1), "it went with its hour");
    assert_eq!((seen.done, seen.failed), (1, 1));

    // A day later only the last of them is left, and a week later no row.
    world.app.clock.advance(Duration::from_hours(23));
    let seen = of_sandbox(&world.app, &claims).await;
    assert_eq!((seen.hours[0], seen.done, seen.failed), (HourOverview { failed: 1, ..done(0) }, 0, 1));
    let rows = "SELECT provider, CAST(COUNT(*) AS BIGINT) FROM refresh_hours GROUP BY provider";
    assert_eq!(world.rows(rows).await, [("sandbox".to_owned(), 2)]);
    world.app.clock.advance(Duration::from_hours(7 * 24));
    world.app.server().broker().do_chores().await;
    assert!(world.rows(rows).await.is_empty());
}

#[tokio::test]
async fn what_two_servers_counted_is_one_sum_at_both() {
    let world = world().await;
    let first = world.app.config.clone();
    let other = TestApp::start_with(|config| {
        config.database_url = first.database_url;
        config.master_key = first.master_key;
        config.providers = first.providers;
    })
    .await;
    let user = world.app.user("ada").await;
    let claims = operates(&world.app, &user).await;
    let there = other.server().broker().read_token(user.api.token.as_deref().unwrap()).await.unwrap();
    let mut at_other = user.clone();
    at_other.api = other.anonymous();
    at_other.api.token.clone_from(&user.api.token);
    let ids = [world.connect(&user, "grace").await, world.connect(&user, "linus").await];
    to_five_past(&other);
    for app in [&world.app, &other] {
        app.clock.advance(PAST_EXPIRY);
    }
    user.token_of(ids[0]).await;
    at_other.token_of(ids[1]).await;
    for app in [&world.app, &other] {
        app.server().broker().do_chores().await;
    }
    let seen = [of_sandbox(&world.app, &claims).await, of_sandbox(&other, &there).await];
    assert_eq!(seen.map(|it| (it.hours[NOW], it.done)), [(done(2), 2); 2]);
}

#[tokio::test]
async fn an_hour_in_which_refreshes_were_held_back_is_marked_and_the_next_is_not() {
    let world = world().await;
    let user = world.app.user("ada").await;
    let claims = operates(&world.app, &user).await;
    let id = world.connect(&user, "grace").await;
    assert!(!of_sandbox(&world.app, &claims).await.hours[NOW].held);
    world.app.clock.advance(PAST_EXPIRY);
    world.sandbox.inject(answers(429, Some(600)));
    user.get_token(id).await.expect_error(503, "provider_unavailable");
    world.app.server().broker().do_chores().await;
    world.app.clock.advance(Duration::from_hours(1));
    user.token_of(id).await;
    world.app.server().broker().do_chores().await;
    let seen = of_sandbox(&world.app, &claims).await;
    let held = HourOverview { failed: 1, held: true, ..done(0) };
    assert_eq!((seen.hours[NOW - 1], seen.hours[NOW]), (held, done(1)));

    // A registration that is refused holds them back until it is mended, also in an hour in which nobody asks.
    let sandbox = ProviderId::parse("sandbox").unwrap();
    let app = world
        .app
        .restart_with(|config| {
            config.providers.get_mut(&sandbox).unwrap().client_secret = Some("not the secret".into());
        })
        .await;
    let claims = app.server().broker().read_token(user.api.token.as_deref().unwrap()).await.unwrap();
    app.clock.advance(PAST_EXPIRY);
    user.get_token(id).await.expect_error(502, "provider_refused");
    app.clock.advance(Duration::from_hours(1));
    let seen = of_sandbox(&app, &claims).await;
    assert_eq!(seen.hours[NOW], HourOverview { held: true, ..done(0) });
    assert_eq!((seen.hours[NOW - 3], seen.done), (done(1), 1), "a stop loses nothing");
}

#[tokio::test]
async fn what_becomes_due_is_told_by_the_hour_until_its_time_has_come() {
    let world = world().await;
    let user = world.app.user("ada").await;
    let claims = operates(&world.app, &user).await;
    world.connect(&user, "grace").await;
    user.add("mine", "github", "a pasted token is never due").await;
    let body = json!({
        "service": "sandbox", "kind": "oauth2", "name": "brought", "expires_in": 5 * 3600,
        "access_token": "an-access-token", "refresh_token": "a-refresh-token",
    });
    user.api.post(&user.path("connections"), &body).await.expect(StatusCode::CREATED);
    let coming = |seen: &ProviderOverview| -> Vec<(usize, i64)> {
        seen.coming.iter().copied().enumerate().filter(|(_, count)| *count > 0).collect()
    };
    // The one within the hour that its token lives, the other within the last of its five.
    let seen = of_sandbox(&world.app, &claims).await;
    assert_eq!((seen.due, coming(&seen)), (0, vec![(0, 1), (4, 1)]));
    world.app.clock.advance(Duration::from_hours(1));
    let seen = of_sandbox(&world.app, &claims).await;
    assert_eq!((seen.due, coming(&seen)), (1, vec![(3, 1)]));
}

#[tokio::test]
async fn the_overview_draws_a_day_behind_and_a_day_ahead_and_says_the_rest_in_words() {
    let world = world().await;
    let user = world.app.user("ada").await;
    operates(&world.app, &user).await;
    let id = world.connect(&user, "grace").await;
    let page = overview_of(&world.app, "ada").await;
    let says = |page: &Page, words: &str| {
        assert!(page.body.contains(words), "it does not say {words}: {}", page.body);
    };
    says(&page, "Refreshes were not held back in the last 24 hours. One becomes due within the next hour.");
    says(&page, r#"<path class="next" d="M126.5 28v-28h3v28z"/>"#);

    world.app.clock.advance(PAST_EXPIRY);
    world.sandbox.inject(answers(429, Some(60)));
    user.get_token(id).await.expect_error(503, "provider_unavailable");
    world.app.server().broker().do_chores().await;
    world.app.clock.advance(Duration::from_hours(1));
    user.token_of(id).await;
    let page = overview_of(&world.app, "ada").await;
    says(
        &page,
        "Refreshes were held back in one of the last 24 hours. One becomes due within the next hour.",
    );
    // The hour that has begun is the last before the line, and the strip is below the one before.
    says(&page, r#"<path class="ok" d="M115 28v-28h4v28z"/>"#);
    says(&page, r#"<path class="held" d="M110 31h5v4h-5z"/>"#);
    assert!(page.body.contains(r#"<path class="no" d="M110 27v-2h4v2z"#), "{}", page.body);
    // The policy allows no style in the page.
    assert!(!page.body.contains("style="), "{}", page.body);
}
