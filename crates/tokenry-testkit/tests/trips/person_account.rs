//! A person's own account: password, sessions, what happened, and a file to take away.

use std::io::Cursor;
use std::sync::Arc;

use reqwest::StatusCode;
use reqwest::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use tokenry_broker::ExportSecret;
use tokenry_testkit::app::{PASSWORD, TestApp};

use crate::visitor::{Visitor, form_to, says};
use crate::world::World;

const PASSPHRASE: &str = "a file of my own";
const NEW: &str = "another good password";

#[tokio::test]
async fn a_new_password_ends_everything_but_this_browser() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let id = user.add("mine", "github", "t").await;
    let mut ada = Visitor::sign_in(&world.app, "ada").await;
    let mut elsewhere = Visitor::sign_in(&world.app, "ada").await;
    let page = ada.get("/account").await;
    says(&page, &["ada@example.org", "Signed in", "Recent activity"]);

    for (current, new, about) in [("wrong", NEW, "current_password"), (PASSWORD, "short", "new_password")] {
        let fields = [("current_password", current), ("new_password", new)];
        let refused = ada.send(&page, "/account/password", &fields).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        says(&refused, &["role=\"alert\"", about]);
        assert!(!refused.body.contains(new), "a password is on the page");
    }
    user.token_of(id).await;
    let fields = [("current_password", PASSWORD), ("new_password", NEW)];
    let page = ada.send(&page, "/account/password", &fields).await;
    says(&page, &["Your password is changed."]);
    assert_eq!(ada.get("/connections").await.url.path(), "/connections");
    assert_eq!(elsewhere.get("/connections").await.url.path(), "/sign-in");
    user.get_token(id).await.expect_error(401, "unauthenticated");
}

#[tokio::test]
async fn signing_out_everywhere_ends_browsers_and_programs() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let mut ada = Visitor::sign_in(&world.app, "ada").await;
    let mut elsewhere = Visitor::sign_in(&world.app, "ada").await;
    let page = ada.get("/account").await;
    let page = ada.send(&page, "/account/sign-out-everywhere", &[]).await;
    assert_eq!(page.url.path(), "/sign-in");
    says(&page, &["You are signed out everywhere."]);
    assert_eq!(elsewhere.get("/account").await.url.path(), "/sign-in");
    user.api.get("/api/auth/user").await.expect_error(401, "unauthenticated");
}

#[tokio::test]
async fn a_person_takes_their_connections_to_another_server_and_keeps_them_here() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let bob = world.app.user("bob").await;
    bob.add("bob's", "github", "token of bob").await;
    let pasted = user.add("mine", "github", "marker of a token").await;
    let granted = world.connect(&user, "grace").await;
    let mut ada = Visitor::sign_in(&world.app, "ada").await;
    let page = ada.get("/account").await;

    for (password, passphrase, about) in
        [("wrong", PASSPHRASE, "password"), (PASSWORD, "short", "passphrase")]
    {
        let fields = [("password", password), ("passphrase", passphrase)];
        let refused = ada.send(&page, "/account/export", &fields).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.body);
        says(&refused, &["role=\"alert\"", about]);
    }
    let bytes = export(&mut ada, &world.app).await;
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.starts_with("tokenry-export 1 argon2id,"), "{text}");
    for secret in ["marker of a token", "token of bob", "mine"] {
        assert!(!text.contains(secret), "{secret} lies open in the file");
    }
    // Nothing went out of service.
    for id in [pasted, granted] {
        assert_eq!(user.detail(id).await["state"], "ok");
    }

    let other = TestApp::start().await;
    let there = other.user("ada").await;
    let (broker, _) = tokenry::server::open(&other.config, Arc::clone(&other.clock) as _).await.unwrap();
    let wrong = ExportSecret::Passphrase("another passphrase".into());
    assert!(broker.import_connections(Cursor::new(&bytes), &wrong, None).await.is_err());
    let right = ExportSecret::Passphrase(PASSPHRASE.into());
    broker.import_connections(Cursor::new(&bytes), &right, None).await.unwrap();
    let list = there.list().await;
    let tokens: Vec<_> = list.iter().map(|each| each["Token"].as_str().unwrap()).collect();
    assert!(tokens.contains(&"marker of a token"), "{tokens:?}");
    assert!(!tokens.contains(&"token of bob"));
    says(&ada.get("/account").await, &["Connections were downloaded as a sealed file"]);
}

/// Downloads the file, byte for byte: a browser's page is text.
async fn export(ada: &mut Visitor, app: &TestApp) -> Vec<u8> {
    let page = ada.get("/account").await;
    let form = form_to(&page, "/account/export");
    let token = form.values("form_token")[0].to_owned();
    let cookies: Vec<_> =
        ada.browser.cookies().iter().map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let fields = [("form_token", token.as_str()), ("password", PASSWORD), ("passphrase", PASSPHRASE)];
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let answer = http
        .post(format!("{}/account/export", app.base()))
        .header("cookie", cookies.join("; "))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let header = |name| answer.headers()[&name].to_str().unwrap().to_owned();
    assert_eq!(header(CONTENT_TYPE), "application/octet-stream");
    assert_eq!(header(CONTENT_DISPOSITION), "attachment; filename=\"tokenry-ada.export\"");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    answer.bytes().await.unwrap().to_vec()
}
