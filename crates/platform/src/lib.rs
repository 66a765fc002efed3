//! The road and every use case.
//!
//! Doors hand device events in, interfaces call use cases, and what both change goes through the ports that each
//! capability declares in its `port.rs`. This crate knows devices and nothing of wires; it knows what it wants kept and
//! nothing of SQL. Start reading at `uplink` for the way in and `session` for the way out.

pub mod alarm;
pub mod app;
pub mod audit;
pub mod batch;
pub mod broadcast;
pub mod bus;
pub mod certificate;
pub mod clock;
pub mod command;
pub mod device;
pub mod downlink;
pub mod file;
pub mod function;
pub mod gateway;
pub mod group;
pub mod history;
pub mod iam;
pub mod instance;
pub mod linkage;
pub mod log;
pub mod lwm2m;
pub mod message;
pub mod notify;
pub mod ota;
pub mod outbox;
mod platform;
pub mod policy;
pub mod product;
pub mod property;
pub mod provisioning;
pub mod queue;
pub mod routing;
mod runlog;
pub mod search;
pub mod secrets;
pub mod session;
pub mod settings;
pub mod shadow;
pub mod tag;
pub mod uplink;

pub use platform::Platform;

/// Everything the platform asks of its store. One object serves one instance.
pub trait Store:
    alarm::AlarmStore
    + app::AppStore
    + audit::AuditStore
    + certificate::CertificateStore
    + batch::BatchStore
    + device::DeviceStore
    + file::FileStore
    + function::FunctionStore
    + group::GroupStore
    + gateway::GatewayStore
    + history::HistoryStore
    + iam::IamStore
    + instance::InstanceStore
    + linkage::LinkageStore
    + log::LogStore
    + message::MessageStore
    + notify::NotifyStore
    + ota::OtaStore
    + outbox::OutboxStore
    + policy::PolicyStore
    + product::ProductStore
    + queue::QueueStore
    + routing::RoutingStore
    + search::SearchStore
    + provisioning::ProvisioningStore
    + session::SessionStore
    + shadow::ShadowStore
    + tag::TagStore
    + uplink::UplinkStore
{
}

impl<T> Store for T where
    T: alarm::AlarmStore
        + app::AppStore
        + audit::AuditStore
        + certificate::CertificateStore
        + batch::BatchStore
        + device::DeviceStore
        + file::FileStore
        + function::FunctionStore
        + function::FunctionStore
        + group::GroupStore
        + gateway::GatewayStore
        + history::HistoryStore
        + iam::IamStore
        + instance::InstanceStore
        + linkage::LinkageStore
        + log::LogStore
        + message::MessageStore
        + notify::NotifyStore
        + ota::OtaStore
        + outbox::OutboxStore
        + policy::PolicyStore
        + product::ProductStore
        + queue::QueueStore
        + routing::RoutingStore
        + search::SearchStore
        + provisioning::ProvisioningStore
        + session::SessionStore
        + shadow::ShadowStore
        + tag::TagStore
        + uplink::UplinkStore
{
}
