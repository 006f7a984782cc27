//! Headers: of those who call us, and of those whom we call.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tokenry_model::{ExposeSecret as _, Timestamp};
use tokenry_web::fuzz;

use super::{SENTINEL, choice};

const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));

pub fn run(data: &[u8]) {
    let (what, value) = choice(data);
    match what % 4 {
        0 => authorization(value),
        1 => forwarded(value),
        2 => words(value),
        _ => {
            let _ = fuzz::is_json(value);
            let now = Timestamp::from_micros(784_111_777_000_000);
            let wait = tokenry_oauth::fuzz::retry_after(value, now);
            assert!(wait.is_none_or(|wait| wait <= Duration::from_hours(24)));
        }
    }
}

fn authorization(value: &[u8]) {
    let Some(token) = fuzz::authorization(value) else { return };
    let token = token.expose_secret();
    assert!(!token.is_empty() && token.trim() == token, "{token:?}");
    for scheme in ["Bearer ", "bearer  "] {
        let again = fuzz::authorization(format!("{scheme}{token}").as_bytes()).unwrap();
        assert_eq!(again.expose_secret(), token);
    }
}

fn forwarded(value: &[u8]) {
    let trusted = ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
    let lines: Vec<&[u8]> = value.split(|byte| *byte == b'\n').collect();
    assert_eq!(fuzz::client(CLIENT, &lines, &trusted), CLIENT, "a stranger is believed");
    let _ = fuzz::client(PROXY, &lines, &trusted);
    // What the proxy itself wrote comes last, and counts whatever the client put before it.
    let mut lines = lines;
    lines.push(b"198.51.100.7, 10.0.0.2");
    assert_eq!(fuzz::client(PROXY, &lines, &trusted), CLIENT);
}

fn words(value: &[u8]) {
    let Ok(text) = std::str::from_utf8(value) else { return };
    let shown = tokenry_oauth::fuzz::sanitised(text, &[SENTINEL, "s3/cr+t %"]);
    assert!(shown.chars().count() <= 200 && !shown.chars().any(char::is_control), "{shown:?}");
    assert!(!shown.contains(SENTINEL) && !shown.contains("s3/cr+t %"), "{shown:?}");
}
