//! What a person does with connections that are there: find, rename, take back, delete, and change their mind.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use tokenry_broker::UNDO_FOR;
use tokenry_sandbox::{Endpoint, Fault, FaultKind};
use tokenry_testkit::app::TestUser;

use crate::visitor::{Visitor, says};
use crate::world::{PAST_EXPIRY, World, eventually};

/// Longer than a delete can be taken back.
const PAST_UNDO: Duration = Duration::from_secs(UNDO_FOR.as_secs() + 1);

async fn is_gone(user: &TestUser, id: i64) {
    user.get_token(id).await.expect_error(404, "no_such_connection");
    let detail = user.api.get(&user.path(&format!("connections/{id}"))).await;
    detail.expect_error(404, "no_such_connection");
    assert!(user.list().await.iter().all(|each| each["ID"] != id));
}

#[tokio::test]
async fn a_delete_is_out_of_service_at_once_can_be_undone_and_is_carried_out_when_nobody_does() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let id = world.connect(&user, "grace").await;
    let mut ada = Visitor::sign_in(&world.app, "ada").await;
    let page = ada.get(&format!("/connections/{id}")).await;
    says(&page, &["Delete this connection", "Sandbox is told to end the access"]);

    let page = ada.act(id, "delete", &[]).await;
    assert_eq!(page.url.path(), "/connections");
    says(&page, &["Being deleted:", "Undo", "Nothing is connected yet"]);
    is_gone(&user, id).await;
    assert_eq!((world.seen().live_families, world.seen().revocations), (1, 0));
    // Whoever presses twice has pressed once.
    says(&ada.get(&format!("/connections/{id}")).await, &["Being deleted", "Keep it"]);

    let page = ada.send(&page, &format!("/connections/{id}/undo"), &[]).await;
    says(&page, &["It is kept. Nothing was deleted.", "Delete was taken back", "Delete was asked for"]);
    world.app.clock.advance(PAST_EXPIRY);
    user.token_of(id).await;
    assert_eq!(world.seen().live_families, 1);

    let mut ada = Visitor::sign_in(&world.app, "ada").await;
    ada.act(id, "delete", &[]).await;
    let waiting = ada.get("/connections").await;
    world.app.clock.advance(PAST_UNDO);
    eventually("the delete is carried out, and the provider told", async || world.seen().revocations == 1)
        .await;
    assert_eq!(world.seen().live_families, 0);
    is_gone(&user, id).await;
    // Too late.
    let page = ada.send(&waiting, &format!("/connections/{id}/undo"), &[]).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    says(&page, &["There is nothing to undo"]);
    assert_eq!(ada.get(&format!("/connections/{id}")).await.status, StatusCode::NOT_FOUND);
    let log = user.api.get(&user.path("audit")).await.expect(StatusCode::OK).json().to_string();
    assert_eq!(log.matches("\"connection.delete\"").count(), 1, "{log}");
    assert_eq!(log.matches("\"connection.delete_later\"").count(), 2, "{log}");
    assert_eq!(log.matches("\"connection.delete_undo\"").count(), 2, "{log}");
}

#[tokio::test]
async fn a_delete_is_carried_out_by_whoever_serves_next_and_a_provider_that_is_away_hears_of_it_later() {
    let mut world = World::start().await;
    let user = world.app.user("ada").await;
    let id = world.connect(&user, "grace").await;
    let mut ada = Visitor::sign_in(&world.app, "ada").await;
    ada.act(id, "delete", &[]).await;
    let away = FaultKind::Status { code: 503, retry_after_s: None };
    world.sandbox.inject(Fault::once(Endpoint::Revoke, away));
    let clock = std::sync::Arc::clone(&world.app.clock);
    world.app.stop().await;
    clock.advance(PAST_UNDO);
    let app = world.app.restart_with(|_| {}).await;
    let seen = || world.sandbox.seen();
    eventually("the provider is asked", async || {
        seen().events.iter().any(|event| event.endpoint == "revoke")
    })
    .await;
    assert_eq!(seen().live_families, 1);
    is_gone(&user, id).await;
    app.clock.advance(Duration::from_secs(31));
    eventually("the provider is told", async || seen().live_families == 0).await;
}

#[tokio::test]
async fn an_account_that_is_connected_again_while_its_delete_waits_is_not_deleted() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let id = world.connect(&user, "grace").await;
    let mut ada = Visitor::sign_in(&world.app, "ada").await;
    ada.act(id, "delete", &[]).await;
    assert_eq!(world.connect(&user, "grace").await, id);
    world.app.clock.advance(PAST_UNDO);
    let page = ada.get("/connections").await;
    assert!(!page.body.contains("Being deleted"), "{}", page.body);
    // Long enough for the background to have looked.
    tokio::time::sleep(Duration::from_secs(6)).await;
    user.token_of(id).await;
    assert_eq!(world.seen().revocations, 0);
}

