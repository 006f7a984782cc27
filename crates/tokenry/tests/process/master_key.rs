//! The master key: where it comes from, and what happens when it is another one.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use crate::process::Home;
use crate::server::Server;

/// Every file of the data directory, but for the shared memory, which holds nothing of its own, an empty log, and the room
/// that is set aside in the spool.
fn data(home: &Home) -> BTreeMap<String, Vec<u8>> {
    let Ok(files) = std::fs::read_dir(home.data()) else { return BTreeMap::new() };
    files
        .map(|file| file.unwrap())
        .filter(|file| file.file_name() != "spool")
        .map(|file| (file.file_name().into_string().unwrap(), std::fs::read(file.path()).unwrap()))
        .filter(|(name, bytes)| !(name.ends_with("-shm") || name.ends_with("-wal") && bytes.is_empty()))
        .collect()
}

fn generate(home: &Home) -> String {
    home.run(&["key", "generate"], &[]).ok().trim().to_owned()
}

#[track_caller]
fn assert_one_sentence(error: &str) {
    assert_eq!(error.trim().lines().count(), 1, "not one sentence: {error}");
    assert!(error.starts_with("tokenry: "), "{error}");
}

/// Starts with a key, adds a token, and kills it, so that the log is still there.
async fn used_and_killed(home: &Home, env: &[(&str, &str)]) {
    let server = Server::start(home, env);
    server.user("ada").await.add("mine", "spotify", "a pasted token").await;
    server.process.kill();
    assert!(data(home).get("tokenry.db-wal").is_some_and(|log| log.len() > 1000), "there is no log");
}

#[test]
fn each_generated_key_is_another_and_goes_nowhere_but_to_standard_output() {
    let home = Home::new();
    let (one, two) = (generate(&home), generate(&home));
    assert_ne!(one, two);
    assert_eq!(one.len(), 44, "32 bytes in base64");
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn another_master_key_is_refused_in_one_sentence_and_changes_no_byte() {
    let home = Home::new();
    let (right, wrong) = (generate(&home), generate(&home));
    used_and_killed(&home, &[("TOKENRY_MASTER_KEY", &right)]).await;
    let before = data(&home);
    for round in 0..2 {
        let env = [("TOKENRY_MASTER_KEY", wrong.as_str()), ("TOKENRY_LISTEN", "127.0.0.1:0")];
        let error = home.run(&["serve"], &env).refused();
        assert_one_sentence(&error);
        assert!(error.contains("this master key does not open"), "{error}");
        assert!(!error.contains(&wrong) && !error.contains(&right), "{error}");
        assert!(before == data(&home), "round {round}: a file changed, there are {:?}", data(&home).keys());
    }
    // The same for a command that is not the server.
    let error = home.run(&["user", "list"], &[("TOKENRY_MASTER_KEY", &wrong)]).refused();
    assert!(error.contains("this master key does not open"), "{error}");
    assert!(before == data(&home), "a file changed, there are {:?}", data(&home).keys());

    // And after a clean stop, without a log.
    let server = Server::start(&home, &[("TOKENRY_MASTER_KEY", &right)]);
    assert_eq!(server.log_in("ada").await.list().await[0]["Token"], "a pasted token");
    assert!(server.stop().0.success());
    let before = data(&home);
    assert_eq!(before.keys().collect::<Vec<_>>(), ["tokenry.db"], "a clean stop leaves the database alone");
    home.run(&["serve"], &[("TOKENRY_MASTER_KEY", &wrong), ("TOKENRY_LISTEN", "127.0.0.1:0")]).refused();
    assert!(before == data(&home), "a file changed, there are {:?}", data(&home).keys());
}

#[tokio::test]
async fn a_missing_key_file_is_not_replaced_when_there_is_a_database() {
    let home = Home::new();
    used_and_killed(&home, &[]).await;
    let (path, kept) = (home.data().join("master.key"), home.path().join("kept.key"));
    std::fs::rename(&path, &kept).unwrap();
    let before = data(&home);
    let error = home.run(&["serve"], &[("TOKENRY_LISTEN", "127.0.0.1:0")]).refused();
    assert_one_sentence(&error);
    assert!(error.contains("the master key file data/master.key is missing"), "{error}");
    assert!(error.contains("put the file back"), "{error}");
    assert!(!path.exists(), "a key was generated");
    assert!(before == data(&home), "a file changed, there are {:?}", data(&home).keys());

    let server = Server::start(&home, &[("TOKENRY_MASTER_KEY_FILE", kept.to_str().unwrap())]);
    assert_eq!(server.log_in("ada").await.list().await[0]["Token"], "a pasted token");
    assert!(!path.exists());
}

#[tokio::test]
async fn a_key_may_come_from_a_file_or_a_variable_and_none_is_generated_then() {
    let home = Home::new();
    let key = generate(&home);
    std::fs::write(home.path().join("my.key"), format!("{key}\n")).unwrap();
    let mut server = Server::start(&home, &[("TOKENRY_MASTER_KEY_FILE", "my.key")]);
    server.process.line_with("not set up");
    assert!(!server.process.out.text().contains("generated"));
    let user = server.user("ada").await;
    let id = user.add("mine", "spotify", "a pasted token").await;
    assert!(server.stop().0.success());
    let server = Server::start(&home, &[("TOKENRY_MASTER_KEY", &key)]);
    assert_eq!(server.again(&user).token_of(id).await, "a pasted token");
    assert!(!home.data().join("master.key").exists());
}

#[test]
fn a_malformed_key_is_refused_without_repeating_it() {
    let home = Home::new();
    for bad in ["not-a-key-but-secret", "c2hvcnQ=", "c2VjcmV0IQ==c2VjcmV0IQ==c2VjcmV0IQ==c2VjcmV0IQ=="] {
        let error =
            home.run(&["serve"], &[("TOKENRY_MASTER_KEY", bad), ("TOKENRY_LISTEN", "127.0.0.1:0")]).refused();
        assert_one_sentence(&error);
        assert!(error.contains("TOKENRY_MASTER_KEY is not a master key"), "{error}");
        assert!(error.contains("tokenry key generate"), "{error}");
        assert!(!error.contains(bad), "{error}");

        let path = home.path().join("my.key");
        std::fs::write(&path, bad).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let env = [("TOKENRY_MASTER_KEY_FILE", "my.key"), ("TOKENRY_LISTEN", "127.0.0.1:0")];
        let error = home.run(&["serve"], &env).refused();
        assert_one_sentence(&error);
        assert!(error.contains("my.key") && !error.contains(bad), "{error}");
    }
    assert!(!home.database().exists(), "a database was made for a key that is none");
}

#[tokio::test]
async fn a_key_in_two_places_or_in_the_configuration_file_is_refused() {
    let home = Home::new();
    let key = generate(&home);
    std::fs::write(home.path().join("my.key"), &key).unwrap();
    let env = [("TOKENRY_MASTER_KEY", key.as_str()), ("TOKENRY_MASTER_KEY_FILE", "my.key")];
    let error = home.run(&["serve"], &env).refused();
    assert!(error.contains("set the same thing") && !error.contains(&key), "{error}");
    std::fs::write(home.path().join("tokenry.toml"), format!("master_key = \"{key}\"\n")).unwrap();
    let error = home.run(&["serve"], &[]).refused();
    assert!(error.contains("master_key_file") && !error.contains(&key), "{error}");
}
