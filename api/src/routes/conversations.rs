//! `/v1/conversations/{id}`: what was said, and to forget it.

use std::sync::Arc;

use axum::{
    Json,
    extract::{FromRequestParts, Path, State},
    http::{StatusCode, request::Parts},
};
use common::{
    conversation::PastTurn,
    ids::{ConversationId, CorrelationId},
};
use serde::Serialize;
use utoipa::{
    ToSchema,
    openapi::{HttpMethod, PathItem},
};

use crate::{
    error::Problem,
    gateway::{Caller, Gateway},
    new_turn::parse_conversation,
    openapi::{Group, answers, examples, operation::Title, parameters},
    render::rfc3339,
};

/// The conversation that the path names.
pub struct Named(ConversationId);

/// A conversation, its turns the oldest first.
#[derive(Serialize, ToSchema)]
pub struct Conversation {
    #[schema(value_type = String, example = "coba")]
    conversation_id: ConversationId,
    turns: Vec<ConversationTurn>,
}

/// A question, and what was answered.
#[derive(Serialize, ToSchema)]
struct ConversationTurn {
    #[schema(value_type = String, format = "uuid")]
    job_id: CorrelationId,
    /// When the turn took effect.
    #[schema(format = DateTime)]
    at: String,
    /// What was asked; plain text, as it came.
    #[schema(example = "Apa itu ITB?")]
    user: String,
    /// What was answered; plain text.
    assistant: String,
}

/// Its turns, the oldest first. A conversation without a turn does not exist:
/// not yet, no longer, or for another tenant.
pub async fn get(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    Named(id): Named,
) -> Result<Json<Conversation>, Problem> {
    let turns = gateway.conversation(caller.tenant, id.clone()).await?;
    if turns.is_empty() {
        return Err(unknown());
    }
    Ok(Json(Conversation {
        conversation_id: id,
        turns: turns.into_iter().map(ConversationTurn::from).collect(),
    }))
}

/// 204 also when there is nothing to forget: what was asked for holds, a second
/// try after a lost answer succeeds, and nothing is told of another tenant's.
pub async fn delete(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    Named(id): Named,
) -> Result<StatusCode, Problem> {
    gateway.forget(caller.tenant, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<PastTurn> for ConversationTurn {
    fn from(turn: PastTurn) -> Self {
        Self {
            job_id: turn.job,
            at: rfc3339(turn.at.0),
            user: turn.user,
            assistant: turn.assistant,
        }
    }
}

fn unknown() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "unknown_conversation",
        "There is no such conversation, or it is kept no longer.",
    )
}

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // What cannot even be decoded is refused like any other bad name.
        let path = Path::<String>::from_request_parts(parts, state).await;
        let name = path.map_or_else(|_| String::new(), |Path(name)| name);
        parse_conversation(&name).map(Self)
    }
}

pub fn described() -> PathItem {
    let read = Title {
        id: "getConversation",
        group: Group::Conversations,
        summary: "Read a conversation",
        description: "Its turns, the oldest first. A conversation without a turn does not exist.",
    };
    let forget = Title {
        id: "forgetConversation",
        group: Group::Conversations,
        summary: "Forget a conversation",
        description: "Erases its turns and all data of its jobs, as `DELETE /v1/jobs/{id}/data` does; jobs that are still running are cancelled. Succeeds as well when there is nothing to forget.",
    };
    let found = answers::json(
        "The conversation.",
        "Conversation",
        examples::conversation(),
    );
    let mut item = read
        .keyed()
        .parameter(parameters::conversation_id())
        .answer(200, found)
        .problems(&["invalid_conversation_id", "unknown_conversation"])
        .on(HttpMethod::Get);
    let forget = forget
        .keyed()
        .parameter(parameters::conversation_id())
        .answer(
            204,
            answers::empty("There is no such conversation any more."),
        )
        .problems(&["invalid_conversation_id"]);
    item.merge_operations(forget.on(HttpMethod::Delete));
    item
}
