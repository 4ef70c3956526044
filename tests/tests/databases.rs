//! Databases that break: the connection goes between COMMIT and its answer, PostgreSQL ends without any order. Every caller gets
//! a definite answer in the end, with one effect.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crm_tests::{
    fleet::{Databases, Fleet},
    load::{Load, Size},
    long,
    place::{Kind, Place},
    until,
};
use std::{path::Path, process::Command, time::Duration};

const SIZE: Size = Size { callers: 8, at_once: 2 };
const PATIENCE: Duration = Duration::from_secs(600);
/// The answer to every n-th commit of a process is lost.
const EVERY: u64 = 7;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs DATABASE_URL"]
async fn the_answer_to_a_commit_is_lost() {
    let fleet = Fleet::started(Kind::Postgres, 2, Databases::Linked).await;
    let load = Load::start(&fleet, SIZE, 0).await;
    let databases = || fleet.replicas().filter_map(|replica| replica.database.as_ref());
    databases().for_each(|link| link.cut_commits(EVERY));
    let cuts = if long() { 1_000 } else { 60 };
    until("the commits are cut", PATIENCE, || async { (fleet.commits_cut() >= cuts).then_some(()) }).await;
    databases().for_each(|link| link.cut_commits(0));
    let tally = load.stop().await;
    println!("{} commits happened without an answer", fleet.commits_cut());
    assert!(tally.done > cuts, "{tally:?}");
    fleet.end().await;
}

/// A PostgreSQL of its own, so that no other story is disturbed.
struct Server {
    folder: tempfile::TempDir,
}

impl Server {
    fn command(&self, command: &str) -> Command {
        let mut script = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("postgres"));
        script.arg(command).arg(self.folder.path().join("postgres"));
        script
    }

    fn run(&self, command: &str) -> String {
        let output = self.command(command).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // If it can not be stopped, its folder goes nevertheless.
        let _ = self.command("stop").status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL's programs"]
async fn postgres_ends_at_once_and_comes_back() {
    let folder = tempfile::Builder::new().permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755)).tempdir();
    let server = Server { folder: folder.unwrap() };
    let place = Place::on(server.run("start")).await;
    let fleet = Fleet::started_at(place, 2, Databases::Direct).await;
    let load = Load::start(&fleet, SIZE, 0).await;
    for _ in 0..if long() { 20 } else { 3 } {
        load.does(100).await;
        server.run("restart");
        load.does(100).await;
    }
    load.stop().await;
    for replica in fleet.replicas() {
        assert!(replica.passed() > 0, "a process delivered nothing");
    }
    fleet.end().await;
}
