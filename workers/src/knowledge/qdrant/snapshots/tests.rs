//! Against an HTTP server that answers as Qdrant does.

use std::sync::Mutex;

use axum::Router;
use axum::body::Body;
use axum::extract::{Multipart, Path as At, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post, put};
use common::config::Secret;
use serde_json::{Value, json};

use super::*;
use crate::knowledge::qdrant::Address;

const KEY: &str = "kunci";
const CONTENT: &[u8] = b"isi snapshot";

#[derive(Clone, Default)]
struct Server(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    removed: Vec<String>,
    uploaded: Vec<u8>,
    query: String,
    recovered: Value,
    checksum: Option<String>,
}

async fn start(server: Server) -> QdrantConfig {
    let routes = Router::new()
        .route("/collections/{name}/snapshots", post(make))
        .route(
            "/collections/{name}/snapshots/{snapshot}",
            get(fetch).delete(remove),
        )
        .route("/collections/{name}/snapshots/upload", post(upload))
        .route("/collections/{name}/snapshots/recover", put(recover))
        .with_state(server);
    serve(routes).await
}

async fn serve(routes: Router) -> QdrantConfig {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    QdrantConfig {
        address: Address::parse(&url).unwrap(),
        api_key: Some(Secret::new(KEY)),
        collection: "informasi umum/itb".into(),
        timeout: Duration::from_secs(10),
    }
}

fn ok(result: Value) -> axum::Json<Value> {
    axum::Json(json!({"result": result, "status": "ok", "time": 0.1}))
}

async fn make(
    State(server): State<Server>,
    At(name): At<String>,
    headers: HeaderMap,
) -> Result<axum::Json<Value>, (StatusCode, axum::Json<Value>)> {
    if headers.get("api-key").is_none_or(|key| key != KEY) {
        let said = json!({"status": {"error": "Invalid API key or JWT"}});
        return Err((StatusCode::UNAUTHORIZED, axum::Json(said)));
    }
    assert_eq!(name, "informasi umum/itb");
    let checksum = server.0.lock().unwrap().checksum.clone();
    Ok(ok(
        json!({"name": "a.snapshot", "size": CONTENT.len(), "checksum": checksum}),
    ))
}

async fn fetch(At((_, snapshot)): At<(String, String)>) -> impl IntoResponse {
    assert_eq!(snapshot, "a.snapshot");
    CONTENT
}

async fn remove(
    State(server): State<Server>,
    At((_, snapshot)): At<(String, String)>,
) -> axum::Json<Value> {
    server.0.lock().unwrap().removed.push(snapshot);
    ok(json!(true))
}

async fn upload(
    State(server): State<Server>,
    RawQuery(query): RawQuery,
    mut form: Multipart,
) -> axum::Json<Value> {
    let part = form.next_field().await.unwrap().unwrap();
    assert_eq!(part.name(), Some("snapshot"));
    let bytes = part.bytes().await.unwrap();
    let mut seen = server.0.lock().unwrap();
    seen.uploaded = bytes.to_vec();
    seen.query = query.unwrap_or_default();
    ok(json!(true))
}

async fn recover(State(server): State<Server>, wanted: axum::Json<Value>) -> axum::Json<Value> {
    server.0.lock().unwrap().recovered = wanted.0;
    ok(json!(true))
}

/// Notes how far a transfer has come.
fn notes() -> (OnProgress, Arc<Mutex<Vec<Transferred>>>) {
    let notes = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&notes);
    let note: OnProgress = Arc::new(move |transferred| noted.lock().unwrap().push(transferred));
    (note, notes)
}

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[tokio::test]
async fn a_snapshot_is_made_fetched_and_not_left_behind() {
    let server = Server::default();
    let sha256 = ring::digest::digest(&ring::digest::SHA256, CONTENT);
    let hex: String = sha256
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    server.0.lock().unwrap().checksum = Some(hex);
    let config = start(server.clone()).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("itb.snapshot");
    let (progress, noted) = notes();
    let snapshots = Snapshots::new(&config, Patience::default()).unwrap();
    snapshots.create(&path, progress).await.expect("made");
    assert_eq!(std::fs::read(&path).unwrap(), CONTENT);
    assert_eq!(files(folder.path()), ["itb.snapshot"]);
    assert_eq!(server.0.lock().unwrap().removed, ["a.snapshot"]);
    let total = CONTENT.len() as u64;
    let last = noted.lock().unwrap().last().copied();
    assert_eq!(
        last,
        Some(Transferred {
            bytes: total,
            total: Some(total)
        })
    );
}

