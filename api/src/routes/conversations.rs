//! `/v1/conversations/{id}`: what was said, and to forget it.

use std::sync::Arc;

use axum::{
    Json,
    extract::{FromRequestParts, Path, State},
    http::{StatusCode, request::Parts},
};
use common::{conversation::PastTurn, ids::ConversationId};
use serde_json::{Value, json};

use crate::{
    error::Problem,
    gateway::{Caller, Gateway},
    new_turn::parse_conversation,
    render::rfc3339,
};

/// The conversation that the path names.
pub struct Named(ConversationId);

/// Its turns, the oldest first. A conversation without a turn does not exist:
/// not yet, no longer, or for another tenant.
pub async fn get(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    Named(id): Named,
) -> Result<Json<Value>, Problem> {
    let turns = gateway.conversation(caller.tenant, id.clone()).await?;
    if turns.is_empty() {
        return Err(unknown());
    }
    let turns: Vec<Value> = turns.iter().map(rendered).collect();
    Ok(Json(json!({ "conversation_id": id, "turns": turns })))
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

fn rendered(turn: &PastTurn) -> Value {
    json!({
        "job_id": turn.job,
        "at": rfc3339(turn.at.0),
        "user": turn.user,
        "assistant": turn.assistant,
    })
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
