//! How somebody becomes the operator at the console, and what the command line knows of what the pages set up.

use reqwest::StatusCode;
use tokenry_testkit::app::PASSWORD;
use tokenry_testkit::browser::Browser;

use crate::process::Home;
use crate::server::Server;

#[tokio::test]
async fn the_link_is_printed_while_nobody_operates_and_is_in_no_log() {
    let home = Home::new();
    let mut server = Server::start(&home, &[("TOKENRY_LOG__LEVEL", "trace"), ("TOKENRY_SIGNUP", "closed")]);
    let line = server.process.line_with("to become the operator");
    assert!(line.ends_with("to become the operator (good once, for 24 hours)"), "{line}");
    let link = line.split_whitespace().nth(1).unwrap().to_owned();
    let token = link.rsplit('/').next().unwrap().to_owned();
    assert_eq!((link.split("/setup/").count(), token.len()), (2, 43), "{line}");
    assert_eq!(server.process.out.text().matches("/setup/").count(), 1);
    let mut browser = Browser::new();
    let page = browser.get(&link).await;
    let form = page.form_with("email").unwrap();
    let fields = [("username", "olga"), ("email", "olga@example.org"), ("password", PASSWORD)];
    let page = browser.submit(&form, &fields).await;
    assert_eq!((page.status, page.url.path()), (StatusCode::OK, "/operator/services"), "{}", page.body);

    let service = page.url.join("/operator/services/spotify").unwrap();
    let page = browser.get(&service).await;
    let form = page.form_with("client_id").unwrap();
    let secret = "a secret for a page alone";
    let page = browser.submit(&form, &[("client_id", "the-id"), ("client_secret", secret)]).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let out = server.process.out.text();
    let (status, _, log) = server.stop();
    assert!(status.success(), "{log}");
    for said in [&out, &log, &page.body] {
        assert!(!said.contains(secret), "{said}");
    }
    assert!(!log.contains(&token), "{log}");

    // What is set up on a page is known to the commands too.
    let shown = home.run(&["provider", "show", "spotify"], &[]).ok();
    assert!(shown.contains("ready"), "{shown}");
    assert!(home.run(&["user", "list"], &[]).ok().contains("\toperator"));
    // With an operator, a start prints no link.
    let mut again = Server::start(&home, &[]);
    again.process.line_with("ready       spotify");
    again.process.line_with("not set up");
    let out = again.process.out.text();
    assert!(!out.contains("/setup/"), "{out}");
}

#[test]
fn roles_are_given_and_taken_on_the_command_line() {
    let home = Home::new();
    let add = |name: &str, more: &[&str]| {
        let email = format!("{name}@example.org");
        let args = [&["user", "add", name, "--email", &email], more].concat();
        home.run_with(&args, &[], PASSWORD).ok()
    };
    assert!(add("ada", &[]).contains("has the id 1."));
    assert!(add("olga", &["--operator"]).contains("operates this server"));
    let roles = || -> Vec<String> {
        let list = home.run(&["user", "list"], &[]).ok();
        list.lines().map(|line| line.rsplit('\t').next().unwrap().to_owned()).collect()
    };
    assert_eq!(roles(), ["person", "operator"]);
    home.run(&["user", "role", "Ada", "operator"], &[]).ok();
    home.run(&["user", "role", "olga", "person"], &[]).ok();
    assert_eq!(roles(), ["operator", "person"]);
    let refused = home.run(&["user", "role", "nobody", "operator"], &[]).refused();
    assert!(refused.contains("there is no user \"nobody\""), "{refused}");
    // Everybody may go: the next start prints a link.
    home.run(&["user", "role", "ada", "person"], &[]).ok();
    let audit = home.run(&["audit", "list"], &[]).ok();
    assert!(audit.contains("operator.role_grant") && audit.contains("operator.role_revoke"), "{audit}");
}
