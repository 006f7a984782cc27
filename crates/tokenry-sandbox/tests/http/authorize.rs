use reqwest::{StatusCode, header};
use serde_json::Value;
use tokenry_sandbox::{Client, SandboxOptions};

use crate::fixture::{CHALLENGE, callback, code_form, options, start, start_with};

#[tokio::test]
async fn a_wrong_client_or_redirect_uri_gets_a_page_and_never_a_redirect() {
    let fx = start().await;
    let allow = [("decision", "allow"), ("account", "ada"), ("scope", "read")];
    for wrong in [
        ("client_id", "nobody"),
        ("client_id", ""),
        ("redirect_uri", ""),
        ("redirect_uri", "http://127.0.0.1:49152/callback"),
        ("redirect_uri", "http://127.0.0.1.example.org/callback?kept=1"),
        ("redirect_uri", "https://example.org/"),
    ] {
        let asked = fx.http.get(fx.authorize_url(&[wrong])).send().await.unwrap();
        let decided = fx.decide(fx.authorize_url(&[wrong]), &allow).await;
        for response in [asked, decided] {
            assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{wrong:?}");
            assert!(!response.headers().contains_key(header::LOCATION), "{wrong:?}");
        }
    }
    let mut twice = fx.authorize_url(&[]);
    twice.query_pairs_mut().append_pair("redirect_uri", "https://example.org/");
    assert_eq!(fx.http.get(twice).send().await.unwrap().status(), StatusCode::BAD_REQUEST);
    assert_eq!(fx.sandbox.seen().authorizations, 0);
}

#[tokio::test]
async fn other_mistakes_go_back_to_the_client_with_state_and_issuer() {
    let fx = start().await;
    for (changes, error) in [
        (vec![("response_type", "token")], "unsupported_response_type"),
        (vec![("response_type", "")], "invalid_request"),
        (vec![("code_challenge", ""), ("code_challenge_method", "")], "invalid_request"),
        (vec![("code_challenge_method", "plain")], "invalid_request"),
        (vec![("code_challenge_method", "")], "invalid_request"),
        (vec![("code_challenge", "short")], "invalid_request"),
        (vec![("scope", "read \"quoted\"")], "invalid_scope"),
        (vec![("prompt", "none")], "consent_required"),
    ] {
        let back = callback(&fx.http.get(fx.authorize_url(&changes)).send().await.unwrap());
        assert_eq!(back["error"], error, "{changes:?}");
        assert_eq!((back["state"].as_str(), back["iss"].as_str()), ("s-1", fx.sandbox.base_url()));
    }
}

#[tokio::test]
async fn a_denial_goes_back_as_access_denied() {
    let fx = start().await;
    let back = callback(&fx.decide(fx.authorize_url(&[]), &[("decision", "deny")]).await);
    assert_eq!(back["error"], "access_denied");
    assert_eq!((back["state"].as_str(), back["iss"].as_str()), ("s-1", fx.sandbox.base_url()));
    assert!(!back.contains_key("code"));
    assert_eq!(fx.sandbox.seen().consents_denied, 1);
}

