//! Where the platform is and how to be let in: the ready file of `causeway serve`, or the same facts as options.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Deserialize;

use super::rest::{Api, Authority};

/// Requests under way at once, unless a mode needs another number.
pub(crate) const REST_CONNECTIONS: usize = 16;

/// Options that say where a platform's REST interface is and who calls it.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct PlatformArgs {
    /// Ready file of a platform (`causeway serve --ready-file FILE`): addresses, project, access key, CA, process id.
    /// The options below replace single facts of it.
    #[arg(long, value_name = "FILE")]
    pub(crate) ready_file: Option<PathBuf>,

    /// Base address of the REST interface, `http://host:port` or `https://host:port`.
    #[arg(long, value_name = "URL")]
    pub(crate) api: Option<String>,

    /// Project id in REST paths.
    #[arg(long, value_name = "ID")]
    pub(crate) project_id: Option<String>,

    /// Access key id (AK) that signs REST requests.
    #[arg(long, value_name = "AK", requires = "sk_file")]
    pub(crate) ak: Option<String>,

    /// File that holds the secret key (SK) of `--ak`: a command line would show it to every user of the machine.
    #[arg(long, value_name = "FILE", requires = "ak")]
    pub(crate) sk_file: Option<PathBuf>,

    /// File that holds an IAM token (`X-Auth-Token`), in place of an access key.
    #[arg(long, value_name = "FILE", conflicts_with = "ak")]
    pub(crate) token_file: Option<PathBuf>,
}

/// What a running platform writes when everything listens.
#[derive(Debug, Default, Deserialize)]
struct ReadyFile {
    #[serde(default)]
    addresses: Addresses,
    ca_cert: Option<PathBuf>,
    project_id: Option<String>,
    access_key: Option<AccessKey>,
    amqp: Option<AmqpAccess>,
    pid: Option<u32>,
    version: Option<String>,
}

/// What consumers of queues sign in with.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct AmqpAccess {
    /// The public half.
    pub(crate) access_key: String,
    /// The secret half.
    pub(crate) access_code: String,
}

#[derive(Debug, Default, Deserialize)]
struct Addresses {
    mqtt: Option<String>,
    mqtts: Option<String>,
    http: Option<String>,
    https: Option<String>,
    amqp: Option<String>,
}

#[derive(Debug, Deserialize)]
struct AccessKey {
    ak: String,
    sk: String,
}

/// A platform whose REST interface can be called.
pub(crate) struct Platform {
    /// Its REST interface.
    pub(crate) api: Api,
    /// `host:port` of its plain MQTT door, when the ready file tells.
    pub(crate) mqtt: Option<String>,
    /// `host:port` of its MQTT door with TLS, when the ready file tells.
    pub(crate) mqtts: Option<String>,
    /// `host:port` of its plain AMQP door, when the ready file tells.
    pub(crate) amqp: Option<String>,
    /// What consumers of its queues sign in with.
    pub(crate) amqp_access: Option<AmqpAccess>,
    /// PEM file of the authority that signed its certificates.
    pub(crate) ca: Option<PathBuf>,
    /// Its process, when it runs on this machine.
    pub(crate) pid: Option<u32>,
    /// Its version.
    pub(crate) version: Option<String>,
}

fn read_secret(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let text = text.trim();
    anyhow::ensure!(!text.is_empty(), "{} is empty", path.display());
    Ok(text.to_owned())
}

impl PlatformArgs {
    /// Whether any platform is named (otherwise the target is a plain broker).
    pub(crate) fn is_given(&self) -> bool {
        self.ready_file.is_some() || self.api.is_some()
    }

    /// Reads the files and builds the REST client with at most `connections` requests under way.
    ///
    /// # Errors
    /// When a file cannot be read, or a fact is missing; the text names the option that gives it.
    pub(crate) async fn platform(&self, ca: Option<&Path>, connections: usize) -> anyhow::Result<Platform> {
        let ready: ReadyFile = match &self.ready_file {
            None => ReadyFile::default(),
            Some(path) => {
                let text =
                    std::fs::read(path).with_context(|| format!("the ready file {} cannot be read", path.display()))?;
                serde_json::from_slice(&text).with_context(|| format!("{} is not a ready file", path.display()))?
            }
        };
        let ca = ca.map(Path::to_owned).or(ready.ca_cert);
        let base = (self.api.clone())
            .or_else(|| ready.addresses.http.map(|address| format!("http://{address}")))
            .or_else(|| ready.addresses.https.map(|address| format!("https://{address}")))
            .context("no REST address is known: give --ready-file FILE or --api URL")?;
        let project_id =
            (self.project_id.clone()).or(ready.project_id).context("no project is known: give --project-id ID")?;
        let auth = match (&self.ak, &self.sk_file, &self.token_file, ready.access_key) {
            (_, _, Some(token), _) => Authority::Token(read_secret(token)?),
            (Some(ak), Some(sk), ..) => Authority::AccessKey { ak: ak.clone(), sk: read_secret(sk)? },
            (.., Some(key)) => Authority::AccessKey { ak: key.ak, sk: key.sk },
            _ => anyhow::bail!("no access is known: give --ak AK and --sk-file FILE, or --token-file FILE"),
        };
        let api = Api::new(&base, ca.as_deref(), &project_id, auth, connections).await?;
        Ok(Platform {
            api,
            mqtt: ready.addresses.mqtt,
            mqtts: ready.addresses.mqtts,
            amqp: ready.addresses.amqp,
            amqp_access: ready.amqp,
            ca,
            pid: ready.pid,
            version: ready.version,
        })
    }
}

impl Platform {
    /// `host:port` of the door for devices, with or without TLS.
    ///
    /// # Errors
    /// When the platform has no such door.
    pub(crate) fn device_door(&self, tls: bool) -> anyhow::Result<&str> {
        let (door, name) = if tls { (&self.mqtts, "mqtts") } else { (&self.mqtt, "mqtt") };
        door.as_deref().with_context(|| format!("the ready file has no address {name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_ready_file_is_enough_and_options_replace_its_facts() {
        let folder = std::env::temp_dir().join(format!("causeway-ready-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("the temporary folder is writable");
        let path = folder.join("ready.json");
        let text = r#"{"addresses":{"mqtt":"127.0.0.1:11883","http":"127.0.0.1:18080","coap":"127.0.0.1:5683"},
            "ca_cert":"/nowhere/ca.pem","project_id":"p1","access_key":{"ak":"A","sk":"S"},"pid":7,"version":"0.1.0"}"#;
        std::fs::write(&path, text).expect("the file is writable");
        let mut args = PlatformArgs { ready_file: Some(path), ..PlatformArgs::default() };
        let platform = args.platform(None, 1).await.expect("complete");
        assert_eq!(platform.device_door(false).expect("named"), "127.0.0.1:11883");
        assert!(platform.device_door(true).is_err());
        assert_eq!((platform.api.authority(), platform.pid), ("127.0.0.1:18080", Some(7)));
        args.api = Some("http://127.0.0.1:9".into());
        let platform = args.platform(None, 1).await.expect("complete");
        assert_eq!(platform.api.authority(), "127.0.0.1:9");
        std::fs::remove_dir_all(&folder).expect("own folder");
    }

    #[tokio::test]
    async fn what_is_missing_is_named() {
        let error = PlatformArgs::default().platform(None, 1).await.err().expect("nothing given");
        assert!(error.to_string().contains("--api"), "{error:#}");
    }
}