#[tokio::test]
async fn of_a_damaged_snapshot_nothing_is_kept() {
    let server = Server::default();
    server.0.lock().unwrap().checksum = Some("00".repeat(32));
    let config = start(server.clone()).await;
    let folder = tempfile::tempdir().unwrap();
    let snapshots = Snapshots::new(&config, Patience::default()).unwrap();
    let made = snapshots.create(&folder.path().join("a"), notes().0).await;
    assert!(matches!(made, Err(SnapshotError::Damaged(_))), "{made:?}");
    assert!(files(folder.path()).is_empty());
    assert_eq!(server.0.lock().unwrap().removed, ["a.snapshot"]);
}

#[tokio::test]
async fn a_file_is_sent_and_an_address_is_named() {
    let server = Server::default();
    let config = start(server.clone()).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("itb.snapshot");
    // More than one piece, and not a whole number of them; axum takes up to 2 MB.
    let content: Vec<u8> = (0..600_000_u32).map(|number| number as u8).collect();
    std::fs::write(&path, &content).unwrap();
    let snapshots = Snapshots::new(&config, Patience::default()).unwrap();
    let (progress, noted) = notes();
    snapshots
        .restore(&Source::File(path), progress)
        .await
        .expect("restored");
    let last = noted.lock().unwrap().last().copied();
    assert_eq!(
        last,
        Some(Transferred {
            bytes: 600_000,
            total: Some(600_000)
        })
    );
    {
        let seen = server.0.lock().unwrap();
        assert_eq!(seen.uploaded, content);
        assert_eq!(seen.query, "wait=true&priority=snapshot");
    }
    let address = Source::Address("https://contoh.id/a.snapshot".parse().unwrap());
    snapshots
        .restore(&address, notes().0)
        .await
        .expect("restored");
    let expected = json!({"location": "https://contoh.id/a.snapshot", "priority": "snapshot"});
    assert_eq!(server.0.lock().unwrap().recovered, expected);
}

#[tokio::test]
async fn refusals_failures_and_silence_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let mut config = start(Server::default()).await;
    config.api_key = None;
    let snapshots = Snapshots::new(&config, Patience::default()).unwrap();
    let made = snapshots.create(&path, notes().0).await;
    assert!(
        matches!(&made, Err(SnapshotError::Refused { status: 401, reason }) if reason.contains("API key")),
        "{made:?}"
    );

    let failing = post(|| async { (StatusCode::SERVICE_UNAVAILABLE, "<html>") });
    let config = serve(Router::new().route("/collections/{name}/snapshots", failing)).await;
    let snapshots = Snapshots::new(&config, Patience::default()).unwrap();
    let made = snapshots.create(&path, notes().0).await;
    assert!(
        matches!(made, Err(SnapshotError::Unavailable { .. })),
        "{made:?}"
    );

    let odd = post(|| async { "<html>" });
    let config = serve(Router::new().route("/collections/{name}/snapshots", odd)).await;
    let snapshots = Snapshots::new(&config, Patience::default()).unwrap();
    let made = snapshots.create(&path, notes().0).await;
    assert!(
        matches!(made, Err(SnapshotError::Unexpected(_))),
        "{made:?}"
    );

    let missing = snapshots
        .restore(&Source::File(folder.path().join("none")), notes().0)
        .await;
    assert!(
        matches!(missing, Err(SnapshotError::File { .. })),
        "{missing:?}"
    );
}

#[tokio::test]
async fn a_transfer_that_stops_is_given_up() {
    let patience = Patience {
        work: Duration::from_millis(300),
        stall: Duration::from_millis(300),
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    // Takes nothing of an upload, and sends a download without an end.
    let silent = post(|_: Body| std::future::pending::<()>());
    let endless = get(|| async {
        let never = futures::stream::pending::<Result<bytes::Bytes, std::io::Error>>();
        Body::from_stream(never)
    });
    let routes = Router::new()
        .route(
            "/collections/{name}/snapshots",
            post(|| async { ok(json!({"name": "a.snapshot"})) }),
        )
        .route("/collections/{name}/snapshots/{snapshot}", endless)
        .route("/collections/{name}/snapshots/upload", silent);
    let config = serve(routes).await;
    let snapshots = Snapshots::new(&config, patience).unwrap();
    let made = snapshots.create(&path, notes().0).await;
    assert!(
        matches!(made, Err(SnapshotError::Unavailable { .. })),
        "{made:?}"
    );
    assert!(files(folder.path()).is_empty());

    std::fs::write(&path, vec![7; 64 * 1024 * 1024]).unwrap();
    let sent = snapshots.restore(&Source::File(path), notes().0).await;
    assert!(
        matches!(sent, Err(SnapshotError::Unavailable { .. })),
        "{sent:?}"
    );
}
