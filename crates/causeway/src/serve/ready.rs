//! What a program (the ready file) and a person (the banner) are told once everything listens.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use causeway_platform::Platform;
use causeway_platform::instance::AdminCredentials;
use causeway_platform::queue::NewAccessCode;
use serde::Serialize;

/// The ready file. Tools and tests rely on these names.
#[derive(Clone, Serialize)]
pub(crate) struct Ready {
    /// Door → `host:port` really bound.
    pub(crate) addresses: BTreeMap<&'static str, String>,
    /// PEM file of the certificate authority that devices and applications should trust.
    pub(crate) ca_cert: String,
    /// The project of all REST paths.
    pub(crate) project_id: String,
    /// The instance.
    pub(crate) instance_id: String,
    /// The default resource space.
    pub(crate) default_app_id: String,
    /// The administrator; absent once `initial-admin.json` was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) admin: Option<Admin>,
    /// The first access key; absent with `admin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) access_key: Option<AccessKey>,
    /// What consumers of queues sign in with.
    pub(crate) amqp: QueueAccess,
    /// This process.
    pub(crate) pid: u32,
    /// The platform's version.
    pub(crate) version: &'static str,
}

/// The access code of queues.
#[derive(Clone, Serialize)]
pub(crate) struct QueueAccess {
    pub(crate) access_key: String,
    pub(crate) access_code: String,
}

/// A user with its password.
#[derive(Clone, Serialize)]
pub(crate) struct Admin {
    pub(crate) user: String,
    pub(crate) password: String,
}

/// An access key.
#[derive(Clone, Serialize)]
pub(crate) struct AccessKey {
    pub(crate) ak: String,
    pub(crate) sk: String,
}

impl Ready {
    pub(crate) fn new(
        addresses: BTreeMap<&'static str, String>,
        ca: &Path,
        platform: &Platform,
        default_app_id: &str,
        admin: Option<AdminCredentials>,
        queues: NewAccessCode,
    ) -> Self {
        let ca = std::fs::canonicalize(ca).unwrap_or_else(|_| ca.to_owned());
        Self {
            addresses,
            ca_cert: ca.display().to_string(),
            project_id: platform.instance.project_id.to_string(),
            instance_id: platform.instance.id.to_string(),
            default_app_id: default_app_id.to_owned(),
            access_key: admin.as_ref().map(|a| AccessKey { ak: a.ak.clone(), sk: a.sk.clone() }),
            admin: admin.map(|a| Admin { user: a.user, password: a.password }),
            amqp: QueueAccess { access_key: queues.access_key, access_code: queues.access_code },
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION"),
        }
    }

    /// Writes the file whole or not at all; only its owner may read it.
    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        Ok(super::write_private(path, &serde_json::to_vec_pretty(self)?)?)
    }

    /// What a newcomer needs next. Secrets only at the first start.
    pub(crate) fn banner(&self, data: &Path, is_first_start: bool) -> String {
        let mut text = format!("Causeway {} is ready. Data folder: {}\n\n", self.version, data.display());
        let mut line = |what: &str, value: &str| {
            let written = writeln!(text, "  {what:<28} {value}");
            debug_assert!(written.is_ok(), "writing to a String cannot fail");
        };
        let names = [
            ("mqtt", "devices, MQTT"),
            ("mqtts", "devices, MQTT over TLS"),
            ("ws", "devices, MQTT over WebSocket"),
            ("wss", "devices, the same over TLS"),
            ("device_https", "devices, HTTPS"),
            ("device_files", "devices, files over HTTP"),
            ("https", "applications, REST over TLS"),
            ("http", "applications, REST"),
            ("amqps", "applications, AMQP over TLS"),
            ("amqp", "applications, AMQP"),
        ];
        for (door, what) in names {
            if let Some(address) = self.addresses.get(door) {
                line(what, address);
            }
        }
        line("CA certificate", &self.ca_cert);
        line("project id", &self.project_id);
        match (&self.admin, &self.access_key) {
            (Some(admin), Some(key)) if is_first_start => {
                line("administrator", &admin.user);
                line("password (shown once)", &admin.password);
                line("access key (AK)", &key.ak);
                text.push_str(
                    "\nThe secret key (SK) stands in initial-admin.json in the data folder, for your eyes only.\n",
                );
            }
            (Some(admin), _) => line("administrator", &format!("{} (password: initial-admin.json)", admin.user)),
            _ => {}
        }
        text.push_str("Press Ctrl-C to stop.");
        text
    }
}
