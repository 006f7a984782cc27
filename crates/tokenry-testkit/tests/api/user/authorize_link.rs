//! `GET /api/user/connection/access/token/{service}`: the links.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, RandomState};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Method, StatusCode};
use tokenry_oauth::ProviderSettings;
use tokenry_testkit::app::{TestApp, TestUser, providers};
use url::Url;

const SECRET: &str = "sentinel-secret";

/// What an authorize link of a service must be made of.
struct Expected {
    word: &'static str,
    provider: &'static str,
    endpoint: &'static str,
    scope: &'static str,
    /// Parameters of this service alone.
    more: &'static [(&'static str, &'static str)],
}

const SERVICES: [Expected; 5] = [
    Expected {
        word: "spotify",
        provider: "spotify",
        endpoint: "https://accounts.spotify.com/authorize",
        scope: "user-read-email user-read-private",
        more: &[],
    },
    Expected {
        word: "google",
        provider: "google",
        endpoint: "https://accounts.google.com/o/oauth2/v2/auth",
        scope: "openid email profile",
        more: &[("access_type", "offline"), ("prompt", "consent")],
    },
    Expected {
        word: "git",
        provider: "github",
        endpoint: "https://github.com/login/oauth/authorize",
        scope: "read:user",
        more: &[],
    },
    Expected {
        word: "github",
        provider: "github",
        endpoint: "https://github.com/login/oauth/authorize",
        scope: "read:user",
        more: &[],
    },
    Expected {
        word: "discord",
        provider: "discord",
        endpoint: "https://discord.com/api/oauth2/authorize",
        scope: "identify email",
        more: &[],
    },
];

fn random_id() -> String {
    format!("{:016x}", RandomState::new().hash_one(SECRET))
}

/// An app with a random client at each of the services, at a public URL that `public_url` makes of its port.
pub(crate) async fn app(public_url: impl FnOnce(u16) -> String) -> (TestApp, BTreeMap<&'static str, String>) {
    let ids: BTreeMap<_, _> = SERVICES.iter().map(|service| (service.provider, random_id())).collect();
    let app = TestApp::start_with(|config| {
        config.public_url = Url::parse(&public_url(config.listen.port())).unwrap();
        config.providers = providers(
            ids.iter()
                .map(|(provider, id)| {
                    let settings = ProviderSettings {
                        client_id: Some(id.clone()),
                        client_secret: Some(SECRET.into()),
                        ..ProviderSettings::default()
                    };
                    (*provider, settings)
                })
                .collect(),
        );
    })
    .await;
    (app, ids)
}

async fn link(user: &TestUser, word: &str) -> Url {
    user.link(word).await.0.parse().unwrap()
}

fn parameters(url: &Url) -> BTreeMap<String, String> {
    let pairs: Vec<_> = url.query_pairs().into_owned().collect();
    let map: BTreeMap<_, _> = pairs.iter().cloned().collect();
    assert_eq!(map.len(), pairs.len(), "no parameter comes twice: {url}");
    map
}

#[tokio::test]
async fn every_service_has_its_host_its_client_its_scopes_and_our_callback() {
    let (app, ids) = app(|port| format!("http://localhost:{port}")).await;
    let ada = app.user("ada").await;
    let port = app.config.listen.port();
    for expected in &SERVICES {
        let url = link(&ada, expected.word).await;
        assert_eq!(&url[..url::Position::AfterPath], expected.endpoint);
        assert_eq!(url.fragment(), None);
        assert!(!url.as_str().contains(SECRET), "{url}");
        let mut parameters = parameters(&url);
        let mut take = |name: &str| parameters.remove(name).unwrap_or_else(|| panic!("no {name} in {url}"));
        assert_eq!(take("client_id"), ids[expected.provider]);
        assert_eq!(take("response_type"), "code");
        assert_eq!(take("scope"), expected.scope);
        // Spotify refuses localhost.
        let host = if expected.word == "spotify" { "127.0.0.1" } else { "localhost" };
        assert_eq!(take("redirect_uri"), format!("http://{host}:{port}/callback"));
        assert_eq!(URL_SAFE_NO_PAD.decode(take("state").trim_end_matches('=')).unwrap().len(), 64);
        assert_eq!(take("code_challenge_method"), "S256");
        let challenge = take("code_challenge");
        assert_eq!(challenge.len(), 43, "{challenge}");
        assert_eq!(URL_SAFE_NO_PAD.decode(challenge).unwrap().len(), 32);
        for (name, value) in expected.more {
            assert_eq!(take(name), *value);
        }
        if expected.scope.contains("openid") {
            assert!(take("nonce").len() >= 22, "128 bits at least");
        }
        assert_eq!(parameters, BTreeMap::new(), "and nothing else");
    }
}

