//! Who asks for what is not theirs.

use reqwest::StatusCode;
use tokenry_testkit::app::{Answer, PASSWORD};
use tokenry_web::Who;

use crate::dump::{differences, dump};
use crate::scene::{Browser, PRIVATE, Scene};
use crate::table::{Does, ROWS, Row};

/// What a browser sends along when a person goes somewhere (Fetch Metadata).
const NAVIGATES: [(&str, &str); 3] =
    [("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];

/// Asks for a page as somebody, the way the page wants to be asked.
async fn ask(browser: &Browser, row: &Row, address: &str) -> Answer {
    match row.method {
        "GET" => browser.get(address).await,
        _ => browser.post(address, row.fields).await,
    }
}

/// Checks that nothing of Ada's is in an answer.
#[track_caller]
fn expect_nothing_private(row: &Row, answer: &Answer) {
    for word in PRIVATE {
        let told = answer.body.contains(word) || answer.header("location").contains(word);
        assert!(!told, "{} {} tells {word:?}: {answer:?}", row.method, row.path);
    }
}

/// What a form that is not to be believed does not do, sent by `browser` in each of these ways.
async fn expect_unchanged(scene: &Scene, what: impl AsyncFnOnce()) {
    let before = dump(scene.app.data_dir()).await;
    what().await;
    let after = dump(scene.app.data_dir()).await;
    assert_eq!(differences(&before, &after), Vec::<String>::new());
}

#[tokio::test]
async fn the_signed_out_are_led_to_the_sign_in_and_told_nothing() {
    let scene = Scene::start().await;
    let nobody = scene.stranger().await;
    for row in ROWS.iter().filter(|row| row.who() != Who::Anyone) {
        expect_unchanged(&scene, async || {
            let answer = ask(&nobody, row, &row.address(&scene)).await;
            assert_eq!(answer.status, StatusCode::SEE_OTHER, "{} {}: {answer:?}", row.method, row.path);
            assert!(answer.header("location").starts_with("/sign-in"), "{answer:?}");
            assert!(
                answer.header("location").contains("?next=%2F"),
                "{} {}: {answer:?}",
                row.method,
                row.path
            );
            expect_nothing_private(row, &answer);
        })
        .await;
    }
}

#[tokio::test]
async fn another_persons_connection_is_as_one_that_is_not_there() {
    let scene = Scene::start().await;
    let eve = scene.browser("eve").await;
    for row in ROWS.iter().filter(|row| row.who() == Who::Person) {
        let mut answer = None;
        if row.is_adas() {
            expect_unchanged(&scene, async || {
                answer = Some(ask(&eve, row, &row.address(&scene)).await);
            })
            .await;
        } else if row.does != Does::Signs {
            answer = Some(ask(&eve, row, &row.address(&scene)).await);
        }
        let Some(answer) = answer else { continue };
        expect_nothing_private(row, &answer);
        if row.is_about_one() {
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{} {}: {answer:?}", row.method, row.path);
            let nowhere = ask(&eve, row, &row.nowhere()).await;
            assert_eq!((nowhere.status, &nowhere.body), (answer.status, &answer.body), "{}", row.path);
        }
    }
    // Nothing of Ada's went, whatever Eve did to what is hers.
    assert_eq!(scene.ada.list().await[0]["Name"], PRIVATE[0]);
}

#[tokio::test]
async fn the_operators_pages_are_not_there_for_people_and_for_operators_who_were() {
    let scene = Scene::start().await;
    let (eve, olga) = (scene.browser("eve").await, scene.browser("olga").await);
    scene.demote().await;
    for row in ROWS.iter().filter(|row| row.who() == Who::Operator) {
        for browser in [&eve, &olga] {
            expect_unchanged(&scene, async || {
                let answer = ask(browser, row, &row.address(&scene)).await;
                assert_eq!(answer.status, StatusCode::NOT_FOUND, "{} {}: {answer:?}", row.method, row.path);
                let nowhere = browser.get("/operator/that-is-not-there").await;
                assert_eq!((nowhere.status, &nowhere.body), (answer.status, &answer.body), "{}", row.path);
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_form_that_no_page_of_ours_made_for_this_browser_changes_nothing() {
    let scene = Scene::start().await;
    let (ada, eve, olga) =
        (scene.browser("ada").await, scene.browser("eve").await, scene.browser("olga").await);
    let own = [("sec-fetch-site", "same-origin")];
    let foreign = [("sec-fetch-site", "cross-site"), ("origin", "https://elsewhere.example")];
    let sibling = [("sec-fetch-site", "same-site"), ("origin", "http://127.0.0.1:1")];
    for row in ROWS.iter().filter(|row| row.method == "POST") {
        let browser = if row.who() == Who::Operator { &olga } else { &ada };
        let address = row.address(&scene);
        scene.open_link(browser, row).await;
        expect_unchanged(&scene, async || {
            let tries = [
                ("no token", None, &own[..]),
                ("an empty token", Some(""), &own),
                ("another browser's token", Some(eve.token.as_str()), &own),
                ("another site", Some(browser.token.as_str()), &foreign),
                ("another port", Some(browser.token.as_str()), &sibling),
            ];
            for (what, token, headers) in tries {
                let answer = browser.post_with(&address, row.fields, token, headers).await;
                assert_eq!(answer.status, StatusCode::FORBIDDEN, "{what}: {} {answer:?}", row.path);
                assert!(
                    answer.headers.get("set-cookie").is_none_or(|c| !c.to_str().unwrap().contains("session"))
                );
                expect_nothing_private(row, &answer);
            }
            let twice = [row.fields, &[("form_token", browser.token.as_str())]].concat();
            let answer = browser.post(&address, &twice).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "two tokens: {} {answer:?}", row.path);
        })
        .await;
    }
}

#[tokio::test]
async fn looking_at_a_page_changes_nothing() {
    let scene = Scene::start().await;
    let (ada, olga) = (scene.browser("ada").await, scene.browser("olga").await);
    for row in ROWS.iter().filter(|row| row.method == "GET") {
        let browser = if row.who() == Who::Operator { &olga } else { &ada };
        expect_unchanged(&scene, async || {
            // By hand, or by a program, and as a browser says that a person did.
            for headers in [&[][..], &NAVIGATES] {
                for address in [row.address(&scene), row.nowhere()] {
                    let answer = browser.get_with(&address, headers).await;
                    assert!(answer.status.as_u16() < 500, "{answer:?}");
                }
            }
        })
        .await;
    }
}

#[tokio::test]
async fn signing_up_ends_the_session_that_was_open_in_the_browser() {
    let scene = Scene::start().await;
    let ada = scene.browser("ada").await;
    let fields = [("username", "carol"), ("email", "carol@example.org"), ("password", PASSWORD)];
    let answer = ada.post("/sign-up", &fields).await.expect(StatusCode::SEE_OTHER);
    assert!(answer.headers.get_all("set-cookie").iter().any(|c| c.to_str().unwrap().contains("session")));
    let old = ada.get("/account").await.expect(StatusCode::SEE_OTHER);
    assert!(old.header("location").starts_with("/sign-in"), "{old:?}");
}

/// Without this, the tests above could pass because a form does nothing at all.
#[tokio::test]
async fn the_same_forms_sent_by_whom_they_are_for_do_change_something() {
    for row in ROWS.iter().filter(|row| row.does == Does::Changes) {
        let scene = Scene::start().await;
        let browser = match row.who() {
            Who::Anyone => scene.stranger().await,
            Who::Person => scene.browser("ada").await,
            Who::Operator => scene.browser("olga").await,
        };
        scene.open_link(&browser, row).await;
        let before = dump(scene.app.data_dir()).await;
        let answer = browser.post(&row.address(&scene), row.fields).await;
        let after = dump(scene.app.data_dir()).await;
        assert!(answer.status.as_u16() < 400, "{} {answer:?}", row.path);
        assert_ne!(
            differences(&before, &after),
            Vec::<String>::new(),
            "{} does nothing: {answer:?}",
            row.path
        );
    }
}

#[tokio::test]
async fn signing_in_and_out_by_the_right_form_works() {
    let scene = Scene::start().await;
    let ada = scene.browser("ada").await;
    assert!(ada.get("/account").await.expect(StatusCode::OK).body.contains("ada"));
    ada.post("/sign-out", &[]).await.expect(StatusCode::SEE_OTHER);
    let answer = ada.get("/account").await.expect(StatusCode::SEE_OTHER);
    assert!(answer.header("location").starts_with("/sign-in"), "{answer:?}");
    let wrong = scene.stranger().await.post("/sign-in", &[("username", "ada"), ("password", "no")]).await;
    assert_eq!(wrong.status, StatusCode::FORBIDDEN);
    assert!(wrong.headers.get("set-cookie").is_none_or(|c| !c.to_str().unwrap().contains("session")));
}
