//! `tokenry provider …`.

use serde_json::Value;

use crate::process::{Done, Home};
use crate::server::{SandboxProcess, Server, borrowed, connect, free_port};

/// The standard output, which must have all of this in it.
#[track_caller]
fn says(done: Done, all: &[&str]) -> String {
    let said = done.ok();
    for part in all {
        assert!(said.contains(part), "no {part:?} in:\n{said}");
    }
    said
}

#[test]
fn a_list_counts_the_services_and_says_how_each_is_connected_here() {
    let home = Home::new();
    let env = [
        ("TOKENRY_PROVIDERS__GIT__CLIENT_ID", "the-id"),
        ("TOKENRY_PROVIDERS__GIT__CLIENT_SECRET", "the-secret"),
    ];
    let said = home.run(&["provider", "list"], &env).ok();
    let line = |id: &str| said.lines().find(|line| line.split(' ').next() == Some(id)).unwrap().to_owned();
    assert!(line("github").ends_with("ready"), "{}", line("github"));
    assert!(line("spotify").ends_with("needs client_id, client_secret"), "{}", line("spotify"));
    assert!(line("openai").contains("API key"), "{}", line("openai"));
    let last: Vec<&str> = said.lines().last().unwrap().split(' ').collect();
    let count: usize = last[0].parse().unwrap();
    assert_eq!(
        (count, last[1..].join(" ").as_str()),
        (said.lines().count() - 2, "services, 1 ready to connect")
    );
    assert!(count >= 250, "{count}");
    assert!(!said.contains("the-secret") && !home.data().exists());

    let found = |args: &[&str]| {
        let args: Vec<&str> = ["provider", "list", "--json"].iter().chain(args).copied().collect();
        let all: Vec<Value> = serde_json::from_str(&home.run(&args, &env).ok()).unwrap();
        all
    };
    assert!(found(&["--category", "music"]).iter().any(|service| service["id"] == "spotify"));
    assert!(found(&["--kind", "basic"]).iter().all(|service| service["kind"] == "basic"));
    let git = &found(&["github"])[0];
    assert_eq!(
        (&git["status"], &git["aliases"][0], &git["source"]),
        (&"ready".into(), &"git".into(), &"built_in".into())
    );
    assert_eq!(git["redirect_uri"], "http://localhost:8080/callback");
    assert!(found(&["no-such-service-at-all"]).is_empty());
}

#[test]
fn show_says_what_a_person_can_act_on() {
    let home = Home::new();
    says(
        home.run(&["provider", "show", "spotify"], &[]),
        &[
            "http://127.0.0.1:8080/callback",
            "refuses localhost",
            "user-read-email user-read-private",
            "country and plan",
            "lives for 1 hour",
            "a refresh may bring a new one",
            "must be connected again 180 days (about 6 months) after the person said yes; refreshing does not extend it",
            "the service has no way to revoke",
            "built in",
            "https://developer.spotify.com/",
        ],
    );
    let public = [("TOKENRY_PUBLIC_URL", "https://t.example/x")];
    says(
        home.run(&["provider", "show", "GIT"], &public),
        &["GitHub (github)", "https://t.example/x/callback\n"],
    );
    says(home.run(&["provider", "show", "discord"], &[]), &["so it is done with the last one only"]);
    says(home.run(&["provider", "show", "slack"], &[]), &["set public_url to an https address first"]);
    says(
        home.run(&["provider", "show", "zendesk"], &[]),
        &["The first word of your Zendesk address, such as acme"],
    );
}

#[test]
fn an_unknown_service_has_status_2_and_close_matches() {
    let home = Home::new();
    for command in ["show", "check"] {
        let done = home.run(&["provider", command, "spotfy"], &[]);
        assert_eq!(done.status.code(), Some(2), "{done:?}");
        assert!(done.err.contains("did you mean spotify"), "{done:?}");
    }
}

