//! `tokenry demo`.

use crate::process::Home;
use crate::server::free_port;

#[test]
fn the_demo_walks_the_trip_prints_each_step_and_leaves_nothing() {
    let home = Home::new();
    let temp = home.path().join("tmp");
    std::fs::create_dir(&temp).unwrap();
    let said = home.run(&["demo", "--once"], &[("TMPDIR", temp.to_str().unwrap())]).ok();
    let steps: Vec<_> = said.lines().filter(|line| line.contains('✓')).collect();
    for (part, place) in [
        ("signs up and logs in", 0),
        ("ask for a link", 1),
        ("allow it", 2),
        ("is stored, sealed", 3),
        ("calls the service with it: accepted", 4),
        ("has expired", 5),
        ("gets a fresh one", 6),
        ("revoked at the service", 7),
    ] {
        let step = steps.get(place).unwrap_or_else(|| panic!("no step {place}: {said}"));
        assert!(step.contains(part), "{step} is not {part:?}");
    }
    assert_eq!(steps.len(), 8, "{said}");
    assert!(said.trim_end().ends_with("The trip is done."), "{said}");
    assert_eq!(std::fs::read_dir(&temp).unwrap().count(), 0, "the store was not thrown away");
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1, "it wrote into the working directory");
}

#[test]
fn a_port_that_somebody_insists_on_and_that_is_taken_is_an_error() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let error = Home::new().run(&["demo", "--once", "--port", &port], &[]).refused();
    assert!(error.contains(&format!("cannot listen on port {port}")), "{error}");
    assert_eq!(error.trim().lines().count(), 1, "{error}");
}

#[test]
fn the_demo_runs_on_until_somebody_ends_it() {
    let home = Home::new();
    let port = free_port().to_string();
    let mut demo = home.spawn(&["demo", "--port", &port], &[]);
    demo.line_with("Ctrl-C ends both");
    let answer = std::net::TcpStream::connect(format!("127.0.0.1:{port}"));
    assert!(answer.is_ok(), "it invites to a port where nobody listens");
    demo.terminate();
    assert!(demo.wait().success(), "{}", demo.err.text());
}