#[tokio::test]
async fn only_the_ticked_scopes_are_granted() {
    let fx = start().await;
    let form = [("decision", "allow"), ("account", "ada"), ("scope", "write")];
    let back = callback(&fx.decide(fx.authorize_url(&[]), &form).await);
    let answer: Value = fx.exchange(&back["code"]).await.json().await.unwrap();
    assert_eq!(answer["scope"], "write");

    let nothing =
        callback(&fx.decide(fx.authorize_url(&[]), &[("decision", "allow"), ("account", "ada")]).await);
    assert_eq!(nothing["error"], "access_denied");
    let more = [("decision", "allow"), ("account", "ada"), ("scope", "admin")];
    assert_eq!(fx.decide(fx.authorize_url(&[]), &more).await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_decision_without_an_account_or_a_verdict_or_from_another_site_counts_for_nothing() {
    let fx = start().await;
    for form in [
        vec![("decision", "allow"), ("account", "nobody"), ("scope", "read")],
        vec![("decision", "allow"), ("scope", "read")],
        vec![("account", "ada"), ("scope", "read")],
    ] {
        assert_eq!(fx.decide(fx.authorize_url(&[]), &form).await.status(), StatusCode::BAD_REQUEST);
    }
    let form = [("decision", "allow"), ("account", "ada"), ("scope", "read")];
    let forged = fx.http.post(fx.authorize_url(&[])).header("sec-fetch-site", "cross-site").form(&form);
    assert_eq!(forged.send().await.unwrap().status(), StatusCode::BAD_REQUEST);
    let seen = fx.sandbox.seen();
    assert_eq!((seen.consents_allowed, seen.consents_denied), (0, 0));
}

#[tokio::test]
async fn the_page_offers_every_account_and_ticks_every_scope() {
    let fx = start().await;
    let page = fx.http.get(fx.authorize_url(&[("login_hint", "linus@example.org")])).send().await.unwrap();
    let csp = page.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
    assert!(
        csp.starts_with("default-src 'none'; style-src 'self'") && csp.contains("frame-ancestors 'none'")
    );
    let html = page.text().await.unwrap();
    for account in ["ada", "grace", "linus"] {
        assert!(html.contains(&format!(r#"name="account" value="{account}""#)), "{account}");
    }
    assert!(html.contains(r#"value="linus" required checked"#), "the hinted account is chosen");
    assert_eq!(html.matches(r#"type="checkbox""#).count(), 2);
    assert!(html.contains(r#"name="scope" value="write" checked"#));
    assert!(html.contains("http://127.0.0.1:49152"), "it says where the person goes next");
    assert!(!html.contains("<script") && !html.contains("style="));
    let style = fx.http.get(fx.url("/style.css")).send().await.unwrap();
    assert_eq!(style.headers()[header::CONTENT_TYPE], "text/css; charset=utf-8");
}

#[tokio::test]
async fn the_form_of_the_page_leads_to_a_code() {
    let fx = start().await;
    let html = fx.http.get(fx.authorize_url(&[])).send().await.unwrap().text().await.unwrap();
    let action = html.split(r#"action=""#).nth(1).unwrap().split('"').next().unwrap().replace("&amp;", "&");
    let form = [("decision", "allow"), ("account", "ada"), ("scope", "read")];
    let response =
        fx.http.post(fx.url(&format!("/{action}"))).header("sec-fetch-site", "same-origin").form(&form);
    let back = callback(&response.send().await.unwrap());
    assert_eq!(fx.post("/token", &code_form(&back["code"])).await.status(), 200);
}

#[tokio::test]
async fn what_comes_from_outside_cannot_become_html() {
    let evil = "<b>\"x\"</b>";
    let client = Client { id: evil.to_owned(), ..options().clients.remove(0) };
    let fx = start_with(SandboxOptions { clients: vec![client], ..options() }).await;
    let url = fx.authorize_url(&[("client_id", evil), ("scope", "<i>'1'</i>"), ("state", "\"><u>")]);
    let html = fx.http.get(url).send().await.unwrap().text().await.unwrap();
    assert!(
        html.contains("&lt;b&gt;&quot;x&quot;&lt;/b&gt;") && html.contains("&lt;i&gt;&#39;1&#39;&lt;/i&gt;")
    );
    for tag in ["<b>", "<i>", "<u>"] {
        assert!(!html.contains(tag), "{tag}");
    }
}

#[tokio::test]
async fn pkce_can_be_made_optional_and_then_a_verifier_without_a_challenge_is_a_downgrade() {
    let fx = start_with(SandboxOptions { require_pkce: false, ..options() }).await;
    let form = [("decision", "allow"), ("account", "ada"), ("scope", "read")];
    for (with_verifier, status) in [(false, 200), (true, 400)] {
        let url = fx.authorize_url(&[("code_challenge", ""), ("code_challenge_method", "")]);
        let back = callback(&fx.decide(url, &form).await);
        let mut exchange = code_form(&back["code"]);
        exchange.retain(|(name, _)| with_verifier || *name != "code_verifier");
        assert_eq!(fx.post("/token", &exchange).await.status(), status);
    }
    // A challenge that is sent is checked all the same.
    let url = fx.authorize_url(&[("code_challenge", CHALLENGE)]);
    let back = callback(&fx.decide(url, &form).await);
    let mut exchange = code_form(&back["code"]);
    exchange.retain(|(name, _)| *name != "code_verifier");
    assert_eq!(fx.post("/token", &exchange).await.status(), 400);
}
