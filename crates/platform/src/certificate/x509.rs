//! Reading certificates (RFC 5280). Everything here is bounded by the size of the input.

use causeway_model::Timestamp;
use ring::digest;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::{PemObject as _, SectionKind};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_NIST_EC_P384, OID_PKCS9_EMAIL_ADDRESS, OID_SIG_ED25519, OID_X509_COMMON_NAME, Oid,
};
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{SubjectPublicKeyInfo, X509Name, X509Version};

use super::MAX_DER;

/// Smallest and largest RSA keys that signatures are checked with, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// Longest name that is shown, in characters.
const LONGEST_NAME: usize = 1024;

/// Reads one certificate; `None` when it is none, or too large.
#[must_use]
pub fn read(der: &[u8]) -> Option<X509Certificate<'_>> {
    if der.len() > MAX_DER {
        return None;
    }
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Some(certificate),
        _ => None,
    }
}

/// The subject's public key, DER; `None` when the certificate cannot be read.
#[must_use]
pub fn public_key(der: &[u8]) -> Option<&[u8]> {
    Some(read(der)?.tbs_certificate.subject_pki.raw)
}

/// The certificates of a PEM text, in order. The error completes "… the content".
pub(crate) fn certificates_of_pem(text: &str) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    let mut found = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes()) {
        let Ok((kind, der)) = section else { return Err("it is not PEM") };
        match kind {
            SectionKind::Certificate => found.push(CertificateDer::from(der)),
            SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey => {
                return Err("it holds a private key; a private key must never leave its owner");
            }
            _ => {}
        }
    }
    Ok(found)
}

/// A certificate as PEM.
pub(crate) fn pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut pem = String::with_capacity(text.len() + text.len() / 64 + 60);
    pem.push_str("-----BEGIN CERTIFICATE-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(std::str::from_utf8(line).expect("Base64 is ASCII"));
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

/// SHA-256 and SHA-1 of a certificate.
pub(crate) struct Fingerprints {
    pub(crate) sha256: [u8; 32],
    /// Lower-case hex.
    pub(crate) sha256_text: String,
    /// Lower-case hex.
    pub(crate) sha1_text: String,
}

impl Fingerprints {
    pub(crate) fn of(der: &[u8]) -> Self {
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest::digest(&digest::SHA256, der).as_ref());
        // Not a matter of trust here: the signature of the authority is what proves the certificate.
        let sha1 = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, der);
        Self { sha256, sha256_text: hex::encode(sha256), sha1_text: hex::encode(sha1.as_ref()) }
    }

    /// Whether a stored fingerprint, of either kind, is of this certificate.
    pub(crate) fn matches(&self, stored: &str) -> bool {
        stored.eq_ignore_ascii_case(&self.sha256_text) || stored.eq_ignore_ascii_case(&self.sha1_text)
    }
}

/// From and to, both included.
pub(crate) fn validity(certificate: &X509Certificate<'_>) -> (Timestamp, Timestamp) {
    let at = |time: x509_parser::time::ASN1Time| Timestamp(time.timestamp().saturating_mul(1000));
    (at(certificate.validity().not_before), at(certificate.validity().not_after))
}

/// The first value of an attribute of a name, without control characters.
pub(crate) fn attribute(name: &X509Name<'_>, oid: &Oid<'_>) -> Option<String> {
    let found = name.iter_attributes().find(|a| a.attr_type() == oid)?;
    let text = text_of(found.attr_value().tag().0, found.as_slice())?;
    let text: String = text.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
    (!text.is_empty()).then_some(text)
}

/// A string of a name by its ASN.1 type.
fn text_of(tag: u32, bytes: &[u8]) -> Option<String> {
    match tag {
        // UTF8String, NumericString, PrintableString, IA5String
        12 | 18 | 19 | 22 => std::str::from_utf8(bytes).ok().map(str::to_owned),
        // TeletexString, in practice Latin 1
        20 => Some(bytes.iter().map(|b| char::from(*b)).collect()),
        // BMPString
        30 => {
            let units: Vec<u16> = bytes.chunks_exact(2).map(|p| u16::from_be_bytes([p[0], p[1]])).collect();
            String::from_utf16(&units).ok()
        }
        _ => None,
    }
}

