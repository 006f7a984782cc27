//! A row for every page: where it is in the scene, and what its form carries.

use std::collections::BTreeSet;

use tokenry_testkit::app::PASSWORD;
use tokenry_web::{Who, page_routes};

use crate::scene::{KEYS, Scene};

/// What somebody who may send the form with these fields sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    /// Nothing is written: a page to look at, or a form that is answered with one.
    Nothing,
    /// It writes what the tests can see.
    Changes,
    /// It signs a browser in or out, which the tests leave aside.
    Signs,
}

/// What no link has, of the length that they have.
const NOBODYS: &str = "nobody-has-made-this-one-however-long-it-is";

/// A page of the table.
pub(crate) struct Row {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) fields: &'static [(&'static str, &'static str)],
    pub(crate) does: Does,
}

const fn get(path: &'static str) -> Row {
    Row { method: "GET", path, fields: &[], does: Does::Nothing }
}

const fn post(path: &'static str, does: Does, fields: &'static [(&'static str, &'static str)]) -> Row {
    Row { method: "POST", path, fields, does }
}

/// All of them.
pub(crate) const ROWS: &[Row] = &[
    get("/"),
    get("/docs"),
    get("/sign-in"),
    post("/sign-in", Does::Signs, &[("username", "ada"), ("password", PASSWORD)]),
    get("/sign-up"),
    post(
        "/sign-up",
        Does::Changes,
        &[("username", "mallory"), ("email", "mallory@example.org"), ("password", PASSWORD)],
    ),
    post("/sign-out", Does::Signs, &[]),
    get("/account"),
    get("/callback"),
    get("/callback/{provider}"),
    post("/connect/confirm", Does::Nothing, &[("handle", "unknown"), ("decision", "finish")]),
    get("/setup/{token}"),
    post(
        "/setup/{token}",
        Does::Nothing,
        &[("username", "mallory"), ("email", "mallory@example.org"), ("password", PASSWORD)],
    ),
    get("/operator"),
    get("/operator/services"),
    get("/operator/services/{id}"),
    post("/operator/services/{id}", Does::Changes, &[("client_id", "mallorys"), ("client_secret", "hers")]),
    // It would ask a service that is elsewhere: only refusals are tried.
    post("/operator/services/{id}/test", Does::Nothing, &[]),
    post("/operator/services/{id}/remove", Does::Nothing, &[]),
    get("/operator/users"),
    post("/operator/users/{id}/role", Does::Changes, &[("role", "operator")]),
    post("/operator/users/{id}/sessions", Does::Changes, &[]),
    get("/operator/events"),
    get("/operator/keys"),
    post("/operator/keys/rotate", Does::Changes, &[]),
    post("/operator/keys/{id}/retire", Does::Nothing, &[]),
    get("/operator/settings"),
    get("/link/{token}"),
    post("/link/{token}", Does::Nothing, &[]),
    post("/link/{token}/take", Does::Changes, &[]),
    post("/link/{token}/connect", Does::Nothing, &[("service", "sandbox")]),
    get("/link/{token}/service/{service}"),
    post("/link/{token}/service/{service}", Does::Changes, &[("api_key", "brought along")]),
    get("/connections"),
    get("/connections/{id}"),
    post("/connections/{id}/rename", Does::Changes, &[("name", "another name")]),
    post("/connections/{id}/reconnect", Does::Changes, &[("scope", "email")]),
    post("/connections/{id}/revoke", Does::Changes, &[]),
    post("/connections/{id}/delete", Does::Changes, &[]),
    post("/connections/{id}/undo", Does::Nothing, &[]),
    get("/connect"),
    get("/connect/{service}"),
    post("/connect/{service}", Does::Changes, &[("how", "consent")]),
    post("/connect/device", Does::Nothing, &[("service", "sandbox"), ("handle", "unknown")]),
    // These end the session that asks: they come last.
    post("/account/export", Does::Nothing, &[("password", PASSWORD), ("passphrase", "a long passphrase")]),
    post(
        "/account/password",
        Does::Changes,
        &[("current_password", PASSWORD), ("new_password", "another password")],
    ),
    post("/account/sign-out-everywhere", Does::Signs, &[]),
];

impl Row {
    /// Who the page is for, by the server's own table.
    pub(crate) fn who(&self) -> Who {
        let found =
            page_routes().into_iter().find(|(method, path, _)| (*method, *path) == (self.method, self.path));
        found.unwrap_or_else(|| panic!("{} {} is no page", self.method, self.path)).2
    }

    /// Its address with what is Ada's.
    pub(crate) fn address(&self, scene: &Scene) -> String {
        let id = if self.path.starts_with("/operator/users") { scene.user } else { scene.connection };
        let link = if self.is_brought() { &scene.key_link } else { &scene.link };
        self.filled(&id.to_string(), link)
    }

    /// Its address with a number that nobody has.
    pub(crate) fn nowhere(&self) -> String {
        self.filled("987654321", NOBODYS)
    }

    fn filled(&self, id: &str, link: &str) -> String {
        // One that no configuration sets up.
        let id = if self.path.starts_with("/operator/services") { "spotify" } else { id };
        let path = self.path.replace("{id}", id);
        let service = if self.is_brought() { KEYS } else { "sandbox" };
        let path = path.replace("{service}", service).replace("{provider}", "sandbox");
        let token = if self.path.starts_with("/link") { link } else { NOBODYS };
        let path = path.replace("{token}", token);
        assert!(!path.contains('{'), "{path}: fill it in here");
        path
    }

    /// Whether it connects what somebody brings along, with a link that has to be this browser's.
    pub(crate) fn is_brought(&self) -> bool {
        (self.method, self.path) == ("POST", "/link/{token}/service/{service}")
    }

    /// Whether it is about one connection.
    pub(crate) fn is_about_one(&self) -> bool {
        self.path.starts_with("/connections/{id}")
    }

    /// Whether somebody else than Ada may not do it at all.
    pub(crate) fn is_adas(&self) -> bool {
        self.is_about_one() || self.path == "/link/{token}/take"
    }
}

#[test]
fn every_page_has_its_row() {
    let ours: BTreeSet<_> = ROWS.iter().map(|row| (row.method, row.path)).collect();
    assert_eq!(ours.len(), ROWS.len(), "a row is there twice");
    let theirs: BTreeSet<_> = page_routes().into_iter().map(|(method, path, _)| (method, path)).collect();
    let missing: Vec<_> = theirs.difference(&ours).collect();
    assert!(missing.is_empty(), "tests/gate/table.rs lacks {missing:?}");
    let gone: Vec<_> = ours.difference(&theirs).collect();
    assert!(gone.is_empty(), "these are no pages: {gone:?}");
}
