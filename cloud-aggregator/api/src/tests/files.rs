//! The signed repository over HTTP.

use axum::body::Body;
use axum::http::Request;

use super::Api;
use crate::bench::Bench;

fn open() -> (Api, String) {
    let mut bench = Bench::new();
    let repository = bench.directory.path().join("data/repository");
    bench.app.repository = Some(repository.as_path().into());
    let target = format!("{}.model-1.safetensors", "ab".repeat(32));
    for (directory, name, bytes) in [
        ("metadata", "timestamp.json", "{}"),
        ("metadata", "secret.key", "k"),
        ("targets", &target, "0123456789"),
        ("rounds", &"cd".repeat(32), "weights"),
        ("rounds", "notes", "n"),
    ] {
        std::fs::create_dir_all(repository.join(directory)).unwrap();
        std::fs::write(repository.join(directory).join(name), bytes).unwrap();
    }
    (Api::over(bench, |http| http), format!("/tuf/targets/{target}"))
}

#[tokio::test]
async fn an_interrupted_download_goes_on_where_it_stopped() {
    let (api, target) = open();
    let whole = api.open(&target).await;
    assert_eq!((whole.status.as_u16(), whole.text().as_str()), (200, "0123456789"));
    assert_eq!(whole.headers["accept-ranges"], "bytes");
    assert!(whole.headers["cache-control"].to_str().unwrap().contains("immutable"));
    let rest = api.send(Request::get(&target).header("range", "bytes=6-").body(Body::empty()).unwrap()).await;
    assert_eq!((rest.status.as_u16(), rest.text().as_str()), (206, "6789"));
    assert_eq!(rest.headers["content-range"], "bytes 6-9/10");
    let beyond = api.send(Request::get(&target).header("range", "bytes=10-").body(Body::empty()).unwrap()).await;
    assert_eq!((beyond.status.as_u16(), &beyond.headers["content-range"]), (416, &"bytes */10".parse().unwrap()));
}

#[tokio::test]
async fn artifacts_of_rounds_are_served_by_their_hash_alone() {
    let (api, _) = open();
    let answer = api.open(&format!("/tuf/rounds/{}", "cd".repeat(32))).await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "weights"));
    for name in ["notes".to_owned(), "CD".repeat(32), "cd".repeat(31), "ef".repeat(32)] {
        assert_eq!(api.open(&format!("/tuf/rounds/{name}")).await.problem(), "not-found", "{name}");
    }
}

#[tokio::test]
async fn the_timestamp_is_asked_for_anew_each_time() {
    let (api, _) = open();
    let answer = api.open("/tuf/metadata/timestamp.json").await;
    assert_eq!((answer.status.as_u16(), &answer.headers["cache-control"]), (200, &"no-cache".parse().unwrap()));
}

#[tokio::test]
async fn nothing_but_the_repositorys_own_names_is_served() {
    let (api, _) = open();
    for path in
        ["metadata/secret.key", "metadata/..%2fsecret.key", "metadata/9.root.json", "targets/timestamp.json", ""]
    {
        assert_eq!(api.open(&format!("/tuf/{path}")).await.problem(), "not-found", "{path}");
    }
}
