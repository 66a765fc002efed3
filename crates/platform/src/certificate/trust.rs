//! The authorities of the instance, compiled: what a CONNECT is judged by without reading the store.

use std::collections::HashMap;
use std::sync::Arc;

use causeway_model::certificate::CaCertificate;
use causeway_model::{AppId, RecordNo, Result, Timestamp};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::x509;
use crate::Platform;

/// Most signatures that are checked for one CONNECT.
const BUDGET: u32 = 32;

/// One authority.
#[derive(Debug)]
pub(crate) struct Anchor {
    pub(crate) no: RecordNo,
    pub(crate) app_id: AppId,
    pub(crate) verified: bool,
    /// The template by which unknown devices are registered.
    pub(crate) template: Option<String>,
    from: Timestamp,
    to: Timestamp,
    key: Box<[u8]>,
    key_id: Option<Box<[u8]>>,
    below: Option<u32>,
}

impl Anchor {
    /// The subject, and the rest; `None` for what cannot be read any more.
    fn compile(ca: &CaCertificate) -> Option<(Box<[u8]>, Self)> {
        let der = CertificateDer::from_pem_slice(ca.content.as_bytes()).ok()?;
        let (subject, anchor) = Self::of_der(&der)?;
        let anchor = Self {
            no: ca.no,
            app_id: ca.app_id.clone(),
            verified: ca.verified,
            template: ca.template_id.clone().filter(|_| ca.provision_enable),
            ..anchor
        };
        Some((subject, anchor))
    }

    /// An authority that belongs to no space.
    fn of_der(der: &[u8]) -> Option<(Box<[u8]>, Self)> {
        let certificate = x509::read(der)?;
        let (from, to) = x509::validity(&certificate);
        let anchor = Self {
            no: RecordNo(0),
            app_id: AppId::trusted(String::new()),
            verified: true,
            template: None,
            from,
            to,
            key: certificate.tbs_certificate.subject_pki.raw.into(),
            key_id: x509::own_key_id(&certificate).map(Into::into),
            below: x509::may_sign(&certificate, true).ok()?.0,
        };
        Some((certificate.subject().as_raw().into(), anchor))
    }

    /// Whether its certificate is valid at `now`.
    pub(crate) fn is_current(&self, now: Timestamp) -> bool {
        self.from <= now && now <= self.to
    }

    fn rank(&self, now: Timestamp) -> u8 {
        match (self.verified, self.is_current(now)) {
            (true, true) => 2,
            (true, false) => 1,
            (false, _) => 0,
        }
    }
}

/// Every authority, found by its subject.
#[derive(Debug, Default)]
pub(crate) struct Trust {
    by_subject: HashMap<Box<[u8]>, Vec<Arc<Anchor>>>,
    /// Rises with every reading of the store; an older reading never replaces a newer one.
    reading: u64,
}

impl Trust {
    pub(crate) fn compile(cas: &[CaCertificate], reading: u64) -> Self {
        let mut by_subject: HashMap<_, Vec<_>> = HashMap::new();
        for ca in cas {
            match Anchor::compile(ca) {
                Some((subject, anchor)) => by_subject.entry(subject).or_default().push(Arc::new(anchor)),
                None => tracing::error!(certificate_id = ca.id, "a stored CA certificate cannot be read"),
            }
        }
        Self { by_subject, reading }
    }

