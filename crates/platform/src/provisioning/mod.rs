//! Provisioning templates: how devices that nobody registered are registered when they show a certificate under an
//! authority that says so (`iotda-v5-api.md`, provisioning templates).

mod manage;
mod port;
mod register;
mod template;

pub use manage::{NewTemplate, TemplateChange};
pub use port::*;
