//! Configuration: every part's keys, from a file and the command line.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use causeway_model::settings;
use causeway_model::settings::{KeyDoc, Settings};
use causeway_platform::settings::PlatformSettings;

settings! {
    /// Addresses the platform listens at.
    pub struct ListenSettings in "listen" {
        /// Devices: MQTT. `off` closes a door; port 0 takes any free port.
        mqtt: String = "0.0.0.0:1883".to_owned(),
        /// Devices: MQTT over TLS.
        mqtts: String = "0.0.0.0:8883".to_owned(),
        /// Devices: MQTT over WebSocket, path `/mqtt`.
        ws: String = "0.0.0.0:8083".to_owned(),
        /// Devices: MQTT over WebSocket over TLS, path `/mqtt`.
        wss: String = "0.0.0.0:8084".to_owned(),
        /// Devices: HTTPS.
        device_https: String = "0.0.0.0:8943".to_owned(),
        /// Devices: files by signed URLs, over HTTP without TLS, for those that speak plain MQTT. Files are served by
        /// `listen.device_https` too.
        device_files: String = "off".to_owned(),
        /// Applications: REST over TLS.
        https: String = "0.0.0.0:8743".to_owned(),
        /// Applications: REST without TLS.
        http: String = "127.0.0.1:8080".to_owned(),
        /// Applications: AMQP 1.0 over TLS, to read queues.
        amqps: String = "0.0.0.0:5671".to_owned(),
        /// Applications: AMQP 1.0 without TLS. For laboratories; access codes can be read on the way.
        amqp: String = "off".to_owned(),
    }
}

settings! {
    /// Certificates of the platform's own doors.
    pub struct TlsSettings in "tls" {
        /// Host names and IP addresses, separated by commas, that the server certificate names besides `localhost`,
        /// the machine's name and 127.0.0.1. Changing them makes a new certificate at the next start.
        names: Option<String> = None,
        /// Certificate chain (PEM file) to show instead of the one the platform makes itself.
        cert: Option<String> = None,
        /// Private key (PEM file) of `tls.cert`.
        key: Option<String> = None,
    }
}

settings! {
    /// The platform's clock.
    pub struct ClockSettings in "clock" {
        /// Lets `POST /debug/clock` move the platform's time forward. For tests and laboratories.
        movable: bool = false,
    }
}

settings! {
    /// Logs.
    pub struct LogSettings in "log" {
        /// What is logged: `error`, `warn`, `info`, `debug`, `trace`, or a filter like `info,causeway_door_mqtt=debug`.
        level: String = "info".to_owned(),
        /// `text` for people, `json` for machines.
        format: String = "text".to_owned(),
    }
}

/// All keys of all parts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Config {
    pub(crate) listen: ListenSettings,
    pub(crate) tls: TlsSettings,
    pub(crate) clock: ClockSettings,
    pub(crate) log: LogSettings,
    pub(crate) store: causeway_backend::StoreSettings,
    pub(crate) objects: causeway_backend::ObjectSettings,
    pub(crate) s3: causeway_backend::S3Settings,
    pub(crate) platform: PlatformSettings,
    pub(crate) mqtt: causeway_door_mqtt::MqttSettings,
    pub(crate) device_http: causeway_door_http::HttpDoorSettings,
    pub(crate) api: causeway_api::ApiSettings,
    pub(crate) forwarding: causeway_delivery::ForwardingSettings,
    pub(crate) amqp: causeway_delivery::AmqpSettings,
}

/// Calls `$each!(part)` for every part of a configuration.
macro_rules! for_each_part {
    ($config:expr, $part:ident => $body:expr) => {{
        let config = $config;
        let outcome: Result<bool, String> = (|| {
            for_each_part!(@try config, $part, $body;
                listen, tls, clock, log, store, objects, s3, mqtt, device_http, api, amqp, forwarding,
                platform.model, platform.registry, platform.search, platform.certificate, platform.device,
                platform.command, platform.message, platform.history, platform.push, platform.files, platform.ota,
                platform.iam, platform.audit, platform.batch, platform.script, platform.routing,
                platform.alarm, platform.run_log, platform.notify, platform.mail, platform.sms);
            Ok(false)
        })();
        outcome
    }};
    (@try $config:ident, $part:ident, $body:expr; $($($path:ident).+),*) => {
        $({ let $part = &mut $config.$($path).+; if $body? { return Ok(true); } })*
    };
}

