//! `GET /v1/jobs/{id}/audio`: the answer as WAV, whole or while it is being
//! spoken.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use common::{claim_check::Ticket, ids::CorrelationId};
use utoipa::openapi::{HttpMethod, PathItem};

use super::JobId;
use crate::{
    byte_budget::TenantBytes,
    byte_range::Wanted,
    error::Problem,
    gateway::{Caller, Gateway},
    job::{JobView, Outcome},
    live::{download::Download, speech::SpokenStream},
    openapi::{
        Group, answers,
        operation::{HOLDING_BYTES, Title},
        parameters,
    },
};

const WAV: (HeaderName, &str) = (header::CONTENT_TYPE, "audio/wav");

/// Of what is sent while it is being spoken.
const STREAMED: [(HeaderName, &str); 4] = [
    WAV,
    (header::ACCEPT_RANGES, "none"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("x-accel-buffering"), "no"),
];

pub async fn get(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    bytes: TenantBytes,
    JobId(id): JobId,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let look = async || {
        let view = gateway.look(&caller.tenant, id).await?;
        view.ok_or_else(Problem::unknown_job)
    };
    let mut view = look().await?;
    if is_yet_to_speak(&view) {
        if method == Method::HEAD {
            // Its length is not known before it is spoken.
            let unknown = futures::stream::empty::<Result<Bytes, std::convert::Infallible>>();
            return Ok((STREAMED, Body::from_stream(unknown)).into_response());
        }
        if let Some(stream) = streamed(&gateway, &caller, &bytes, id).await? {
            return Ok(stream);
        }
        view = look().await?;
    }
    let recording = kept(&gateway, &view).await?;
    let download = Download {
        gateway,
        bytes,
        ticket: recording,
    };
    answered(download, &method, &headers).await
}

fn is_yet_to_speak(view: &JobView) -> bool {
    view.outcome.is_none() && view.job.route.speaks()
}

/// `None` when the job ends before its first sentence.
async fn streamed(
    gateway: &Arc<Gateway>,
    caller: &Caller,
    bytes: &TenantBytes,
    id: CorrelationId,
) -> Result<Option<Response>, Problem> {
    let following = gateway.follow(&caller.tenant, id).await?;
    let following = following.ok_or_else(Problem::unknown_job)?;
    let spoken = SpokenStream::begin(following, bytes.clone()).await;
    let spoken = spoken.map_err(|_| Problem::dependency_away())?;
    Ok(spoken.map(|spoken| (STREAMED, Body::from_stream(spoken)).into_response()))
}

fn no_audio() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "no_audio",
        "The job has no audio, or it is kept no longer.",
    )
}

/// The speech of the job, if it is still kept.
async fn kept(gateway: &Gateway, view: &JobView) -> Result<Ticket, Problem> {
    let turn = match &view.outcome {
        Some(Outcome::Succeeded(turn)) => turn,
        Some(Outcome::Erased) => return Err(Problem::erased(view.job.correlation_id)),
        _ => return Err(no_audio()),
    };
    let ticket = &turn.speech.as_ref().ok_or_else(no_audio)?.ticket;
    let beginning = gateway.redeem_part(ticket, 0..ticket.bytes.min(1)).await?;
    beginning.ok_or_else(no_audio).map(|_| ticket.clone())
}

/// The file, or the part of it that is asked for.
async fn answered(
    download: Download,
    method: &Method,
    asked: &HeaderMap,
) -> Result<Response, Problem> {
    let tag = strong_tag(&download.ticket);
    let length = download.ticket.bytes;
    let about = [
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::ETAG, tag.clone()),
    ];
    match precondition(asked, &tag) {
        Precondition::Holds => {}
        Precondition::Failed => return Ok((about, precondition_failed()).into_response()),
        Precondition::NotModified => {
            return Ok((StatusCode::NOT_MODIFIED, about).into_response());
        }
    }
    let content_range = |range: String| [(header::CONTENT_RANGE, format!("bytes {range}"))];
    Ok(match wanted(asked, method, &tag, length) {
        Wanted::Whole => (about, [WAV], download.body(0..length).await?).into_response(),
        Wanted::Part(part) => {
            let range = content_range(format!("{}-{}/{length}", part.start, part.end - 1));
            let status = StatusCode::PARTIAL_CONTENT;
            let body = download.body(part).await?;
            (status, about, range, [WAV], body).into_response()
        }
        Wanted::Unsatisfiable => {
            let range = content_range(format!("*/{length}"));
            (about, range, unsatisfiable()).into_response()
        }
    })
}

enum Precondition {
    Holds,
    Failed,
    NotModified,
}

/// `If-Match` first, then `If-None-Match` (RFC 9110, sections 13.1 and 13.2.2).
/// There is no date to compare with one that is given.
fn precondition(asked: &HeaderMap, tag: &str) -> Precondition {
    let named = |name: &HeaderName, is_same: fn(&str, &str) -> bool| {
        let lines = asked.get_all(name).iter();
        let mut tags = lines
            .flat_map(|line| line.to_str().unwrap_or("?").split(','))
            .map(str::trim)
            .peekable();
        tags.peek()?;
        Some(tags.any(|given| given == "*" || is_same(given, tag)))
    };
    let weakly = |given: &str, tag: &str| given.trim_start_matches("W/") == tag;
    if named(&header::IF_MATCH, |given, tag| given == tag) == Some(false) {
        Precondition::Failed
    } else if named(&header::IF_NONE_MATCH, weakly) == Some(true) {
        Precondition::NotModified
    } else {
        Precondition::Holds
    }
}

fn precondition_failed() -> Problem {
    Problem::new(
        StatusCode::PRECONDITION_FAILED,
        "precondition_failed",
        "The audio is not the one that If-Match names.",
    )
}

/// `Range` is for `GET` alone, and after an `If-Range` for the file that is
/// meant by it (RFC 9110, sections 13.1.5 and 14.2). There is no date to compare
/// with one that is given there.
fn wanted(asked: &HeaderMap, method: &Method, tag: &str, length: u64) -> Wanted {
    let text = |name| asked.get(name).map(|value| value.to_str().unwrap_or("?"));
    let is_meant = text(header::IF_RANGE).is_none_or(|given| given.trim() == tag);
    match text(header::RANGE) {
        Some(range) if is_meant && method == Method::GET => Wanted::parse(range, length),
        _ => Wanted::Whole,
    }
}

fn unsatisfiable() -> Problem {
    Problem::new(
        StatusCode::RANGE_NOT_SATISFIABLE,
        "range_not_satisfiable",
        "The audio does not have the bytes that are asked for.",
    )
}

/// Of the content alone, so that every front door gives the same.
fn strong_tag(ticket: &Ticket) -> String {
    format!("\"{}\"", ticket.digest().unwrap_or_default())
}

pub fn described() -> PathItem {
    let title = Title {
        id: "getJobAudio",
        group: Group::Jobs,
        summary: "Hear the answer",
        description: "The answer of a spoken question as WAV, also in ranges; while it is being spoken, what there is so far and then the rest.",
    };
    title
        .keyed()
        .parameter(parameters::job_id())
        .parameter(parameters::range())
        .parameter(parameters::if_range())
        .parameter(parameters::if_match())
        .parameter(parameters::if_none_match())
        .answer(200, answers::audio())
        .answer(206, answers::part_of_audio())
        .answer(304, answers::empty("`If-None-Match` names this WAV."))
        .problems(&[
            "unknown_job",
            "job_erased",
            "no_audio",
            "precondition_failed",
            "range_not_satisfiable",
        ])
        .problems(&HOLDING_BYTES)
        .on(HttpMethod::Get)
}
