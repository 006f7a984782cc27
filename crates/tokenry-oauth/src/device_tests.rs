//! Saying yes on another device, and looking where the addresses lead.

use secrecy::ExposeSecret as _;
use tokenry_model::Scopes;

use crate::quirk_tests::{ENDS, Odd, TOKEN};
use crate::{DevicePoll, OAuthError, Probe, ProbeOutcome, Provider, ProviderSettings};

const CODES: &str = r#"{"device_code":"d3vice","user_code":"WDJB-MJHT","verification_uri":"https://p.example/device",
    "verification_uri_complete":"https://p.example/device?user_code=WDJB-MJHT","expires_in":1800,"interval":7}"#;

fn device(more: &str) -> String {
    format!("{ENDS}[device]\nurl = \"BASE/device\"\n{more}")
}

fn scopes() -> Scopes {
    Scopes::split("a b", " ")
}

#[tokio::test]
async fn codes_are_asked_for_and_told_as_rfc_8628_says() {
    let odd = Odd::start(&device(""), &[CODES]).await;
    assert!(odd.provider.has_device_flow());
    let begun = odd.engine.device_begin(&odd.provider, &scopes()).await.unwrap();
    assert_eq!((begun.device_code.expose_secret(), begun.user_code.as_str()), ("d3vice", "WDJB-MJHT"));
    assert_eq!(begun.verification_uri.as_str(), "https://p.example/device");
    assert!(begun.verification_uri_complete.is_some());
    assert_eq!((begun.expires_in.as_secs(), begun.interval.as_secs()), (1800, 7));
    assert!(!format!("{begun:?}").contains("d3vice"));
    let [seen] = &odd.seen()[..] else { panic!() };
    assert_eq!(seen.line, "POST /device");
    let form = seen.form();
    assert_eq!((form["client_id"].as_str(), form["scope"].as_str()), ("id", "a b"));
    assert_eq!(form["client_secret"], "secret", "it authenticates as at the token endpoint");
}

#[tokio::test]
async fn the_data_say_how_a_device_asks() {
    let data = device("auth = \"none\"\nscope_param = \"scopes\"\nsend_scope = true\n");
    let sparse = r#"{"device_code":"d","user_code":"u","verification_url":"https://p.example/d"}"#;
    let odd = Odd::start(&data, &[sparse, TOKEN]).await;
    let begun = odd.engine.device_begin(&odd.provider, &scopes()).await.unwrap();
    assert_eq!((begun.expires_in.as_secs(), begun.interval.as_secs()), (600, 5));
    let done = odd.engine.device_poll(&odd.provider, &begun.device_code, &scopes()).await.unwrap();
    assert!(matches!(done, DevicePoll::Done(tokens) if tokens.access_token.expose_secret() == "a"));
    let [asked, polled] = &odd.seen()[..] else { panic!() };
    assert!(!asked.form().contains_key("client_secret") && asked.form()["scopes"] == "a b");
    let form = polled.form();
    assert_eq!(form["grant_type"], "urn:ietf:params:oauth:grant-type:device_code");
    assert_eq!((form["device_code"].as_str(), form["scopes"].as_str()), ("d", "a b"));
    assert_eq!(form["client_secret"], "secret");
}

