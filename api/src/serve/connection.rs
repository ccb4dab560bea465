//! One connection, from its first byte to its last.

use std::{convert::Infallible, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request},
    response::Response,
};
use hyper::{
    body::Incoming,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use metrics::counter;
use tokio::{net::TcpStream, time::interval};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{
    answer_body::{AnswerBody, Asked},
    request_body::RequestBody,
    socket::Socket,
    stream::StreamExecutor,
    watch::{Finding, Patience, Watch},
};

/// Bytes of the head of a request; beyond it 431. Anybody may leave as many here
/// by a head that does not end.
pub const LARGEST_HEAD: usize = 8 * 1024;

/// Bytes of one stream that wait in a connection of HTTP/2: four parts.
const UNSENT: usize = 64 * 1024;

/// Bytes of the body of one request, and of all bodies on one connection of
/// HTTP/2, that a client may send before they are read. They are in memory, and
/// belong to nobody yet.
const UNREAD: (u32, u32) = (64 * 1024, 256 * 1024);

/// Requests at the same time on one connection of HTTP/2.
const STREAMS: u32 = 100;

/// Answers requests until the client or `stop` ends it, or the client does not
/// do its part.
pub async fn answer(
    stream: TcpStream,
    client: SocketAddr,
    app: Router,
    patience: Patience,
    stop: CancellationToken,
) {
    let watch = Arc::new(Watch::new(patience));
    let socket = TokioIo::new(Socket::new(stream, Arc::clone(&watch)));
    let app = TowerToHyperService::new(app);
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let asked = Asked::begin(&watch);
        let answer = app.call(received(request, client, patience.client));
        async move {
            let answer: Response = answer.await?;
            Ok::<_, Infallible>(answer.map(|body| AnswerBody::new(body, asked)))
        }
    });
    let builder = builder(patience.client);
    let mut connection = pin!(builder.serve_connection(socket, service));
    let mut clock = interval(patience.look_every());
    let mut is_ending = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    debug!(%error, "a connection broke");
                }
                return;
            }
            () = stop.cancelled(), if !is_ending => {
                is_ending = true;
                connection.as_mut().graceful_shutdown();
            }
            _ = clock.tick() => match watch.look() {
                Finding::Well => {}
                // What is said in farewell would not be read either.
                finding if is_ending || finding == Finding::SlowToRead => {
                    return give_up(finding);
                }
                Finding::Idle | Finding::SlowToAsk | Finding::SlowToRead => {
                    is_ending = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

/// `itb_http_connections_given_up_total{reason}`: that ended because the client
/// did not do its part.
fn give_up(finding: Finding) {
    let reason = match finding {
        Finding::SlowToAsk => "slow_to_ask",
        Finding::SlowToRead => "slow_to_read",
        Finding::Idle | Finding::Well => "idle",
    };
    counter!("itb_http_connections_given_up_total", "reason" => reason).increment(1);
    debug!(reason, "a connection is given up");
}

fn received(request: hyper::Request<Incoming>, client: SocketAddr, patience: Duration) -> Request {
    let mut request = request.map(|body| Body::new(RequestBody::new(body, patience)));
    request.extensions_mut().insert(ConnectInfo(client));
    request
}

/// HTTP/1.1, or HTTP/2 of a client that begins with it. The time for a head is
/// watched over by [`Watch`], for both alike.
fn builder(patience: Duration) -> Builder<StreamExecutor> {
    let mut builder = Builder::new(StreamExecutor { patience });
    builder
        .http1()
        .header_read_timeout(None)
        .max_buf_size(LARGEST_HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(LARGEST_HEAD as u32)
        .max_send_buf_size(UNSENT)
        .initial_stream_window_size(UNREAD.0)
        .initial_connection_window_size(UNREAD.1)
        // A client that is gone without a word holds nothing for long.
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}
