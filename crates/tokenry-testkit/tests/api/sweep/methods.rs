//! Methods that a route does not take.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use tokenry_broker::Embedding;

use super::table::{ROUTES, World};

#[tokio::test]
async fn a_method_that_is_not_taken_is_refused_with_those_that_are() {
    let mut world = World::new().await;
    // Where pages of other sites may ask, an OPTIONS is answered to them.
    world.app = world.app.restart_with(|config| config.embedding = Embedding::default()).await;
    let mut taken: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for route in &ROUTES {
        taken.entry(route.path("ada", "1")).or_default().insert(route.method);
    }
    for path in ["/openapi.json", "/healthz", "/readyz", "/metrics"] {
        taken.entry(path.to_owned()).or_default().insert("GET");
    }
    for (method, path, _) in tokenry_web::page_routes() {
        taken.entry(path.replace(['{', '}'], "")).or_default().insert(method);
    }
    for (path, mut methods) in taken {
        if methods.contains("GET") {
            methods.insert("HEAD");
        }
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "get"]
        {
            if methods.contains(method) {
                continue;
            }
            let method: Method = method.parse().unwrap();
            for api in [&world.ada.api, &world.app.anonymous()] {
                let answer = api.send(method.clone(), &path, &[], Vec::new()).await;
                assert_eq!(answer.status.as_u16(), 405, "{method} {path}: {answer:?}");
                let allow: BTreeSet<&str> = answer.header("allow").split(',').map(str::trim).collect();
                assert_eq!(allow, methods, "{method} {path}");
                if method != Method::HEAD {
                    answer.expect_error(405, "method_not_allowed");
                }
            }
        }
    }
    world.assert_unchanged().await;
}
