//! The channels: one file each, of the name that its configuration has in the channels crate.

mod dis;
mod functiongraph;
mod http;
mod influxdb;
mod kafka;
mod linkage;
mod log_file;
mod lts;
mod mail;
mod mqtt;
mod mqtt_device;
mod mysql;
mod nats;
mod obs;
mod parquet_file;
mod postgresql;
mod sms;
mod table;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use causeway_channels::Channel;
use causeway_platform::Platform;
use causeway_platform::notify::Protocol;
use causeway_platform::settings::PushSettings;

use crate::client::PushClient;
use crate::net::Net;
use crate::settings::ForwardingSettings;
use crate::target::Target;
use functiongraph::FunctionTarget;

pub(crate) use http::HttpTarget;

/// What targets are made with.
pub(crate) struct Workshop {
    /// Pushes over HTTP.
    pub(crate) client: PushClient,
    /// Most deliveries of one target under way at once.
    pub(crate) concurrency: u32,
    /// Calls functions; none where workers are tested without a platform.
    pub(crate) platform: Option<Arc<Platform>>,
    /// The same for hosts that the operator names, wherever they are.
    pub(crate) trusted: PushClient,
    /// Keys of targets.
    pub(crate) forwarding: ForwardingSettings,
    /// Folder for files of forwarded events.
    pub(crate) log_folder: PathBuf,
    /// Connects to everything else.
    pub(crate) net: Net,
    /// Sends mails; an error when its settings are unsound.
    mail: Result<Option<Arc<mail::MailRoom>>, String>,
}

impl Workshop {
    /// `data` is the data folder.
    pub(crate) fn new(
        settings: &PushSettings,
        forwarding: ForwardingSettings,
        data: &Path,
        platform: Option<Arc<Platform>>,
    ) -> Self {
        Self {
            client: PushClient::new(settings),
            trusted: PushClient::new(&PushSettings { allow_private: true, ..settings.clone() }),
            concurrency: settings.concurrency,
            net: Net::new(settings),
            log_folder: forwarding.log_folder.as_ref().map_or_else(|| data.join("forwarded"), PathBuf::from),
            forwarding,
            mail: platform.as_ref().map_or(Ok(None), |p| mail::MailRoom::open(&p.settings.mail)),
            platform,
        }
    }

    /// The target of a space's push address.
    pub(crate) fn push(&self, url: &str) -> Result<Arc<dyn Target>, String> {
        Ok(Arc::new(HttpTarget::new(self, url)?))
    }

    /// The target whose deliveries are for the platform itself; none as long as there was never a linkage rule.
    pub(crate) fn linkage_target(&self) -> Option<i64> {
        self.platform.as_ref()?.linkage_target()
    }

    /// The platform as a target.
    pub(crate) fn linkage(&self) -> Result<Arc<dyn Target>, String> {
        let platform = self.platform.clone().ok_or_else(|| "there is no platform".to_owned())?;
        Ok(Arc::new(linkage::LinkageTarget::new(platform)))
    }

    /// The target of a subscription of a notification topic.
    pub(crate) fn subscription(&self, protocol: Protocol, endpoint: &str) -> Result<Arc<dyn Target>, String> {
        match protocol {
            Protocol::Http | Protocol::Https => self.push(endpoint),
            Protocol::Email => Ok(Arc::new(mail::MailTarget::new(self.mail.clone()?.as_ref(), endpoint)?)),
            Protocol::Sms => {
                let platform = self.platform.as_ref().ok_or_else(|| "there is no platform".to_owned())?;
                let gateway = platform.settings.sms.gateway_url.as_deref();
                let gateway = gateway.ok_or_else(|| "sms.gateway_url is not set".to_owned())?;
                Ok(Arc::new(sms::SmsTarget::new(self, gateway, endpoint)?))
            }
        }
    }

    /// The target of an action. An AMQP queue has none: consumers come for it.
    pub(crate) fn channel(&self, channel: &Channel) -> Result<Arc<dyn Target>, String> {
        match channel {
            Channel::Http(http) => Ok(Arc::new(HttpTarget::of(self, http)?)),
            Channel::Functiongraph(function) => Ok(Arc::new(FunctionTarget::new(self, function)?)),
            Channel::Mysql(mysql) => Ok(Arc::new(mysql::MysqlTarget::new(&self.net, mysql)?)),
            Channel::Postgresql(postgresql) => Ok(Arc::new(postgresql::PostgresqlTarget::new(&self.net, postgresql)?)),
            Channel::Obs(obs) => Ok(Arc::new(obs::ObsTarget::new(self, obs)?)),
            Channel::Influxdb(influxdb) => Ok(Arc::new(influxdb::InfluxdbTarget::new(self, influxdb)?)),
            Channel::Lts(lts) => Ok(Arc::new(lts::LtsTarget::new(self, lts)?)),
            Channel::LogFile(file) => Ok(Arc::new(log_file::LogFileTarget::new(self, file))),
            Channel::Dis(dis) => Ok(Arc::new(dis::DisTarget::new(self, dis)?)),
            Channel::DmsKafka(kafka) => Ok(Arc::new(kafka::KafkaTarget::dms(self, kafka)?)),
            Channel::MrsKafka(kafka) => Ok(Arc::new(kafka::KafkaTarget::mrs(self, kafka)?)),
            Channel::Roma(kafka) => Ok(Arc::new(kafka::KafkaTarget::roma(self, kafka)?)),
            Channel::Mqtt(broker) => Ok(Arc::new(mqtt::MqttTarget::new(self, broker)?)),
            Channel::MqttDevice(devices) => Ok(Arc::new(mqtt_device::DeviceTarget::new(self, devices)?)),
            Channel::Nats(nats) => Ok(Arc::new(nats::NatsTarget::new(self, nats)?)),
            Channel::Amqp(_) => Err("an AMQP queue is not sent to".to_owned()),
        }
    }
}