#[tokio::test]
async fn the_answer_to_a_device_may_name_the_account() {
    let data = format!("{}[identity]\nfrom = \"token\"\naccount_id = [\"user.id\"]\n", device(""));
    let odd = Odd::start(&data, &[r#"{"access_token":"a","user":{"id":7}}"#]).await;
    let poll = odd.engine.device_poll(&odd.provider, &"d3vice".into(), &scopes()).await.unwrap();
    let DevicePoll::Done(tokens) = poll else { panic!("{poll:?}") };
    let account = odd.engine.identify(&odd.provider, &tokens).await.unwrap().unwrap();
    assert_eq!(account.id, "7");
}

#[tokio::test]
async fn each_state_of_the_request_is_told_apart() {
    let error = |code: &str| format!("400 {{\"error\":\"{code}\"}}");
    for (answer, expected) in [
        (error("authorization_pending"), "Pending"),
        (error("slow_down"), "SlowDown"),
        ("429 later".to_owned(), "SlowDown"),
        (error("access_denied"), "Declined"),
        (error("authorization_declined"), "Declined"),
        (error("expired_token"), "Expired"),
        (r#"{"error":"authorization_pending"}"#.to_owned(), "Pending"),
    ] {
        let odd = Odd::start(&device(""), &[&answer]).await;
        let poll = odd.engine.device_poll(&odd.provider, &"d3vice".into(), &scopes()).await.unwrap();
        assert_eq!(format!("{poll:?}"), expected, "{answer}");
    }
    let odd =
        Odd::start(&device(""), &[r#"401 {"error":"invalid_client","error_description":"d3vice?"}"#]).await;
    let error = odd.engine.device_poll(&odd.provider, &"d3vice".into(), &scopes()).await.unwrap_err();
    assert!(error.is_operators_fault() && !error.to_string().contains("d3vice"), "{error}");
}

#[tokio::test]
async fn nobody_is_sent_to_a_place_that_is_none() {
    for place in
        ["javascript:alert(1)", "file:///etc/passwd", "https://169.254.169.254/", "no url", "http://8.8.8.8/"]
    {
        let answer = CODES.replace("https://p.example/device", place);
        let odd = Odd::start(&device(""), &[&answer]).await;
        let error = odd.engine.device_begin(&odd.provider, &scopes()).await.unwrap_err();
        assert!(
            matches!(error, OAuthError::Forbidden { .. } | OAuthError::Nonsense { .. }),
            "{place}: {error:?}"
        );
    }
    for broken in [CODES.replace("d3vice", ""), CODES.replace("WDJB-MJHT\",\"ver", "\u{7}\",\"ver")] {
        let odd = Odd::start(&device(""), &[&broken]).await;
        assert!(odd.engine.device_begin(&odd.provider, &scopes()).await.is_err(), "{broken}");
    }
}

#[tokio::test]
async fn without_such_a_way_nothing_is_sent() {
    let odd = Odd::start(ENDS, &[CODES]).await;
    let error = odd.engine.device_begin(&odd.provider, &scopes()).await.unwrap_err();
    assert!(matches!(error, OAuthError::NotSupported { .. }), "{error:?}");
    assert!(odd.seen().is_empty());
}

fn outcomes(probes: &[Probe]) -> Vec<(&'static str, ProbeOutcome)> {
    probes.iter().map(|probe| (probe.what, probe.outcome.clone())).collect()
}

#[tokio::test]
async fn a_probe_reaches_every_address_and_brings_nothing_along() {
    let data = device("[revoke]\nurl = \"BASE/revoke/{client_id}\"\n[identity]\nurl = \"BASE/me\"\n");
    let odd = Odd::start(&data, &["302 there", "405 no", "404 nothing", "401 who", "503 away"]).await;
    let probes = odd.engine.probe(&odd.provider).await;
    let answered = |status| ProbeOutcome::Answered { status };
    assert_eq!(
        outcomes(&probes),
        [
            ("authorize", answered(302)),
            ("token", answered(405)),
            ("revoke", ProbeOutcome::NotFound { status: 404 }),
            ("userinfo", answered(401)),
            ("device", answered(503)),
        ]
    );
    let seen = odd.seen();
    assert_eq!(seen.len(), 5, "no redirect is followed");
    for seen in &seen {
        assert!(
            seen.line.starts_with("GET /") && !seen.line.contains('?') && seen.body.is_empty(),
            "{seen:?}"
        );
        assert!(!seen.headers.contains_key("authorization"));
    }
    assert_eq!(seen[2].line, "GET /revoke/id");
}

#[tokio::test]
async fn a_probe_tells_who_is_away_from_what_is_forbidden() {
    let odd = Odd::start(ENDS, &[TOKEN]).await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let data = format!(
        "id = \"p\"\nname = \"P\"\n[authorize]\nurl = \"https://169.254.169.254/a\"\n[token]\nurl = \"http://{nobody}/t\"\n"
    );
    let provider = Provider::new(toml::from_str(&data).unwrap(), ProviderSettings::default(), false);
    let probes = odd.engine.probe(&provider).await;
    assert!(matches!(&probes[0].outcome, ProbeOutcome::Forbidden { why } if why.contains("169.254.169.254")));
    assert!(
        matches!(&probes[1].outcome, ProbeOutcome::Unreachable { why } if why.contains("cannot connect"))
    );
    assert!(odd.seen().is_empty());
}
