//! Topics, filters and client ids: nothing panics, and no granted filter reaches another device.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| causeway_door_mqtt::fuzzing::topic(text));
