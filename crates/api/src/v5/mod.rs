//! Operations below `/v5/iot/{project_id}`: one file an area, with what it reads, what it answers, and the use case it
//! calls.

mod answer;
mod apps;
mod audit;
mod commands;
mod device_body;
mod devices;
mod groups;
mod history;
mod messages;
mod model_files;
pub(crate) mod operations;
mod policies;
mod products;
mod properties;
mod push;
mod queues;
mod search;
mod shadow;
mod tags;
mod topics;
