//! Writes the packets of `vectors/mqtt.json` as files, one each, for the fuzzer to start from:
//! `cargo run -p causeway-wire --example mqtt_seeds -- crates/wire/fuzz/corpus/mqtt_decode`.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use serde_json::Value;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(env::args_os().nth(1).ok_or("name the folder to write to")?);
    fs::create_dir_all(&folder)?;
    let vectors: Vec<Value> = serde_json::from_str(include_str!("../vectors/mqtt.json"))?;
    for vector in &vectors {
        let (name, version) = (vector["name"].as_str(), vector["version"].as_str());
        let (name, version) = name.zip(version).ok_or("a vector has a name and a version")?;
        let hex = vector["bytes"].as_str().ok_or("a vector has bytes")?;
        let bytes = hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16)).collect::<Result<Vec<_>, _>>()?;
        fs::write(folder.join(format!("{name}-{version}")), bytes)?;
    }
    println!("{} packets in {}", vectors.len(), folder.display());
    Ok(())
}
