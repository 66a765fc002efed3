//! The part of a product model that a device must know, read from the v5 REST interface (`ServiceCapability` and its
//! companions in `iotda-v5-api.md`).

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::value::Kind;

/// A product as `GET /products/{id}` describes it.
#[derive(Debug, Deserialize)]
struct Product {
    #[serde(default, deserialize_with = "nullable")]
    data_format: String,
    #[serde(default, deserialize_with = "nullable")]
    service_capabilities: Vec<ServiceText>,
}

#[derive(Debug, Deserialize)]
struct ServiceText {
    service_id: String,
    #[serde(default, deserialize_with = "nullable")]
    properties: Vec<Field>,
    #[serde(default, deserialize_with = "nullable")]
    commands: Vec<CommandText>,
}

#[derive(Debug, Deserialize)]
struct CommandText {
    command_name: String,
    #[serde(default, deserialize_with = "nullable")]
    responses: Vec<ResponseText>,
}

#[derive(Debug, Deserialize)]
struct ResponseText {
    response_name: String,
    #[serde(default, deserialize_with = "nullable")]
    paras: Vec<Field>,
}

/// A property, or a parameter of a command or its response: the same description under two names.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Field {
    #[serde(alias = "para_name")]
    property_name: String,
    /// `int`, `long`, `decimal`, `string`, `DateTime`, `jsonObject`, `enum`, `boolean`, `string list`.
    pub(super) data_type: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) enum_list: Vec<String>,
    /// A number in quotation marks; taken without them, too.
    #[serde(default)]
    pub(super) min: Option<Value>,
    #[serde(default)]
    pub(super) max: Option<Value>,
    #[serde(default)]
    pub(super) max_length: Option<usize>,
    #[serde(default)]
    pub(super) step: Option<f64>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) unit: String,
    #[serde(default, deserialize_with = "nullable")]
    method: String,
}

/// Reads null as the default.
fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

/// What devices of one product can do. Shared by all of them.
#[derive(Debug, PartialEq)]
pub(super) struct Model {
    /// Services in the order of the product.
    pub(super) services: Vec<Service>,
}

/// A service.
#[derive(Debug, PartialEq)]
pub(super) struct Service {
    /// Its id.
    pub(super) id: String,
    /// Its properties.
    pub(super) properties: Vec<Property>,
    /// Its commands.
    pub(super) commands: Vec<Command>,
}

/// A property.
#[derive(Debug, PartialEq)]
pub(super) struct Property {
    /// Its name.
    pub(super) name: String,
    /// Its values.
    pub(super) kind: Kind,
    /// The device reports it (method R or E).
    pub(super) readable: bool,
    /// The platform may set it (method W); such a property does not change by itself.
    pub(super) writable: bool,
}

/// A command.
#[derive(Debug, PartialEq)]
pub(super) struct Command {
    /// Its name.
    pub(super) name: String,
    /// The answer to it: name and parameters of the first response of the model.
    pub(super) response: Option<(String, Vec<(String, Kind)>)>,
}

impl Model {
    /// Reads the model out of a product.
    ///
    /// # Errors
    /// When it is not the documented JSON, when devices of the product do not speak JSON, or when a data type is
    /// unknown.
    pub(super) fn of_product(product: &Value) -> anyhow::Result<Self> {
        let product = Product::deserialize(product)?;
        anyhow::ensure!(
            product.data_format != "binary",
            "devices of this product send binary data, which only its codec understands; simulate a product with \
             data_format json"
        );
        let mut services = Vec::new();
        for service in product.service_capabilities {
            let mut properties = Vec::new();
            for field in &service.properties {
                properties.push(Property {
                    name: field.property_name.clone(),
                    kind: Kind::of_field(field)?,
                    // An absent method is no restriction.
                    readable: field.method.is_empty() || field.method.contains(['R', 'E']),
                    writable: field.method.contains('W'),
                });
            }
            let mut commands = Vec::new();
            for command in service.commands {
                let response = match command.responses.into_iter().next() {
                    None => None,
                    Some(response) => {
                        let paras = response
                            .paras
                            .iter()
                            .map(|field| Kind::of_field(field).map(|kind| (field.property_name.clone(), kind)));
                        Some((response.response_name, paras.collect::<anyhow::Result<_>>()?))
                    }
                };
                commands.push(Command { name: command.command_name, response });
            }
            services.push(Service { id: service.service_id, properties, commands });
        }
        Ok(Self { services })
    }

    /// The service `id` and its number.
    pub(super) fn service(&self, id: &str) -> Option<(usize, &Service)> {
        self.services.iter().enumerate().find(|(_, service)| service.id == id)
    }
}

impl Service {
    /// The command `name`.
    pub(super) fn command(&self, name: &str) -> Option<&Command> {
        self.commands.iter().find(|command| command.name == name)
    }

    /// The property `name` and its number.
    pub(super) fn property(&self, name: &str) -> Option<(usize, &Property)> {
        self.properties.iter().enumerate().find(|(_, property)| property.name == name)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_sample_product_can_be_simulated() {
        let model = Model::of_product(&super::super::sample::smart_meter()).expect("our own model");
        let (_, meter) = model.service("Meter").expect("the service");
        let (_, relay) = meter.property("relay").expect("the property");
        assert!(relay.readable && relay.writable);
        assert!(meter.command("SwitchRelay").is_some_and(|command| command.response.is_some()));
        let kinds: std::collections::HashSet<_> = (model.services.iter())
            .flat_map(|service| &service.properties)
            .map(|property| std::mem::discriminant(&property.kind))
            .collect();
        assert_eq!(kinds.len(), 8, "the sample shows every kind of value");
    }

    #[test]
    fn absent_and_null_parts_are_empty() {
        let model = Model::of_product(&json!({
            "service_capabilities": [{ "service_id": "S", "properties": null, "commands": [
                { "command_name": "C", "paras": null, "responses": [] }] }]
        }))
        .expect("legal");
        assert_eq!(model.services[0].commands[0], Command { name: "C".into(), response: None });
    }

    #[test]
    fn what_cannot_be_simulated_is_refused() {
        let error = Model::of_product(&json!({ "data_format": "binary" })).expect_err("binary");
        assert!(error.to_string().contains("binary"), "{error}");
        let odd = json!({ "service_capabilities": [{ "service_id": "S", "properties": [
            { "property_name": "p", "data_type": "colour" }] }] });
        assert!(Model::of_product(&odd).expect_err("unknown type").to_string().contains("colour"));
    }
}
