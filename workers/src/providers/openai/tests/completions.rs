//! Completions that succeed, in all the ways in which services write them.

use std::sync::Arc;

use common::{config::Secret, turn::TokenUsage};
use futures::StreamExt;
use serde_json::json;
use tokio::sync::Notify;

use super::{
    endpoint,
    server::{Server, Step, answer, piece, stream_end, stream_head, stream_of},
};
use crate::{
    handler::StageError,
    providers::{
        ChatMessage, ChatModel, ChatRole, CompletionPart,
        openai::{ChatOptions, OpenAiChat, ThoughtStyle, TokenLimit},
    },
};

pub(super) fn chat(base_url: &str) -> OpenAiChat {
    OpenAiChat::new(options(base_url)).unwrap()
}

pub(super) fn options(base_url: &str) -> ChatOptions {
    ChatOptions {
        endpoint: endpoint(base_url),
        ..ChatOptions::custom(base_url, "some/model", None)
    }
}

pub(super) fn question() -> Vec<ChatMessage> {
    let message = |role, content: &str| ChatMessage {
        role,
        content: content.to_owned(),
    };
    vec![
        message(ChatRole::System, "Jawab dari dokumen."),
        message(ChatRole::User, "Berapa biaya UKT?"),
    ]
}

/// The texts in their pieces and the usage, up to the first error.
pub(super) async fn read(
    chat: &OpenAiChat,
) -> (Vec<String>, Option<TokenUsage>, Option<StageError>) {
    let (mut texts, mut usage) = (Vec::new(), None);
    let mut completion = match chat.complete(&question()).await {
        Ok(completion) => completion,
        Err(error) => return (texts, usage, Some(error)),
    };
    while let Some(part) = completion.next().await {
        match part {
            Ok(CompletionPart::Text(text)) => {
                assert!(usage.is_none() && !text.is_empty());
                texts.push(text);
            }
            Ok(CompletionPart::Usage(found)) => {
                assert_eq!(usage.replace(found), None);
            }
            Ok(CompletionPart::Written(_)) => {}
            Err(error) => {
                assert!(completion.next().await.is_none());
                return (texts, usage, Some(error));
            }
        }
    }
    (texts, usage, None)
}

/// One event with a piece of text.
pub(super) fn delta(text: &str) -> String {
    let chunk = json!({"choices": [{"index": 0, "delta": {"content": text}}]});
    format!("data: {chunk}\n\n")
}

pub(super) fn finish(reason: &str) -> String {
    let chunk = json!({"choices": [{"delta": {}, "finish_reason": reason}]});
    format!("data: {chunk}\n\n")
}

const USAGE: &str =
    "data: {\"choices\": [], \"usage\": {\"prompt_tokens\": 7, \"completion_tokens\": 3}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

#[tokio::test]
async fn a_completion_is_asked_for_as_configured() {
    let server = Server::doing(stream_of(delta("Ya") + &finish("stop") + DONE)).await;
    let mut options = options(&server.url());
    options.endpoint = super::super::Endpoint {
        base_url: server.url(),
        ..super::super::Endpoint::openrouter(Secret::new(super::KEY))
    };
    options.more.insert("top_p".into(), json!(0.5));
    let (texts, usage, error) = read(&OpenAiChat::new(options).unwrap()).await;
    assert_eq!((texts.concat().as_str(), usage, error), ("Ya", None, None));

    let requests = server.requests();
    let request = requests.first().unwrap();
    assert_eq!(request.path, "/v1/chat/completions");
    for header in [
        format!("authorization: bearer {}\r\n", super::KEY),
        "http-referer: https://www.itb.ac.id\r\n".to_owned(),
        "x-title: asisten itb\r\n".to_owned(),
        "content-type: application/json\r\n".to_owned(),
    ] {
        assert!(request.head.contains(&header), "{header} {}", request.head);
    }
    let expected = json!({
        "model": "some/model",
        "messages": [
            {"role": "system", "content": "Jawab dari dokumen."},
            {"role": "user", "content": "Berapa biaya UKT?"},
        ],
        "stream": true,
        "stream_options": {"include_usage": true},
        "temperature": 0.0,
        "max_tokens": 4096,
        "top_p": 0.5,
    });
    assert_eq!(request.body, expected);
}