#[test]
fn a_check_says_the_very_lines_that_are_missing_and_those_lines_make_it_ready() {
    let (sandbox, home) = (SandboxProcess::start(30), Home::new());
    std::fs::create_dir_all(home.data().join("providers")).unwrap();
    let file = format!(
        "id = \"acme-crm\"\nname = \"Acme\"\nissuer = \"{}\"\n[redirect]\nrefuses_localhost = true\n",
        sandbox.base
    );
    std::fs::write(home.data().join("providers/acme-crm.toml"), file).unwrap();
    let private = ("TOKENRY_OUTBOUND__ALLOW_PRIVATE", "true");
    let done = home.run(&["provider", "check", "acme-crm"], &[private]);
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    for part in [
        "Acme (acme-crm): not ready",
        "the file data/providers/acme-crm.toml",
        "http://127.0.0.1:8080/callback/acme-crm\n",
        "[providers.acme-crm]\n  client_id = \"…\"\n  client_secret_file = \"/run/secrets/acme-crm_client_secret\"\n",
        "answers (",
    ] {
        assert!(done.out.contains(part), "no {part:?} in {}", done.out);
    }
    std::fs::write(home.path().join("secret"), "hush-hush\n").unwrap();
    let filled =
        |text: &str| text.replace('…', "the-id").replace("/run/secrets/acme-crm_client_secret", "secret");
    let env: Vec<(String, String)> = done
        .out
        .lines()
        .filter_map(|line| line.trim().strip_prefix("TOKENRY_")?.split_once('='))
        .map(|(name, value)| (format!("TOKENRY_{name}"), filled(value)))
        .collect();
    assert_eq!(env.len(), 2, "{}", done.out);
    let mut env: Vec<(&str, &str)> =
        env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    env.push(private);
    says(home.run(&["provider", "check", "acme-crm"], &env), &["Acme (acme-crm): ready"]);

    let lines: Vec<&str> =
        done.out.lines().skip_while(|line| line.trim() != "[providers.acme-crm]").take(3).collect();
    std::fs::write(home.path().join("tokenry.toml"), filled(&lines.join("\n"))).unwrap();
    let said = says(
        home.run(&["provider", "check", "acme-crm"], &[private]),
        &[
            "Acme (acme-crm): ready",
            "the-id, from `providers.acme-crm.client_id` in tokenry.toml",
            "set, from the file that `providers.acme-crm.client_secret_file` in tokenry.toml names",
        ],
    );
    assert!(!said.contains("hush-hush"), "{said}");
}

