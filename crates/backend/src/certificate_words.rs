//! What both stores say of certificates and provisioning templates.

use causeway_model::{Code, Error};

/// What both stores say when the instance has as many certificate authorities as it may have, and so on.
pub(crate) const TOO_MANY_CAS: (Code, &str) = (Code::TooManyCas, "device CA certificates");
pub(crate) const TOO_MANY_SERVER_CERTIFICATES: (Code, &str) = (Code::TooManyServerCertificates, "server certificates");
pub(crate) const TOO_MANY_TEMPLATES: (Code, &str) = (Code::TooManyTemplates, "provisioning templates");
pub(crate) const CA_TAKEN: &str = "The resource space has this CA certificate already.";
pub(crate) const CA_USED: &str =
    "Devices use certificates of this CA. Delete these devices or reset their fingerprints first.";
pub(crate) const DEVICE_CERTIFICATE_USED: &str =
    "Devices use this certificate. Delete them or reset their fingerprints first, or set its status to INACTIVE.";
pub(crate) const SERVER_CERTIFICATE_TAKEN: &str = "This server certificate is stored already.";
pub(crate) const TEMPLATE_USED: &str = "CA certificates use this template. Unbind it from them first.";

/// One record too many.
pub(crate) fn limit_reached(limit: u32, (code, what): (Code, &str)) -> Error {
    Error::new(code, format!("The number of {what} has reached its limit, {limit}. Delete one first."))
}

pub(crate) fn no_such_template(id: &str) -> Error {
    Error::new(Code::TemplateNotFound, format!("The provisioning template '{id}' does not exist."))
}

pub(crate) fn no_such_ca() -> Error {
    Error::new(Code::CaNotFound, "The CA certificate does not exist.")
}

/// What every text that begins with `prefix` is not greater than, compared by code points.
pub(crate) fn last_with_prefix(prefix: &str) -> String {
    format!("{prefix}\u{10ffff}")
}