#[tokio::test]
async fn a_service_without_a_key_gets_none_and_openai_its_own_token_limit() {
    let server = Server::doing(stream_of(delta("Ya") + &finish("stop"))).await;
    let chat = OpenAiChat::new(ChatOptions {
        token_limit: ChatOptions::openai(Secret::new("k")).token_limit,
        temperature: None,
        ..ChatOptions::custom(server.url(), "m", None)
    });
    assert_eq!(read(&chat.unwrap()).await.2, None);
    let request = &server.requests()[0];
    assert!(!request.head.contains("authorization"), "{}", request.head);
    assert_eq!(request.body["max_completion_tokens"], 4096);
    assert!(request.body.get("max_tokens").is_none());
    assert!(request.body.get("temperature").is_none());
}

#[test]
fn the_vendors_have_their_defaults() {
    let key = || Secret::new(super::KEY);
    let openrouter = ChatOptions::openrouter(key());
    let openai = ChatOptions::openai(key());
    for (options, name, url, model) in [
        (
            &openrouter,
            "openrouter",
            "https://openrouter.ai/api/v1",
            "qwen/qwen3-235b-a22b",
        ),
        (
            &openai,
            "openai",
            "https://api.openai.com/v1",
            "gpt-4o-mini",
        ),
    ] {
        assert_eq!(options.endpoint.base_url, url);
        assert_eq!(options.model, model);
        assert_eq!(OpenAiChat::new(options.clone()).unwrap().name(), name);
        assert!(!format!("{options:?}").contains(super::KEY));
    }
    assert!(matches!(
        openai.token_limit,
        TokenLimit::MaxCompletionTokens(_)
    ));
}

