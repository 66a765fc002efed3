//! The body of a template: checked when it comes in, filled in when a device connects.

use causeway_model::{Code, Error, ProductId, Result};
use serde_json::{Map, Value};
use x509_parser::oid_registry::{
    OID_X509_COMMON_NAME, OID_X509_COUNTRY_NAME, OID_X509_DN_QUALIFIER, OID_X509_ORGANIZATION_NAME,
    OID_X509_ORGANIZATIONAL_UNIT, OID_X509_SERIALNUMBER, OID_X509_STATE_OR_PROVINCE_NAME, Oid,
};
use x509_parser::x509::X509Name;

use crate::certificate::x509::attribute;

/// Largest body, in bytes.
pub(super) const MAX_BODY: usize = 16 << 10;
/// Most tags of a device.
const MAX_TAGS: usize = 10;
/// Most device policies that a template names.
const MAX_POLICIES: usize = 10;

/// A part of the subject of the device's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parameter {
    Country,
    Organization,
    OrganizationalUnit,
    Qualifier,
    State,
    CommonName,
    SerialNumber,
}

impl Parameter {
    const ALL: [(&'static str, Self); 7] = [
        ("iotda::certificate::country", Self::Country),
        ("iotda::certificate::organization", Self::Organization),
        ("iotda::certificate::organizational_unit", Self::OrganizationalUnit),
        ("iotda::certificate::distinguished_name_qualifier", Self::Qualifier),
        ("iotda::certificate::state_name", Self::State),
        ("iotda::certificate::common_name", Self::CommonName),
        ("iotda::certificate::serial_number", Self::SerialNumber),
    ];

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(n, _)| *n == name).map(|(_, p)| *p)
    }

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, p)| *p == self).map_or("", |(n, _)| n)
    }

    fn oid(self) -> Oid<'static> {
        match self {
            Self::Country => OID_X509_COUNTRY_NAME,
            Self::Organization => OID_X509_ORGANIZATION_NAME,
            Self::OrganizationalUnit => OID_X509_ORGANIZATIONAL_UNIT,
            Self::Qualifier => OID_X509_DN_QUALIFIER,
            Self::State => OID_X509_STATE_OR_PROVINCE_NAME,
            Self::CommonName => OID_X509_COMMON_NAME,
            Self::SerialNumber => OID_X509_SERIALNUMBER,
        }
    }
}

/// A text that stands in the template, or one taken from the certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Text {
    Fixed(String),
    Of(Parameter),
}

/// A checked body.
#[derive(Debug)]
pub(super) struct Template {
    parameters: Vec<Parameter>,
    device_id: Option<Parameter>,
    device_name: Option<Parameter>,
    node_id: Parameter,
    product_id: Text,
    tags: Vec<(Text, Text)>,
    /// Device policies for the new device.
    pub(super) policies: Vec<String>,
}

/// A body filled in with the subject of a certificate; each text is still to be checked by the rule of its kind.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Filled {
    pub(super) device_id: Option<String>,
    pub(super) device_name: Option<String>,
    pub(super) node_id: String,
    pub(super) product_id: String,
    pub(super) tags: Vec<(String, String)>,
}

fn invalid(place: &str, rule: &str) -> Error {
    Error::new(Code::InvalidTemplate, format!("Invalid input. 'template_body.{place}' {rule}."))
}

fn object<'a>(value: Option<&'a Value>, place: &str) -> Result<&'a Map<String, Value>> {
    value.and_then(Value::as_object).ok_or_else(|| invalid(place, "must be a JSON object"))
}

fn list<'a>(value: Option<&'a Value>, place: &str, most: usize) -> Result<&'a [Value]> {
    match value {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(items)) if items.len() <= most => Ok(items),
        Some(_) => Err(invalid(place, &format!("must be a list of at most {most} items"))),
    }
}

/// Whether a text may be the key or the value of a tag (`iotda-v5-api.md`, Tag).
fn is_tag(text: &str, longest: usize) -> bool {
    let length = text.chars().count();
    (1..=longest).contains(&length) && text.chars().all(|c| c.is_alphanumeric() || "_.-".contains(c))
}

