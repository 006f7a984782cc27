//! The texts of the pages: an operator's own files, and SIGHUP, which reads them again.

use reqwest::header::ACCEPT_LANGUAGE;

use crate::process::Home;
use crate::server::Server;

/// Puts a file into the default directory of texts.
fn put(home: &Home, name: &str, text: &str) {
    let dir = home.data().join("texts");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join(name), text).unwrap();
}

/// The front page, for somebody who reads `language`.
async fn front_page(server: &Server, language: &str) -> String {
    let request = reqwest::Client::new().get(format!("{}/", server.base));
    request.header(ACCEPT_LANGUAGE, language).send().await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn a_second_language_is_a_file_and_live_after_sighup_and_a_broken_one_changes_nothing() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    let english = front_page(&server, "de-AT, en;q=0.5").await;
    assert!(english.contains("<html lang=\"en\" dir=\"ltr\">") && english.contains("Sign in"), "{english}");

    put(&home, "de.ftl", "home-sign-in = Anmelden\nhome-sign-up = Konto anlegen\n");
    put(&home, "en.ftl", "home-sign-up = Join us\n");
    put(&home, ".de.ftl.swp", "junk");
    server.process.hang_up();
    server.process.err.line_with("the services were read again, and the texts").unwrap();
    let german = front_page(&server, "de-AT, en;q=0.5").await;
    assert!(german.contains("<html lang=\"de\" dir=\"ltr\">"), "{german}");
    assert!(german.contains(">Anmelden<") && german.contains(">Konto anlegen<"), "{german}");
    // What is not translated yet is said in English.
    assert!(german.contains("Connect an account once."), "{german}");
    let english = front_page(&server, "fr, en;q=0.5").await;
    assert!(english.contains(">Join us<") && english.contains(">Sign in<"), "{english}");

    put(&home, "de.ftl", "home-sign-in = Einloggen\nhome-sign-up { }\n");
    server.process.hang_up();
    let line = server.process.err.line_with("the services stay as they were").unwrap();
    assert!(line.contains("texts/de.ftl, line 2: this is no Fluent text"), "{line}");
    assert!(front_page(&server, "de").await.contains(">Anmelden<"));

    // What no page says (any more) is passed over: a translation keeps no newer version from its start.
    put(&home, "de.ftl", "home-sign-in = Einloggen\nhome-sing-up = Konto anlegen\n");
    let error = home.run(&["config", "check"], &[]).refused();
    assert!(error.contains("no page says \"home-sing-up\"; did you mean home-sign-up?"), "{error}");
    server.process.hang_up();
    let line = server.process.err.line_with("it is said in English").unwrap();
    assert!(line.contains("texts/de.ftl: no page says") && line.contains("home-sing-up"), "{line}");
    server.process.err.line_with("the services were read again, and the texts").unwrap();
    let german = front_page(&server, "de").await;
    assert!(german.contains(">Einloggen<") && german.contains(">Join us<"), "{german}");
}

#[test]
fn what_the_pages_say_can_be_printed_and_given_back() {
    let home = Home::new();
    let english = home.run(&["config", "texts"], &[]).ok();
    assert!(english.contains("\nnav-sign-in = Sign in\n"), "{english}");
    put(&home, "pt-BR.ftl", &english);
    assert!(!home.run(&["config", "check"], &[]).ok().contains("lacks"));
    put(&home, "pt-BR.ftl", &english.replace("\nnav-sign-in = Sign in\n", "\n"));
    let said = home.run(&["config", "check"], &[]).ok();
    assert!(said.contains("The language pt-BR lacks 1 of its texts: English stands in for them."), "{said}");
    put(&home, "pt-BR.ftl", "nav-sign-in = {");
    for command in [&["config", "check"][..], &["serve"]] {
        let error = home.run(command, &[]).refused();
        assert!(error.contains("texts/pt-BR.ftl, line 1: this is no Fluent text"), "{error}");
    }
    let error = home.run(&["config", "check"], &[("TOKENRY_TEXTS_DIR", "nowhere")]).refused();
    assert!(error.contains("TOKENRY_TEXTS_DIR names the directory nowhere, which is not there"), "{error}");
}