#[tokio::test]
async fn a_stream_is_understood_in_every_writing() {
    let ya = delta("Ya, ") + &delta("itu.") + &finish("stop");
    let reasoning = "data: {\"choices\":[{\"delta\":{\"content\":null,\"reasoning\":\"hm\",\"reasoning_content\":\"hm\"}}]}\n\n";
    let empty = "data: {\"choices\":[],\"usage\":null}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"\",\"role\":\"assistant\"},\"finish_reason\":\"\"}]}\n\n";
    let lines = "data: {\"choices\":\ndata: [{\"delta\":\ndata: {\"content\":\"Ya, itu.\"}}]}\n\n";
    let parts = "data: {\"choices\":[{\"delta\":{\"content\":[{\"type\":\"thinking\",\"thinking\":[]},{\"type\":\"text\",\"text\":\"Ya, itu.\"}]}}]}\n\n";
    let usage = TokenUsage {
        input_tokens: 7,
        output_tokens: 3,
    };
    for (name, stream, expected_usage) in [
        ("plain", format!("{ya}{USAGE}{DONE}"), Some(usage)),
        ("without usage", format!("{ya}{DONE}"), None),
        ("without [DONE]", format!("{ya}{USAGE}"), Some(usage)),
        (
            "without a last empty line",
            format!("{ya}{USAGE}").trim_end().to_owned(),
            Some(usage),
        ),
        (
            "without a reason, but done",
            format!("{}{DONE}", delta("Ya, itu.")),
            None,
        ),
        (
            "cut by the token limit",
            format!("{}{}{DONE}", delta("Ya, itu."), finish("length")),
            None,
        ),
        (
            "carriage returns",
            format!("{ya}{USAGE}{DONE}").replace('\n', "\r\n"),
            Some(usage),
        ),
        (
            "comments",
            format!(": OPENROUTER PROCESSING\n\n{ya}: OPENROUTER PROCESSING\n\n{DONE}"),
            None,
        ),
        ("byte order mark", format!("\u{feff}{ya}{DONE}"), None),
        (
            "fields for thoughts",
            format!("{reasoning}{ya}{reasoning}{DONE}"),
            None,
        ),
        ("empty pieces", format!("{empty}{ya}{empty}{DONE}"), None),
        (
            "several data lines",
            format!("{lines}{}{DONE}", finish("stop")),
            None,
        ),
        (
            "one line feed between events",
            ya.replace("\n\n", "\n") + "\n",
            None,
        ),
        ("parts", format!("{parts}{}", finish("stop")), None),
        (
            "text after [DONE]",
            format!("{ya}{DONE}{}", delta("no")),
            None,
        ),
        (
            "no spaces",
            format!("{ya}{USAGE}{DONE}").replace("data: ", "data:"),
            Some(usage),
        ),
        (
            "thoughts in tags",
            format!("{}{ya}{DONE}", delta("<think>hm</think>\n\n")),
            None,
        ),
    ] {
        let server = Server::doing(stream_of(stream)).await;
        let (texts, found, error) = read(&chat(&server.url())).await;
        assert_eq!(error, None, "{name}");
        assert_eq!(
            (texts.concat().as_str(), found),
            ("Ya, itu.", expected_usage),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_stream_may_be_cut_between_any_two_bytes() {
    let stream = delta("<think>é</think>Rp5.000, 🙂 é.") + &finish("stop") + USAGE + DONE;
    let mut steps = vec![stream_head()];
    steps.extend(
        stream
            .replace('\n', "\r\n")
            .bytes()
            .map(|byte| piece([byte])),
    );
    steps.push(stream_end());
    let server = Server::doing(steps).await;
    let (texts, usage, error) = read(&chat(&server.url())).await;
    assert_eq!((texts.concat().as_str(), error), ("Rp5.000, 🙂 é.", None));
    assert!(usage.is_some());
}

#[tokio::test]
async fn an_answer_in_one_piece_is_accepted_whatever_its_type_is_said_to_be() {
    let body = json!({
        "object": "chat.completion",
        "choices": [{"message": {"role": "assistant", "content": "<think>hm</think> Ya."}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3},
    });
    for headers in [
        "content-type: application/json\r\n",
        "content-type: text/event-stream\r\n",
        "",
    ] {
        let server = Server::doing(answer(200, headers, &format!("\n {body:#}"))).await;
        let (texts, usage, error) = read(&chat(&server.url())).await;
        assert_eq!((texts, error), (vec!["Ya.".to_owned()], None));
        assert_eq!(usage.map(|usage| usage.input_tokens), Some(7));
    }
}

#[tokio::test]
async fn a_piece_is_handed_on_before_the_next_is_sent() {
    let go_on = Arc::new(Notify::new());
    let mut steps = vec![stream_head()];
    for text in ["satu ", "dua ", "tiga"] {
        steps.extend([piece(delta(text)), Step::WaitFor(Arc::clone(&go_on))]);
    }
    steps.extend([piece(finish("stop") + DONE), stream_end()]);
    let server = Server::doing(steps).await;

    let mut completion = chat(&server.url()).complete(&question()).await.unwrap();
    for text in ["satu ", "dua ", "tiga"] {
        let part = completion.next().await.unwrap().unwrap();
        assert_eq!(part, CompletionPart::Text(text.to_owned()));
        // Only now does the server send the next.
        go_on.notify_one();
    }
    assert!(completion.next().await.is_none());
}

#[tokio::test]
async fn calls_share_a_connection() {
    let server = Server::doing(stream_of(delta("Ya") + &finish("stop") + DONE)).await;
    let chat = chat(&server.url());
    for _ in 0..3 {
        assert_eq!(read(&chat).await.2, None);
    }
    let connections: Vec<_> = server.requests().iter().map(|r| r.connection).collect();
    assert_eq!(connections, [0, 0, 0]);
}

#[tokio::test]
async fn thoughts_that_the_prompt_opens_fail_one_completion_unless_it_is_configured() {
    let stream = delta("hm, ") + &delta("so </think>\n\n") + &delta("Ya.") + &finish("stop") + DONE;
    let server = Server::doing(stream_of(stream)).await;
    let learning = chat(&server.url());
    let error = read(&learning).await.2.unwrap();
    assert_eq!(
        super::judged(&error),
        ("provider_unexpected", super::Kind::Transient)
    );
    let knowing = OpenAiChat::new(ChatOptions {
        thought_style: ThoughtStyle::OpenedByPrompt,
        ..options(&server.url())
    });
    for chat in [learning, knowing.unwrap()] {
        assert_eq!(read(&chat).await, (vec!["Ya.".to_owned()], None, None));
    }
}
