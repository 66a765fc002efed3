//! Operations below `/v5/iot/{project_id}`: one file an area, with what it reads, what it answers, and the use case it
//! calls.

mod alarms;
mod answer;
mod apps;
mod audit;
mod batch;
mod broadcasts;
mod certificates;
mod commands;
mod device_body;
mod device_certificates;
mod devices;
mod files;
mod functions;
mod gateways;
mod groups;
mod history;
mod linkage;
mod logs;
mod messages;
mod model_files;
mod notification_topics;
pub(crate) mod operations;
mod ota;
mod policies;
mod products;
mod properties;
mod provisioning_templates;
mod push;
mod queues;
mod routing;
mod search;
mod server_certificates;
mod shadow;
mod tags;
mod topics;