/// The common name of the subject.
pub(crate) fn common_name(certificate: &X509Certificate<'_>) -> Option<String> {
    attribute(certificate.subject(), &OID_X509_COMMON_NAME)
}

/// A name as people read it, the most specific part first: `EMAILADDRESS=a@b, CN=x, O=y` (RFC 4514 §2.4).
pub(crate) fn distinguished_name(name: &X509Name<'_>) -> String {
    let mut parts = Vec::new();
    for attribute in name.iter_attributes() {
        let value = text_of(attribute.attr_value().tag().0, attribute.as_slice())
            .unwrap_or_else(|| format!("#{}", hex::encode(attribute.as_slice())));
        let mut escaped = String::with_capacity(value.len());
        for c in value.chars().filter(|c| !c.is_control()) {
            if matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';') {
                escaped.push('\\');
            }
            escaped.push(c);
        }
        parts.push(format!("{}={escaped}", attribute_word(attribute.attr_type())));
    }
    parts.reverse();
    parts.join(", ").chars().take(LONGEST_NAME).collect()
}

fn attribute_word(oid: &Oid<'_>) -> String {
    let text = oid.to_id_string();
    let word = match text.as_str() {
        "2.5.4.3" => "CN",
        "2.5.4.5" => "SERIALNUMBER",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "2.5.4.46" => "DNQ",
        "0.9.2342.19200300.100.1.25" => "DC",
        _ if *oid == OID_PKCS9_EMAIL_ADDRESS => "EMAILADDRESS",
        _ => return text,
    };
    word.to_owned()
}

/// Whether `certificate` was signed with the private key that belongs to `key`, by an algorithm that holds today.
pub(crate) fn is_signed_by(certificate: &X509Certificate<'_>, key: &SubjectPublicKeyInfo<'_>) -> bool {
    // RFC 5280 §4.1.1.2: the algorithm stands twice, once outside of what is signed.
    certificate.signature_algorithm == certificate.tbs_certificate.signature
        && !is_sha1(&certificate.signature_algorithm.algorithm)
        && certificate.verify_signature(Some(key)).is_ok()
}

/// SHA-1 collisions can be made: a signature over one says nothing.
fn is_sha1(algorithm: &Oid<'_>) -> bool {
    matches!(algorithm.to_id_string().as_str(), "1.2.840.113549.1.1.5" | "1.3.14.3.2.29" | "1.2.840.10045.4.1")
}

