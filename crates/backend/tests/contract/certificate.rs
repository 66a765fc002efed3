//! Certificates and provisioning templates.

use std::sync::Arc;

use causeway_model::certificate::{CaCertificate, DeviceCertificate, ProvisioningTemplate, ServerCertificate};
use causeway_model::registry::{App, PageRequest, Sealed};
use causeway_model::{Code, RecordNo, Spaces};
use causeway_platform::Store;
use causeway_platform::certificate::DeviceCertificateFilter;
use causeway_platform::device::CredentialSlot;

use crate::fixture::{T0, add_device, app, at, product, refused, seed};
use crate::place::Place;

const ALL: PageRequest = PageRequest { marker: RecordNo::LAST, offset: 0, limit: 50 };

fn ca(app: &App, id: &str) -> CaCertificate {
    CaCertificate {
        no: RecordNo(0),
        app_id: app.id.clone(),
        id: id.to_owned(),
        common_name: Some(format!("name of {id}")),
        owner: "CN=x, O=说明".to_owned(),
        fingerprint: format!("fingerprint of {id}"),
        content: "PEM".to_owned(),
        verified: false,
        verify_code: "code".to_owned(),
        provision_enable: false,
        template_id: None,
        ocsp_enable: true,
        ocsp_ssl_enable: false,
        ocsp_server_ca_id: Some("other".to_owned()),
        created_at: T0,
        effective_at: at(-1000),
        expires_at: at(1000),
    }
}

fn certificate(app: &App, ca: &CaCertificate, id: &str) -> DeviceCertificate {
    DeviceCertificate {
        no: RecordNo(0),
        app_id: app.id.clone(),
        id: id.to_owned(),
        ca: ca.no,
        common_name: Some(format!("name of {id}")),
        sha256: format!("sha256 of {id}"),
        sha1: format!("sha1 of {id}"),
        content: "PEM".to_owned(),
        active: true,
        created_at: T0,
        expires_at: at(1000),
    }
}

fn template(id: &str) -> ProvisioningTemplate {
    ProvisioningTemplate {
        no: RecordNo(0),
        id: id.to_owned(),
        name: format!("name of {id}"),
        description: None,
        body: r#"{"a": 1.10}"#.to_owned(),
        created_at: T0,
        updated_at: at(1),
    }
}

async fn ids(store: &dyn Store, filter: &DeviceCertificateFilter) -> Vec<String> {
    let found = store.list_device_certificates(filter, ALL).await.expect("certificates");
    assert_eq!(found.count, found.items.len() as u64);
    found.items.into_iter().map(|c| c.id).collect()
}

pub(crate) async fn authorities_are_kept_whole(place: Arc<Place>) {
    let store = place.open().await;
    let (space, _) = seed(&*store).await;
    let made = store.insert_ca(ca(&space, "c1"), 2).await.expect("an authority");
    assert_eq!(made, CaCertificate { no: made.no, ..ca(&space, "c1") });
    assert_eq!(store.ca("c1").await.expect("an answer"), Some(made.clone()));
    assert_eq!(store.ca("c2").await.expect("an answer"), None);
    assert!(store.set_ca_verified(made.no).await.expect("an answer"));
    let template = store.insert_template(template("t1"), 5).await.expect("a template");
    let changed = CaCertificate {
        verified: true,
        provision_enable: true,
        template_id: Some(template.id.clone()),
        ocsp_enable: false,
        ocsp_ssl_enable: true,
        ocsp_server_ca_id: None,
        ..made.clone()
    };
    assert!(store.update_ca(&changed).await.expect("an answer"));
    assert_eq!(store.ca("c1").await.expect("an answer"), Some(changed.clone()));
    assert_eq!(store.cas().await.expect("an answer"), std::slice::from_ref(&changed));
    refused(store.delete_template(template.no).await, Code::TemplateInUse);
    let nowhere = CaCertificate { template_id: Some("t2".to_owned()), ..changed.clone() };
    refused(store.update_ca(&nowhere).await, Code::TemplateNotFound);
    assert!(store.update_ca(&CaCertificate { template_id: None, ..changed }).await.expect("an answer"));
    assert!(store.delete_template(template.no).await.expect("an answer"));
    assert!(store.delete_ca(made.no).await.expect("an answer"));
    assert!(!store.delete_ca(made.no).await.expect("an answer"));
    assert!(!store.update_ca(&made).await.expect("an answer"));
    assert!(!store.set_ca_verified(made.no).await.expect("an answer"));
}

