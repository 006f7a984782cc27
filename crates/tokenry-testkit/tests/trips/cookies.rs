//! What the two cookies say about themselves.

use tokenry_sandbox::{Client, Sandbox};
use tokenry_testkit::app::{PASSWORD, TestApp, providers, sandbox_settings};
use tokenry_testkit::browser::{Browser, SameSite};
use url::Url;

use crate::world::{World, connection_on, sandbox_options};

#[tokio::test]
async fn the_cookie_of_a_link_is_for_the_whole_host_and_not_for_scripts() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let answer = user.api.get("/api/user/connection/access/token/sandbox").await;
    let line = answer.header("set-cookie");
    assert!(line.starts_with("tokenry_browser="), "{line}");
    let attributes: Vec<&str> = line.split("; ").skip(1).collect();
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(attributes.contains(&attribute), "{line}");
    }
    // Over plain http a cookie that is `Secure` would never come back.
    assert!(!line.contains("Secure") && !line.contains("Domain"), "{line}");
}

#[tokio::test]
async fn no_cookie_of_a_browser_opens_the_api() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let (link, _) = user.link("sandbox").await;
    let mut browser = Browser::new();
    let page = browser.consent_sandbox(link, "grace").await;
    let form = page.form_with("handle").unwrap();
    connection_on(&browser.submit(&form, &[("password", PASSWORD), ("decision", "finish")]).await);
    assert!(browser.cookies().iter().any(|cookie| cookie.name == "tokenry_session"));
    let page = browser.get(format!("{}{}", world.app.base(), user.path("get/connections"))).await;
    assert_eq!(page.status.as_u16(), 401, "{}", page.body);
}

#[tokio::test]
async fn over_https_both_cookies_are_secure_and_bound_to_their_host() {
    let public = "https://tokenry.example";
    let mut options = sandbox_options("sandbox");
    options.clients = vec![Client {
        redirect_uris: vec![format!("{public}/callback/sandbox")],
        ..options.clients.remove(0)
    }];
    let sandbox = Sandbox::start(options).await.unwrap();
    let settings = sandbox_settings(&sandbox);
    let app = TestApp::start_with(|config| {
        config.public_url = Url::parse(public).unwrap();
        config.providers = providers(vec![("sandbox", settings)]);
    })
    .await;
    let user = app.user("ada").await;
    let answer = user.api.get("/api/user/connection/access/token/sandbox").await;
    let line = answer.header("set-cookie");
    assert!(line.starts_with("__Host-tokenry_browser="), "{line}");
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/", "Secure"] {
        assert!(line.split("; ").any(|a| a == attribute), "{line}");
    }
    assert!(!line.contains("Domain"), "{line}");

    // What a proxy with a certificate does: it hands the callback on.
    let mut browser = Browser::new();
    browser.stop_before(public);
    let callback = browser.consent_sandbox(answer.text("url"), "grace").await.url;
    let here = callback.as_str().replace(public, &app.base());
    // A cookie under the plain name, which any neighbour could set, is not looked at.
    browser.set_cookie(app.base(), &line.replace("__Host-", "").replace("; Secure", ""));
    let page = browser.get(here).await;
    let form = page.form_with("handle").unwrap_or_else(|| panic!("{}", page.body));
    connection_on(&browser.submit(&form, &[("password", PASSWORD), ("decision", "finish")]).await);
    for name in ["__Host-tokenry_browser", "__Host-tokenry_session"] {
        let cookie = browser.cookies().iter().find(|cookie| cookie.name == name).unwrap();
        assert!(cookie.http_only && cookie.secure, "{cookie:?}");
        assert_eq!((cookie.same_site, cookie.path.as_str()), (SameSite::Lax, "/"));
    }
}