/// What is wrong with a public key; `None` when signatures made with it can be checked.
pub(crate) fn key_fault(key: &SubjectPublicKeyInfo<'_>) -> Option<&'static str> {
    match key.parsed() {
        Ok(PublicKey::RSA(rsa)) => {
            (!RSA_BITS.contains(&rsa.key_size())).then_some("its RSA key must have 2048 to 8192 bits")
        }
        Ok(PublicKey::EC(_)) => {
            let curve = key.algorithm.parameters.as_ref().and_then(|p| p.as_oid().ok());
            let is_known = curve.is_some_and(|c| c == OID_EC_P256 || c == OID_NIST_EC_P384);
            (!is_known).then_some("its EC key must be on the curve P-256 or P-384")
        }
        _ if key.algorithm.algorithm == OID_SIG_ED25519 => None,
        _ => Some("its key must be RSA, EC (P-256, P-384) or Ed25519"),
    }
}

/// How many authorities may stand below one, when it may sign certificates at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MaySign(pub(crate) Option<u32>);

/// Whether a certificate is one of an authority; the error says why not.
///
/// Certificates of version 1 have no place to say so. Those that their own key signed are taken: whoever uploads one
/// says what it is, and the verification shows whose it is. The guide makes such ones (002 §11.2.1).
pub(crate) fn may_sign(certificate: &X509Certificate<'_>, is_anchor: bool) -> Result<MaySign, &'static str> {
    if certificate.version() != X509Version::V3 {
        let is_own = certificate.subject().as_raw() == certificate.issuer().as_raw();
        return if is_anchor && is_own {
            Ok(MaySign(None))
        } else {
            Err("it is not the certificate of an authority (basicConstraints CA:TRUE is missing)")
        };
    }
    if let Some(fault) = extension_fault(certificate) {
        return Err(fault);
    }
    let basic = certificate.basic_constraints().map_err(|_| "its basicConstraints cannot be read")?;
    let Some(basic) = basic.map(|b| b.value).filter(|b| b.ca) else {
        return Err("it is not the certificate of an authority (basicConstraints CA:TRUE is missing)");
    };
    let usage = certificate.key_usage().map_err(|_| "its keyUsage cannot be read")?;
    if usage.is_some_and(|u| !u.value.key_cert_sign()) {
        return Err("its keyUsage does not allow it to sign certificates (keyCertSign is missing)");
    }
    Ok(MaySign(basic.path_len_constraint))
}

/// What a certificate holds that may not be overlooked and is not understood (RFC 5280 §4.2).
pub(crate) fn extension_fault(certificate: &X509Certificate<'_>) -> Option<&'static str> {
    let mut oids: Vec<_> = certificate.extensions().iter().map(|e| &e.oid).collect();
    oids.sort_unstable_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    if oids.windows(2).any(|pair| pair[0] == pair[1]) {
        return Some("it holds an extension twice");
    }
    let is_understood = |extension: &ParsedExtension<'_>| {
        matches!(
            extension,
            ParsedExtension::BasicConstraints(_)
                | ParsedExtension::KeyUsage(_)
                | ParsedExtension::ExtendedKeyUsage(_)
                | ParsedExtension::SubjectAlternativeName(_)
                | ParsedExtension::SubjectKeyIdentifier(_)
                | ParsedExtension::AuthorityKeyIdentifier(_)
                | ParsedExtension::CertificatePolicies(_)
        )
    };
    let foreign = certificate.extensions().iter().any(|e| e.critical && !is_understood(e.parsed_extension()));
    foreign.then_some("it holds a critical extension that the platform does not judge, such as nameConstraints")
}

/// Whether a device may show the certificate as its own; the error says why not.
pub(crate) fn device_fault(certificate: &X509Certificate<'_>) -> Option<&'static str> {
    if let Some(fault) = key_fault(certificate.public_key()).or_else(|| extension_fault(certificate)) {
        return Some(fault);
    }
    if certificate.is_ca() {
        return Some("it is the certificate of an authority, not of a device");
    }
    match certificate.extended_key_usage() {
        Err(_) => Some("its extendedKeyUsage cannot be read"),
        Ok(Some(usage)) if !usage.value.client_auth && !usage.value.any => {
            Some("its extendedKeyUsage does not allow it for clients (clientAuth is missing)")
        }
        Ok(_) => None,
    }
}

/// Why a host may not show the certificate as its own; `None` when it may.
pub(crate) fn server_fault(certificate: &X509Certificate<'_>) -> Option<&'static str> {
    if let Some(fault) = key_fault(certificate.public_key()).or_else(|| extension_fault(certificate)) {
        return Some(fault);
    }
    match certificate.extended_key_usage() {
        Err(_) => Some("its extendedKeyUsage cannot be read"),
        Ok(Some(usage)) if !usage.value.server_auth && !usage.value.any => {
            Some("its extendedKeyUsage does not allow it for servers (serverAuth is missing)")
        }
        Ok(_) => None,
    }
}

/// The identifier of its own key, if it names one.
pub(crate) fn own_key_id<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    certificate.extensions().iter().find_map(|e| match e.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0),
        _ => None,
    })
}

/// The identifier of the key that signed it, if it names one.
pub(crate) fn signing_key_id<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    certificate.extensions().iter().find_map(|e| match e.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|k| k.0),
        _ => None,
    })
}