pub(crate) async fn authorities_are_unique_in_their_space_and_limited(place: Arc<Place>) {
    let store = place.open().await;
    let (first, _) = seed(&*store).await;
    let second = store.insert_app(app("app-2"), 10).await.expect("a space");
    let one = store.insert_ca(ca(&first, "c1"), 3).await.expect("an authority");
    let same = CaCertificate { id: "c2".to_owned(), ..ca(&first, "c1") };
    refused(store.insert_ca(same.clone(), 3).await, Code::CaExists);
    let there = CaCertificate { app_id: second.id.clone(), ..same };
    let two = store.insert_ca(there, 3).await.expect("the same in another space");
    let three = store.insert_ca(ca(&first, "c3"), 3).await.expect("a third one");
    refused(store.insert_ca(ca(&first, "c4"), 3).await, Code::TooManyCas);
    refused(store.insert_ca(ca(&app("nowhere"), "c4"), 9).await, Code::AppNotFound);
    let page = store.list_cas(&Spaces::All, PageRequest { limit: 2, ..ALL }).await.expect("a page");
    assert_eq!((page.items.iter().map(|c| c.no).collect::<Vec<_>>(), page.count), (vec![three.no, two.no], 3));
    let rest = store.list_cas(&Spaces::All, PageRequest { marker: page.marker, ..ALL }).await.expect("a page");
    assert_eq!(rest.items, [one]);
    let there = store.list_cas(&Spaces::one(second.id.clone()), ALL).await.expect("a page");
    assert_eq!((there.items, there.count), (vec![two], 1));
    assert!(store.delete_app(&second.id).await.expect("an answer"));
    assert_eq!(store.cas().await.expect("an answer").len(), 2);
}

pub(crate) async fn certificates_of_devices(place: Arc<Place>) {
    let store = place.open().await;
    let (space, _) = seed(&*store).await;
    let other = store.insert_app(app("app-2"), 10).await.expect("a space");
    let authority = store.insert_ca(ca(&space, "c1"), 9).await.expect("an authority");
    let second = store.insert_ca(ca(&space, "c2"), 9).await.expect("an authority");
    let foreign = store.insert_ca(ca(&other, "c3"), 9).await.expect("an authority");
    let made = store.put_device_certificate(certificate(&space, &authority, "d1")).await.expect("a certificate");
    assert_eq!(made, DeviceCertificate { no: made.no, ..certificate(&space, &authority, "d1") });
    assert!(store.set_device_certificate_active(made.no, false).await.expect("an answer"));
    // Shown again, under another authority: the record stays as it is.
    let again = DeviceCertificate { sha256: made.sha256.clone(), ..certificate(&space, &second, "d2") };
    let again = store.put_device_certificate(again).await.expect("the same");
    assert_eq!(again, DeviceCertificate { ca: second.no, active: false, ..made.clone() });
    assert_eq!(store.device_certificate("d1").await.expect("an answer"), Some(again.clone()));
    assert_eq!(store.device_certificate("d2").await.expect("an answer"), None);
    let (here, there) = (&space.id, &other.id);
    assert_eq!(store.device_certificate_by_sha256(here, &made.sha256).await.expect("an answer"), Some(again));
    assert_eq!(store.device_certificate_by_sha256(there, &made.sha256).await.expect("an answer"), None);
    refused(store.put_device_certificate(certificate(&space, &foreign, "d3")).await, Code::CaNotFound);
    store.put_device_certificate(certificate(&other, &foreign, "d4")).await.expect("a certificate");
    store.put_device_certificate(certificate(&space, &second, "d5")).await.expect("a certificate");

    let all = DeviceCertificateFilter::default();
    assert_eq!(ids(&*store, &all).await, ["d5", "d4", "d1"]);
    let of = |spaces, common_name: Option<&str>, fingerprint: Option<&str>| DeviceCertificateFilter {
        spaces,
        common_name: common_name.map(str::to_owned),
        fingerprint: fingerprint.map(str::to_owned),
    };
    assert_eq!(ids(&*store, &of(Spaces::one(other.id.clone()), None, None)).await, ["d4"]);
    assert_eq!(ids(&*store, &of(Spaces::All, Some("name of d"), None)).await.len(), 3);
    assert_eq!(ids(&*store, &of(Spaces::All, Some("name of d1"), None)).await, ["d1"]);
    assert!(ids(&*store, &of(Spaces::All, Some("ame"), None)).await.is_empty());
    assert_eq!(ids(&*store, &of(Spaces::All, None, Some("sha1 of d4"))).await, ["d4"]);
    assert_eq!(ids(&*store, &of(Spaces::All, None, Some("sha256 of d5"))).await, ["d5"]);
    // They go with their authority.
    assert!(store.delete_ca(second.no).await.expect("an answer"));
    assert_eq!(ids(&*store, &all).await, ["d4"]);
}