    /// The authorities among certificates that belong to no space.
    pub(crate) fn of_chain(chain: &[CertificateDer<'_>]) -> Self {
        let mut by_subject: HashMap<_, Vec<_>> = HashMap::new();
        for (subject, anchor) in chain.iter().filter_map(|der| Anchor::of_der(der)) {
            by_subject.entry(subject).or_default().push(Arc::new(anchor));
        }
        Self { by_subject, reading: 0 }
    }

    /// Whether the authority is there and verified.
    pub(crate) fn holds(&self, no: RecordNo) -> bool {
        self.by_subject.values().flatten().any(|a| a.no == no && a.verified)
    }

    /// The authority that the first certificate of `chain` is under, among those that `eligible` picks; one that can be
    /// used before one that cannot. `None` when there is no path of signatures to any.
    pub(crate) fn anchor_of(
        &self,
        chain: &[X509Certificate<'_>],
        now: Timestamp,
        eligible: impl Fn(&Anchor) -> bool,
    ) -> Option<Arc<Anchor>> {
        let (leaf, rest) = chain.split_first()?;
        let mut search = Search { trust: self, rest, now, eligible, budget: BUDGET, used: 0, best: None };
        search.up_from(leaf, 0);
        search.best
    }
}

/// A depth-first search over the certificates that the device showed.
struct Search<'a, F> {
    trust: &'a Trust,
    rest: &'a [X509Certificate<'a>],
    now: Timestamp,
    eligible: F,
    budget: u32,
    /// Bit `i`: `rest[i]` is on the path.
    used: u32,
    best: Option<Arc<Anchor>>,
}

impl<F: Fn(&Anchor) -> bool> Search<'_, F> {
    fn is_signed(&mut self, certificate: &X509Certificate<'_>, key: &SubjectPublicKeyInfo<'_>) -> bool {
        self.budget = self.budget.saturating_sub(1);
        self.budget > 0 && x509::is_signed_by(certificate, key)
    }

    /// Looks for what signed `certificate`, `depth` authorities above the device. True ends the search.
    fn up_from(&mut self, certificate: &X509Certificate<'_>, depth: u32) -> bool {
        let key_id = x509::signing_key_id(certificate);
        let trust = self.trust;
        for anchor in trust.by_subject.get(certificate.issuer().as_raw()).into_iter().flatten() {
            let other_key = key_id.zip(anchor.key_id.as_deref()).is_some_and(|(wanted, own)| wanted != own);
            let worse = self.best.as_ref().is_some_and(|best| best.rank(self.now) >= anchor.rank(self.now));
            if other_key || worse || anchor.below.is_some_and(|below| below < depth) || !(self.eligible)(anchor) {
                continue;
            }
            let Ok((_, key)) = SubjectPublicKeyInfo::from_der(&anchor.key) else { continue };
            if self.is_signed(certificate, &key) {
                self.best = Some(anchor.clone());
                if anchor.rank(self.now) == 2 {
                    return true;
                }
            }
        }
        for (i, above) in self.rest.iter().enumerate() {
            let is_new = self.used & (1 << i) == 0 && above.subject().as_raw() == certificate.issuer().as_raw();
            if !is_new || !self.may_be_above(above, depth) || !self.is_signed(certificate, above.public_key()) {
                continue;
            }
            self.used |= 1 << i;
            if self.up_from(above, depth + 1) {
                return true;
            }
            self.used &= !(1 << i);
        }
        false
    }

    fn may_be_above(&self, certificate: &X509Certificate<'_>, depth: u32) -> bool {
        let (from, to) = x509::validity(certificate);
        let may_sign = x509::may_sign(certificate, false);
        from <= self.now && self.now <= to && may_sign.is_ok_and(|m| m.0.is_none_or(|below| below >= depth))
    }
}

impl Platform {
    /// Reads the authorities again.
    pub(crate) async fn reload_trust(&self) -> Result<()> {
        let reading = self.trust_readings.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        let fresh = Arc::new(Trust::compile(&self.store.cas().await?, reading));
        // A reading that began earlier and ended later knows less.
        self.trust.rcu(|old| if old.reading > reading { old.clone() } else { fresh.clone() });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    use super::*;

    struct Authority {
        certificate: rcgen::Certificate,
        issuer: Issuer<'static, KeyPair>,
    }

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.use_authority_key_identifier_extension = true;
        params
    }

    fn authority(name: &str, constraint: BasicConstraints, above: Option<&Authority>) -> Authority {
        let key = KeyPair::generate().expect("a key");
        let mut params = params(name);
        params.is_ca = IsCa::Ca(constraint);
        let certificate = match above {
            None => params.self_signed(&key),
            Some(above) => params.signed_by(&key, &above.issuer),
        };
        Authority { certificate: certificate.expect("a certificate"), issuer: Issuer::new(params, key) }
    }