#[tokio::test]
async fn the_delete_of_a_program_is_carried_out_at_once() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let id = world.connect(&user, "grace").await;
    let answer = user.api.delete(&user.path(&format!("connection/delete/{id}"))).await;
    answer.expect(StatusCode::OK);
    assert_eq!(world.seen().live_families, 0);
    let mut ada = Visitor::sign_in(&world.app, "ada").await;
    assert!(!ada.get("/connections").await.body.contains("Being deleted"));
    assert_eq!(ada.get(&format!("/connections/{id}")).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_connection_is_renamed_where_it_stands_and_a_name_that_cannot_be_is_refused() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let id = user.add("old", "github", "pasted").await;
    let mut ada = Visitor::sign_in(&world.app, "ada").await;
    let page = ada.act(id, "rename", &[("name", " work & play ")]).await;
    says(&page, &["It has its new name.", "work &#38; play"]);
    assert_eq!(user.detail(id).await["name"], "work & play");
    let page = ada.act(id, "rename", &[("name", &"x".repeat(300))]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    says(&page, &["role=\"alert\"", "work &#38; play"]);
    assert_eq!(user.detail(id).await["name"], "work & play");
    // From the list one comes back to the part of it that was shown, and a name that cannot be had is said there.
    let from = [("from", "list"), ("q", "work"), ("state", "ok")];
    let page = ada.act(id, "rename", &[&from[..], &[("name", "home & play")]].concat()).await;
    assert_eq!(page.url.query(), Some("done=renamed&q=work&state=ok"));
    assert_eq!(user.detail(id).await["name"], "home & play");
    let long = "y".repeat(300);
    let page = ada.act(id, "rename", &[("from", "list"), ("name", &long)]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    says(&page, &["My connections", "<details class=\"rename\" open>", &long, "at most 255 characters"]);
    assert_eq!(user.detail(id).await["name"], "home & play");
    let page = ada.act(id, "rename", &[("name", "")]).await;
    says(&page, &["<bdi translate=\"no\">GitHub</bdi>"]);
}

#[tokio::test]
async fn access_that_is_taken_back_leaves_the_connection_and_comes_back_with_it() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let id = world.connect(&user, "grace").await;
    let mut ada = Visitor::sign_in(&world.app, "ada").await;
    let page = ada.act(id, "revoke", &[]).await;
    says(&page, &["The access was taken back.", "Taken back", "Connect again"]);
    assert_eq!(world.seen().live_families, 0);
    user.get_token(id).await.expect_error(409, "reconnect_required");
    says(&ada.get("/connections").await, &["Taken back", "Connect again"]);
    let page = ada.act(id, "reconnect", &[]).await;
    let page = ada.consent(&page, "grace").await;
    says(&page, &["Renewed"]);
    user.token_of(id).await;
    says(&ada.get(&format!("/connections/{id}")).await, &["In order"]);
}

#[tokio::test]
async fn what_the_provider_ended_says_so_and_is_connected_again_from_the_list() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let id = world.connect(&user, "grace").await;
    world.sandbox.forget_grants_of("grace");
    world.app.clock.advance(PAST_EXPIRY);
    user.get_token(id).await.expect_error(409, "reconnect_required");
    let mut ada = Visitor::sign_in(&world.app, "ada").await;
    let list = ada.get("/connections").await;
    says(&list, &["badge bad\">Connect again"]);
    says(&ada.get(&format!("/connections/{id}")).await, &["note bad\">", "connect"]);
    let page = ada.send(&list, &format!("/connections/{id}/reconnect"), &[]).await;
    ada.consent(&page, "grace").await;
    user.token_of(id).await;
}

#[tokio::test]
async fn somebody_elses_connection_is_not_there_on_any_page_and_nothing_happens_to_it() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let id = world.connect(&user, "grace").await;
    world.app.user("eve").await;
    let mut eve = Visitor::sign_in(&world.app, "eve").await;
    let missing = eve.get("/connections/999999").await;
    let page = eve.get(&format!("/connections/{id}")).await;
    let plain = |page: &tokenry_testkit::browser::Page| {
        let (before, rest) = page.body.split_once("form_token\" value=\"").unwrap();
        format!("{before}{}", &rest[43..])
    };
    assert_eq!((page.status, plain(&page)), (StatusCode::NOT_FOUND, plain(&missing)));
    let mine = world.app.user("mallory").await.add("x", "github", "t").await;
    let mut mallory = Visitor::sign_in(&world.app, "mallory").await;
    let own = mallory.get(&format!("/connections/{mine}")).await;
    for verb in ["rename", "reconnect", "revoke", "delete", "undo"] {
        // A good form of one's own, sent to the connection of somebody else.
        let mut form = own.forms().into_iter().find(|form| form.action.path().ends_with("/rename")).unwrap();
        form.action.set_path(&format!("/connections/{id}/{verb}"));
        let page = mallory.browser.submit(&form, &[("name", "taken")]).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{verb}: {}", page.body);
    }
    for odd in ["0", "-1", "x", "99999999999999999999", "1%2F2"] {
        assert_eq!(mallory.get(&format!("/connections/{odd}")).await.status, StatusCode::NOT_FOUND, "{odd}");
    }
    let detail = user.detail(id).await;
    assert_eq!((&detail["state"], &detail["name"]), (&json!("ok"), &json!("sandbox (grace)")));
    user.token_of(id).await;
}

