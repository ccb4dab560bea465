//! Errors as vendors write them.

use serde_json::Value;

/// What a vendor says has gone wrong.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Complaint {
    /// As an HTTP status (400 to 599), whatever the status of the answer was.
    pub(super) status: u16,
    /// May hold anything; not to be shown as it is.
    pub(super) message: String,
}

impl Complaint {
    /// What `document` complains of, if that is what it does.
    ///
    /// | who | how |
    /// |---|---|
    /// | OpenAI, vLLM, llama.cpp | `{"error": {"message", "type", "code"}}` |
    /// | OpenRouter | the same, with an HTTP status as `code` |
    /// | Ollama | `{"error": "…"}` too |
    /// | older vLLM, Mistral | `{"object": "error", "message", "type", "code"}` |
    /// | FastAPI and gateways | `{"detail": …}`, `{"message": "…"}` |
    pub(super) fn of(document: &Value) -> Option<Self> {
        match document.get("error") {
            None | Some(Value::Null | Value::Bool(false)) => Self::without_object(document),
            Some(Value::String(empty)) if empty.is_empty() => Self::without_object(document),
            Some(error) => Some(Self::described_by(error)),
        }
    }

    /// `description` is known to be about an error.
    pub(super) fn described_by(description: &Value) -> Self {
        Self {
            status: status(description),
            message: message(description),
        }
    }

    fn without_object(document: &Value) -> Option<Self> {
        let said = |field| document.get(field).is_some();
        let is_answer = said("choices") || said("data");
        let is_error = document
            .get("object")
            .is_some_and(|object| object == "error");
        let has_text = said("detail") || document.get("message").is_some_and(Value::is_string);
        (is_error || has_text && !is_answer).then(|| Self::described_by(document))
    }

    /// Whether the prompt is too long for the model, which some servers report
    /// as a failure of their own.
    pub(super) fn is_overlong(&self) -> bool {
        self.status == OVERLONG
    }
}

/// RFC 9110, "Content Too Large": stands for a prompt that is too long, whatever
/// number the server has for it.
const OVERLONG: u16 = 413;

fn message(error: &Value) -> String {
    let fields = ["message", "detail"];
    let text = fields.iter().find_map(|field| error.get(field)?.as_str());
    text.or(error.as_str()).unwrap_or_default().to_owned()
}

fn status(error: &Value) -> u16 {
    let words = ["code", "type"]
        .iter()
        .filter_map(|field| error.get(field)?.as_str())
        .collect::<Vec<_>>()
        .join(" ")
        .to_ascii_lowercase();
    if words.contains("context") {
        return OVERLONG;
    }
    let numbers = ["code", "status"].iter().filter_map(|field| {
        let number = error.get(field)?;
        match number {
            Value::String(text) => text.parse().ok(),
            _ => number.as_u64(),
        }
    });
    let mut statuses = numbers.filter_map(|number| u16::try_from(number).ok());
    statuses
        .find(|status| (400..600).contains(status))
        .unwrap_or_else(|| in_words(&words))
}

/// The kinds that OpenAI, vLLM and llama.cpp have. What is unknown may pass.
fn in_words(words: &str) -> u16 {
    let kinds: [(&[&str], u16); 5] = [
        (&["rate_limit", "too_many", "quota"], 429),
        (&["auth", "api_key", "permission"], 401),
        (&["timeout"], 408),
        (&["not_found", "notfound"], 404),
        (
            &[
                "invalid",
                "badrequest",
                "bad_request",
                "content_",
                "moderation",
                "unsupported",
            ],
            400,
        ),
    ];
    kinds
        .iter()
        .find(|(marks, _)| marks.iter().any(|mark| words.contains(mark)))
        .map_or(500, |(_, status)| *status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_error_is_recognised_in_every_vendors_writing() {
        for (document, expected) in [
            (
                json!({"error": {"message": "m", "code": 429}}),
                Some((429, "m")),
            ),
            (
                json!({"error": {"message": "m", "code": "502"}}),
                Some((502, "m")),
            ),
            (
                json!({"error": {"message": "m", "code": 7}}),
                Some((500, "m")),
            ),
            (
                json!({"error": {"message": "m", "code": "server_error"}}),
                Some((500, "m")),
            ),
            (
                json!({"error": {"message": "m", "code": null, "type": "invalid_request_error"}}),
                Some((400, "m")),
            ),
            (
                json!({"error": {"message": "m", "code": "invalid_api_key", "type": "invalid_request_error"}}),
                Some((401, "m")),
            ),
            (
                json!({"error": {"message": "m", "code": "rate_limit_exceeded"}}),
                Some((429, "m")),
            ),
            (
                json!({"error": {"message": "m", "type": "NotFoundError"}}),
                Some((404, "m")),
            ),
            (
                json!({"error": {"message": "m", "code": 500, "type": "exceed_context_size_error"}}),
                Some((413, "m")),
            ),
            (
                json!({"error": {"message": "m", "code": "context_length_exceeded"}}),
                Some((413, "m")),
            ),
            (
                json!({"error": "model not loaded"}),
                Some((500, "model not loaded")),
            ),
            (json!({"error": {}}), Some((500, ""))),
            (json!({"error": 3}), Some((500, ""))),
            (
                json!({"object": "error", "message": "m", "code": 400}),
                Some((400, "m")),
            ),
            (json!({"detail": "Not Found"}), Some((500, "Not Found"))),
            (json!({"detail": [{"loc": 1}]}), Some((500, ""))),
            (json!({"error": null, "choices": []}), None),
            (json!({"error": "", "choices": []}), None),
            (json!({"choices": [], "message": "m"}), None),
            (json!({"type": "ping"}), None),
            (json!("text"), None),
        ] {
            let expected = expected.map(|(status, message)| Complaint {
                status,
                message: message.to_owned(),
            });
            assert_eq!(Complaint::of(&document), expected, "{document}");
        }
    }
}
