//! Payloads of devices: nothing panics, and what is taken means what a plain JSON reader reads.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|payload: &[u8]| causeway_door_mqtt::fuzzing::report_json(payload));
