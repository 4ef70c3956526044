//! Runs the built binary: once, or as a pair of services for as long as a test needs them.

use serde_json::Value;
use std::fmt::Debug;
use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::{fs, path::Path};
use tempfile::TempDir;

/// The rows of a small folder that is sound, dirt that is mended included.
pub(crate) const FILES: [(&str, &str); 4] = [
    (
        "accounts.csv",
        "account,sector,year_established,revenue,employees,office_location,subsidiary_of\n\
        Acme Corporation,technolgy,1996,1100.04,2822,United States,\n\
        Betasoloin,medical,1999,251.41,495,Philipines,\n",
    ),
    ("products.csv", "product,series,sales_price\nGTX Pro,GTX,4821\nMG Special,MG,55\n"),
    ("sales_teams.csv", "sales_agent,manager,regional_office\nAnna Snelling,Dustin Brinkmann,Central\n"),
    (
        "sales_pipeline.csv",
        "opportunity_id,sales_agent,product,account,deal_stage,engage_date,close_date,close_value\n\
        W1,Anna Snelling,GTXPro,Acme Corporation,Won,2016-10-20,2017-03-01,4514\n\
        L1,Anna Snelling,MG Special,Acme Corporation,Lost,2016-10-25,2017-03-11,0\n\
        E1,Anna Snelling,GTX Pro,Betasoloin,Engaging,2016-11-14,,\n\
        E2,Anna Snelling,MG Special,,Engaging,2016-11-20,,\n\
        P1,Anna Snelling,MG Special,,Prospecting,,,\n",
    ),
];

/// What one run of the program came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// The one JSON object on standard output.
    pub(crate) fn json(&self) -> Value {
        let value: Value = serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        assert!(value.is_object(), "{self:?}");
        value
    }

    /// The same, if it ended with `code`.
    #[track_caller]
    pub(crate) fn ended_with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }
}

/// Runs the program.
pub(crate) fn run(args: &[&str]) -> Ran {
    finished(command().args(args).output().unwrap())
}

/// A folder with the four files, one of them in another form.
pub(crate) fn folder_with(other: &str, bytes: &[u8]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in FILES {
        fs::write(folder.path().join(name), if name == other { bytes } else { text.as_bytes() }).unwrap();
    }
    folder
}

/// A folder with the four sound files.
pub(crate) fn sound_folder() -> TempDir {
    folder_with("", b"")
}

/// The path of a folder as an argument.
pub(crate) fn path(folder: &TempDir) -> &str {
    as_text(folder.path())
}

fn as_text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The program without settings of whoever runs the tests.
fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_closeout"));
    for name in ["OPPORTUNITY_URL", "ORDER_URL", "TENANT", "PRINCIPAL"] {
        command.env_remove(format!("CLOSEOUT_{name}"));
    }
    for name in
        ["OPPORTUNITY_DATABASE_URL", "ORDER_DATABASE_URL", "NO_COLOR", "RUST_LOG", "LC_ALL", "LC_MESSAGES", "LANG"]
    {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

fn finished(output: Output) -> Ran {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// `closeout up` on free ports; stopped when dropped.
#[derive(Debug)]
pub(crate) struct Up {
    child: Child,
    urls: [String; 2],
    _folder: TempDir,
}

impl Up {
    /// Starts it and waits until it says where it listens.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let free = "http://127.0.0.1:0";
        let mut child = command()
            .args(["up", "--json", "--opportunity-url", free, "--order-url", free, "--folder", path(&folder)])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut text = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let told: Value = loop {
            let line = lines.next().unwrap_or_else(|| panic!("it ended after {text}")).unwrap();
            text.push_str(&line);
            if let Ok(told) = serde_json::from_str(&text) {
                break told;
            }
        };
        let urls = ["opportunity_url", "order_url"].map(|key| told[key].as_str().unwrap().to_owned());
        Self { child, urls, _folder: folder }
    }

    /// Runs another command against it.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        let [opportunity, order] = &self.urls;
        let urls = ["--opportunity-url", opportunity, "--order-url", order];
        finished(command().args(args).args(urls).output().unwrap())
    }

    /// Starts a command against it that goes on by itself.
    pub(crate) fn follow(&self, args: &[&str]) -> Following {
        let [opportunity, order] = &self.urls;
        let urls = ["--opportunity-url", opportunity, "--order-url", order];
        let mut child = command().args(args).args(urls).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Following { child, lines }
    }

    /// The same on a terminal of this language.
    pub(crate) fn run_in(&self, language: &str, args: &[&str]) -> Ran {
        let [opportunity, order] = &self.urls;
        let urls = ["--opportunity-url", opportunity, "--order-url", order];
        finished(command().env("LANG", language).args(args).args(urls).output().unwrap())
    }

    /// Everything that stands in both services for a tenant.
    pub(crate) fn everything(&self, tenant: &str) -> Vec<Value> {
        let lists = ["customers", "opportunities", "orders", "tasks", "close-outs"];
        let list = |what| self.run(&["list", what, "--limit", "0", "--tenant", tenant, "--json"]).ended_with(0).json();
        lists.map(list).to_vec()
    }

    /// Interrupts it as Ctrl-C does and answers its exit code.
    #[cfg(unix)]
    pub(crate) fn interrupt(mut self) -> Option<i32> {
        let sent = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        self.child.wait().unwrap().code()
    }
}

/// A command that goes on, line by line; stopped when dropped.
#[derive(Debug)]
pub(crate) struct Following {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Following {
    /// Its next line; none: it has ended.
    pub(crate) fn line(&mut self) -> Option<String> {
        self.lines.next().map(Result::unwrap)
    }

    /// Waits until it ends; its exit code.
    pub(crate) fn ended(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to stop.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to stop.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
