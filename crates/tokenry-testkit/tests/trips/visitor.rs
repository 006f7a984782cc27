//! A person at the pages of an app: signed in, and looking for words, links and forms.

use reqwest::StatusCode;
use tokenry_testkit::app::{PASSWORD, TestApp};
use tokenry_testkit::browser::{Browser, Form, Page};
use url::Url;

pub(crate) struct Visitor {
    pub(crate) browser: Browser,
    base: String,
}

impl Visitor {
    /// Signs a user in who is there already.
    pub(crate) async fn sign_in(app: &TestApp, username: &str) -> Self {
        let mut visitor = Self { browser: Browser::new(), base: app.base() };
        let page = visitor.get("/sign-in").await;
        let form = page.form_with("password").unwrap();
        let page = visitor.browser.submit(&form, &[("username", username), ("password", PASSWORD)]).await;
        assert_eq!((page.status, page.url.path()), (StatusCode::OK, "/connections"), "{}", page.body);
        visitor
    }

    pub(crate) async fn get(&mut self, path: &str) -> Page {
        self.browser.get(format!("{}{path}", self.base)).await
    }

    /// Sends the form of a page that leads to `path`.
    #[track_caller]
    pub(crate) fn send<'a>(
        &'a mut self,
        page: &Page,
        path: &str,
        fields: &'a [(&'a str, &'a str)],
    ) -> impl Future<Output = Page> + 'a {
        let form = form_to(page, path);
        async move { self.browser.submit(&form, fields).await }
    }

    /// Sends the form at `/connections/<id>` that leads to `<id>/<verb>`.
    pub(crate) async fn act(&mut self, id: i64, verb: &str, fields: &[(&str, &str)]) -> Page {
        let page = self.get(&format!("/connections/{id}")).await;
        self.send(&page, &format!("/connections/{id}/{verb}"), fields).await
    }

    /// Goes through the consent that a page leaves for, and gives the page that it ends on.
    pub(crate) async fn consent(&mut self, leaving: &Page, account: &str) -> Page {
        let url = self.way_out(leaving);
        self.browser.consent_sandbox(url, account).await
    }

    /// The address that a page leaves for.
    pub(crate) fn way_out(&self, page: &Page) -> Url {
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        assert!(page.body.contains("http-equiv=\"refresh\""), "{}", page.body);
        let out = page.links().into_iter().find(|link| !link.as_str().starts_with(&self.base));
        out.unwrap_or_else(|| panic!("nothing leads out: {}", page.body))
    }
}

/// The form of a page that leads to `path`.
#[track_caller]
pub(crate) fn form_to(page: &Page, path: &str) -> Form {
    let found = page.forms().into_iter().find(|form| form.action.path() == path);
    found.unwrap_or_else(|| panic!("no form leads to {path}: {}", page.body))
}

/// That a page says all of this.
#[track_caller]
pub(crate) fn says(page: &Page, words: &[&str]) {
    for word in words {
        let is_there = page.body.contains(word) || page.text().contains(word);
        assert!(is_there, "{} does not say {word:?}: {}", page.url, page.body);
    }
}
