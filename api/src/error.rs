//! Every error a client can see, and the only mapping to HTTP status codes.
//!
//! Bodies are `application/problem+json` (RFC 9457), with the fields `message`,
//! `details` and `timestamp` beside it that older clients read. Nothing in them
//! comes from an upstream.

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use common::{
    ids::CorrelationId,
    reply::{Failure, FailureKind},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::serve::request_body::TooSlow;

/// What went wrong, for the client.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    /// A stable machine word.
    code: &'static str,
    detail: String,
    retry_after: Option<Duration>,
    job_id: Option<CorrelationId>,
    job_code: Option<Box<str>>,
    /// Methods that the resource has.
    allow: Option<Box<str>>,
}

impl Problem {
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            retry_after: None,
            job_id: None,
            job_code: None,
            allow: None,
        }
    }

    /// The request is not of the right form.
    pub fn malformed(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// The request is understood but cannot be worked with.
    pub fn unprocessable(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    pub fn unsupported_media_type(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, code, detail)
    }

    pub fn too_large(limit: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            format!("The request is larger than the {limit} bytes that are allowed."),
        )
    }

    pub fn uri_too_long(limit: usize) -> Self {
        Self::new(
            StatusCode::URI_TOO_LONG,
            "uri_too_long",
            format!("The address is longer than the {limit} bytes that are allowed."),
        )
    }

    /// The body did not keep coming.
    pub fn body_too_slow() -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "body_too_slow",
            "The body of the request did not come, or came too slowly.",
        )
    }

    pub fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "A valid API key is needed, in the header X-API-Key or as Authorization: Bearer.",
        )
    }

    pub fn cross_site() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "cross_site",
            "The session of the page is for the page itself; another site, or another program, needs an API key.",
        )
    }

    pub fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "There is nothing at this address.",
        )
    }

    /// The request is for a server of another name.
    pub fn misdirected() -> Self {
        Self::new(
            StatusCode::MISDIRECTED_REQUEST,
            "misdirected_request",
            "While the built-in key is valid, this server answers requests for localhost or an address of loopback alone; with an API_KEY of its own it answers all.",
        )
    }

    pub fn unknown_job() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "unknown_job",
            "There is no such job, or it is kept no longer.",
        )
    }

    /// `allow` lists the methods that the resource has.
    pub fn method_not_allowed(allow: String) -> Self {
        let mut problem = Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            format!("This address only takes {allow}."),
        );
        problem.allow = Some(allow.into());
        problem
    }

    /// Nothing was accepted; the same request may work after `retry_after`.
    pub fn unavailable(
        code: &'static str,
        detail: impl Into<String>,
        retry_after: Duration,
    ) -> Self {
        let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail);
        problem.retry_after = Some(retry_after);
        problem
    }

    /// More is asked for than is allowed; after `retry_after` it may be again.
    pub fn too_many(code: &'static str, detail: impl Into<String>, retry_after: Duration) -> Self {
        let mut problem = Self::new(StatusCode::TOO_MANY_REQUESTS, code, detail);
        problem.retry_after = Some(retry_after);
        problem
    }

    pub fn overloaded(retry_after: Duration) -> Self {
        Self::unavailable(
            "overloaded",
            "Too many jobs are waiting already.",
            retry_after,
        )
    }

    /// Redis or RabbitMQ is away.
    pub fn dependency_away() -> Self {
        Self::unavailable(
            "dependency_unavailable",
            "A service that this one depends on is not available at the moment.",
            Duration::from_secs(5),
        )
    }

    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Something went wrong on our side.",
        )
    }

    pub fn still_running(job: CorrelationId) -> Self {
        let mut problem = Self::new(
            StatusCode::GATEWAY_TIMEOUT,
            "still_running",
            "The job is still running; its result can be had at its address.",
        );
        problem.retry_after = Some(Duration::from_secs(2));
        problem.of_job(job)
    }

    pub fn expired(job: CorrelationId) -> Self {
        Self::new(
            StatusCode::GATEWAY_TIMEOUT,
            "job_expired",
            "The job was not done within its time.",
        )
        .of_job(job)
    }

    pub fn cancelled(job: CorrelationId) -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "job_cancelled",
            "The job was cancelled.",
        )
        .of_job(job)
    }

    /// Nothing is left of the job but that it was there.
    pub fn erased(job: CorrelationId) -> Self {
        Self::new(
            StatusCode::GONE,
            "job_erased",
            "The data of the job were erased.",
        )
        .of_job(job)
    }

    /// The request is being worked on already, for who sent it first.
    pub fn first_still_running(job: CorrelationId) -> Self {
        let mut problem = Self::new(
            StatusCode::CONFLICT,
            "first_still_running",
            "The first request with this Idempotency-Key is still being worked on.",
        );
        problem.retry_after = Some(Duration::from_secs(1));
        problem.of_job(job)
    }

    pub fn key_reused() -> Self {
        Self::unprocessable(
            "idempotency_key_reused",
            "The Idempotency-Key was sent with another request before.",
        )
    }

    /// A job that failed.
    pub fn failed(job: CorrelationId, failure: &Failure) -> Self {
        let mut problem = match failure.kind {
            FailureKind::UnprocessableInput => Self::unprocessable("job_failed", &failure.message),
            FailureKind::Unavailable => {
                Self::unavailable("job_failed", &failure.message, Duration::from_secs(30))
            }
            FailureKind::Internal => Self {
                code: "job_failed",
                detail: failure.message.clone(),
                ..Self::internal()
            },
        };
        problem.job_code = Some(failure.code.as_str().into());
        problem.of_job(job)
    }

    /// With its address, so that whoever is told goes on there.
    pub fn of_job(mut self, job: CorrelationId) -> Self {
        self.job_id = Some(job);
        self
    }

    pub fn status(&self) -> StatusCode {
        self.status
    }

    fn code(&self) -> &str {
        self.job_code.as_deref().unwrap_or(self.code)
    }

    /// The body, for the request with this id and path.
    pub fn body(&self, request_id: &str, instance: &str) -> ProblemBody {
        let code = self.code();
        ProblemBody {
            r#type: format!("urn:itb-assistant:problem:{code}"),
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            instance: instance.to_owned(),
            code: code.to_owned(),
            request_id: request_id.to_owned(),
            job_id: self.job_id.map(|id| id.to_string()),
            message: self.detail.clone(),
            details: None,
            timestamp: humantime::format_rfc3339_millis(std::time::SystemTime::now()).to_string(),
        }
    }
}

