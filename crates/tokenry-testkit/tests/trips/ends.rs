//! The end of a grant is in sight before it comes, and a refresh token that would die of idleness does not.

use std::fs;
use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokenry_oauth::ProviderSettings;
use tokenry_testkit::app::{PASSWORD, TestApp, TestUser, providers, sandbox_settings, start_sandbox};

use crate::world::{ACCESS_TTL, World, eventually};

const DAY: Duration = Duration::from_hours(24);

/// A world whose sandbox is known by a provider file that says this of its refresh tokens.
async fn world_where(rotation: &str) -> World {
    let sandbox = start_sandbox(ACCESS_TTL).await;
    let file = format!(
        "id = \"sandbox\"\nname = \"Sandbox\"\nissuer = \"{}\"\n[scope]\ndefault = [\"openid\"]\n[rotation]\n{rotation}\n",
        sandbox.base_url()
    );
    let settings = ProviderSettings { issuer: None, ..sandbox_settings(&sandbox) };
    let app = TestApp::start_with(|config| {
        let files = config.data_dir.join("providers");
        fs::create_dir_all(&files).unwrap();
        fs::write(files.join("sandbox.toml"), file).unwrap();
        config.providers_dir = files;
        config.providers = providers(vec![("sandbox", settings)]);
        config.refresh_ahead = true;
    })
    .await;
    World { app, sandbox }
}

/// The same person, days later.
async fn again(user: &TestUser) -> TestUser {
    let mut user = user.clone();
    user.api.token = Some(user.api.log_in(&user.name, PASSWORD).await);
    user
}

fn time_of(detail: &Value, member: &str) -> OffsetDateTime {
    OffsetDateTime::parse(detail[member].as_str().unwrap_or_else(|| panic!("{member}: {detail}")), &Rfc3339)
        .unwrap()
}

#[tokio::test]
async fn a_grant_that_ends_half_a_year_after_consent_says_so_and_warns_ahead() {
    let world = world_where("mode = \"always\"\nabsolute_ttl_s = 15552000").await;
    let user = world.app.user("ada").await;
    let id = world.connect(&user, "grace").await;
    let detail = user.detail(id).await;
    assert_eq!((&detail["state"], &detail["reason"]), (&"ok".into(), &Value::Null), "{detail}");
    let (connected, ends) = (time_of(&detail, "connected_at"), time_of(&detail, "reconnect_by"));
    // The row is written a moment after the tokens came.
    let is_about = |at: OffsetDateTime| (at - ends).abs() < time::Duration::SECOND;
    assert!(is_about(connected + time::Duration::days(180)), "{detail}");

    // Refreshing does not put it off.
    world.app.clock.advance(170 * DAY);
    let user = again(&user).await;
    user.token_of(id).await;
    assert_eq!(world.seen().refreshes, 1);
    let detail = user.detail(id).await;
    assert!(is_about(time_of(&detail, "reconnect_by")), "{detail}");
    assert_eq!(detail["state"], "expiring", "{detail}");
    assert!(detail["reason"].as_str().is_some_and(|reason| reason.contains("connect")), "{detail}");
    let ending = r#"tokenry_connections_ending{provider="sandbox"} 1"#;
    eventually("the metrics say so", async || {
        world.app.anonymous().get("/metrics").await.body.lines().any(|line| line == ending)
    })
    .await;

    // Consenting again does, and it is the same connection.
    assert_eq!(world.connect(&user, "grace").await, id);
    let detail = user.detail(id).await;
    assert_eq!(detail["state"], "ok", "{detail}");
    assert!(time_of(&detail, "reconnect_by") > ends + time::Duration::days(160));
}

#[tokio::test]
async fn a_refresh_token_that_nobody_uses_is_used_before_it_dies_of_that() {
    let world = world_where("mode = \"always\"\nidle_ttl_s = 864000").await;
    let user = world.app.user("ada").await;
    let id = world.connect(&user, "grace").await;
    let first = time_of(&user.detail(id).await, "reconnect_by");
    // Nobody has read it for more than a week: its access token is left to die.
    world.app.clock.advance(7 * DAY + ACCESS_TTL * 2);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(world.seen().refresh_attempts, 0);
    world.app.clock.advance(2 * DAY);
    eventually("it is used in time", async || world.seen().refreshes == 1).await;
    let user = again(&user).await;
    eventually("the end moves", async || time_of(&user.detail(id).await, "reconnect_by") > first).await;
    assert_eq!(user.detail(id).await["state"], "ok");
    assert_eq!(world.seen().refresh_attempts, 1);
}
