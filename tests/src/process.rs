//! One service as a process of its own: started, awaited until it is ready, stopped and continued, killed, started again in the
//! same place.

use crate::until;
use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};
use tokio::sync::watch;
use tonic::transport::Channel;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

const READY: Duration = Duration::from_secs(30);

/// A service: how it is started, and its process while it runs.
#[derive(Debug)]
pub struct Service {
    program: PathBuf,
    database_url: String,
    ports: [u16; 2],
    peer_ports: Vec<u16>,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    log: watch::Receiver<Vec<String>>,
}

/// A port on which nothing listens, below those that the system gives to clients.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let offset = std::process::id().wrapping_mul(53).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed).into());
        let port = 20_000 + (offset % 12_000) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl Service {
    /// The service with this program name; not started yet. Its ports: public and peer listener; and those where it finds the
    /// peer listeners of the other service.
    pub fn new(program: &str, database_url: &str, ports: [u16; 2], peer_ports: &[u16]) -> Self {
        let (program, database_url) = (self::program(program), database_url.to_owned());
        Self { program, database_url, ports, peer_ports: peer_ports.to_vec(), running: None }
    }

    /// URL of its public API.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[0])
    }

    /// URL of its peer listener.
    pub fn peer_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[1])
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["--database-url", &self.database_url]);
        command.env_remove("CLOSEOUT_FAILPOINT").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// Brings its database up to date.
    pub fn migrate(&self) {
        let output = self.command().arg("migrate").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Starts it with more in its environment, and waits until it serves.
    pub async fn start(&mut self, environment: &[(&str, &str)]) {
        assert!(self.running.is_none(), "{} runs already", self.program.display());
        let address = |port: u16| format!("127.0.0.1:{port}");
        let mut command = self.command();
        command.args(["--listen", &address(self.ports[0]), "--peer-listen", &address(self.ports[1])]);
        let peers: Vec<_> = self.peer_ports.iter().map(|port| format!("http://{}", address(*port))).collect();
        command.args(["--peer-url", &peers.join(",")]);
        command.envs(environment.iter().copied());
        let mut child = command.spawn().unwrap();
        let (lines, log) = watch::channel(Vec::new());
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                lines.send_modify(|all: &mut Vec<String>| all.push(line));
            }
        });
        self.running = Some(Running { child, log });
        let channel = Channel::from_shared(self.url()).unwrap().connect_lazy();
        let what = format!("{} is ready", self.program.display());
        let running = self.running.as_mut().unwrap();
        until(&what, READY, || {
            if let Some(status) = running.child.try_wait().unwrap() {
                panic!("it ended with {status}: {}", running.log.borrow().join("\n"));
            }
            let mut health = HealthClient::new(channel.clone());
            async move {
                let answer = health.check(HealthCheckRequest::default()).await.ok()?.into_inner();
                (answer.status() == ServingStatus::Serving).then_some(())
            }
        })
        .await;
    }

    /// Waits until it has written a line with this text.
    pub async fn says(&self, text: &str) {
        let mut log = self.running.as_ref().unwrap().log.clone();
        let said = log.wait_for(|lines| lines.iter().any(|line| line.contains(text)));
        let said = tokio::time::timeout(READY, said).await;
        assert!(said.is_ok_and(|said| said.is_ok()), "it never said {text:?}");
    }

    /// What it has written so far.
    pub fn log(&self) -> Vec<String> {
        self.running.as_ref().map_or_else(Vec::new, |running| running.log.borrow().clone())
    }

    /// `kill -9`; everything that it has written.
    pub async fn killed(&mut self) -> Vec<String> {
        let mut log = self.running.as_ref().unwrap().log.clone();
        self.kill();
        // The last change is that nobody reads its output any more: it has come to its end.
        while log.changed().await.is_ok() {}
        log.borrow().clone()
    }

    /// Id of its process.
    pub fn id(&self) -> u32 {
        self.running.as_ref().unwrap().child.id()
    }

    /// Stands still, until [`Service::go_on`]; its connections stay.
    pub fn stand_still(&self) {
        self.signal("STOP");
    }

    /// Goes on after [`Service::stand_still`].
    pub fn go_on(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let id = self.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// SIGTERM, as Kubernetes ends a process: how it ended, and how long that took.
    pub async fn terminated(&mut self) -> (ExitStatus, Duration) {
        self.signal("TERM");
        let began = Instant::now();
        let running = self.running.as_mut().unwrap();
        let ended = until("it ends", READY, || {
            let ended = running.child.try_wait().unwrap();
            async move { ended }
        })
        .await;
        self.running = None;
        (ended, began.elapsed())
    }

    /// Its ports: public and peer listener.
    pub fn ports(&self) -> [u16; 2] {
        self.ports
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        let mut running = self.running.take().unwrap();
        running.child.kill().unwrap();
        running.child.wait().unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let Some(mut running) = self.running.take() else { return };
        if std::thread::panicking() {
            let log = running.log.borrow();
            // What a test asked a library to say is for the test, and may be long.
            let own: Vec<_> = log.iter().filter(|line| !line.contains("sqlx::")).map(String::as_str).collect();
            eprintln!("log of {}:\n{}", self.program.display(), own.join("\n"));
        }
        // It may have ended by itself.
        let _ = running.child.kill();
        let _ = running.child.wait();
    }
}

/// The program beside the test that runs: `target/PROFILE/deps/TEST` and `target/PROFILE/PROGRAM`.
pub fn program(program: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.ancestors().find(|folder| folder.ends_with("deps")).and_then(|deps| deps.parent()).unwrap();
    let path = folder.join(program);
    assert!(path.exists(), "{} is missing: run `cargo build --workspace` first", path.display());
    path
}
