//! The disk is full at the moment a refresh is answered: the new token is served at once, and is in the database when there
//! is room again, also after a restart.
//!
//! The server runs on a small file system of its own, in a mount namespace that ends with it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "in a test a failed step is a failed test")]

mod common;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::StatusCode;
use tokenry_sandbox::{Fault, FaultKind, Sandbox};
use tokenry_testkit::app::{TestUser, start_sandbox};

use crate::common::{Process, free_address, sign_up_and_connect, tokenry};

const ACCESS_TTL: Duration = Duration::from_secs(2);

/// A server on a disk of 8 MB, kept by a process that holds the disk while the server comes and goes.
struct Disk {
    keeper: Child,
    data: PathBuf,
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

impl Disk {
    fn new(data: &Path) -> Self {
        let script = r#"mount -t tmpfs -o size=8m none "$1" && echo mounted && exec sleep 600"#;
        let mut keeper = Command::new("unshare")
            .args(["--map-root-user", "--mount", "sh", "-c", script, "sh"])
            .arg(data)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(keeper.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(
            said, "mounted\n",
            "a small disk could not be had: this test needs user and mount namespaces"
        );
        Self { keeper, data: data.to_owned() }
    }

    /// The data directory as the server sees it.
    fn path(&self) -> PathBuf {
        Path::new("/proc")
            .join(self.keeper.id().to_string())
            .join("root")
            .join(self.data.strip_prefix("/").unwrap())
    }

    /// Leaves no byte free.
    fn fill(&self) {
        let mut ballast = fs::File::create(self.path().join("ballast")).unwrap();
        let mut block = vec![0_u8; 64 * 1024];
        while !block.is_empty() {
            if ballast.write_all(&block).is_err() {
                block.truncate(block.len() / 2);
            }
        }
    }

    fn empty(&self) {
        fs::remove_file(self.path().join("ballast")).unwrap();
    }

    fn serve(&self, sandbox: &Sandbox, address: &str) -> Process {
        let mut command = Command::new("nsenter");
        command
            .arg("--preserve-credentials")
            .args(["--user", "--mount", "--target", &self.keeper.id().to_string()])
            .arg(tokenry().get_program())
            .env_clear()
            .env("TOKENRY_PUBLIC_URL", format!("http://{address}"))
            .env("TOKENRY_DATA_DIR", &self.data)
            .env("TOKENRY_REFRESH_AHEAD", "false");
        common::serve(command, sandbox, address)
    }
}

async fn stored(user: &TestUser) -> String {
    user.list().await[0]["Token"].as_str().unwrap().to_owned()
}

/// Reads a token whose refresh is answered while there is no byte left on the disk.
async fn refresh_on_a_full_disk(disk: &Disk, sandbox: &Sandbox, user: &TestUser, id: i64) -> String {
    tokio::time::sleep(ACCESS_TTL).await;
    // The intent is written before the call; the disk fills up while the provider thinks.
    sandbox.inject(Fault::on_refresh(FaultKind::Delay { ms: 800 }));
    let attempts = sandbox.seen().refresh_attempts;
    let reader = user.clone();
    let read = tokio::spawn(async move { reader.get_token(id).await });
    while sandbox.seen().refresh_attempts == attempts {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    disk.fill();
    read.await.unwrap().expect(StatusCode::OK).text("token")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_comes_when_the_disk_is_full_is_served_and_in_the_database_when_there_is_room() {
    let data = tempfile::tempdir().unwrap();
    let disk = Disk::new(data.path());
    let sandbox = start_sandbox(ACCESS_TTL).await;
    let address = free_address();
    let process = disk.serve(&sandbox, &address);
    let (user, id) = sign_up_and_connect(&process.base).await;
    let old = stored(&user).await;

    let new = refresh_on_a_full_disk(&disk, &sandbox, &user, id).await;
    assert_ne!(new, old);
    assert_eq!(stored(&user).await, old, "the disk had room");
    assert_eq!(sandbox.seen().refreshes, 1);
    disk.empty();
    while stored(&user).await != new {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    // Once more, and this time the process is gone before there is room.
    let newer = refresh_on_a_full_disk(&disk, &sandbox, &user, id).await;
    assert_eq!(stored(&user).await, new, "the disk had room");
    drop(process);
    disk.empty();
    let _next = disk.serve(&sandbox, &address);
    assert_eq!(stored(&user).await, newer);
    tokio::time::sleep(ACCESS_TTL).await;
    user.token_of(id).await;
    let seen = sandbox.seen();
    assert_eq!((seen.refreshes, seen.reuses_detected), (3, 0));
}