    fn device(under: &Authority) -> rcgen::Certificate {
        let key = KeyPair::generate().expect("a key");
        params("device").signed_by(&key, &under.issuer).expect("a certificate")
    }

    fn record(no: i64, certificate: &rcgen::Certificate) -> CaCertificate {
        let x509 = x509::read(certificate.der()).expect("a certificate");
        let (effective_at, expires_at) = x509::validity(&x509);
        CaCertificate {
            no: RecordNo(no),
            app_id: AppId::trusted("app"),
            id: format!("ca{no}"),
            common_name: None,
            owner: String::new(),
            fingerprint: String::new(),
            content: x509::pem(certificate.der()),
            verified: true,
            verify_code: String::new(),
            provision_enable: false,
            template_id: None,
            ocsp_enable: false,
            ocsp_ssl_enable: false,
            ocsp_server_ca_id: None,
            created_at: Timestamp(0),
            effective_at,
            expires_at,
        }
    }

    #[track_caller]
    fn check(cas: &[CaCertificate], chain: &[&rcgen::Certificate], expected: Option<i64>) {
        let chain: Vec<_> = chain.iter().map(|c| x509::read(c.der()).expect("a certificate")).collect();
        let found = Trust::compile(cas, 1).anchor_of(&chain, Timestamp(1_800_000_000_000), |_| true);
        assert_eq!(found.map(|a| a.no.0), expected);
    }

    #[test]
    fn the_path_is_made_of_signatures() {
        let root = authority("root", BasicConstraints::Unconstrained, None);
        let middle = authority("middle", BasicConstraints::Unconstrained, Some(&root));
        // The same name, another key.
        let fraud = authority("root", BasicConstraints::Unconstrained, None);
        let cas = [record(1, &root.certificate)];
        let (direct, indirect, forged) = (device(&root), device(&middle), device(&fraud));
        check(&cas, &[&direct], Some(1));
        check(&cas, &[&indirect], None);
        check(&cas, &[&indirect, &middle.certificate], Some(1));
        check(&cas, &[&indirect, &fraud.certificate, &middle.certificate], Some(1));
        check(&[record(2, &middle.certificate)], &[&indirect], Some(2));
        check(&cas, &[&forged], None);
        check(&cas, &[&forged, &fraud.certificate], None);
        check(&[], &[&direct], None);
        // A device is no authority.
        check(&cas, &[&indirect, &direct], None);
    }

    #[test]
    fn a_limit_of_the_path_is_kept() {
        let root = authority("root", BasicConstraints::Constrained(0), None);
        let middle = authority("middle", BasicConstraints::Unconstrained, Some(&root));
        let cas = [record(1, &root.certificate)];
        check(&cas, &[&device(&root)], Some(1));
        check(&cas, &[&device(&middle), &middle.certificate], None);
    }

    #[test]
    fn an_authority_that_can_be_used_comes_first() {
        let root = authority("root", BasicConstraints::Unconstrained, None);
        let unverified = CaCertificate { verified: false, ..record(1, &root.certificate) };
        let leaf = device(&root);
        check(&[unverified.clone(), record(2, &root.certificate)], &[&leaf], Some(2));
        check(&[record(2, &root.certificate), unverified.clone()], &[&leaf], Some(2));
        check(&[unverified], &[&leaf], Some(1));
    }

    #[test]
    fn a_maze_of_authorities_ends() {
        let root = authority("root", BasicConstraints::Unconstrained, None);
        let same: Vec<_> = (0..7).map(|_| authority("middle", BasicConstraints::Unconstrained, Some(&root))).collect();
        let leaf = device(&same[6]);
        let mut chain = vec![&leaf];
        chain.extend(same.iter().map(|a| &a.certificate));
        check(&[], &chain, None);
        check(&[record(1, &root.certificate)], &chain, Some(1));
    }
}
