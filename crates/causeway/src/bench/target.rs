//! The target of a run: where it is, which process it is, and the devices that connect to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::args::TargetArgs;
use super::payload::{PRODUCT_ID, product_model};
use super::process::{CpuTime, MachineTime, Memory, Process};
use super::report::{Errors, OtherLoad, TargetFacts};
use crate::load::identity::{Device, Proof, now};
use crate::load::mqtt::{ConnectError, Connection, Door, LONGEST_KEEP_ALIVE};
use crate::load::open_files::{allow_connections, source_address};
use crate::load::platform::Platform;
use crate::load::progress::Progress;
use crate::load::{provision, stop, tls};

/// A target that can be connected to.
pub(crate) struct Target {
    /// Its MQTT door.
    pub(crate) door: Door,
    /// Its REST interface, when it is a platform.
    pub(crate) platform: Option<Platform>,
    /// Its process, when it runs here.
    pub(crate) process: Option<Process>,
    /// Cancelled by Ctrl-C.
    pub(crate) stop: CancellationToken,
    address: String,
    name: String,
    fixed: Proof,
}

impl Target {
    /// Finds the target that `args` describe. `rest_connections` are the REST requests under way at once.
    ///
    /// # Errors
    /// When no target is named or a part of it cannot be reached.
    pub(crate) async fn find(args: &TargetArgs, rest_connections: usize) -> anyhow::Result<Self> {
        let stop = stop::on_signal()?;
        let platform = if args.platform.is_given() {
            Some(args.platform.platform(args.tls.ca.as_deref(), rest_connections).await?)
        } else {
            None
        };
        let host_port = match (&args.target, &platform) {
            (Some(target), _) => target.as_str(),
            (None, Some(platform)) => platform.device_door(args.tls.tls)?,
            (None, None) => anyhow::bail!("no target: give --ready-file FILE, or --target HOST:PORT of a broker"),
        };
        let address = tls::resolve(host_port).await?;
        let ca = platform.as_ref().and_then(|platform| platform.ca.as_deref());
        let door = Door { address, tls: args.tls.for_server(host_port, ca)? };
        let pid = args.target_pid.or_else(|| platform.as_ref()?.pid);
        let version = platform.as_ref().and_then(|platform| platform.version.as_deref());
        Ok(Self {
            address: host_port.to_owned(),
            name: match (&args.target_name, version) {
                (Some(name), _) => name.clone(),
                (None, Some(version)) => format!("causeway {version}"),
                (None, None) => "unnamed target".into(),
            },
            door,
            process: pid.map(Process::watch).transpose()?,
            platform,
            stop,
            fixed: Proof::Fixed { user: args.user.clone(), password: args.password.clone() },
        })
    }

    /// What the report says of it.
    pub(crate) fn facts(&self) -> TargetFacts {
        TargetFacts {
            name: self.name.clone(),
            address: self.address.clone(),
            pid: self.process.map(Process::pid),
            command_line: self.process.map(Process::command_line),
        }
    }

    /// `count` devices of the bench product: on a platform created or found again, on a broker simply named.
    ///
    /// # Errors
    /// When the platform refuses to create them, or they cannot connect.
    pub(crate) async fn devices(&self, count: usize) -> anyhow::Result<Vec<Device>> {
        let Some(platform) = &self.platform else {
            return Ok((0..count)
                .map(|number| Device { id: format!("{PRODUCT_ID}_dev{number:05}"), proof: self.fixed.clone() })
                .collect());
        };
        let model = product_model();
        let (product, created) = provision::product(&platform.api, PRODUCT_ID, &model).await?;
        if !created && !has_model(&product, &model) {
            let update = json!({ "service_capabilities": model["service_capabilities"] });
            let path = format!("/products/{PRODUCT_ID}");
            (platform.api.call::<Value>("PUT", &path, Some(&update)).await)
                .context("the product bench of an older version cannot be updated")?;
        }
        let fleet = provision::devices(&platform.api, PRODUCT_ID, "dev", count, &self.stop).await?;
        if let Some(number) = fleet.reused {
            match Connection::open(&self.door, &fleet.devices[number].login(now()), LONGEST_KEEP_ALIVE, None).await {
                Ok((connection, _)) => drop(connection.close().await),
                Err(ConnectError::Refused { code: 4 | 5 }) => {
                    provision::reset_secrets(&platform.api, &fleet, &self.stop).await?;
                }
                Err(error) => return Err(error).context("a device of an earlier run cannot connect"),
            }
        }
        Ok(fleet.devices)
    }

