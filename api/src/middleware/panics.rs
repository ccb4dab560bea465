//! Turns a panic into an answer, and counts it.

use std::panic::AssertUnwindSafe;

use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use futures::FutureExt as _;
use metrics::counter;
use tracing::error;

use crate::error::Problem;

/// `itb_http_panics_total`: requests that met a defect of ours. What was said in
/// the panic can quote what a caller sent, so it goes nowhere; the hook that
/// [`common::telemetry`] sets logs where it was.
pub async fn catch_panics(request: Request, next: Next) -> Response {
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    answered.unwrap_or_else(|_| {
        counter!("itb_http_panics_total").increment(1);
        error!("a handler panicked");
        Problem::internal().into_response()
    })
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, middleware::from_fn, routing::get};
    use http_body_util::BodyExt as _;
    use hyper::service::Service as _;
    use hyper_util::service::TowerToHyperService;
    use metrics_exporter_prometheus::PrometheusBuilder;
    use serde_json::Value;

    use super::*;
    use crate::middleware::request_context::request_context;

    async fn ask() -> Response {
        async fn handler() -> &'static str {
            panic!("the caller said {}", "rahasia")
        }
        let router: Router = Router::new()
            .route("/", get(handler))
            .layer(from_fn(catch_panics))
            .layer(from_fn(request_context));
        let request = Request::builder()
            .uri("/")
            .header("host", "a")
            .body(Body::empty())
            .unwrap();
        let answered = TowerToHyperService::new(router).call(request).await;
        answered.unwrap()
    }

    #[test]
    fn a_panic_is_a_problem_that_tells_nothing_and_is_counted() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let recorder = PrometheusBuilder::new().build_recorder();
        let response = metrics::with_local_recorder(&recorder, || runtime.block_on(ask()));
        assert_eq!(response.status(), 500);
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json"
        );
        let body = runtime.block_on(response.into_body().collect()).unwrap();
        let body: Value = serde_json::from_slice(&body.to_bytes()).unwrap();
        assert_eq!(body["code"], "internal");
        assert!(!body.to_string().contains("rahasia"), "{body}");
        let metrics = recorder.handle().render();
        assert!(metrics.contains("itb_http_panics_total 1"), "{metrics}");
        let timed = r#"http_server_request_duration_seconds_count{http_request_method="GET",http_route="/",http_response_status_code="500"} 1"#;
        assert!(metrics.contains(timed), "{metrics}");
    }
}
