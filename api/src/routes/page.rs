//! `/`: the page on which people ask and listen, and `/session`, where it begins a session. Not in the OpenAPI document: no
//! other program uses them.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Path, State, rejection::PathRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use common::time::UnixMillis;

use crate::{
    client_address::Proxies,
    error::Problem,
    limiter::Limiter,
    page::{
        Page,
        files::{FOLDER, Files, Served},
        session::is_cross_site,
    },
    state::AppState,
};

/// Scripts and styles are files of this server, so that nothing is run which comes to stand in the page by a mistake.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
     manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The microphone is for the page itself.
const PERMISSIONS: &str = "microphone=(self), camera=(), geolocation=()";

const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// The routes of `page`.
pub fn routes(page: &Arc<Page>) -> Router<AppState> {
    let files = Arc::new(Files::new(&page.config));
    let of_index = Arc::clone(&files);
    let index = async move |headers: HeaderMap| {
        let policies = [
            (header::CONTENT_SECURITY_POLICY.as_str(), POLICY),
            ("permissions-policy", PERMISSIONS),
        ];
        (policies, answer(of_index.index(), &headers, "no-cache")).into_response()
    };
    let file = async move |path: Result<Path<(String, String)>, PathRejection>,
                           headers: HeaderMap| {
        let Path((version, name)) = path.map_err(|_| Problem::not_found())?;
        let (file, is_current) = files.get(&version, &name).ok_or_else(Problem::not_found)?;
        let cached = if is_current { FOR_EVER } else { "no-cache" };
        Ok::<_, Problem>(answer(file, &headers, cached))
    };
    let page = Arc::clone(page);
    let begin = async move |State(limiter): State<Arc<Limiter>>,
                            State(proxies): State<Arc<Proxies>>,
                            ConnectInfo(peer): ConnectInfo<SocketAddr>,
                            headers: HeaderMap| {
        if is_cross_site(&headers) {
            return Err(Problem::cross_site());
        }
        let address = proxies.client(peer.ip(), &headers);
        limiter.begin_session(&page.tenant, address).await?;
        let cookie = page.sessions.begin(UnixMillis::now());
        let headers = [
            (header::SET_COOKIE, cookie),
            (
                header::CACHE_CONTROL,
                "no-store".parse().expect("it is a value"),
            ),
        ];
        Ok::<_, Problem>((StatusCode::NO_CONTENT, headers))
    };
    Router::new()
        .route("/", get(index))
        .route(&format!("{FOLDER}/{{version}}/{{file}}"), get(file))
        .route("/session", post(begin))
}

fn answer(file: &Served, headers: &HeaderMap, cached: &'static str) -> Response {
    let of_file = [
        (header::CONTENT_TYPE, file.media_type),
        (header::CACHE_CONTROL, cached),
        (header::ETAG, file.tag.as_str()),
        (header::VARY, "accept-encoding"),
    ];
    if has(headers, header::IF_NONE_MATCH, &file.tag) {
        return (StatusCode::NOT_MODIFIED, of_file).into_response();
    }
    if has(headers, header::ACCEPT_ENCODING, "gzip") {
        let encoding = [(header::CONTENT_ENCODING, "gzip")];
        return (of_file, encoding, Body::from(file.gzipped.clone())).into_response();
    }
    (of_file, Body::from(file.plain.clone())).into_response()
}

/// Whether the list in this header names `wanted`.
fn has(headers: &HeaderMap, name: header::HeaderName, wanted: &str) -> bool {
    let lines = headers.get_all(name).iter();
    let lines = lines.filter_map(|line| line.to_str().ok());
    let mut named = lines.flat_map(|line| line.split(','));
    named.any(|it| {
        let it = it.trim();
        let it = it.strip_prefix("W/").unwrap_or(it);
        it == wanted || it == "*" && wanted.starts_with('"')
    })
}
