//! The problems that answers can be, by their codes: their statuses, and what
//! they say of themselves. What a job failed with has the code of its failure,
//! of which the common ones are here.

/// A problem, as an example of it.
pub struct KnownProblem {
    pub code: &'static str,
    pub status: u16,
    pub detail: &'static str,
}

const fn problem(status: u16, code: &'static str, detail: &'static str) -> KnownProblem {
    KnownProblem {
        code,
        status,
        detail,
    }
}

/// # Panics
/// For a code that is not listed: the document is made once, and a test makes it.
pub fn known(code: &str) -> &'static KnownProblem {
    KNOWN
        .iter()
        .find(|problem| problem.code == code)
        .unwrap_or_else(|| panic!("the problem {code} is not listed"))
}

pub const KNOWN: &[KnownProblem] = &[
    problem(
        400,
        "missing_conversation_id",
        "The header X-Conversation-Id is missing.",
    ),
    problem(
        400,
        "invalid_conversation_id",
        "A conversation id must be 1 to 128 letters, digits, '_' or '-'.",
    ),
    problem(
        400,
        "invalid_idempotency_key",
        "The header Idempotency-Key must be 1 to 255 printable ASCII characters, once.",
    ),
    problem(400, "invalid_json", "The body is not valid JSON."),
    problem(400, "incomplete_body", "The body ended too soon."),
    problem(
        400,
        "invalid_multipart",
        "The form is not well formed or ended too soon.",
    ),
    problem(
        400,
        "invalid_wait",
        "The parameter wait must be a whole number of seconds, once.",
    ),
    problem(
        400,
        "invalid_cursor",
        "Last-Event-ID or starting_after must be the number of an event of this job, or 0.",
    ),
    problem(
        400,
        "invalid_host",
        "The request must have one header Host.",
    ),
    problem(
        400,
        "invalid_transfer_encoding",
        "The Transfer-Encoding can be chunked alone.",
    ),
    problem(
        401,
        "unauthorized",
        "A valid API key is needed, in the header X-API-Key or as Authorization: Bearer.",
    ),
    problem(404, "not_found", "There is nothing at this address."),
    problem(
        404,
        "unknown_job",
        "There is no such job, or it is kept no longer.",
    ),
    problem(
        404,
        "unknown_conversation",
        "There is no such conversation, or it is kept no longer.",
    ),
    problem(
        404,
        "no_audio",
        "The job has no audio, or it is kept no longer.",
    ),
    problem(
        406,
        "not_acceptable",
        "The answer can be had as application/json or as text/event-stream.",
    ),
    problem(
        408,
        "body_too_slow",
        "The body of the request did not come, or came too slowly.",
    ),
    problem(
        409,
        "first_still_running",
        "The first request with this Idempotency-Key is still being worked on.",
    ),
    problem(409, "job_cancelled", "The job was cancelled."),
    problem(410, "job_erased", "The data of the job were erased."),
    problem(
        412,
        "precondition_failed",
        "The audio is not the one that If-Match names.",
    ),
    problem(
        413,
        "too_large",
        "The request is larger than the 131072 bytes that are allowed.",
    ),
    problem(
        414,
        "uri_too_long",
        "The address is longer than the 8000 bytes that are allowed.",
    ),
    problem(
        415,
        "unsupported_encoding",
        "The body is taken without a Content-Encoding only.",
    ),
    problem(
        415,
        "not_json",
        "The content type must be application/json.",
    ),
    problem(
        415,
        "not_multipart",
        "The content type must be multipart/form-data.",
    ),
    problem(
        415,
        "unsupported_audio",
        "The file is not audio of a kind that is taken: wav, mp3, flac, ogg, m4a or webm.",
    ),
    problem(
        416,
        "range_not_satisfiable",
        "The audio does not have the bytes that are asked for.",
    ),
    problem(
        421,
        "misdirected_request",
        "While the built-in key is valid, this server answers requests for localhost or an address of loopback alone; with an API_KEY of its own it answers all.",
    ),
    problem(
        422,
        "invalid_priority",
        "The field priority must be interactive or batch.",
    ),
    problem(422, "empty_message", "The message is empty."),
    problem(
        422,
        "control_character",
        "The message has a control character that is no tab and ends no line.",
    ),
    problem(
        422,
        "message_too_long",
        "The message has 5001 characters; 5000 are allowed.",
    ),
    problem(422, "invalid_field", "Missing field `message`."),
    problem(
        422,
        "unknown_field",
        "The form has a field that is not known.",
    ),
    problem(
        422,
        "repeated_field",
        "The field voice is there more than once.",
    ),
    problem(
        422,
        "unknown_kind",
        "The field kind of a form must be audio.",
    ),
    problem(
        422,
        "missing_audio",
        "The form has no file in the field audio.",
    ),
    problem(422, "empty_audio", "The file in the field audio is empty."),
    problem(422, "damaged_audio", "The recording is damaged."),
    problem(
        422,
        "audio_too_long",
        "The recording is longer than is taken.",
    ),
    problem(
        422,
        "audio_too_costly",
        "The recording takes more memory or time to decode than is allowed.",
    ),
    problem(422, "no_speech", "No speech was heard in the recording."),
    problem(
        422,
        "invalid_voice",
        "The field voice must be 1 to 64 letters, digits, '+', '-' or '_'.",
    ),
    problem(
        422,
        "invalid_response_format",
        "The field response_format must be hex, base64 or url.",
    ),
    problem(
        422,
        "invalid_timeout",
        "The field timeout must be a whole number of seconds from 1 to 3600.",
    ),
    problem(
        422,
        "callbacks_not_configured",
        "The field callback_url is not taken from this key: its tenant has no secret to sign callbacks with, in WEBHOOK_SECRETS or, for the default tenant, in WEBHOOK_SECRET.",
    ),
    problem(
        422,
        "invalid_callback_url",
        "The field callback_url is not an address that may be called.",
    ),
    problem(
        422,
        "idempotency_key_reused",
        "The Idempotency-Key was sent with another request before.",
    ),
    problem(429, "rate_limited", "Too many requests; try again later."),
    problem(
        429,
        "budget_spent",
        "What this key may use in a day is spent.",
    ),
    problem(
        429,
        "too_many_jobs",
        "Too many jobs of this key are under way.",
    ),
    problem(
        429,
        "too_many_bytes_of_tenant",
        "Too many uploads and answers of this tenant are in memory already.",
    ),
    problem(
        429,
        "too_many_connections_of_address",
        "Too many connections from this address are open already.",
    ),
    problem(500, "internal", "Something went wrong on our side."),
    problem(
        503,
        "dependency_unavailable",
        "A service that this one depends on is not available at the moment.",
    ),
    problem(503, "overloaded", "Too many jobs are waiting already."),
    problem(
        503,
        "too_many_connections",
        "Too many connections are open already.",
    ),
    problem(
        503,
        "too_many_bytes",
        "Too many uploads and answers are in memory already.",
    ),
    problem(
        503,
        "speech_not_ready",
        "The engine for speech to text is being fetched: 40 of 145 MB.",
    ),
    problem(
        503,
        "provider_unreachable",
        "The answer could not be made at the moment.",
    ),
    problem(
        503,
        "stage_timeout",
        "The answer could not be made in time.",
    ),
    problem(
        504,
        "still_running",
        "The job is still running; its result can be had at its address.",
    ),
    problem(504, "job_expired", "The job was not done within its time."),
];