impl Template {
    /// Reads and checks a body.
    ///
    /// # Errors
    /// [`Code::InvalidTemplate`] names the place.
    pub(super) fn parse(body: &str) -> Result<Self> {
        let body: Value = serde_json::from_str(body)
            .map_err(|_| Error::new(Code::InvalidTemplate, "Invalid input. 'template_body' must be a JSON object."))?;
        let mut parameters = Vec::new();
        for (name, kind) in object(body.get("parameters"), "parameters")? {
            let Some(parameter) = Parameter::parse(name) else {
                let known: Vec<_> = Parameter::ALL.iter().map(|(n, _)| *n).collect();
                let shown: String = name.chars().take(64).collect();
                let rule = format!("names the parameter '{shown}', which is none of {}", known.join(", "));
                return Err(invalid("parameters", &rule));
            };
            let kind = kind.get("type").and_then(Value::as_str);
            if !kind.is_some_and(|k| k.eq_ignore_ascii_case("string")) {
                return Err(invalid(&format!("parameters.{name}.type"), "must be String"));
            }
            parameters.push(parameter);
        }
        let declared = Declared(&parameters);
        let resources = object(body.get("resources"), "resources")?;
        let device = object(resources.get("device"), "resources.device")?;
        let optional = |field: &str| match device.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => declared.reference(value, &format!("resources.device.{field}")).map(Some),
        };
        let node_id = optional("node_id")?
            .ok_or_else(|| invalid("resources.device.node_id", "is missing; it must be {\"ref\": \"<parameter>\"}"))?;
        let product_id = declared.text(device.get("product_id"), "resources.device.product_id")?;
        if let Text::Fixed(id) = &product_id
            && ProductId::parse(id).is_err()
        {
            let rule = "must be 1 to 36 characters of letters, digits, '_' and '-', or {\"ref\": \"<parameter>\"}";
            return Err(invalid("resources.device.product_id", rule));
        }
        let mut tags = Vec::new();
        for (i, tag) in list(device.get("tags"), "resources.device.tags", MAX_TAGS)?.iter().enumerate() {
            let part = |field: &str, longest: usize| {
                let place = format!("resources.device.tags[{i}].{field}");
                let text = declared.text(tag.get(field), &place)?;
                match &text {
                    Text::Fixed(fixed) if !is_tag(fixed, longest) => {
                        Err(invalid(&place, &format!("must be 1 to {longest} letters, digits, '_', '.' and '-'")))
                    }
                    _ => Ok(text),
                }
            };
            tags.push((part("tag_key", 64)?, part("tag_value", 128)?));
        }
        let policies = match resources.get("policy") {
            None | Some(Value::Null) => Vec::new(),
            Some(policy) => {
                let policy = object(Some(policy), "resources.policy")?;
                let ids = list(policy.get("policy_ids"), "resources.policy.policy_ids", MAX_POLICIES)?;
                let read = |id: &Value| {
                    let id = id.as_str().filter(|id| ProductId::parse(id).is_ok()).map(str::to_owned);
                    id.ok_or_else(|| invalid("resources.policy.policy_ids", "must hold ids of device policies"))
                };
                ids.iter().map(read).collect::<Result<_>>()?
            }
        };
        let (device_id, device_name) = (optional("device_id")?, optional("device_name")?);
        Ok(Self { parameters, device_id, device_name, node_id, product_id, tags, policies })
    }

    /// Fills in the subject of a certificate.
    ///
    /// # Errors
    /// [`Code::InvalidTemplate`] names a parameter that the template declares and the subject does not have.
    pub(super) fn fill(&self, subject: &X509Name<'_>) -> Result<Filled> {
        let mut values = Vec::with_capacity(self.parameters.len());
        for parameter in &self.parameters {
            let value = attribute(subject, &parameter.oid()).ok_or_else(|| {
                let message = format!("The subject of the certificate has no value for '{}'.", parameter.name());
                Error::new(Code::InvalidTemplate, message)
            })?;
            values.push((*parameter, value));
        }
        let of = |wanted: Parameter| {
            let found = values.iter().find(|(p, _)| *p == wanted);
            found.map(|(_, v)| v.clone()).expect("references are checked to be declared")
        };
        let text = |text: &Text| match text {
            Text::Fixed(fixed) => fixed.clone(),
            Text::Of(parameter) => of(*parameter),
        };
        let tags: Vec<_> = self.tags.iter().map(|(k, v)| (text(k), text(v))).collect();
        if let Some((key, value)) = tags.iter().find(|(k, v)| !is_tag(k, 64) || !is_tag(v, 128)) {
            let message =
                format!("The subject of the certificate gives the tag '{key}' = '{value}', which cannot be one.");
            return Err(Error::new(Code::InvalidTemplate, message));
        }
        Ok(Filled {
            device_id: self.device_id.map(of),
            device_name: self.device_name.map(of),
            node_id: of(self.node_id),
            product_id: text(&self.product_id),
            tags,
        })
    }
}