impl Config {
    /// Reads the file, then lays the command line over it.
    ///
    /// # Errors
    /// A sentence that names the key and what it should look like.
    pub(crate) fn load(file: Option<&Path>, overrides: &[String]) -> anyhow::Result<Self> {
        let mut config = Self::default();
        if let Some(path) = file {
            let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            let table: toml::Table = text.parse().with_context(|| format!("{} is not TOML", path.display()))?;
            config.apply_table("", &table).with_context(|| format!("in {}", path.display()))?;
        }
        for setting in overrides {
            let Some((key, value)) = setting.split_once('=') else {
                bail!("--set wants KEY=VALUE, not '{setting}'");
            };
            config.apply(key.trim(), value)?;
        }
        Ok(config)
    }

    fn apply_table(&mut self, prefix: &str, table: &toml::Table) -> anyhow::Result<()> {
        for (name, value) in table {
            let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            match value {
                toml::Value::Table(inner) => self.apply_table(&key, inner)?,
                toml::Value::String(text) => self.apply(&key, text)?,
                toml::Value::Integer(number) => self.apply(&key, &number.to_string())?,
                toml::Value::Boolean(flag) => self.apply(&key, &flag.to_string())?,
                other => bail!("{key} is a {}; a text, a number, true or false is expected", other.type_str()),
            }
        }
        Ok(())
    }

    fn apply(&mut self, key: &str, value: &str) -> anyhow::Result<()> {
        match for_each_part!(&mut *self, part => part.set(key, value)) {
            Ok(true) => Ok(()),
            Ok(false) => bail!("there is no key '{key}'{}; `causeway keys` lists them", nearest(key)),
            Err(reason) => bail!("{key}: {reason}"),
        }
    }
}

/// The key that was probably meant.
fn nearest(key: &str) -> String {
    let best = keys().into_iter().map(|k| (distance(key, &k.key), k.key)).min();
    match best {
        Some((distance, name)) if distance <= 4 => format!(", do you mean '{name}'?"),
        _ => String::new(),
    }
}

/// Edit distance (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut previous = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let replaced = previous + usize::from(ca != *cb);
            previous = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

/// All keys, in the order of the docs.
fn keys() -> Vec<KeyDoc> {
    fn of<T: Settings>(_: &mut T, into: &mut Vec<KeyDoc>) -> Result<bool, String> {
        into.extend(T::keys());
        Ok(false)
    }
    let mut all = Vec::new();
    let walked = for_each_part!(&mut Config::default(), part => of(part, &mut all));
    debug_assert_eq!(walked, Ok(false));
    all
}

/// The page `docs/configuration.md`.
pub(crate) fn keys_as_markdown() -> String {
    let mut page = String::from(
        "# Configuration keys\n\n\
         Made by `causeway keys`; do not edit. Keys stand in the file given with `--config` (TOML, `[section]` and `key = value`)\n\
         or on the command line as `--set section.key=value`.\n\n\
         | key | default | meaning |\n| --- | --- | --- |\n",
    );
    for key in keys() {
        let default = if key.default.is_empty() { String::new() } else { format!("`{}`", key.default) };
        let text = key.text.replace('|', "\\|");
        let written = writeln!(page, "| `{}` | {default} | {text} |", key.key);
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_overrides_set_keys() {
        let dir = tempfile::tempdir().expect("folder");
        let path = dir.path().join("c.toml");
        std::fs::write(&path, "[listen]\nmqtt = \"127.0.0.1:0\"\n[push]\nallow_private = true\nmax_failures = 3\n")
            .expect("written");
        let config = Config::load(Some(&path), &["command.timeout=2s".to_owned()]).expect("loads");
        assert_eq!(config.listen.mqtt, "127.0.0.1:0");
        assert!(config.platform.push.allow_private);
        assert_eq!(config.platform.push.max_failures, 3);
        assert_eq!(config.platform.command.timeout.0.as_secs(), 2);
    }

    #[test]
    fn mistakes_are_explained() {
        let error = |set: &str| format!("{:#}", Config::load(None, &[set.to_owned()]).expect_err("refused"));
        assert!(error("listen.mqqt=1").contains("do you mean 'listen.mqtt'?"));
        assert!(error("command.timeout=soon").contains("command.timeout: 'soon' is not a time"));
        assert!(error("command.timeout").contains("KEY=VALUE"));
    }

    #[test]
    fn every_key_takes_its_own_default() {
        let mut config = Config::default();
        for key in keys() {
            config.apply(&key.key, &key.default).expect("a default can be read back");
        }
    }
}