/// A problem (RFC 9457).
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// A URN that ends with the code.
    r#type: String,
    /// The name of the status.
    title: String,
    status: u16,
    /// For a person.
    detail: String,
    /// The path of the request.
    instance: String,
    /// A stable machine word. More of them may come.
    code: String,
    /// That of the header `X-Request-Id`.
    request_id: String,
    /// There when the problem is that of a job.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "uuid", nullable = false)]
    job_id: Option<String>,
    /// The same as `detail`, for the first clients.
    message: String,
    /// Always `null`; for the first clients.
    #[schema(value_type = Option<Object>, required)]
    details: Option<serde_json::Value>,
    #[schema(format = DateTime)]
    timestamp: String,
}

/// Rendered whole by [`crate::middleware::request_context`], which knows the
/// request: here only the status, the headers and the problem itself.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        let headers = response.headers_mut();
        if let Some(after) = self.retry_after {
            headers.insert(header::RETRY_AFTER, after.as_secs().max(1).into());
        }
        if let Some(job) = self.job_id
            && let Ok(location) = HeaderValue::from_str(&crate::render::job_path(job))
        {
            headers.insert(header::LOCATION, location);
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(Ok(allow)) = self.allow.as_deref().map(HeaderValue::from_str) {
            headers.insert(header::ALLOW, allow);
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Puts the body of `problem` into `response`.
pub fn with_body(response: Response, body: ProblemBody) -> Response {
    let (mut parts, _) = response.into_parts();
    let (json, body) = Json(body).into_response().into_parts();
    parts.headers.extend(json.headers);
    parts.headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    Response::from_parts(parts, body)
}

/// Why a body could not be read to its end; `None` when it just broke off.
pub fn unread(error: &(dyn std::error::Error + 'static), limit: usize) -> Option<Problem> {
    let mut source = Some(error);
    while let Some(error) = source {
        if error.is::<http_body_util::LengthLimitError>() {
            return Some(Problem::too_large(limit));
        }
        if error.is::<TooSlow>() {
            return Some(Problem::body_too_slow());
        }
        source = error.source();
    }
    None
}