#[tokio::test]
async fn a_check_looks_at_the_endpoints_and_spends_nothing() {
    let sandbox = SandboxProcess::start(30);
    let home = Home::new();
    std::fs::write(home.path().join("secret"), "hush-hush\n").unwrap();
    let mut env: Vec<_> = borrowed(&sandbox.env(free_port()))
        .into_iter()
        .filter(|(name, _)| !name.ends_with("CLIENT_SECRET"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    env.push(("TOKENRY_PROVIDERS__SANDBOX__CLIENT_SECRET_FILE".to_owned(), "secret".to_owned()));
    let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let said = says(
        home.run(&["provider", "check", "--all"], &env),
        &[
            "(sandbox): ready",
            "set, from the file that TOKENRY_PROVIDERS__SANDBOX__CLIENT_SECRET_FILE names",
            "/callback/sandbox",
            "answers (",
            &sandbox.base,
        ],
    );
    assert!(!said.contains("hush-hush"), "{said}");
    assert_eq!((sandbox.seen("codes_exchanged").await, sandbox.seen("refreshes").await), (0, 0));

    let forbidden: Vec<_> =
        env.iter().copied().filter(|(name, _)| !name.ends_with("ALLOW_PRIVATE")).collect();
    let done = home.run(&["provider", "check", "sandbox"], &forbidden);
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    assert!(done.out.contains("outbound.allow_private"), "{done:?}");
    drop(sandbox);
    let done = home.run(&["provider", "check", "sandbox"], &env);
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    assert!(done.out.contains("does not answer"), "{done:?}");
}

#[tokio::test]
async fn a_check_says_what_the_server_has_seen_of_a_client_that_is_refused() {
    let sandbox = SandboxProcess::start(1);
    let home = Home::new();
    let env = sandbox.env(free_port());
    let right = borrowed(&env);
    let server = Server::start(&home, &right);
    let user = server.user("ada").await;
    let id = connect(&user, &server.base, "ada").await;
    server.process.kill();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;

    let mut wrong: Vec<(&str, &str)> =
        right.iter().copied().filter(|(name, _)| !name.ends_with("CLIENT_SECRET")).collect();
    wrong.push(("TOKENRY_PROVIDERS__SANDBOX__CLIENT_SECRET", "not the secret"));
    wrong.push(("TOKENRY_REFRESH_AHEAD", "false"));
    let server = Server::start(&home, &wrong);
    server.again(&user).get_token(id).await.expect_error(502, "provider_refused");
    let done = home.run(&["provider", "check", "sandbox"], &wrong);
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    assert!(done.out.contains("refuses this server's own registration"), "{done:?}");
    assert!(done.out.contains("invalid_client") && !done.out.contains("not the secret"), "{done:?}");
}

#[test]
fn a_check_of_all_without_any_says_so() {
    let home = Home::new();
    says(home.run(&["provider", "check", "--all"], &[]), &["No service is set up yet"]);
}

#[test]
fn every_template_is_a_provider_file_that_loads() {
    let home = Home::new();
    let dir = home.data().join("providers");
    std::fs::create_dir_all(&dir).unwrap();
    for (id, args) in [
        ("acme", &[][..]),
        ("acme-id", &["--issuer", "https://login.acme.example"]),
        ("acme-one", &["--kind", "oauth1"]),
        ("acme-program", &["--kind", "client_credentials"]),
        ("acme-key", &["--kind", "api_key"]),
        ("acme-basic", &["--kind", "basic"]),
        ("github", &[]),
    ] {
        let path = format!("data/providers/{id}.toml");
        let args: Vec<&str> =
            ["provider", "template", id, "--output", &path].iter().chain(args).copied().collect();
        home.run(&args, &[]).ok();
        let written = std::fs::read_to_string(home.path().join(&path)).unwrap();
        let shown = says(home.run(&["provider", "show", id], &[]), &[&format!("the file {path}")]);
        assert!(shown.contains(&format!("({id})")), "{shown}");
        // What is commented out is right as well.
        let whole: Vec<&str> = written
            .lines()
            .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
            .collect();
        std::fs::write(home.path().join(&path), whole.join("\n")).unwrap();
        home.run(&["provider", "show", id], &[]).ok();
        std::fs::write(home.path().join(&path), &written).unwrap();
        let again = home.run(&args, &[]).refused();
        assert!(again.contains("is not written"), "{again}");
        assert_eq!(std::fs::read_to_string(home.path().join(&path)).unwrap(), written, "it was overwritten");
    }
    let listed = home.run(&["provider", "list", "acme"], &[]).ok();
    assert!(listed.ends_with("6 services, 0 ready to connect\n"), "{listed}");
}

#[test]
fn a_template_is_refused_under_a_word_that_is_no_id_or_another_service_s() {
    let home = Home::new();
    assert!(home.run(&["provider", "template", "git"], &[]).refused().contains("another word for github"));
    assert!(home.run(&["provider", "template", "Acme Inc"], &[]).refused().contains("a-z"));
    let other = home.run(&["provider", "template", "acme", "--output", "other.toml"], &[]).refused();
    assert!(other.contains("must be called acme.toml"), "{other}");
}

#[test]
fn the_schema_is_json_and_names_the_words() {
    let schema: Value = serde_json::from_str(&Home::new().run(&["provider", "schema"], &[]).ok()).unwrap();
    assert!(schema["properties"]["extends"].is_object() && schema["$schema"].is_string());
}

#[test]
fn settings_that_the_operator_fixes_are_in_the_endpoints() {
    let home = Home::new();
    let fixed = "https://acme.zendesk.com/oauth/tokens";
    let env = [("TOKENRY_PROVIDERS__ZENDESK__SETTINGS", "subdomain=acme")];
    says(home.run(&["provider", "show", "zendesk"], &env), &[fixed]);
    let file = home.path().join("tokenry.toml");
    std::fs::write(&file, "[providers.zendesk.settings]\nsubdomain = \"acme\"\n").unwrap();
    says(home.run(&["provider", "show", "zendesk"], &[]), &[fixed]);
    says(home.run(&["config", "check"], &[]), &["providers.zendesk.settings   subdomain=acme"]);
    for (text, told) in [
        ("[providers.zendesk.settings]\nsubdomain = \"evil.example/\"\n", "zendesk: settings.subdomain"),
        (
            "[providers.zendesk.settings]\nsubdomian = \"acme\"\n",
            "there is no such setting; there is subdomain",
        ),
        ("[providers.zendesk.settings]\nsubdomain = 1\n", "must be table of strings"),
        ("[providers.zendesk]\nprivate_key = \"hush-hush\"\n", "zendesk: private_key"),
    ] {
        std::fs::write(&file, text).unwrap();
        let error = home.run(&["config", "check"], &[]).refused();
        assert!(error.contains(told) && !error.contains("hush-hush"), "{error}");
    }
}
