//! Certificates that devices have shown, and the fingerprints of devices (002 §3.3.3).

use causeway_model::certificate::DeviceCertificate as Record;
use causeway_model::registry;
use causeway_model::{Code, Result};
use causeway_platform::certificate::DeviceCertificateFilter;
use causeway_platform::device::CredentialSlot;

use crate::bounded::{Any, Fingerprint, Text, Word, words};
use crate::call::{Call, Page, Reply, page_of_body};
use crate::operation::{Built, Param, Success, json};
use crate::shape::{Compact, body, reply};

words! {
    /// Whether a certificate may be used.
    CertificateStatus: "ACTIVE" | "INACTIVE";
    /// Which of the two fingerprints.
    FingerprintTypes: "PRIMARY" | "SECONDARY";
}

body! {
    /// The status to set.
    pub(crate) struct UpdateDeviceCertificate {
        /// ACTIVE, or INACTIVE: devices are refused with it and disconnected.
        status: Word<CertificateStatus>,
    }
}

body! {
    /// Which page to list.
    pub(crate) struct ListPage {
        /// 1 to 50; 10 when absent.
        limit: Option<i64>,
        /// Where the page starts: the marker of the previous one.
        marker: Option<String>,
        /// 0 to 500.
        offset: Option<i64>,
    }
}

body! {
    /// A fingerprint to replace.
    pub(crate) struct ResetFingerprint {
        /// The new fingerprint; absent: it is cleared, and the device's next certificate is bound.
        fingerprint: Option<Fingerprint>,
        /// Whether the device's connection is closed.
        force_disconnect: Option<bool>,
        /// Which fingerprint; PRIMARY unless said otherwise.
        fingerprint_type: Option<Word<FingerprintTypes>>,
    }
}

reply! {
    /// A certificate of a device.
    pub(crate) struct DeviceCertificate {
        /// The id.
        certificate_id: String,
        /// Common name.
        common_name: Option<String>,
        /// Not valid after.
        expiry_date: Compact,
        /// SHA-256, 64 hexadecimal digits.
        fingerprint: String,
        /// ACTIVE or INACTIVE.
        status: &'static str,
        /// The certificate, PEM. Not in lists.
        certificate_pem: Option<String>,
    }
}

reply! {
    /// A page of certificates of devices.
    pub(crate) struct DeviceCertificates {
        /// The certificates, newest first.
        device_certificates: Vec<DeviceCertificate>,
        /// The page.
        page: Page,
    }
}

reply! {
    /// A device, in short.
    pub(crate) struct DeviceSimple {
        /// Resource space.
        app_id: String,
        /// The id.
        device_id: String,
        /// What the device calls itself.
        node_id: String,
        /// The gateway it is behind; its own id when it connects itself.
        gateway_id: String,
        /// Display name.
        device_name: Option<String>,
        /// Its product.
        product_id: String,
    }
}

reply! {
    /// A page of devices, in short.
    pub(crate) struct SimpleDevices {
        /// The devices, newest first.
        devices: Vec<DeviceSimple>,
        /// The page.
        page: Page,
    }
}

reply! {
    /// A fingerprint that was replaced.
    pub(crate) struct FingerprintReply {
        /// The device.
        device_id: String,
        /// The fingerprint; absent when it was cleared.
        fingerprint: Option<String>,
        /// PRIMARY or SECONDARY.
        fingerprint_type: &'static str,
    }
}

fn certificate_reply(record: Record, whole: bool) -> DeviceCertificate {
    DeviceCertificate {
        certificate_id: record.id,
        common_name: record.common_name,
        expiry_date: Compact(record.expires_at),
        fingerprint: record.sha256,
        status: if record.active { "ACTIVE" } else { "INACTIVE" },
        certificate_pem: whole.then_some(record.content),
    }
}

impl From<registry::Device> for DeviceSimple {
    fn from(device: registry::Device) -> Self {
        Self {
            app_id: device.app_id.to_string(),
            device_id: device.id.to_string(),
            node_id: device.node_id.to_string(),
            gateway_id: device.gateway_id.unwrap_or(device.id).to_string(),
            device_name: device.name,
            product_id: device.product_id.to_string(),
        }
    }
}

pub(super) static LIST: Built =
    Built::new("Lists certificates that devices have shown.", json::<DeviceCertificates>(200), |c| Box::pin(list(c)))
        .query(&[
            Param::optional::<Text<Any, 1, 32>>("common_name", "Only those whose common name begins so."),
            Param::optional::<Fingerprint>("fingerprint", "Only the one with this SHA-1 or SHA-256."),
        ])
        .paged();

