//! HTTP/2 by hand (RFC 9113), to see what goes over the wire.

use std::collections::HashMap;

use super::*;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

const CANCEL: u32 = 8;

/// What a stream may send before more is allowed.
const WINDOW: usize = 65_535;

#[derive(Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Frame {
    fn code(&self) -> u32 {
        let code = self.payload.last_chunk().expect("it ends with a number");
        u32::from_be_bytes(*code)
    }
}

struct Client {
    socket: TcpStream,
    /// Bytes that came on each stream, and whether it ended well.
    streams: HashMap<u32, (usize, bool)>,
}

impl Client {
    /// With a wide window for the whole connection, as proxies have.
    async fn connect(server: &Server) -> Self {
        let mut client = Self {
            socket: server.connect().await,
            streams: HashMap::new(),
        };
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        client.socket.write_all(preface).await.unwrap();
        client.send(SETTINGS, 0, 0, &[]).await;
        client.open_window(0, 1 << 30).await;
        client
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags];
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.socket.write_all(&frame).await.unwrap();
    }

    async fn open_window(&mut self, stream: u32, bytes: u32) {
        let bytes = bytes.to_be_bytes();
        self.send(WINDOW_UPDATE, 0, stream, &bytes).await;
    }

    async fn get(&mut self, stream: u32, path: &str) {
        let head = head(path);
        let flags = END_STREAM | END_HEADERS;
        self.send(HEADERS, flags, stream, &head).await;
    }

    /// The next frame; `None` at the end of the connection. Answers what has to be
    /// answered.
    async fn frame(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.socket.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        self.socket.read_exact(&mut payload).await.ok()?;
        let frame = Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
            payload,
        };
        match frame.kind {
            SETTINGS if frame.flags & ACK == 0 => self.send(SETTINGS, ACK, 0, &[]).await,
            PING if frame.flags & ACK == 0 => self.send(PING, ACK, 0, &frame.payload).await,
            DATA => {
                let (bytes, is_whole) = self.streams.entry(frame.stream).or_default();
                *bytes += frame.payload.len();
                *is_whole |= frame.flags & END_STREAM != 0;
            }
            _ => {}
        }
        Some(frame)
    }

    async fn next(&mut self, kind: u8, stream: u32) -> Frame {
        loop {
            let frame = self.frame().await.expect("the connection goes on");
            assert_ne!(frame.kind, GOAWAY, "{frame:?}");
            if (frame.kind, frame.stream) == (kind, stream) {
                return frame;
            }
            // What one stream needs, the other is not read for.
            if frame.kind == DATA && frame.stream == READ && !frame.payload.is_empty() {
                let bytes = u32::try_from(frame.payload.len()).unwrap();
                self.open_window(READ, bytes).await;
            }
        }
    }

    /// All that is said in farewell.
    async fn farewells(&mut self) -> usize {
        let mut farewells = 0;
        while let Some(frame) = self.frame().await {
            farewells += usize::from(frame.kind == GOAWAY);
        }
        farewells
    }
}

/// The stream that is read.
const READ: u32 = 3;

/// `GET http://a{path}` in HPACK (RFC 7541): the static table, and literals that
/// are not to be remembered.
fn head(path: &str) -> Vec<u8> {
    let length = u8::try_from(path.len()).unwrap();
    let mut head = vec![0x82, 0x86, 0x01, 1, b'a', 0x04, length];
    head.extend(path.as_bytes());
    head
}

#[tokio::test]
async fn a_stream_that_is_not_read_ends_and_the_others_go_on() {
    let server = Server::start(10, SHORT).await;
    let mut client = Client::connect(&server).await;
    client.get(1, "/large").await;
    client.get(READ, "/endless").await;
    let reset = client.next(RST_STREAM, 1).await;
    assert_eq!(reset.code(), CANCEL);
    assert_eq!(client.streams[&1], (WINDOW, false));
    let read = client.streams[&READ].0;
    assert!(read > WINDOW, "{read}");
    client.next(DATA, READ).await;
    client.get(5, "/").await;
    while !client
        .streams
        .get(&5)
        .is_some_and(|(_, is_whole)| *is_whole)
    {
        client.next(DATA, 5).await;
    }
    assert_eq!(client.streams[&5].0, "127.0.0.1".len());
    drop(client);
    server.stopped().await;
}

/// All that does not fit into its window waits in the connection.
#[tokio::test]
async fn a_stream_whose_end_is_not_read_ends_too() {
    let server = Server::start(10, SHORT).await;
    let mut client = Client::connect(&server).await;
    client.get(1, "/piece").await;
    client.get(READ, "/quiet").await;
    assert_eq!(client.next(RST_STREAM, 1).await.code(), CANCEL);
    assert_eq!(client.streams[&1], (WINDOW, false));
    drop(client);
    server.stopped().await;
}

#[tokio::test]
async fn a_connection_that_ends_says_so() {
    let server = Server::start(10, SHORT).await;
    let mut idle = Client::connect(&server).await;
    idle.get(1, "/").await;
    assert!(idle.farewells().await > 0, "idle");
    assert!(idle.streams[&1].1);

    let mut unfinished = Client::connect(&server).await;
    unfinished.send(HEADERS, END_STREAM, 1, &head("/")).await;
    assert!(unfinished.farewells().await > 0, "an unfinished head");

    let mut busy = Client::connect(&server).await;
    busy.get(1, "/piece").await;
    busy.next(HEADERS, 1).await;
    server.stop.cancel();
    loop {
        let frame = busy.frame().await.unwrap();
        if frame.kind == GOAWAY {
            break;
        }
    }
    busy.open_window(1, 1 << 20).await;
    busy.farewells().await;
    assert_eq!(busy.streams[&1], (PIECE, true));
    server.stopped().await;
}