#[tokio::test]
async fn a_long_list_is_searched_narrowed_down_and_turned_over() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    for number in 0..60 {
        user.add(&format!("number {number:02}"), if number % 2 == 0 { "github" } else { "spotify" }, "t")
            .await;
    }
    let mut ada = Visitor::sign_in(&world.app, "ada").await;
    let rows = |page: &tokenry_testkit::browser::Page| page.body.matches("class=\"row\"").count();
    let mut page = ada.get("/connections").await;
    let mut seen = 0;
    for expected in [25, 25, 10] {
        assert_eq!(rows(&page), expected, "{}", page.url);
        seen += expected;
        let leads_on = |link: &url::Url| {
            link.fragment().is_none() && link.query().is_some_and(|query| query.contains("after="))
        };
        let next = page.links().into_iter().find(leads_on);
        let Some(next) = next else { break };
        page = ada.browser.follow(&page, &next).await;
    }
    assert_eq!(seen, 60);
    assert_eq!(rows(&ada.get("/connections?q=number+07").await), 1);
    assert_eq!(rows(&ada.get("/connections?q=SPOTIFY&after=0").await), 25);
    assert_eq!(rows(&ada.get("/connections?state=ok").await), 25);
    let none = ada.get("/connections?q=zzz").await;
    says(&none, &["No connection fits", "Show all of them", "value=\"zzz\""]);
    says(&ada.get("/connections?state=revoked").await, &["No connection fits"]);
    // What nobody of ours would write is no error.
    assert_eq!(rows(&ada.get("/connections?after=x&state=%00&q=").await), 25);
}

#[tokio::test]
async fn the_first_paint_of_a_long_list_is_small() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let popular = include_str!("../../../tokenry-web/assets/popular.txt");
    // The largest logos that there are come first.
    let heavy = ["shikimori", "bungie", "jenkins", "mailchimp", "mercado-pago", "igdb", "imgur"];
    for service in heavy.into_iter().chain(popular.lines()).take(30) {
        user.add(&format!("my own connection to {service}"), service, "t").await;
    }
    let mut ada = Visitor::sign_in(&world.app, "ada").await;
    let page = ada.get("/connections").await;
    assert_eq!(page.body.matches("class=\"row\"").count(), 25);
    let mut bytes = page.body.len();
    for part in page.body.split('"').filter(|part| part.contains("/assets/")) {
        let asset = ada.get(part).await;
        assert_eq!(asset.status, StatusCode::OK, "{part}");
        bytes += asset.body.len();
    }
    assert!(bytes < 100_000, "the first paint is {bytes} bytes");
}

#[tokio::test]
async fn no_token_is_on_any_page() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let pasted = user.add("mine", "github", "marker-of-a-pasted-token").await;
    let granted = world.connect(&user, "grace").await;
    let mut secrets = vec!["marker-of-a-pasted-token".to_owned(), user.api.token.clone().unwrap()];
    secrets.push(user.token_of(granted).await);
    let mut ada = Visitor::sign_in(&world.app, "ada").await;
    let mut looked_at = 0;
    for (method, path, _) in tokenry_web::page_routes() {
        if method != "GET" || path.contains("{token}") || path.starts_with("/callback") {
            continue;
        }
        for id in [pasted, granted] {
            let path = path.replace("{id}", &id.to_string()).replace("{service}", "sandbox");
            let page = ada.get(&path).await;
            for secret in &secrets {
                assert!(!page.body.contains(secret), "a token is on {path}");
            }
            looked_at += usize::from(page.status == StatusCode::OK);
        }
    }
    assert!(looked_at >= 12, "only {looked_at} pages were shown");
    // What has just been connected is told of without its token.
    let page = ada.act(granted, "reconnect", &[]).await;
    let page = ada.consent(&page, "grace").await;
    says(&page, &["Renewed"]);
    assert!(!page.body.contains(&user.token_of(granted).await), "a token is on the page of a connect");
}
