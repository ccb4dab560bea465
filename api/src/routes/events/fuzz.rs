//! Cursors as nobody was given them.

use axum::http::{HeaderName, HeaderValue, Request};
use common::testing::fuzz::explore;
use futures::FutureExt as _;
use proptest::{collection::vec, prelude::*};

use super::*;

const HEADER: HeaderName = HeaderName::from_static("last-event-id");

fn text() -> impl Strategy<Value = Vec<u8>> {
    let written = prop::sample::select(vec![
        "0",
        "7",
        "007",
        "18446744073709551615",
        "18446744073709551616",
        "+1",
        "-1",
        "1.0",
        "1e3",
        "0x1",
        " 1",
        "1 ",
        "",
        "%31",
        "%00",
        "%zz",
        "1%",
        "1&starting_after=2",
        "1;2",
        "1,2",
        "\u{661}",
        "٣",
    ]);
    prop_oneof![
        written.prop_map(|text| text.as_bytes().to_vec()),
        any::<u64>().prop_map(|number| number.to_string().into_bytes()),
        vec(any::<u8>(), 0..40),
    ]
}

/// What a number is, said once more: what 64 bits hold, in digits alone.
fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

fn cursor_of(request: Request<()>) -> Result<u64, u16> {
    let (mut parts, ()) = request.into_parts();
    let found = Cursor::from_request_parts(&mut parts, &()).now_or_never();
    found
        .unwrap()
        .map(|cursor| cursor.0)
        .map_err(|problem| problem.status().as_u16())
}

#[test]
fn a_header_is_a_number_or_refused_and_an_empty_one_is_none() {
    explore(&text(), |text| {
        let Ok(value) = HeaderValue::from_bytes(&text) else {
            return Ok(());
        };
        let expected = match value.to_str() {
            Ok("") => Some(0),
            Ok(text) => number(text),
            Err(_) => None,
        };
        let request = Request::builder().header(HEADER, value).body(()).unwrap();
        prop_assert_eq!(cursor_of(request), expected.ok_or(400));
        Ok(())
    });
}

#[test]
fn an_address_has_a_number_or_is_refused() {
    explore(&text(), |text| {
        let uri = [b"/?starting_after=", text.as_slice()].concat();
        let Ok(request) = Request::builder().uri(uri.as_slice()).body(()) else {
            return Ok(());
        };
        let found = cursor_of(request);
        // Of what is not written as it is, enough that it is read or refused.
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._".contains(byte);
        match std::str::from_utf8(&text) {
            Ok(text) if text.bytes().all(|byte| is_plain(&byte)) => {
                prop_assert_eq!(found, number(text).ok_or(400));
            }
            _ => prop_assert!(found.is_ok() || found == Err(400)),
        }
        Ok(())
    });
}
