//! Addresses at which there is nothing.

use reqwest::Method;

use super::table::{ROUTES, World};

#[tokio::test]
async fn an_unknown_address_is_a_404_in_json() {
    let world = World::new().await;
    let mut paths: Vec<String> = [
        "/api",
        "/api/",
        "/api/users",
        "/api/users/ada",
        "/api/user",
        "/api/auth",
        "/api/users/ada/get/connection",
        "/api/users/ada/get/connections.json",
        "/API/users/ada/get/connections",
        "/nothing",
        "/assets/../healthz/x",
        "/assets/nothing.css",
        "/%FF",
        "/callback/a/b",
        "/.well-known/openid-configuration",
    ]
    .map(str::to_owned)
    .to_vec();
    paths.extend(ROUTES.iter().map(|route| format!("{}/", route.path("ada", "1"))));
    paths.extend(ROUTES.iter().map(|route| format!("{}/more", route.path("ada", "1"))));
    // These two are addresses: of a connection, and of a device flow.
    paths.retain(|path| !path.ends_with("/connections/more") && !path.ends_with("/connections/device/more"));
    for path in paths {
        for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE] {
            for api in [&world.ada.api, &world.app.anonymous()] {
                let answer = api.send(method.clone(), &path, &[], Vec::new()).await;
                assert_eq!(answer.status.as_u16(), 404, "{method} {path}");
                answer.expect_error(404, "not_found");
            }
        }
    }
    world.assert_unchanged().await;
}
