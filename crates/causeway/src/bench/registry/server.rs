//! A platform of this run's own: this very program as a child, on free ports, with a data folder that it may start again
//! on.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::Value;

/// Sockets of the platform; all are opened, as in a usual start.
const LISTEN: [&str; 7] = ["mqtt", "mqtts", "ws", "wss", "device_https", "https", "http"];
/// The platform ends within ten seconds of SIGTERM.
const END: Duration = Duration::from_secs(15);
/// A start that takes longer has failed.
const START: Duration = Duration::from_secs(120);

/// The child and where it is.
pub(super) struct Server {
    folder: PathBuf,
    settings: Vec<String>,
    /// Told at the first start only.
    access_key: Value,
    child: Option<Child>,
    /// Goes with this object when no folder was named.
    _temporary: Option<tempfile::TempDir>,
}

impl Server {
    /// A server that has not started yet. Its data stay in `folder`, if one is named.
    pub(super) fn new(folder: Option<&Path>, settings: &[String]) -> anyhow::Result<Self> {
        let temporary = folder.is_none().then(tempfile::tempdir).transpose().context("no temporary folder")?;
        let folder = match (folder, &temporary) {
            (Some(folder), _) => folder.to_owned(),
            (None, Some(temporary)) => temporary.path().to_owned(),
            (None, None) => bail!("no folder"),
        };
        std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        // A start on the data of an earlier run tells no key; that run left it here.
        let access_key = std::fs::read(folder.join("bench-key.json")).ok();
        let access_key = access_key.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        Ok(Self { folder, settings: settings.to_vec(), access_key, child: None, _temporary: temporary })
    }

    /// Where the ready file is.
    pub(super) fn ready_file(&self) -> PathBuf {
        self.folder.join("ready.json")
    }

    /// Starts it and waits until it is ready; how long that took.
    pub(super) async fn start(&mut self) -> anyhow::Result<Duration> {
        let ready_file = self.ready_file();
        // May not be there.
        let _ = std::fs::remove_file(&ready_file);
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.folder.join("serve.log"))?;
        let mut command = Command::new(std::env::current_exe().context("this program has no name")?);
        command.arg("serve").arg("--data").arg(self.folder.join("data")).arg("--ready-file").arg(&ready_file);
        for door in LISTEN {
            command.args(["--set", &format!("listen.{door}=127.0.0.1:0")]);
        }
        for setting in &self.settings {
            command.args(["--set", setting]);
        }
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let started = Instant::now();
        let child = self.child.insert(command.spawn().context("the platform cannot be started")?);
        let mut facts: Value = loop {
            if let Some(status) = child.try_wait()? {
                bail!("the platform ended with {status}; see {}", self.folder.join("serve.log").display());
            }
            let text = std::fs::read(&ready_file).unwrap_or_default();
            if let Ok(facts) = serde_json::from_slice(&text) {
                break facts;
            }
            anyhow::ensure!(started.elapsed() < START, "the platform is not ready after {} s", START.as_secs());
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        let took = started.elapsed();
        match &facts["access_key"] {
            Value::Null => facts["access_key"] = self.access_key.clone(),
            key => {
                self.access_key = key.clone();
                std::fs::write(self.folder.join("bench-key.json"), key.to_string())?;
            }
        }
        std::fs::write(&ready_file, facts.to_string()).context("the ready file cannot be completed")?;
        Ok(took)
    }

    /// Lets it end in order; how long that took.
    pub(super) async fn stop(&mut self) -> anyhow::Result<Duration> {
        let Some(mut child) = self.child.take() else { return Ok(Duration::ZERO) };
        let asked = Instant::now();
        let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
        let pid = pid.context("a process has a number")?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).context("the platform has gone")?;
        while child.try_wait()?.is_none() {
            if asked.elapsed() > END {
                child.kill()?;
                child.wait()?;
                bail!("the platform did not end within {} s", END.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(asked.elapsed())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
