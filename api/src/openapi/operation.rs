//! Operations: what each is called, takes and answers, and what all of a kind
//! have in common.

use std::collections::BTreeMap;

use utoipa::openapi::{
    PathItem, ResponseBuilder, SecurityRequirement,
    path::{Callback, HttpMethod, OperationBuilder, Parameter},
    request_body::{RequestBody, RequestBodyBuilder},
};

use super::{Group, answers, examples, parameters, problems};

/// The names of the security schemes.
pub const API_KEY: &str = "ApiKey";
pub const BEARER: &str = "Bearer";

/// Of an operation whose bodies count among those that are held.
pub const HOLDING_BYTES: [&str; 2] = ["too_many_bytes", "too_many_bytes_of_tenant"];

/// What an operation is called, and where it is shown.
pub struct Title {
    pub id: &'static str,
    pub group: Group,
    pub summary: &'static str,
    pub description: &'static str,
}

/// An operation that is being described.
pub struct Operation {
    builder: OperationBuilder,
    problems: Vec<&'static str>,
}

impl Title {
    fn operation(self) -> Operation {
        let builder = OperationBuilder::new()
            .operation_id(Some(self.id))
            .tag(self.group.to_string())
            .summary(Some(self.summary))
            .description(Some(self.description));
        Operation {
            builder,
            problems: vec![
                "invalid_host",
                "misdirected_request",
                "invalid_transfer_encoding",
                "uri_too_long",
                "internal",
                "too_many_connections",
                "too_many_connections_of_address",
            ],
        }
        .parameter(parameters::request_id())
        .parameter(parameters::trace_parent())
    }

    /// An operation that needs no key.
    pub fn open(self) -> Operation {
        self.operation().secured([])
    }

    /// An operation under a key.
    pub fn keyed(self) -> Operation {
        self.operation().secured([API_KEY, BEARER]).problems(&[
            "unauthorized",
            "rate_limited",
            "budget_spent",
            "dependency_unavailable",
        ])
    }

    /// An operation that submits a job.
    pub fn submitting(self) -> Operation {
        self.keyed()
            .parameter(parameters::prefer())
            .parameter(parameters::idempotency_key())
            .telling_of_the_end()
            .answer(202, answers::accepted())
            .problems(&[
                "body_too_slow",
                "incomplete_body",
                "unsupported_encoding",
                "invalid_conversation_id",
                "invalid_idempotency_key",
                "unknown_job",
                "not_acceptable",
                "first_still_running",
                "too_large",
                "invalid_field",
                "invalid_timeout",
                "callbacks_not_configured",
                "invalid_callback_url",
                "idempotency_key_reused",
                "too_many_jobs",
                "overloaded",
            ])
            .problems(&HOLDING_BYTES)
    }
}

impl Operation {
    pub fn parameter(mut self, parameter: Parameter) -> Self {
        self.builder = self.builder.parameter(parameter);
        self
    }

    pub fn body(mut self, body: RequestBody) -> Self {
        self.builder = self.builder.request_body(Some(body));
        self
    }

    pub fn answer(mut self, status: u16, answer: ResponseBuilder) -> Self {
        let answer = answer.header("X-Request-Id", answers::request_id());
        self.builder = self.builder.response(status.to_string(), answer);
        self
    }

    /// May end with the problems that have these codes.
    pub fn problems(mut self, codes: &[&'static str]) -> Self {
        self.problems.extend(codes);
        self
    }

    /// May answer for a job that has ended, with its result or its problem.
    pub fn answering_for_a_job(self) -> Self {
        self.answer(200, answers::result()).problems(&[
            "job_cancelled",
            "job_erased",
            "provider_unreachable",
            "stage_timeout",
            "still_running",
            "job_expired",
        ])
    }

    fn telling_of_the_end(mut self) -> Self {
        self.builder = self.builder.callback("jobEnded", job_ended());
        self
    }

    fn secured<const N: usize>(mut self, schemes: [&str; N]) -> Self {
        let requirements = schemes.map(|name| SecurityRequirement::new(name, Vec::<String>::new()));
        self.builder = self.builder.securities(Some(requirements));
        self
    }

    pub fn on(self, method: HttpMethod) -> PathItem {
        let mut by_status: BTreeMap<u16, Vec<_>> = BTreeMap::new();
        for code in self.problems {
            let problem = problems::known(code);
            by_status.entry(problem.status).or_default().push(problem);
        }
        let builder = by_status
            .into_iter()
            .fold(self.builder, |builder, (status, problems)| {
                let answer = answers::problem(status, &problems);
                let answer = answer.header("X-Request-Id", answers::request_id());
                builder.response(status.to_string(), answer)
            });
        PathItem::new(method, builder)
    }
}

/// The POST that `callback_url` gets.
fn job_ended() -> Callback {
    let body = RequestBodyBuilder::new().content(
        "application/json",
        answers::content("Callback", examples::callback()),
    );
    let operation = OperationBuilder::new()
        .operation_id(Some("jobEnded"))
        .summary(Some("Your address is told of the job's end"))
        .description(Some(
            "Signed as the [Standard Webhooks](https://www.standardwebhooks.com) specification \
             has it, with a secret that is your tenant's alone, and tried again after 5 s, 30 s and every \
             5 minutes. Take it only when one of the signatures is by your secret and `tenant` is yours. \
             Redirects are not followed.",
        ))
        .parameter(parameters::signed("webhook-id", "The same for every try."))
        .parameter(parameters::signed(
            "webhook-timestamp",
            "Seconds since the Unix epoch.",
        ))
        .parameter(parameters::signed(
            "webhook-signature",
            "`v1,` and the HMAC-SHA256 in base64 of id, timestamp and body, joined by full stops; while \
             a secret is replaced one by each of the two, separated by a space.",
        ))
        .request_body(Some(body.build()))
        .response(
            "2XX",
            ResponseBuilder::new().description("Taken: it is not told again."),
        );
    let item = PathItem::new(HttpMethod::Post, operation);
    Callback::from([("{$request.body#/callback_url}".to_owned(), item.into())])
}