#[tokio::test]
async fn the_answer_has_the_link_under_the_word_as_asked_and_under_url() {
    let (app, _) = app(|port| format!("http://localhost:{port}")).await;
    let ada = app.user("ada").await;
    for Expected { word, .. } in &SERVICES {
        let answer = ada.api.get(&format!("/api/user/connection/access/token/{word}")).await;
        let answer = answer.expect(StatusCode::OK);
        let url = answer.text("url");
        let json = answer.json();
        let members: BTreeMap<_, _> =
            json.as_object().unwrap().iter().map(|(k, v)| (k.as_str(), v)).collect();
        let named = format!("{word}_url");
        let expected = BTreeMap::from([(named.as_str(), &json["url"]), ("url", &json["url"])]);
        assert_eq!(members, expected);
        assert!(url.starts_with("https://"), "{url}");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn no_two_links_share_a_state_or_a_challenge() {
    let (app, _) = app(|port| format!("http://localhost:{port}")).await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    let (mut states, mut challenges) = (BTreeSet::new(), BTreeSet::new());
    let mut links = 0;
    for user in [&ada, &bob] {
        for Expected { word, .. } in &SERVICES {
            for _ in 0..3 {
                let parameters = parameters(&link(user, word).await);
                states.insert(parameters["state"].clone());
                challenges.insert(parameters["code_challenge"].clone());
                links += 1;
            }
        }
    }
    assert_eq!((states.len(), challenges.len()), (links, links));
}

#[tokio::test]
async fn the_path_of_the_public_url_is_kept() {
    for public_url in ["https://example.org/tools/tokenry", "https://example.org:8443"] {
        let (app, _) = app(|_| public_url.to_owned()).await;
        let ada = app.user("ada").await;
        for Expected { word, .. } in &SERVICES {
            let parameters = parameters(&link(&ada, word).await);
            assert_eq!(parameters["redirect_uri"], format!("{public_url}/callback"));
        }
    }
}

#[tokio::test]
async fn a_provider_of_ones_own_has_a_callback_of_its_own() {
    let app = TestApp::start_with(|config| {
        let settings = ProviderSettings {
            client_id: Some("id".to_owned()),
            client_secret: Some(SECRET.into()),
            authorize_url: Some("https://id.example.org/authorize?tenant=7".parse().unwrap()),
            token_url: Some("https://id.example.org/token".parse().unwrap()),
            ..ProviderSettings::default()
        };
        config.providers = providers(vec![("acme", settings)]);
    })
    .await;
    let ada = app.user("ada").await;
    let url = link(&ada, "acme").await;
    assert_eq!(&url[..url::Position::AfterPath], "https://id.example.org/authorize");
    let parameters = parameters(&url);
    assert_eq!(parameters["tenant"], "7", "what the address had is kept");
    assert_eq!(parameters["redirect_uri"], format!("{}/callback/acme", app.base()));
}

#[tokio::test]
async fn what_a_request_says_of_its_host_changes_nothing() {
    let (app, _) = app(|port| format!("http://localhost:{port}")).await;
    let ada = app.user("ada").await;
    let app = app.restart_with(|config| config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()]).await;
    let straight = parameters(&link(&ada, "google").await);
    for headers in [
        &[("host", "evil.example")][..],
        &[("x-forwarded-host", "evil.example"), ("x-forwarded-proto", "https"), ("x-forwarded-port", "1")],
        &[("forwarded", "host=evil.example;proto=https")],
        &[("x-forwarded-prefix", "/evil"), ("x-original-url", "/evil"), ("origin", "https://evil.example")],
        &[("x-http-method-override", "DELETE"), ("referer", "https://evil.example")],
    ] {
        let path = "/api/user/connection/access/token/google";
        let answer = ada.api.send(Method::GET, path, headers, Vec::new()).await.expect(StatusCode::OK);
        let crooked = parameters(&answer.text("url").parse().unwrap());
        assert_eq!(crooked["redirect_uri"], straight["redirect_uri"], "{headers:?}");
        assert!(!format!("{answer:?}").contains("evil"), "{answer:?}");
    }
    drop(app);
}

#[tokio::test]
async fn the_browser_that_asks_is_marked_by_a_cookie_no_script_can_read() {
    let (plain, _) = app(|port| format!("http://localhost:{port}")).await;
    let (tls, _) = app(|_| "https://example.org/tools".to_owned()).await;
    for (app, name) in [(plain, "tokenry_browser"), (tls, "__Host-tokenry_browser")] {
        let ada = app.user("ada").await;
        let path = "/api/user/connection/access/token/google";
        let answer = ada.api.get(path).await.expect(StatusCode::OK);
        let cookie = answer.header("set-cookie").to_owned();
        let attributes: Vec<&str> = cookie.split("; ").collect();
        let (given, value) = attributes[0].split_once('=').unwrap();
        assert_eq!((given, value.len()), (name, 43), "{cookie}");
        for attribute in ["HttpOnly", "SameSite=Lax", "Path=/"] {
            assert!(attributes.contains(&attribute), "{cookie}");
        }
        assert_eq!(attributes.contains(&"Secure"), name.starts_with("__Host-"), "{cookie}");
        assert!(!cookie.contains("Domain"), "{cookie}");
        // A browser that is marked stays the same one.
        let headers = [("cookie", attributes[0])];
        let again = ada.api.send(Method::GET, path, &headers, Vec::new()).await.expect(StatusCode::OK);
        assert!(again.header("set-cookie").starts_with(attributes[0]), "{again:?}");
    }
}