pub(crate) async fn what_devices_use_stays(place: Arc<Place>) {
    let store = place.open().await;
    let (space, model) = seed(&*store).await;
    let other = store.insert_app(app("app-2"), 10).await.expect("a space");
    let foreign_model = store.insert_product(product(&other, "p2")).await.expect("a product");
    let authority = store.insert_ca(ca(&space, "c1"), 9).await.expect("an authority");
    let made = store.put_device_certificate(certificate(&space, &authority, "x")).await.expect("a certificate");
    let [one, two] = [add_device(&*store, &model, "one").await, add_device(&*store, &model, "two").await];
    let foreign = add_device(&*store, &foreign_model, "foreign").await;
    assert!(store.bind_fingerprint(foreign.no, &made.sha256).await.expect("an answer"));
    assert_eq!(store.devices_of_certificate(&made, ALL).await.expect("devices").count, 0);

    assert!(store.bind_fingerprint(one.no, &made.sha256).await.expect("an answer"));
    assert!(!store.bind_fingerprint(one.no, "another").await.expect("bound already"));
    let set = |slot, fingerprint| store.set_fingerprint(two.no, slot, fingerprint);
    assert!(set(CredentialSlot::Secondary, Some(made.sha1.as_str())).await.expect("an answer"));
    let stored = store.device(&two.id).await.expect("an answer").expect("the device").auth;
    assert_eq!((stored.fingerprint, stored.secondary_fingerprint.as_ref()), (None, Some(&made.sha1)));
    let users = store.devices_of_certificate(&made, PageRequest { limit: 1, ..ALL }).await.expect("devices");
    assert_eq!((users.items[0].no, users.count), (two.no, 2));
    let rest = PageRequest { marker: users.marker, ..ALL };
    assert_eq!(store.devices_of_certificate(&made, rest).await.expect("devices").items[0].no, one.no);

    refused(store.delete_ca(authority.no).await, Code::CaInUse);
    refused(store.delete_device_certificate(made.no).await, Code::DeviceCertificateInUse);
    assert!(store.delete_device(one.no).await.expect("an answer"));
    refused(store.delete_ca(authority.no).await, Code::CaInUse);
    assert!(set(CredentialSlot::Secondary, None).await.expect("an answer"));
    assert!(store.delete_device_certificate(made.no).await.expect("an answer"));
    assert!(!store.delete_device_certificate(made.no).await.expect("an answer"));
    assert!(store.delete_ca(authority.no).await.expect("an answer"));
    assert!(!store.set_fingerprint(one.no, CredentialSlot::Primary, None).await.expect("gone"));
    assert!(!store.set_device_certificate_active(made.no, false).await.expect("gone"));
}

pub(crate) async fn templates(place: Arc<Place>) {
    let store = place.open().await;
    let made = store.insert_template(template("t1"), 2).await.expect("a template");
    assert_eq!(made, ProvisioningTemplate { no: made.no, ..template("t1") });
    let changed = ProvisioningTemplate {
        description: Some("说明".to_owned()),
        body: "{}".to_owned(),
        updated_at: at(9),
        ..made.clone()
    };
    assert!(store.update_template(&changed).await.expect("an answer"));
    assert_eq!(store.template("t1").await.expect("an answer"), Some(changed.clone()));
    let second = store.insert_template(template("t2"), 2).await.expect("a template");
    refused(store.insert_template(template("t3"), 2).await, Code::TooManyTemplates);
    let all = store.list_templates(None, ALL).await.expect("templates");
    assert_eq!((all.items, all.count), (vec![second.clone(), changed], 2));
    let found = store.list_templates(Some("of t2"), ALL).await.expect("templates").items;
    assert_eq!(found, std::slice::from_ref(&second));
    assert!(store.delete_template(second.no).await.expect("an answer"));
    assert!(!store.delete_template(second.no).await.expect("an answer"));
    assert!(!store.update_template(&second).await.expect("an answer"));
}

pub(crate) async fn server_certificates(place: Arc<Place>) {
    let store = place.open().await;
    let sample = |id: &str| ServerCertificate {
        no: RecordNo(0),
        id: id.to_owned(),
        common_name: None,
        owner: "CN=a".to_owned(),
        issuer: "CN=b".to_owned(),
        fingerprint: format!("fingerprint of {id}"),
        content: "PEM".to_owned(),
        private_key: Sealed(vec![0, 255, 1].into()),
        created_at: T0,
        effective_at: at(-1),
        expires_at: at(1),
    };
    let made = store.insert_server_certificate(sample("s1"), 2).await.expect("a certificate");
    assert_eq!(made, ServerCertificate { no: made.no, ..sample("s1") });
    assert_eq!(store.server_certificate("s1").await.expect("an answer"), Some(made.clone()));
    let same = ServerCertificate { id: "s2".to_owned(), ..sample("s1") };
    refused(store.insert_server_certificate(same, 2).await, Code::ServerCertificateExists);
    let second = store.insert_server_certificate(sample("s2"), 2).await.expect("a certificate");
    refused(store.insert_server_certificate(sample("s3"), 2).await, Code::TooManyServerCertificates);
    let page = store.list_server_certificates(ALL).await.expect("certificates");
    assert_eq!((page.items, page.count), (vec![second, made.clone()], 2));
    assert!(store.delete_server_certificate(made.no).await.expect("an answer"));
    assert!(!store.delete_server_certificate(made.no).await.expect("an answer"));
    assert_eq!(store.server_certificate("s1").await.expect("an answer"), None);
}
