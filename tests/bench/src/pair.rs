//! Both services as processes of their own, as they would run in production: started, awaited, measured, ended in order.

use crate::{
    process::{self, Ticks},
    seed::in_schema,
    server::SCHEMAS,
};
use anyhow::{Context, bail};
use std::{
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

const PROGRAMS: [&str; 2] = ["opportunity-service", "order-service"];
const STATEMENTS: &str = "closeout_database_statements_total";
const READY: Duration = Duration::from_secs(30);
const ENDED: Duration = Duration::from_secs(30);

/// Where the programs are.
#[derive(Clone, Debug)]
pub(crate) struct Programs(PathBuf);

impl Programs {
    /// In this folder; none: where this program is.
    pub(crate) fn find(folder: Option<&Path>) -> anyhow::Result<Self> {
        let own = std::env::current_exe()?;
        let folder = folder.or(own.parent()).context("this program is in no folder")?.to_owned();
        for program in PROGRAMS {
            if !folder.join(program).is_file() {
                bail!(
                    "{} is not there: tests/bench/run builds it, or name its folder with --programs",
                    folder.join(program).display()
                );
            }
        }
        Ok(Self(folder))
    }

    /// How long the programs are, in bytes.
    pub(crate) fn sizes(&self) -> anyhow::Result<[u64; 2]> {
        let [sales, trade] = PROGRAMS.map(|program| fs::metadata(self.0.join(program)).map(|file| file.len()));
        Ok([sales?, trade?])
    }
}

/// Both services, running.
#[derive(Debug)]
pub(crate) struct Pair {
    services: [Service; 2],
    /// From the start of the processes until both served.
    pub(crate) started: Duration,
}

#[derive(Debug)]
struct Service {
    child: Child,
    url: String,
    metrics: String,
    log: PathBuf,
}

/// What both have used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    /// Time of each.
    pub(crate) cpu: [Ticks; 2],
    /// Memory of each at its highest, in bytes.
    pub(crate) most: [u64; 2],
    /// And now.
    pub(crate) now: [u64; 2],
}

impl Pair {
    /// Starts both on the schemas of one PostgreSQL database.
    pub(crate) async fn on_postgres(programs: &Programs, url: &str, folder: &Path) -> anyhow::Result<Self> {
        Self::start(programs, &SCHEMAS.map(|schema| in_schema(url, schema)), folder).await
    }

    /// Starts both on these databases.
    pub(crate) async fn start(programs: &Programs, urls: &[String; 2], folder: &Path) -> anyhow::Result<Self> {
        let ports: [u16; 6] = free_ports()?;
        let began = Instant::now();
        let start = |index: usize| -> anyhow::Result<Service> {
            let address = |port: usize| format!("127.0.0.1:{}", ports[port]);
            let log = folder.join(format!("{}.log", PROGRAMS[index]));
            let mut command = Command::new(programs.0.join(PROGRAMS[index]));
            command.args([
                "--database-url",
                &urls[index],
                "--listen",
                &address(index),
                "--peer-listen",
                &address(2 + index),
            ]);
            command.args([
                "--peer-url",
                &format!("http://{}", address(3 - index)),
                "--metrics-listen",
                &address(4 + index),
            ]);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?);
            let (url, metrics) = (format!("http://{}", address(index)), address(4 + index));
            Ok(Service { child: command.spawn()?, url, metrics, log })
        };
        let mut pair = Self { services: [start(0)?, start(1)?], started: Duration::ZERO };
        for service in &mut pair.services {
            service.ready(began).await?;
        }
        pair.started = began.elapsed();
        Ok(pair)
    }

    /// Connections to the public API of the opportunity service.
    pub(crate) async fn sales(&self, connections: usize) -> anyhow::Result<Vec<Channel>> {
        let mut channels = Vec::new();
        for _ in 0..connections {
            channels.push(endpoint(&self.services[0].url)?.connect().await?);
        }
        Ok(channels)
    }

    /// Statements that both have run so far.
    pub(crate) async fn statements(&self) -> anyhow::Result<u64> {
        let mut sum = 0;
        for service in &self.services {
            let mut answer = String::new();
            let mut connection = TcpStream::connect(&service.metrics).await?;
            connection.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await?;
            connection.read_to_string(&mut answer).await?;
            let counted = answer
                .lines()
                .find_map(|line| line.strip_prefix(STATEMENTS)?.split(' ').next_back()?.parse::<f64>().ok());
            sum += counted.context("the metrics of a service do not tell how many statements it has run")? as u64;
        }
        Ok(sum)
    }

    /// What they have used so far.
    pub(crate) fn used(&self) -> anyhow::Result<Used> {
        let pids = self.services.each_ref().map(|service| service.child.id());
        let (mut used, gone) = (Used { cpu: [Ticks::default(); 2], most: [0; 2], now: [0; 2] }, "a service has ended");
        for (index, pid) in pids.into_iter().enumerate() {
            used.cpu[index] = process::ticks(pid).context(gone)?;
            (used.now[index], used.most[index]) = process::memory(pid).context(gone)?;
        }
        Ok(used)
    }

    /// Ends both in order.
    pub(crate) fn end(mut self) -> anyhow::Result<()> {
        for service in &mut self.services {
            let pid = service.child.id().to_string();
            Command::new("kill").args(["-s", "TERM", &pid]).status()?;
        }
        for service in &mut self.services {
            let began = Instant::now();
            let status = loop {
                if let Some(status) = service.child.try_wait()? {
                    break status;
                }
                if began.elapsed() > ENDED {
                    bail!("a service did not end in {ENDED:?}");
                }
                std::thread::sleep(Duration::from_millis(2));
            };
            if !status.success() {
                bail!("a service ended with {status}: {}", service.said());
            }
        }
        Ok(())
    }
}

impl Service {
    async fn ready(&mut self, began: Instant) -> anyhow::Result<()> {
        let channel = endpoint(&self.url)?.connect_lazy();
        loop {
            let answer = HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await;
            if answer.is_ok_and(|answer| answer.into_inner().status() == ServingStatus::Serving) {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("a service ended with {status}: {}", self.said());
            }
            if began.elapsed() > READY {
                bail!("a service did not serve within {READY:?}: {}", self.said());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn endpoint(url: &str) -> anyhow::Result<Endpoint> {
    // As large as the server's, so that the client is not what holds a call up.
    Ok(Endpoint::from_shared(url.to_owned())?.tcp_nodelay(true).initial_connection_window_size(1 << 20))
}

/// Ports on which nothing listens; held until all are found, so that none is found twice.
fn free_ports<const N: usize>() -> anyhow::Result<[u16; N]> {
    let mut listeners = Vec::new();
    for _ in 0..N {
        listeners.push(TcpListener::bind("127.0.0.1:0")?);
    }
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}
