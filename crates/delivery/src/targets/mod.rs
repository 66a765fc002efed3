//! The channels: one file each, of the name that its configuration has in the channels crate.

mod functiongraph;
mod http;
mod mysql;
mod postgresql;
mod table;

use std::sync::Arc;

use causeway_channels::Channel;
use causeway_platform::Platform;
use causeway_platform::settings::PushSettings;

use crate::client::PushClient;
use crate::net::Net;
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
    /// Connects to everything else.
    pub(crate) net: Net,
}

impl Workshop {
    pub(crate) fn new(settings: &PushSettings, platform: Option<Arc<Platform>>) -> Self {
        Self { client: PushClient::new(settings), concurrency: settings.concurrency, net: Net::new(settings), platform }
    }

    /// The target of a space's push address.
    pub(crate) fn push(&self, url: &str) -> Result<Arc<dyn Target>, String> {
        Ok(Arc::new(HttpTarget::new(self, url)?))
    }

    /// The target of an action. An AMQP queue has none: consumers come for it.
    pub(crate) fn channel(&self, channel: &Channel) -> Result<Arc<dyn Target>, String> {
        match channel {
            Channel::Http(http) => Ok(Arc::new(HttpTarget::of(self, http)?)),
            Channel::Functiongraph(function) => Ok(Arc::new(FunctionTarget::new(self, function)?)),
            Channel::Mysql(mysql) => Ok(Arc::new(mysql::MysqlTarget::new(&self.net, mysql)?)),
            Channel::Postgresql(postgresql) => Ok(Arc::new(postgresql::PostgresqlTarget::new(&self.net, postgresql)?)),
            Channel::Amqp(_) => Err("an AMQP queue is not sent to".to_owned()),
        }
    }
}
