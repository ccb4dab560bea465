//! A TCP proxy that stands in a link between two programs, and troubles it.
//!
//! It knows nothing of what passes through. A link that was half open is cut
//! when the trouble ends: bytes were lost on it, so nothing may pass any more.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::sleep,
};

/// What may befall a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// What is sent arrives this much later.
    Delayed(Duration),
    /// Connections are closed, and new ones too.
    Cut,
    /// Connections stay and new ones are taken, but nothing arrives: as behind
    /// a machine that has lost its power.
    HalfOpen,
}

/// How the link is.
#[derive(Clone, Copy, Default)]
struct State {
    trouble: Option<Trouble>,
    /// How often all its connections were closed.
    cuts: u64,
}

pub struct Proxy {
    port: u16,
    state: watch::Sender<State>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Before `port` of this machine.
    pub async fn before(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let state = watch::Sender::default();
        Ok(Self {
            port: listener.local_addr()?.port(),
            task: tokio::spawn(serve(listener, port, state.subscribe())),
            state,
        })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn trouble(&self, trouble: Trouble) {
        self.state.send_modify(|state| {
            state.trouble = Some(trouble);
            state.cuts += u64::from(trouble == Trouble::Cut);
        });
    }

    pub fn heal(&self) {
        self.state.send_modify(|state| {
            state.cuts += u64::from(state.trouble == Some(Trouble::HalfOpen));
            state.trouble = None;
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, port: u16, state: watch::Receiver<State>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            // Out of file descriptors, for one: the next one may be taken.
            accepted = listener.accept() => if let Ok((client, _)) = accepted {
                connections.spawn(carry(client, port, state.clone()));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Carries one connection until it ends, or is cut.
async fn carry(client: TcpStream, port: u16, state: watch::Receiver<State>) {
    let State { trouble, cuts } = *state.borrow();
    if trouble == Some(Trouble::Cut) {
        return;
    }
    let mut watched = state.clone();
    tokio::select! {
        _ = relay(client, port, &state) => {}
        // The proxy is gone with its state.
        _ = watched.wait_for(|state| state.cuts != cuts) => {}
    }
}

async fn relay(mut client: TcpStream, port: u16, state: &watch::Receiver<State>) -> io::Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    tokio::try_join!(
        pump(&mut from_client, &mut to_server, state),
        pump(&mut from_server, &mut to_client, state),
    )?;
    Ok(())
}

async fn pump(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    state: &watch::Receiver<State>,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).await;
        let trouble = state.borrow().trouble;
        match trouble {
            None | Some(Trouble::Cut) => {}
            Some(Trouble::Delayed(time)) => sleep(time).await,
            // Neither bytes nor an end get through.
            Some(Trouble::HalfOpen) => match read {
                Ok(1..) => continue,
                _ => std::future::pending().await,
            },
        }
        match read? {
            0 => return to.shutdown().await,
            read => to.write_all(&buffer[..read]).await?,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, timeout};

    use super::*;

    /// A server that sends back what it is sent, and a proxy before it.
    async fn echo() -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        Proxy::before(port).await.unwrap()
    }

    async fn connect(proxy: &Proxy) -> TcpStream {
        TcpStream::connect(("127.0.0.1", proxy.port()))
            .await
            .unwrap()
    }

    /// Whether a byte comes back; `None` when the connection ended instead.
    async fn answers(stream: &mut TcpStream) -> Option<u8> {
        stream.write_all(b"a").await.ok()?;
        stream.read_u8().await.ok()
    }

    #[tokio::test]
    async fn a_link_without_trouble_carries_both_ways_and_its_end() {
        let proxy = echo().await;
        let mut stream = connect(&proxy).await;
        assert_eq!(answers(&mut stream).await, Some(b'a'));
        stream.shutdown().await.unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_cut_link_takes_nobody_until_it_is_healed() {
        let proxy = echo().await;
        let mut before = connect(&proxy).await;
        assert_eq!(answers(&mut before).await, Some(b'a'));
        proxy.trouble(Trouble::Cut);
        assert_eq!(answers(&mut before).await, None);
        assert_eq!(answers(&mut connect(&proxy).await).await, None);
        proxy.heal();
        assert_eq!(answers(&mut connect(&proxy).await).await, Some(b'a'));
    }

    #[tokio::test]
    async fn a_half_open_link_swallows_and_is_cut_at_its_end() {
        let proxy = echo().await;
        let mut before = connect(&proxy).await;
        assert_eq!(answers(&mut before).await, Some(b'a'));
        proxy.trouble(Trouble::HalfOpen);
        let mut during = connect(&proxy).await;
        for stream in [&mut before, &mut during] {
            let answer = timeout(Duration::from_millis(200), answers(stream)).await;
            assert!(answer.is_err(), "{answer:?}");
        }
        proxy.heal();
        assert_eq!(answers(&mut before).await, None);
        assert_eq!(answers(&mut during).await, None);
        assert_eq!(answers(&mut connect(&proxy).await).await, Some(b'a'));
    }

    #[tokio::test]
    async fn a_delayed_link_takes_its_time() {
        let proxy = echo().await;
        let mut stream = connect(&proxy).await;
        proxy.trouble(Trouble::Delayed(Duration::from_millis(50)));
        let begun = Instant::now();
        assert_eq!(answers(&mut stream).await, Some(b'a'));
        // Both ways.
        assert!(begun.elapsed() >= Duration::from_millis(100));
    }
}