async fn list(call: Call) -> Result<Reply> {
    let filter = DeviceCertificateFilter {
        spaces: call.allowed.clone(),
        common_name: call.query::<Text<Any, 1, 32>>("common_name")?.map(Text::into_string),
        fingerprint: call.query::<Fingerprint>("fingerprint")?.map(|f| f.into_string().to_ascii_lowercase()),
    };
    let found = call.platform().list_device_certificates(&filter, call.page()?).await?;
    let page = Page::of(&found);
    let device_certificates = found.items.into_iter().map(|c| certificate_reply(c, false)).collect();
    Reply::ok(&DeviceCertificates { device_certificates, page })
}

pub(super) static SHOW: Built =
    Built::new("Shows a certificate of a device.", json::<DeviceCertificate>(200), |c| Box::pin(show(c)))
        .errors(&[Code::DeviceCertificateNotFound]);

async fn show(call: Call) -> Result<Reply> {
    let found = call.platform().device_certificate(&call.allowed, call.path("certificate_id")).await?;
    Reply::ok(&certificate_reply(found, true))
}

pub(super) static UPDATE: Built =
    Built::new("Revokes a certificate of a device, or lets it be used again.", json::<DeviceCertificate>(200), |c| {
        Box::pin(update(c))
    })
    .body::<UpdateDeviceCertificate>()
    .errors(&[Code::DeviceCertificateNotFound]);

async fn update(call: Call) -> Result<Reply> {
    let asked: UpdateDeviceCertificate = call.body()?;
    let (id, active) = (call.path("certificate_id"), asked.status.as_str() == "ACTIVE");
    let changed = call.platform().set_device_certificate_active(&call.allowed, id, active).await?;
    Reply::ok(&certificate_reply(changed, true))
}

pub(super) static DELETE: Built =
    Built::new("Deletes the record of a certificate that no device uses.", Success::Empty, |c| Box::pin(delete(c)))
        .errors(&[Code::DeviceCertificateNotFound, Code::DeviceCertificateInUse]);

async fn delete(call: Call) -> Result<Reply> {
    call.platform().delete_device_certificate(&call.allowed, call.path("certificate_id")).await?;
    Ok(Reply::empty())
}

pub(super) static LIST_DEVICES: Built =
    Built::new("Lists the devices that use a certificate.", json::<SimpleDevices>(200), |c| Box::pin(list_devices(c)))
        .body::<ListPage>()
        .errors(&[
            Code::DeviceCertificateNotFound,
            Code::LimitOutOfRange,
            Code::MarkerOutOfRange,
            Code::OffsetOutOfRange,
        ]);

async fn list_devices(call: Call) -> Result<Reply> {
    let asked: ListPage =
        if call.body.is_empty() { ListPage { limit: None, marker: None, offset: None } } else { call.body()? };
    let page = page_of_body(asked.limit, asked.marker.as_deref(), asked.offset)?;
    let found = call.platform().devices_of_certificate(&call.allowed, call.path("certificate_id"), page).await?;
    let page = Page::of(&found);
    Reply::ok(&SimpleDevices { devices: found.items.into_iter().map(DeviceSimple::from).collect(), page })
}

pub(super) static RESET_FINGERPRINT: Built =
    Built::new("Replaces or clears a fingerprint of a device.", json::<FingerprintReply>(200), |c| {
        Box::pin(reset_fingerprint(c))
    })
    .body::<ResetFingerprint>()
    .errors(&[Code::DeviceNotFound, Code::WrongAuthType]);

async fn reset_fingerprint(call: Call) -> Result<Reply> {
    let id = call.device_id()?;
    let asked: ResetFingerprint = if call.body.is_empty() {
        ResetFingerprint { fingerprint: None, force_disconnect: None, fingerprint_type: None }
    } else {
        call.body()?
    };
    let fingerprint_type = asked.fingerprint_type.map_or("PRIMARY", |t| t.as_str());
    let slot = if fingerprint_type == "SECONDARY" { CredentialSlot::Secondary } else { CredentialSlot::Primary };
    let fingerprint = asked.fingerprint.map(Fingerprint::into_string);
    let fingerprint =
        call.platform().reset_fingerprint(&id, fingerprint, slot, asked.force_disconnect.unwrap_or(false)).await?;
    Reply::ok(&FingerprintReply { device_id: id.to_string(), fingerprint, fingerprint_type })
}
