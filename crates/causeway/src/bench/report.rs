//! What a run found: a table for people, JSON for tools.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use serde_json::Value;

use super::process::{CpuTime, Machine, Memory};
use crate::load::histogram::LatencySummary;
use crate::load::identity::now;

/// Errors listed in a report; the rest is only counted.
const LISTED_ERRORS: usize = 20;

/// Errors of a run: the first few in words, all of them in number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Errors {
    listed: Vec<String>,
    count: u64,
}

impl Errors {
    /// Adds one.
    pub(crate) fn add(&mut self, text: impl Into<String>) {
        self.count += 1;
        let text = text.into();
        if self.listed.len() < LISTED_ERRORS && !self.listed.contains(&text) {
            self.listed.push(text);
        }
    }

    /// Adds those of another part of the run.
    pub(crate) fn merge(&mut self, other: Self) {
        let unlisted = other.count - other.listed.len() as u64;
        for text in other.listed {
            self.add(text);
        }
        self.count += unlisted;
    }
}

/// CPU time in relation to work done.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct CpuCost {
    /// CPU seconds in user mode in the measured window.
    pub(crate) user_s: f64,
    /// CPU seconds in the kernel in the measured window.
    pub(crate) system_s: f64,
    /// Processors busy on average.
    pub(crate) cores: f64,
    /// CPU microseconds (user and system) for each message, command or connect; absent when there was none.
    pub(crate) us_per_operation: Option<f64>,
}

impl CpuCost {
    /// Relates `used` in a window of `seconds` to `operations` done in it.
    pub(crate) fn new(used: CpuTime, seconds: f64, operations: u64) -> Self {
        let total = used.total().as_secs_f64();
        Self {
            user_s: used.user.as_secs_f64(),
            system_s: used.system.as_secs_f64(),
            cores: total / seconds,
            us_per_operation: (operations > 0).then(|| total * 1e6 / operations as f64),
        }
    }
}

/// Work of the machine in the measured window that is neither the target's nor the generator's.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct OtherLoad {
    /// Processors busy for other processes, on average.
    pub(crate) other_cores: f64,
    /// Processors that the host of this virtual machine withheld, on average.
    pub(crate) stolen_cores: f64,
}

/// Share of a processor from which on other work is remarked upon: less is the system's own housekeeping.
const DISTURBING_CORES: f64 = 0.1;

/// The target, as far as it is known.
#[derive(Debug, Serialize)]
pub(crate) struct TargetFacts {
    /// `--target-name`, or name and version of the ready file.
    pub(crate) name: String,
    /// MQTT address.
    pub(crate) address: String,
    /// Process that was measured.
    pub(crate) pid: Option<u32>,
    /// Its command line.
    pub(crate) command_line: Option<String>,
}

#[derive(Debug, Serialize)]
struct Generator {
    name: &'static str,
    version: &'static str,
}

/// A whole report.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    bench: &'static str,
    /// No error at all.
    ok: bool,
    error_count: u64,
    errors: Vec<String>,
    /// What a reader of the figures should know.
    notes: Vec<String>,
    /// When the report was made, UTC.
    time: String,
    generator: Generator,
    target: TargetFacts,
    machine: Machine,
    other_load: Option<OtherLoad>,
    parameters: Value,
    result: Value,
    /// The same figures as lines of the table.
    #[serde(skip)]
    rows: Vec<(String, String)>,
}

impl Report {
    /// A report of mode `bench` with the given parameters and nothing found yet.
    pub(crate) fn new(bench: &'static str, target: TargetFacts, parameters: Value) -> anyhow::Result<Self> {
        Ok(Self {
            bench,
            ok: true,
            error_count: 0,
            errors: Vec::new(),
            notes: Vec::new(),
            time: now().millis(),
            generator: Generator { name: "causeway bench", version: env!("CARGO_PKG_VERSION") },
            target,
            machine: Machine::here()?,
            other_load: None,
            parameters,
            result: Value::Null,
            rows: Vec::new(),
        })
    }

