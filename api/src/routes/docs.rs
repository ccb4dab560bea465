//! `/openapi.json`, and `/docs`: a page to read it at. The page comes from this
//! program alone, and a browser is told to load nothing from anywhere else.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::{HeaderName, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use utoipa::openapi::{HttpMethod, PathItem};

use crate::{
    error::Problem,
    openapi::{self, Group, answers, operation::Title, parameters},
};

/// Scripts and styles of the page are files of their own, so that nothing that
/// comes to stand in it by a mistake is run.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self' data:; media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// It changes with the program alone, but may do so at any time.
const CACHED: (HeaderName, &str) = (header::CACHE_CONTROL, "no-cache");

struct PageFile {
    name: &'static str,
    media_type: &'static str,
    content: &'static str,
}

const PAGE: &str = include_str!("../web/docs.html");

const FILES: [PageFile; 2] = [
    PageFile {
        name: "docs.css",
        media_type: "text/css; charset=utf-8",
        content: include_str!("../web/docs.css"),
    },
    PageFile {
        name: "docs.js",
        media_type: "text/javascript; charset=utf-8",
        content: include_str!("../web/docs.js"),
    },
];

pub async fn document() -> Response {
    static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| {
        let document = openapi::document(super::paths());
        let json = serde_json::to_vec(&document);
        json.expect("a document holds nothing that JSON cannot")
            .into()
    });
    let media_type = (header::CONTENT_TYPE, "application/json");
    ([media_type, CACHED], DOCUMENT.clone()).into_response()
}

pub async fn page() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        CACHED,
    ];
    (headers, PAGE).into_response()
}

pub async fn file(
    path: Result<Path<String>, axum::extract::rejection::PathRejection>,
) -> Result<Response, Problem> {
    let Path(name) = path.map_err(|_| Problem::not_found())?;
    let file = FILES.iter().find(|file| file.name == name);
    let file = file.ok_or_else(Problem::not_found)?;
    let media_type = (header::CONTENT_TYPE, file.media_type);
    Ok(([media_type, CACHED], file.content).into_response())
}

pub fn document_described() -> PathItem {
    let title = Title {
        id: "getDocument",
        group: Group::Service,
        summary: "This document",
        description: "OpenAPI 3.1.",
    };
    let document = answers::any_json("The document.");
    title.open().answer(200, document).on(HttpMethod::Get)
}

pub fn page_described() -> PathItem {
    let title = Title {
        id: "getPage",
        group: Group::Service,
        summary: "A page to read this document at",
        description: "Loads nothing from anywhere else.",
    };
    let page = answers::text("The page.", &["text/html"]);
    title.open().answer(200, page).on(HttpMethod::Get)
}

pub fn file_described() -> PathItem {
    let title = Title {
        id: "getPageFile",
        group: Group::Service,
        summary: "The script and the style of the page",
        description: "Of the page at `/docs`.",
    };
    let names = FILES.map(|file| file.name);
    title
        .open()
        .parameter(parameters::page_file(&names))
        .answer(
            200,
            answers::text("The file.", &["text/css", "text/javascript"]),
        )
        .problems(&["not_found"])
        .on(HttpMethod::Get)
}
