//! A TCP proxy that can be cut or go deaf, and, in front of PostgreSQL, lose the answers to commits.

use super::{arrivals::Arrivals, commits};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::AbortHandle,
};

/// What a link does with connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Carries them.
    Open,
    /// Closes them, new ones at once.
    Cut,
    /// Takes them and never moves a byte. When that is over, they are closed.
    HalfOpen,
}

/// What a link did so far.
#[derive(Debug, Default)]
pub struct Counts {
    /// Connections that were refused or broken.
    pub cut: AtomicU64,
    /// Connections that went deaf.
    pub deaf: AtomicU64,
    /// Commits that happened and whose answer was lost.
    pub commits_cut: AtomicU64,
}

#[derive(Debug)]
struct Line {
    target: u16,
    way: watch::Receiver<Way>,
    /// Loses the answer to every n-th commit; 0: to none. Not set: what is carried is not looked at.
    cut_commits: Option<watch::Receiver<u64>>,
    commits: AtomicU64,
    counts: Arc<Counts>,
}

/// A port of its own that leads to another on this machine.
#[derive(Debug)]
pub struct Link {
    /// Where it listens.
    pub port: u16,
    /// What it did.
    pub counts: Arc<Counts>,
    way: watch::Sender<Way>,
    cut_commits: watch::Sender<u64>,
    task: AbortHandle,
}

impl Link {
    /// A link to a service's listener, which notes who connects.
    pub async fn to_peer(target: u16, arrivals: Arc<Arrivals>) -> Self {
        Self::open(target, false, Some(arrivals)).await
    }

    /// A link to PostgreSQL.
    pub async fn to_postgres(target: u16) -> Self {
        Self::open(target, true, None).await
    }

    async fn open(target: u16, postgres: bool, arrivals: Option<Arc<Arrivals>>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (way, cut_commits, counts) =
            (watch::Sender::new(Way::Open), watch::Sender::new(0), Arc::<Counts>::default());
        let line = Arc::new(Line {
            target,
            way: way.subscribe(),
            cut_commits: postgres.then(|| cut_commits.subscribe()),
            commits: AtomicU64::new(0),
            counts: counts.clone(),
        });
        let accept = async move {
            while let Ok((socket, _)) = listener.accept().await {
                if let Some(arrivals) = &arrivals {
                    arrivals.connection();
                }
                // Its end is the end of the connection; what broke it is the fault that was asked for.
                tokio::spawn(line.clone().carry(socket));
            }
        };
        Self { port, counts, way, cut_commits, task: tokio::spawn(accept).abort_handle() }
    }

    /// Switches the fault.
    pub fn set(&self, way: Way) {
        self.way.send_replace(way);
    }

    /// From now on the answer to every n-th commit is lost, with its connection; 0: to none.
    pub fn cut_commits(&self, every: u64) {
        self.cut_commits.send_replace(every);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Line {
    async fn carry(self: Arc<Self>, mut client: TcpStream) {
        let mut way = self.way.clone();
        if *way.borrow_and_update() == Way::Open {
            let Ok(mut server) = TcpStream::connect(("127.0.0.1", self.target)).await else { return };
            tokio::select! {
                _ = self.pass(&mut client, &mut server) => return,
                _ = way.wait_for(|way| *way != Way::Open) => {}
            }
            self.fault(&mut way).await;
        } else {
            self.fault(&mut way).await;
        }
    }

    async fn fault(&self, way: &mut watch::Receiver<Way>) {
        if *way.borrow() == Way::HalfOpen {
            self.counts.deaf.fetch_add(1, Ordering::Relaxed);
            // The sender of `way` goes at the end of the test.
            let _ = way.wait_for(|way| *way != Way::HalfOpen).await;
        } else {
            self.counts.cut.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn pass(&self, client: &mut TcpStream, server: &mut TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let Some(every) = &self.cut_commits else {
            return tokio::io::copy_bidirectional(client, server).await.map(drop);
        };
        let due = || {
            let every = *every.borrow();
            every > 0 && (self.commits.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(every)
        };
        if commits::pass(client, server, due).await? {
            self.counts.commits_cut.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}
