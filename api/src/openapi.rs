//! The OpenAPI document (3.1), made of what each route says of itself and of the
//! types that are really read and written.
//!
//! A route cannot be added without its description ([`Described`]), and
//! `tests/it/openapi.rs` holds real answers of every route against the document.
//! What OpenAPI cannot say is said in words: the header `Accept`, which it leaves
//! to the media types of the answers, and `HEAD`, which every `GET` takes too.

use utoipa::{
    ToSchema,
    openapi::{
        ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Paths, RefOr,
        Schema,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
        tag::TagBuilder,
    },
};

use crate::{
    error::ProblemBody,
    new_turn::{ChatBody, JobBody},
    render::bodies::{Callback, JobDocument, JobResult},
    routes::{Conversation, FeedbackBody, Health, Readiness},
    submission::Accepted,
};
pub use described::Described;

pub mod answers;
pub mod described;
pub mod events;
pub mod examples;
pub mod forms;
pub mod operation;
pub mod parameters;
pub mod problems;
pub mod schema;

const ABOUT: &str = "Answers questions about an institution, in writing and in speech, with its sources.

Every request under `/v1` carries a key, as `X-API-Key` or as `Authorization: Bearer`. Each question is a job: it is answered on the same line, or streamed as it is made (`Accept: text/event-stream`), or asked after later (`Prefer: respond-async`, `POST /v1/jobs`). A job is kept for a day after its end and is seen with the key that submitted it alone.

Errors are `application/problem+json` (RFC 9457) with a stable `code`. Every answer carries `X-Request-Id`, and every `GET` may be a `HEAD`.";

/// The groups of operations, in the order in which they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display, strum::VariantArray)]
pub enum Group {
    Questions,
    Jobs,
    Conversations,
    Service,
}

impl Group {
    const fn about(self) -> &'static str {
        match self {
            Self::Questions => "Ask, and be answered.",
            Self::Jobs => "Ask now, and see to the answer later or as it is made.",
            Self::Conversations => "What was said before.",
            Self::Service => "How the service is, and what it offers. Without a key.",
        }
    }
}

/// The document of a server with these paths.
pub fn document(paths: Paths) -> OpenApi {
    let license = LicenseBuilder::new()
        .name("MIT OR Apache-2.0")
        .identifier(Some("MIT OR Apache-2.0"));
    let info = InfoBuilder::new()
        .title("ITB assistant")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(license.build()));
    let groups = <Group as strum::VariantArray>::VARIANTS
        .iter()
        .map(|group| {
            let tag = TagBuilder::new().name(group.to_string());
            tag.description(Some(group.about())).build()
        });
    OpenApiBuilder::new()
        .info(info.build())
        .paths(paths)
        .components(Some(components().build()))
        .tags(Some(groups))
        .build()
}

fn components() -> ComponentsBuilder {
    let mut schemas = events::schemas();
    add::<ChatBody>(&mut schemas);
    add::<JobBody>(&mut schemas);
    add::<JobResult>(&mut schemas);
    add::<JobDocument>(&mut schemas);
    add::<Accepted>(&mut schemas);
    add::<Callback>(&mut schemas);
    add::<Conversation>(&mut schemas);
    add::<FeedbackBody>(&mut schemas);
    add::<Health>(&mut schemas);
    add::<Readiness>(&mut schemas);
    add::<ProblemBody>(&mut schemas);
    let key = ApiKeyValue::with_description(
        "X-API-Key",
        "Stands for a tenant, who sees its own jobs and conversations alone.",
    );
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("The same key."));
    ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .security_scheme(
            operation::API_KEY,
            SecurityScheme::ApiKey(ApiKey::Header(key)),
        )
        .security_scheme(operation::BEARER, SecurityScheme::Http(bearer.build()))
}

/// A body, and what it is made of.
fn add<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}
