//! Forms as nobody sends them by mistake.

use std::convert::Infallible;

use axum::{body::Body, extract::Request};
use bytes::Bytes;
use common::testing::fuzz::explore;
use futures::stream;
use proptest::{collection::vec, prelude::*, sample::Index};
use tokio::sync::mpsc;

use super::*;
use crate::{byte_budget, callback::Callbacks};

const LIMITS: Limits = Limits {
    upload: 2_000,
    callbacks: Callbacks::Unsigned,
};

const FIELDS: [&str; 4] = ["audio", "kind", "voice", "timeout"];

/// Pieces of a form, most of them where they belong.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let written = prop::sample::select(vec![
        "\r\n--b\r\n",
        "--b\r\n",
        "--b--\r\n",
        "--b \t\r\n",
        "--b",
        "--bb\r\n",
        "--",
        "\r\n",
        "\r\n\r\n",
        "\n",
        "\r",
        "\0",
        "Content-Disposition: form-data; name=\"audio\"; filename=\"../../etc/passwd\"\r\n",
        "content-disposition: form-data; name=\"kind\"\r\n",
        "Content-Disposition: form-data; name=\"voice\"\r\n",
        "Content-Disposition: form-data; name=\"x\"\r\n",
        "Content-Disposition: form-data; name=\"audio\r\n",
        "Content-Disposition: form-data; name*=utf-8''%61udio\r\n",
        "Content-Disposition: attachment\r\n",
        "Content-Disposition: form-data\r\n",
        "Content-Type: multipart/mixed; boundary=b\r\n",
        "Content-Type: audio/wav\r\n",
        "Content-Transfer-Encoding: base64\r\n",
        "Content-Length: 99999999999999999999\r\n",
        ": \r\n",
        "a b: c\r\n",
        "audio",
        "RIFF",
        "é",
    ]);
    prop_oneof![
        12 => written.prop_map(|text| text.as_bytes().to_vec()),
        2 => vec(any::<u8>(), 0..60),
        1 => (any::<u8>(), 0..2_500_usize).prop_map(|(byte, times)| vec![byte; times]),
    ]
}

/// A part as it should be.
fn part() -> impl Strategy<Value = Vec<u8>> {
    let name = prop::sample::select(FIELDS.to_vec());
    (name, vec(any::<u8>(), 0..100)).prop_map(|(name, content)| {
        let head = format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        [head.as_bytes(), &content, b"\r\n"].concat()
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let pieces = vec(prop_oneof![1 => part(), 2 => piece()], 0..20);
    (pieces, any::<bool>()).prop_map(|(pieces, ends)| {
        let end: &[u8] = if ends { b"--b--\r\n" } else { b"" };
        [pieces.concat().as_slice(), end].concat()
    })
}

/// What is read of a body that comes in these pieces, each from another task as
/// a connection has it: the parser looks for more twice while it is polled once,
/// and takes a body that ends between the two for broken.
async fn read(pieces: Vec<Bytes>) -> Result<Form, String> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        for piece in pieces {
            let _ = sender.send(piece).await;
            tokio::task::yield_now().await;
        }
    });
    let pieces = stream::unfold(receiver, async |mut receiver| {
        let piece = receiver.recv().await?;
        Some((Ok::<_, Infallible>(piece), receiver))
    });
    let request = Request::builder().header("content-type", "multipart/form-data; boundary=b");
    let budget = byte_budget::tests::tenant_with(100_000);
    let request = request.extension(budget).body(Body::from_stream(pieces));
    let request = request.unwrap();
    let form = Form::read(request, LIMITS, &FIELDS).await;
    form.map_err(|problem| {
        let status = problem.status();
        assert!(status.is_client_error(), "{status}");
        serde_json::to_value(problem.body("", "")).unwrap()["code"].to_string()
    })
}

#[test]
fn a_form_is_read_alike_however_it_comes_and_within_its_limits() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let input = (body(), vec(any::<Index>(), 0..12));
    explore(&input, |(body, cuts)| {
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        ends.extend([0, body.len()]);
        ends.sort_unstable();
        let body = Bytes::from(body);
        let pieces = ends
            .windows(2)
            .map(|pair| body.slice(pair[0]..pair[1]))
            .collect();
        let whole = runtime.block_on(read(vec![body.clone()]));
        // Of two defects either may be met first, by where the cuts are.
        let cut = runtime.block_on(read(pieces));
        prop_assert_eq!(cut.as_ref().ok(), whole.as_ref().ok());
        if let Ok(form) = whole {
            prop_assert!(
                form.audio
                    .is_none_or(|audio| audio.bytes.len() <= LIMITS.upload)
            );
        }
        Ok(())
    });
}