struct Declared<'a>(&'a [Parameter]);

impl Declared<'_> {
    fn reference(&self, value: &Value, place: &str) -> Result<Parameter> {
        let Some(name) = value.get("ref").and_then(Value::as_str) else {
            return Err(invalid(place, "must be {\"ref\": \"<parameter>\"}"));
        };
        let found = Parameter::parse(name).filter(|p| self.0.contains(p));
        found.ok_or_else(|| invalid(&format!("{place}.ref"), "must name a parameter of 'template_body.parameters'"))
    }

    fn text(&self, value: Option<&Value>, place: &str) -> Result<Text> {
        match value {
            Some(Value::String(text)) => Ok(Text::Fixed(text.clone())),
            Some(value @ Value::Object(_)) => self.reference(value, place).map(Text::Of),
            _ => Err(invalid(place, "must be a string or {\"ref\": \"<parameter>\"}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
    use serde_json::json;

    use super::*;
    use crate::certificate::x509;

    fn body() -> Value {
        json!({
            "parameters": {
                "iotda::certificate::common_name": {"type": "String"},
                "iotda::certificate::country": {"type": "string"},
            },
            "resources": {
                "device": {
                    "device_id": {"ref": "iotda::certificate::common_name"},
                    "node_id": {"ref": "iotda::certificate::common_name"},
                    "product_id": "p1",
                    "tags": [{"tag_key": "land", "tag_value": {"ref": "iotda::certificate::country"}}],
                },
                "policy": {"policy_ids": ["0123456789abcdef01234567"]},
            },
        })
    }

    fn filled(body: &Value, subject: &[(DnType, &str)]) -> Result<Filled> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in subject {
            params.distinguished_name.push(kind.clone(), *value);
        }
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let certificate = x509::read(certificate.der()).expect("a certificate");
        Template::parse(&body.to_string())?.fill(certificate.subject())
    }

    #[test]
    fn a_subject_is_filled_in() {
        let found =
            filled(&body(), &[(DnType::CommonName, "meter-7"), (DnType::CountryName, "CN")]).expect("filled in");
        let expected = Filled {
            device_id: Some("meter-7".to_owned()),
            device_name: None,
            node_id: "meter-7".to_owned(),
            product_id: "p1".to_owned(),
            tags: vec![("land".to_owned(), "CN".to_owned())],
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn every_declared_parameter_must_be_there() {
        let error = filled(&body(), &[(DnType::CommonName, "meter-7")]).expect_err("no country");
        assert!(error.message().contains("iotda::certificate::country"), "{error}");
        let error = filled(&body(), &[(DnType::CommonName, "x"), (DnType::CountryName, "C N")]).expect_err("no tag");
        assert!(error.message().contains("land"), "{error}");
    }

    #[test]
    fn faults_are_named_with_their_place() {
        let check = |pointer: &str, value: Value, place: &str| {
            let mut body = body();
            *body.pointer_mut(pointer).expect("a place") = value;
            let error = Template::parse(&body.to_string()).expect_err(place);
            assert_eq!(error.code(), Code::InvalidTemplate);
            assert!(error.message().contains(&format!("'template_body.{place}'")), "{error}");
        };
        check("/parameters", json!([]), "parameters");
        check("/parameters", json!({"x": {"type": "String"}}), "parameters");
        check(
            "/parameters/iotda::certificate::country/type",
            json!("Integer"),
            "parameters.iotda::certificate::country.type",
        );
        check("/resources", json!(7), "resources");
        check("/resources/device", json!(null), "resources.device");
        check("/resources/device/node_id", json!("fixed"), "resources.device.node_id");
        check("/resources/device/node_id", json!(null), "resources.device.node_id");
        check(
            "/resources/device/node_id",
            json!({"ref": "iotda::certificate::serial_number"}),
            "resources.device.node_id.ref",
        );
        check("/resources/device/product_id", json!("a b"), "resources.device.product_id");
        check("/resources/device/product_id", json!(7), "resources.device.product_id");
        check("/resources/device/tags", json!({}), "resources.device.tags");
        check("/resources/device/tags/0/tag_key", json!("a b"), "resources.device.tags[0].tag_key");
        check("/resources/policy/policy_ids", json!([7]), "resources.policy.policy_ids");
        assert!(Template::parse("[]").is_err());
        assert!(Template::parse("{").is_err());
    }
}
