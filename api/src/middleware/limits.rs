//! Weighs each request of a tenant before it is read, and tells what is left.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::Method,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use common::ids::Tenant;

use crate::{
    error::Problem,
    limiter::{Class, Decision, Limiter},
    new_turn::is_multipart,
    page::session::Visitor,
};

pub async fn limit(
    State(limiter): State<Arc<Limiter>>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(tenant) = request.extensions().get::<Tenant>().cloned() else {
        // Set by the middleware before this one.
        return Problem::internal().into_response();
    };
    let class = class(&request);
    let visitor = request.extensions().get::<Visitor>().copied();
    let decision = match visitor {
        Some(visitor) => limiter.admit_visitor(&tenant, &visitor, class).await,
        None => limiter.admit(&tenant, class).await,
    };
    match decision {
        Decision::Admitted { fields, slot } => {
            if let Some(slot) = &slot {
                request.extensions_mut().insert(Arc::clone(slot));
            }
            let mut response = next.run(request).await;
            if let Some(slot) = slot {
                slot.settle().await;
            }
            fields.write(response.headers_mut());
            response
        }
        Decision::Refused { fields, problem } => {
            let mut response = problem.into_response();
            fields.write(response.headers_mut());
            response
        }
    }
}

fn class(request: &Request) -> Class {
    if request.method() != Method::POST {
        return Class::Read;
    }
    match request.uri().path() {
        "/v1/chat" => Class::Chat,
        "/v1/audio" => Class::Audio,
        "/v1/jobs" if is_multipart(request.headers()) => Class::Audio,
        "/v1/jobs" => Class::Chat,
        _ => Class::Read,
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn the_class_follows_from_the_route_and_the_kind_of_body() {
        for (method, path, content_type, expected) in [
            ("POST", "/v1/chat", "application/json", Class::Chat),
            ("POST", "/v1/chat", "multipart/form-data", Class::Chat),
            ("POST", "/v1/audio", "multipart/form-data", Class::Audio),
            ("POST", "/v1/audio", "application/json", Class::Audio),
            ("POST", "/v1/jobs", "application/json", Class::Chat),
            (
                "POST",
                "/v1/jobs",
                "Multipart/Form-Data; boundary=x",
                Class::Audio,
            ),
            ("GET", "/v1/jobs", "multipart/form-data", Class::Read),
            ("GET", "/v1/jobs/x", "", Class::Read),
            ("PUT", "/v1/chat", "application/json", Class::Read),
            ("DELETE", "/v1/conversations/x", "", Class::Read),
        ] {
            let request = Request::builder()
                .method(method)
                .uri(path)
                .header("content-type", content_type)
                .body(Body::empty());
            let found = class(&request.unwrap());
            assert_eq!(found, expected, "{method} {path} {content_type}");
        }
    }
}
