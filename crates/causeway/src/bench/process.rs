//! CPU time and memory of a process tree, read from `/proc`.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;

/// Clock ticks a second in `/proc/PID/stat`. The kernel's `USER_HZ`, which is 100 on every architecture that this
/// program is built for; the times themselves are scaled from the scheduler's exact count.
const TICKS_PER_SECOND: u64 = 100;

/// What one process and its descendants have used until now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CpuTime {
    /// In user mode.
    pub(crate) user: Duration,
    /// In the kernel on its behalf.
    pub(crate) system: Duration,
}

impl CpuTime {
    /// User and system time together.
    pub(crate) fn total(self) -> Duration {
        self.user + self.system
    }

    /// What was used since `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self { user: self.user.saturating_sub(earlier.user), system: self.system.saturating_sub(earlier.system) }
    }
}

/// Memory of a process tree, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Memory {
    /// Resident set; pages that several processes share count once for each.
    pub(crate) rss_bytes: u64,
    /// Proportional set: shared pages count in part. Absent when the kernel does not let this user read it.
    pub(crate) pss_bytes: Option<u64>,
    /// Largest resident set so far of the process itself.
    pub(crate) peak_rss_bytes: u64,
}

/// One line of `/proc/PID/stat`, as far as it is needed.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// utime and the cutime of children that have ended, in ticks.
    user_ticks: u64,
    system_ticks: u64,
}

/// Parses `/proc/PID/stat`. The second field is the name in parentheses, and may hold blanks and parentheses itself.
fn parse_stat(text: &str) -> Option<Stat> {
    let rest = &text[text.rfind(')')? + 1..];
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // proc(5): field 3 (state) is the first one here; 14 utime, 15 stime, 16 cutime, 17 cstime, 4 ppid.
    let ticks = |field: usize| fields.get(field - 3)?.parse::<i64>().ok().map(|n| n.max(0) as u64);
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        user_ticks: ticks(14)? + ticks(16)?,
        system_ticks: ticks(15)? + ticks(17)?,
    })
}

/// Value in bytes of a line `Name:   123 kB`.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .and_then(|value| value.split_ascii_whitespace().next()?.parse::<u64>().ok())
        .map(|kb| kb * 1024)
}

/// A process that is watched together with its descendants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process {
    pid: u32,
}

impl Process {
    /// Watches `pid`.
    ///
    /// # Errors
    /// When there is no such process.
    pub(crate) fn watch(pid: u32) -> anyhow::Result<Self> {
        let process = Self { pid };
        process.cpu()?;
        Ok(process)
    }

    /// This process.
    pub(crate) fn own() -> Self {
        Self { pid: std::process::id() }
    }

    /// Its process id.
    pub(crate) fn pid(self) -> u32 {
        self.pid
    }

    fn stat(pid: u32) -> Option<Stat> {
        parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The process and all living descendants.
    fn tree(self) -> Vec<u32> {
        let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
        let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
        for pid in pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
            if let Some(stat) = Self::stat(pid) {
                children.entry(stat.parent).or_default().push(pid);
            }
        }
        let mut tree = vec![self.pid];
        let mut seen = HashSet::from([self.pid]);
        let mut next = 0;
        while let Some(pid) = tree.get(next) {
            let found = children.get(pid).into_iter().flatten().filter(|child| seen.insert(**child));
            tree.extend(found.copied().collect::<Vec<_>>());
            next += 1;
        }
        tree
    }

    /// Whether `other` is among its living descendants.
    pub(crate) fn started(self, other: Self) -> bool {
        other.pid != self.pid && self.tree().contains(&other.pid)
    }

    /// CPU time of all threads of the process and its descendants, ended children included.
    ///
    /// # Errors
    /// When the process has ended.
    pub(crate) fn cpu(self) -> anyhow::Result<CpuTime> {
        let (mut user, mut system) = (0, 0);
        let mut own = false;
        for pid in self.tree() {
            if let Some(stat) = Self::stat(pid) {
                user += stat.user_ticks;
                system += stat.system_ticks;
                own |= pid == self.pid;
            }
        }
        anyhow::ensure!(own, "process {} does not exist (any more)", self.pid);
        let time = |ticks: u64| Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND);
        Ok(CpuTime { user: time(user), system: time(system) })
    }

    /// Resident set of the process alone, in bytes: cheap enough to be read often.
    ///
    /// # Errors
    /// When the process has ended.
    pub(crate) fn rss(self) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))
            .with_context(|| format!("process {} does not exist (any more)", self.pid))?;
        Ok(kilobytes(&status, "VmRSS").unwrap_or(0))
    }

    /// Memory of the process and its descendants.
    ///
    /// # Errors
    /// When the process has ended.
    pub(crate) fn memory(self) -> anyhow::Result<Memory> {
        let mut sum = Memory { pss_bytes: Some(0), ..Memory::default() };
        for pid in self.tree() {
            let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else {
                anyhow::ensure!(pid != self.pid, "process {pid} does not exist (any more)");
                continue;
            };
            sum.rss_bytes += kilobytes(&status, "VmRSS").unwrap_or(0);
            if pid == self.pid {
                sum.peak_rss_bytes = kilobytes(&status, "VmHWM").unwrap_or(0);
            }
            let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok();
            let pss = rollup.and_then(|text| kilobytes(&text, "Pss"));
            sum.pss_bytes = sum.pss_bytes.zip(pss).map(|(total, pss)| total + pss);
        }
        Ok(sum)
    }

    /// Name and arguments, for the report; empty when they cannot be read.
    pub(crate) fn command_line(self) -> String {
        let bytes = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        text.split('\0').filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    }
}