    /// Connects all of `devices`, `concurrency` at once, in their order.
    ///
    /// # Errors
    /// When one of them cannot connect: a figure for fewer connections than asked would mislead.
    pub(crate) async fn connect_all(&self, devices: &[Device], concurrency: usize) -> anyhow::Result<Vec<Connection>> {
        allow_connections(devices.len())?;
        let slots = Arc::new(Semaphore::new(concurrency));
        let done = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        let mut connections: Vec<Option<Connection>> = Vec::new();
        connections.resize_with(devices.len(), || None);
        for (number, device) in devices.iter().enumerate() {
            let (slots, done, door, device) =
                (Arc::clone(&slots), Arc::clone(&done), self.door.clone(), device.clone());
            tasks.spawn(async move {
                let _slot = slots.acquire().await;
                let source = source_address(door.address, number);
                let opened = Connection::open(&door, &device.login(now()), LONGEST_KEEP_ALIVE, source).await;
                done.fetch_add(1, Ordering::Relaxed);
                (number, opened.map(|(connection, _)| connection), device.id)
            });
        }
        let mut progress = Progress::new();
        let mut tick = tokio::time::interval(Duration::from_millis(200));
        loop {
            tokio::select! {
                ended = tasks.join_next() => match ended {
                    Some(result) => {
                        let (number, opened, id) = result.context("a connect panicked")?;
                        connections[number] = Some(opened.with_context(|| format!("device {id} cannot connect"))?);
                    }
                    None => break,
                },
                _ = tick.tick() => progress.update(|| {
                    format!("connecting: {}/{}", done.load(Ordering::Relaxed), devices.len())
                }),
                () = self.stop.cancelled() => anyhow::bail!("stopped while connecting"),
            }
        }
        progress.finish(&format!("connected: {}", devices.len()));
        Ok(connections.into_iter().flatten().collect())
    }

    /// CPU time of target and generator now, to be compared with a later one.
    ///
    /// # Errors
    /// When the target has ended.
    pub(crate) fn cpu(&self) -> anyhow::Result<CpuTimes> {
        let target = self.process.map(Process::cpu).transpose().context("the target has ended")?;
        Ok(CpuTimes { target, generator: self.own_cpu(target)?, machine: MachineTime::now(), at: Instant::now() })
    }

    /// CPU time of this program, without that of a target which it started itself.
    fn own_cpu(&self, target: Option<CpuTime>) -> anyhow::Result<CpuTime> {
        let all = Process::own().cpu()?;
        let started_here = self.process.is_some_and(|process| Process::own().started(process));
        Ok(if started_here { all.since(target.unwrap_or_default()) } else { all })
    }

    /// The same at the end of a run, which still deserves its report when the target has ended meanwhile.
    ///
    /// # Errors
    /// Only when `/proc` has gone.
    pub(crate) fn final_cpu(&self, errors: &mut Errors) -> anyhow::Result<CpuTimes> {
        let target = self.process.and_then(|process| match process.cpu() {
            Ok(cpu) => Some(cpu),
            Err(error) => {
                errors.add(format!("the target has ended: {error}"));
                None
            }
        });
        Ok(CpuTimes { target, generator: self.own_cpu(target)?, machine: MachineTime::now(), at: Instant::now() })
    }

    /// Memory of the target, when it is known and lives.
    pub(crate) fn memory(&self) -> Option<Memory> {
        self.process?.memory().ok()
    }
}

/// CPU times at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CpuTimes {
    /// Of the target, if its process is known.
    pub(crate) target: Option<CpuTime>,
    /// Of this program.
    pub(crate) generator: CpuTime,
    /// Of the whole machine.
    pub(crate) machine: MachineTime,
    /// When.
    pub(crate) at: Instant,
}

impl CpuTimes {
    /// What else the machine did since `earlier`; `None` when the target's share is not known.
    pub(crate) fn others_since(&self, earlier: &Self) -> Option<OtherLoad> {
        let seconds = (self.at - earlier.at).as_secs_f64();
        let target = self.target?.since(earlier.target?).total();
        let generator = self.generator.since(earlier.generator).total();
        let busy = self.machine.busy.saturating_sub(earlier.machine.busy);
        Some(OtherLoad {
            other_cores: busy.saturating_sub(target + generator).as_secs_f64() / seconds,
            stolen_cores: self.machine.stolen.saturating_sub(earlier.machine.stolen).as_secs_f64() / seconds,
        })
    }
}

/// Whether `product` already has every service, property and command of `model`.
fn has_model(product: &Value, model: &Value) -> bool {
    let names = |value: &Value| -> Vec<String> {
        let mut names = Vec::new();
        for service in value["service_capabilities"].as_array().into_iter().flatten() {
            let id = &service["service_id"];
            names.extend(list(&service["properties"]).map(|p| format!("{id}/{}", p["property_name"])));
            names.extend(list(&service["commands"]).map(|c| format!("{id}!{}", c["command_name"])));
        }
        names
    };
    let there = names(product);
    names(model).iter().all(|name| there.contains(name))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_product_is_noticed() {
        let model = product_model();
        assert!(has_model(&model, &model));
        let mut older = model.clone();
        older["service_capabilities"][0]["properties"].as_array_mut().expect("a list").pop();
        assert!(!has_model(&older, &model));
        assert!(has_model(&model, &older));
        assert!(!has_model(&json!({}), &model));
    }
}
