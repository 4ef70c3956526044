//! Connections as they come in. In flows a bound listener, out comes a stream of connections that hold a place of a bounded
//! number, must begin to speak HTTP/2 in time, and end when they are told to. What is said on them is not known here.

use crate::server::Limits;
use futures::Stream;
use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Sleep, sleep},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::{Connected, TcpConnectInfo};

const PREFACE_BYTES: usize = 24;
const PAUSE: Duration = Duration::from_millis(50);

/// The connections of a listener. While all places are taken nothing is accepted: who comes waits in the kernel's queue.
pub(crate) fn accept(
    listener: TcpListener,
    limits: &Limits,
    abort: CancellationToken,
) -> impl Stream<Item = io::Result<Connection>> + use<> {
    let acceptor = Acceptor {
        listener,
        places: Arc::new(Semaphore::new(limits.connections)),
        addresses: Addresses { most: limits.connections_per_address, open: Arc::default() },
        handshake: limits.handshake,
        abort,
        full: false,
    };
    futures::stream::unfold(acceptor, |mut acceptor| async move {
        let connection = acceptor.next().await?;
        Some((Ok(connection), acceptor))
    })
}

struct Acceptor {
    listener: TcpListener,
    places: Arc<Semaphore>,
    addresses: Addresses,
    handshake: Duration,
    abort: CancellationToken,
    full: bool,
}

impl Acceptor {
    async fn next(&mut self) -> Option<Connection> {
        let place = self.place().await?;
        loop {
            let (stream, remote) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    rest_after(&error).await;
                    continue;
                }
            };
            let Some(address) = self.addresses.enter(remote) else {
                tracing::debug!(%remote, "connection closed: its address has too many");
                continue;
            };
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%remote, %error, "connection was gone at once");
                continue;
            }
            return Some(Connection {
                stream,
                abort: Box::pin(self.abort.clone().cancelled_owned()),
                handshake: Some(Handshake { left: PREFACE_BYTES, end: Box::pin(sleep(self.handshake)) }),
                _address: address,
                _place: place,
            });
        }
    }

    async fn place(&mut self) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            self.full = false;
            return Some(place);
        }
        if !self.full {
            self.full = true;
            tracing::warn!("all places for connections are taken; new ones wait");
        }
        Arc::clone(&self.places).acquire_owned().await.ok()
    }
}

/// A caller that went away is no reason to wait. Anything else is trouble of this machine (no more file descriptors, as a rule),
/// which would come back at once.
async fn rest_after(error: &io::Error) {
    if is_of_the_caller(error) {
        tracing::debug!(%error, "connection was gone before it was accepted");
        return;
    }
    tracing::warn!(%error, "cannot accept connections; trying again");
    sleep(PAUSE).await;
}

fn is_of_the_caller(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | Interrupted | TimedOut | WouldBlock)
}

/// Open connections by remote address.
struct Addresses {
    most: usize,
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

struct Address {
    ip: IpAddr,
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Addresses {
    fn enter(&self, remote: SocketAddr) -> Option<Address> {
        let ip = remote.ip().to_canonical();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(ip).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Address { ip, open: Arc::clone(&self.open) })
    }
}

impl Drop for Address {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.ip);
            }
        }
    }
}

/// One connection with its place.
pub(crate) struct Connection {
    stream: TcpStream,
    abort: Pin<Box<WaitForCancellationFutureOwned>>,
    handshake: Option<Handshake>,
    _address: Address,
    _place: OwnedSemaphorePermit,
}

/// Counts until the client's preface is in. Before that hyper neither pings nor shuts down, so a silent client would stay for ever.
struct Handshake {
    left: usize,
    end: Pin<Box<Sleep>>,
}

impl Connection {
    fn poll_end(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.abort.as_mut().poll(cx).is_ready() {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the server has stopped"));
        }
        if let Some(handshake) = &mut self.handshake
            && handshake.end.as_mut().poll(cx).is_ready()
        {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the client sent no HTTP/2 preface in time"));
        }
        Ok(())
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll_end(cx)?;
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if let Some(handshake) = &mut self.handshake {
            handshake.left = handshake.left.saturating_sub(buf.filled().len() - before);
            if handshake.left == 0 {
                self.handshake = None;
            }
        }
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_end(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_end(cx)?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn after_trouble_of_this_machine_accepting_rests() {
        let begin = tokio::time::Instant::now();
        rest_after(&io::Error::from_raw_os_error(24)).await; // EMFILE
        rest_after(&io::Error::from_raw_os_error(23)).await; // ENFILE
        assert_eq!(begin.elapsed(), 2 * PAUSE);
        rest_after(&io::ErrorKind::ConnectionAborted.into()).await;
        assert_eq!(begin.elapsed(), 2 * PAUSE);
    }

    #[test]
    fn an_address_has_so_many_places_and_gives_them_back() {
        let addresses = Addresses { most: 2, open: Arc::default() };
        let enter = |text: &str| addresses.enter(text.parse().unwrap());
        let held = (enter("10.0.0.1:1").unwrap(), enter("[::ffff:10.0.0.1]:2").unwrap());
        assert!(enter("10.0.0.1:3").is_none());
        assert!(enter("10.0.0.2:3").is_some());
        drop(held);
        assert!(addresses.open.lock().unwrap().is_empty());
        assert!(enter("10.0.0.1:3").is_some());
    }
}