/// What all processors of the machine have done since it started.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MachineTime {
    /// Working, for any process or for the kernel itself.
    pub(crate) busy: Duration,
    /// Wanted, and given to other virtual machines instead.
    pub(crate) stolen: Duration,
}

/// Parses the first line of `/proc/stat`: ticks in user, nice, system, idle, iowait, irq, softirq, steal (proc(5)).
fn parse_machine_time(text: &str) -> Option<MachineTime> {
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = line.split_ascii_whitespace().map_while(|field| field.parse().ok()).collect();
    let at = |index: usize| ticks.get(index).copied().unwrap_or(0);
    let time = |ticks: u64| Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND);
    Some(MachineTime { busy: time(at(0) + at(1) + at(2) + at(5) + at(6)), stolen: time(at(7)) })
}

impl MachineTime {
    /// Reads it now; zero where the kernel does not tell.
    pub(crate) fn now() -> Self {
        fs::read_to_string("/proc/stat").ok().and_then(|text| parse_machine_time(&text)).unwrap_or_default()
    }
}

/// The machine that a figure was measured on.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    /// Processor, as the kernel names it.
    pub(crate) cpu_model: String,
    /// Processors that this process may use.
    pub(crate) cores: usize,
    /// Kernel name and release.
    pub(crate) kernel: String,
    /// Distribution.
    pub(crate) os: String,
    /// Main memory.
    pub(crate) memory_bytes: u64,
}

impl Machine {
    /// Reads what the kernel tells.
    ///
    /// # Errors
    /// When `/proc` is not mounted.
    pub(crate) fn here() -> anyhow::Result<Self> {
        let read = |path: &str| fs::read_to_string(path).with_context(|| format!("{path} cannot be read"));
        let cpu = read("/proc/cpuinfo")?;
        // Arm kernels have no "model name"; the architecture is better than nothing.
        let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let pretty = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
        Ok(Self {
            cpu_model: model.map_or(std::env::consts::ARCH, |(_, name)| name.trim()).to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: format!("Linux {}", read("/proc/sys/kernel/osrelease")?.trim()),
            os: pretty.unwrap_or("unknown").trim_matches('"').to_owned(),
            memory_bytes: kilobytes(&read("/proc/meminfo")?, "MemTotal").unwrap_or(0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_parsed_behind_a_hostile_name() {
        let line = "42 (a) b (c)) S 7 42 42 0 -1 4194560 100 200 0 0 150 250 30 40 20 0 9 0 12345 1000 2000";
        let stat = parse_stat(line).expect("a whole line");
        assert_eq!(stat, Stat { parent: 7, user_ticks: 180, system_ticks: 290 });
        assert_eq!(parse_stat("42 (short) S 7"), None);
    }

    #[test]
    fn machine_time_leaves_out_idleness() {
        let time = parse_machine_time("cpu  100 200 300 9999 8888 10 20 40 7 7\ncpu0 1 1").expect("a whole line");
        assert_eq!((time.busy, time.stolen), (Duration::from_millis(6300), Duration::from_millis(400)));
        assert!(MachineTime::now().busy > Duration::ZERO);
    }

    #[test]
    fn memory_lines_are_kilobytes() {
        let text = "VmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(kilobytes(text, "VmRSS"), Some(1 << 20));
        assert_eq!(kilobytes(text, "Pss"), None);
    }

    /// Burns CPU in a child process and sees it in the tree's time, while it lives and after it has ended.
    #[test]
    fn children_count() {
        let own = Process::own();
        let before = own.cpu().expect("this process lives");
        let mut child = std::process::Command::new("sh")
            .args(["-c", "i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done; read line"])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("sh starts");
        assert!(own.tree().contains(&child.id()));
        let child_process = Process::watch(child.id()).expect("the child lives");
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        while child_process.cpu().expect("the child waits").total() < Duration::from_millis(100) {
            assert!(std::time::Instant::now() < deadline, "the child uses no CPU");
            std::thread::yield_now();
        }
        drop(child.stdin.take());
        child.wait().expect("the child ends");
        let used = own.cpu().expect("this process lives").since(before);
        assert!(used.total() >= Duration::from_millis(100), "{used:?}");
        assert!(Process::watch(child.id()).is_err(), "the child is gone");
    }

    #[test]
    fn the_machine_and_this_process_can_be_read() {
        let machine = Machine::here().expect("/proc is mounted");
        assert!(machine.cores >= 1 && machine.memory_bytes > 0 && machine.kernel.len() > 6, "{machine:?}");
        let memory = Process::own().memory().expect("this process lives");
        assert!(memory.rss_bytes > 100_000 && memory.peak_rss_bytes >= memory.rss_bytes / 2, "{memory:?}");
    }
}
