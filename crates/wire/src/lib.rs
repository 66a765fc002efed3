//! Wire formats without I/O: bytes in, typed frames out, and back.
//!
//! A module here is one protocol. It knows the bytes of single packets and every rule that can be checked on one packet
//! alone. It deliberately knows no socket, no clock, no session state, no authorisation, no topic and no product;
//! what two packets mean together is the business of the door that received them. That is why the same code serves the
//! doors, the load generator, the simulator, recorded traffic and the fuzzers.
//!
//! Nothing panics on foreign bytes, nothing is copied while decoding, and every length is checked against what is there
//! before it is believed.
//!
//! Start reading at [`mqtt`]: [`mqtt::split_frame`] cuts one packet off a buffer, [`mqtt::decode_connect`] opens the
//! conversation and [`mqtt::decode_from`] reads what follows. [`amqp`] does the same for consumers of queues. [`report`]
//! reads what most devices say most of the time. [`signature`] signs requests to services of the vendor's cloud.

pub mod amqp;
pub mod mqtt;
pub mod report;
pub mod signature;
