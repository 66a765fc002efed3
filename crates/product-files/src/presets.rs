//! Ready product models for common kinds of devices.

use std::sync::LazyLock;

use causeway_model::product::ServiceCapability;
use serde_json::Value;

/// A ready model.
#[derive(Clone, Debug, PartialEq)]
pub struct Preset {
    /// Its name in addresses, like `water-meter`.
    pub id: String,
    /// What it is, in English.
    pub name: String,
    /// What it is, in Chinese.
    pub name_zh: String,
    /// Trade it belongs to.
    pub industry: String,
    /// Kind of device.
    pub device_type: String,
    /// Usual protocol.
    pub protocol_type: String,
    /// `json` or `binary`.
    pub data_format: String,
    /// One sentence.
    pub description: String,
    /// The model.
    pub services: Vec<ServiceCapability>,
}

macro_rules! files {
    ($($id:literal),* $(,)?) => {
        [$(($id, include_str!(concat!("../presets/", $id, ".json")))),*]
    };
}

static PRESETS: LazyLock<Vec<Preset>> = LazyLock::new(|| {
    files![
        "thermo-hygrometer",
        "water-meter",
        "electricity-meter",
        "gas-meter",
        "smoke-detector",
        "street-light",
        "parking-sensor",
        "asset-tracker",
        "air-conditioner",
        "industrial-gateway",
    ]
    .into_iter()
    .map(|(id, text)| preset(id, text))
    .collect()
});

/// Every preset.
#[must_use]
pub fn all() -> &'static [Preset] {
    &PRESETS
}

/// The preset with this id.
#[must_use]
pub fn find(id: &str) -> Option<&'static Preset> {
    all().iter().find(|p| p.id == id)
}

fn preset(id: &str, text: &str) -> Preset {
    let mut value: Value = serde_json::from_str(text).expect("a preset is JSON; a test reads them all");
    let services =
        serde_json::from_value(value["services"].take()).expect("a preset holds a model; a test reads them all");
    let word = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    Preset {
        id: id.to_owned(),
        name: word("name"),
        name_zh: word("name_zh"),
        industry: word("industry"),
        device_type: word("device_type"),
        protocol_type: word("protocol_type"),
        data_format: word("data_format"),
        description: word("description"),
        services,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_whole_and_sound() {
        assert_eq!(all().len(), 10);
        for preset in all() {
            assert_eq!(causeway_model::product::model_faults(&preset.services), [], "{}", preset.id);
            let words = [&preset.name, &preset.name_zh, &preset.industry, &preset.device_type, &preset.description];
            assert!(words.iter().all(|w| !w.is_empty()), "{}", preset.id);
            assert!(!preset.services.is_empty() && preset.services.iter().all(|s| s.service_type == s.service_id));
        }
    }
}