    /// Adds a line to the table.
    pub(crate) fn row(&mut self, label: &str, value: impl Into<String>) {
        self.rows.push((label.to_owned(), value.into()));
    }

    /// Adds the lines of a latency.
    pub(crate) fn latency_rows(&mut self, what: &str, latency: &LatencySummary) {
        let text = if latency.samples == 0 {
            "no samples".to_owned()
        } else {
            format!(
                "p50 {} · p90 {} · p99 {} · max {}",
                milliseconds(latency.p50_ms),
                milliseconds(latency.p90_ms),
                milliseconds(latency.p99_ms),
                milliseconds(latency.max_ms)
            )
        };
        self.row(&format!("{what} ({} samples)", latency.samples), text);
    }

    /// Adds a line of CPU time for each `unit`.
    pub(crate) fn cpu_row(&mut self, who: &str, cost: &CpuCost, unit: &str) {
        let each = cost.us_per_operation.map_or_else(|| "–".into(), |us| format!("{us:.2} µs"));
        self.row(
            &format!("CPU of the {who}"),
            format!(
                "{each} per {unit} · {:.2} cores ({:.0} % in the kernel)",
                cost.cores,
                100.0 * cost.system_s / (cost.user_s + cost.system_s).max(1e-9)
            ),
        );
    }

    /// Adds a line of memory.
    pub(crate) fn memory_row(&mut self, label: &str, memory: &Memory) {
        let pss = memory.pss_bytes.map_or_else(String::new, |pss| format!(" · PSS {}", mebibytes(pss)));
        self.row(label, format!("RSS {}{pss}", mebibytes(memory.rss_bytes)));
    }

    /// Says whether the machine was busy with anything else, which makes every figure worse: caches are shared, and
    /// waiting for a processor is in the latency.
    pub(crate) fn others(&mut self, load: Option<OtherLoad>) {
        self.other_load = load;
        if let Some(load) = load.filter(|load| load.other_cores.max(load.stolen_cores) >= DISTURBING_CORES) {
            self.note(format!(
                "the machine was not quiet: other processes used {:.2} cores, the host withheld {:.2}",
                load.other_cores, load.stolen_cores
            ));
        }
    }

    /// Adds a remark.
    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// Sets the figures.
    ///
    /// # Errors
    /// Never for the plain structures that modes hand in.
    pub(crate) fn result(&mut self, result: impl Serialize) -> anyhow::Result<()> {
        self.result = serde_json::to_value(result).context("the result is not JSON")?;
        Ok(())
    }

    /// Puts the errors in.
    pub(crate) fn errors(&mut self, errors: Errors) {
        self.ok = errors.count == 0;
        self.error_count = errors.count;
        self.errors = errors.listed;
    }

    fn table(&self) -> String {
        let machine = format!(
            "{} · {} cores · {} · {}",
            self.machine.cpu_model, self.machine.cores, self.machine.kernel, self.machine.os
        );
        let process = self.target.pid.map_or_else(|| "not measured".into(), |pid| format!("process {pid}"));
        let mut rows = vec![
            ("machine".to_owned(), machine),
            ("generator".to_owned(), format!("{} {}", self.generator.name, self.generator.version)),
            ("target".to_owned(), format!("{} at {} ({process})", self.target.name, self.target.address)),
        ];
        rows.extend(self.rows.iter().cloned());
        rows.extend(self.notes.iter().map(|note| ("note".to_owned(), note.clone())));
        let width = rows.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
        let mut text = format!("bench {} · {}\n", self.bench, self.time);
        for (label, value) in &rows {
            text.push_str(&format!("  {label:<width$}  {value}\n"));
        }
        if !self.ok {
            text.push_str(&format!("  FAILED with {} errors:\n", self.error_count));
            for error in &self.errors {
                text.push_str(&format!("    {error}\n"));
            }
        }
        text
    }

