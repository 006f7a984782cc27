//! The README's API walk, run line by line with curl against the real binary.
#![allow(clippy::unwrap_used, reason = "in a test a failed step is a failed test")]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

/// A server that ends with the test.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The commands of the walk, each with the answer that the README promises.
fn steps(readme: &str) -> Vec<(String, Option<String>)> {
    let walk = readme.split("```sh\n").find(|block| block.starts_with("API=")).unwrap();
    let walk = walk.split("```").next().unwrap();
    let mut steps: Vec<(String, Option<String>)> = Vec::new();
    for line in walk.lines().filter(|line| !line.is_empty()) {
        match line.strip_prefix("# → ") {
            Some(answer) => steps.last_mut().unwrap().1 = Some(answer.to_owned()),
            None => steps.push((line.to_owned(), None)),
        }
    }
    steps
}

/// Whether an answer is the promised one. `…` stands for anything.
fn fits(answer: &str, promised: &str) -> bool {
    let mut rest = answer;
    for (index, part) in promised.split('…').enumerate() {
        let found = if index == 0 { rest.starts_with(part).then_some(0) } else { rest.find(part) };
        let Some(at) = found else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.is_empty() || promised.ends_with('…')
}

#[test]
fn the_api_answers_as_the_readme_prints() {
    assert!(fits("a1b2c", "a…b…c") && !fits("a1b2d", "a…b…c") && !fits("ab", "a"));
    let data = tempfile::tempdir().unwrap();
    let mut server = Command::new(env!("CARGO_BIN_EXE_tokenry"))
        .arg("serve")
        .env_clear()
        .env("TOKENRY_LISTEN", "127.0.0.1:0")
        .current_dir(data.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map(Serving)
        .unwrap();
    let mut first = String::new();
    BufReader::new(server.0.stdout.as_mut().unwrap()).read_line(&mut first).unwrap();
    let base = &first[first.find("http://").unwrap()..];

    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap();
    let steps = steps(&readme);
    let promised = steps.iter().filter(|(_, answer)| answer.is_some()).count();
    assert!(promised >= 9, "the README shows {promised} answers");
    let mut script = String::from("set -eu\n");
    for (command, _) in &steps {
        let command =
            if command.starts_with("API=") { format!("API={}", base.trim()) } else { command.clone() };
        script.push_str(&command);
        script.push_str("\necho; echo '=== end of step'\n");
    }
    let output = Command::new("bash").arg("-c").arg(&script).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answers = String::from_utf8(output.stdout).unwrap();
    for ((command, promised), answer) in steps.iter().zip(answers.split("=== end of step\n")) {
        if let Some(promised) = promised {
            assert!(fits(answer.trim(), promised), "{command}\nanswered {answer}\nnot     {promised}");
        }
    }
}