    /// Prints the table, writes the JSON, and turns errors of the run into one of the command.
    ///
    /// # Errors
    /// When the file cannot be written, and when the run had errors.
    pub(crate) fn deliver(self, json: Option<&Path>) -> anyhow::Result<()> {
        let table = self.table();
        let text = serde_json::to_string_pretty(&self).context("the report is not JSON")?;
        // A reader that has gone away (a closed pipe) is no reason to lose the rest.
        match json {
            Some(path) if path.as_os_str() == "-" => {
                let _ = write!(std::io::stderr(), "{table}");
                writeln!(std::io::stdout(), "{text}").context("stdout is closed")?;
            }
            Some(path) => {
                let _ = write!(std::io::stdout(), "{table}");
                std::fs::write(path, text + "\n").with_context(|| format!("{} cannot be written", path.display()))?;
            }
            None => drop(write!(std::io::stdout(), "{table}")),
        }
        anyhow::ensure!(self.ok, "bench {}: {} errors, see the report", self.bench, self.error_count);
        Ok(())
    }
}

/// Milliseconds with three significant digits.
pub(crate) fn milliseconds(ms: f64) -> String {
    match ms {
        ms if ms >= 100.0 => format!("{ms:.0} ms"),
        ms if ms >= 10.0 => format!("{ms:.1} ms"),
        ms if ms >= 1.0 => format!("{ms:.2} ms"),
        ms => format!("{:.0} µs", ms * 1e3),
    }
}

/// Bytes as MiB.
pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1_048_576.0)
}

/// A number with a thin gap between thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Seconds of a duration for tables.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let target = TargetFacts { name: "t".into(), address: "a:1".into(), pid: Some(1), command_line: None };
        Report::new("ingest", target, serde_json::json!({"size": 200})).expect("/proc is mounted")
    }

    #[test]
    fn costs_are_per_operation() {
        let used = CpuTime { user: Duration::from_secs(3), system: Duration::from_secs(1) };
        let cost = CpuCost::new(used, 8.0, 1_000_000);
        assert_eq!((cost.us_per_operation, cost.cores), (Some(4.0), 0.5));
        assert_eq!(CpuCost::new(used, 8.0, 0).us_per_operation, None);
    }

    #[test]
    fn errors_fail_the_command_and_stand_in_table_and_json() {
        let mut errors = Errors::default();
        for number in 0..LISTED_ERRORS + 5 {
            errors.add(format!("connection {number} lost"));
        }
        errors.add("connection 0 lost");
        let mut sum = Errors::default();
        sum.merge(errors);
        assert_eq!(sum.count, LISTED_ERRORS as u64 + 6);
        let mut report = report();
        report.row("rate", "1 /s");
        report.errors(sum);
        let table = report.table();
        assert!(table.contains("FAILED with 26 errors") && table.contains("connection 3 lost"), "{table}");
        let path = std::env::temp_dir().join(format!("causeway-report-{}.json", std::process::id()));
        let failure = report.deliver(Some(&path)).expect_err("the run failed");
        assert!(failure.to_string().contains("26 errors"), "{failure}");
        let json: Value = serde_json::from_slice(&std::fs::read(&path).expect("written")).expect("JSON");
        std::fs::remove_file(&path).expect("own file");
        assert_eq!((json["ok"].as_bool(), json["error_count"].as_u64()), (Some(false), Some(26)));
        assert_eq!(json["errors"].as_array().map(Vec::len), Some(LISTED_ERRORS));
        assert_eq!(json["parameters"]["size"], 200);
    }

    #[test]
    fn a_busy_machine_is_remarked_upon() {
        let mut report = report();
        report.others(Some(OtherLoad { other_cores: 0.02, stolen_cores: 0.0 }));
        assert!(!report.table().contains("not quiet"));
        report.others(Some(OtherLoad { other_cores: 0.02, stolen_cores: 0.5 }));
        assert!(report.table().contains("not quiet"));
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(grouped(1_234_567), "1 234 567");
        assert_eq!(grouped(123), "123");
        assert_eq!(milliseconds(0.2504), "250 µs");
        assert_eq!(milliseconds(12.34), "12.3 ms");
    }
}
