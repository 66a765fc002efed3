//! Events as a Parquet file of one row group: `event_time`, `device_id`, `resource`, `body`.

use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::errors::Result;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use super::obs::Told;
use crate::document::{Document, Found};

const SCHEMA: &str = "message event {
    REQUIRED INT64 event_time (TIMESTAMP(MILLIS,true));
    OPTIONAL BYTE_ARRAY device_id (UTF8);
    OPTIONAL BYTE_ARRAY resource (UTF8);
    REQUIRED BYTE_ARRAY body (UTF8);
}";

/// The whole file.
pub(super) fn encode(items: &[Told], zstd: bool) -> Result<Vec<u8>> {
    let compression = if zstd { Compression::ZSTD(ZstdLevel::default()) } else { Compression::UNCOMPRESSED };
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_created_by(concat!("causeway ", env!("CARGO_PKG_VERSION")).to_owned())
        .build();
    let schema = Arc::new(parse_message_type(SCHEMA)?);
    let mut file = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut file, schema, Arc::new(properties))?;
    let mut group = writer.next_row_group()?;

    let times: Vec<i64> = items.iter().map(|told| told.item.at.0).collect();
    let mut column = group.next_column()?.ok_or_else(missing)?;
    column.typed::<Int64Type>().write_batch(&times, None, None)?;
    column.close()?;

    optional_texts(&mut group, items.iter().map(|told| told.named.device_id.as_deref()))?;
    let resources: Vec<Option<String>> = items.iter().map(|told| resource(&told.item.body)).collect();
    optional_texts(&mut group, resources.iter().map(Option::as_deref))?;

    let bodies: Vec<ByteArray> = items.iter().map(|told| ByteArray::from(told.item.body.clone())).collect();
    let mut column = group.next_column()?.ok_or_else(missing)?;
    column.typed::<ByteArrayType>().write_batch(&bodies, None, None)?;
    column.close()?;

    group.close()?;
    writer.close()?;
    Ok(file)
}

fn resource(body: &[u8]) -> Option<String> {
    match Document::parse(body)?.find("resource")? {
        Found::Text(text) => Some(text.into_owned()),
        _ => None,
    }
}

fn optional_texts<'a, W: std::io::Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    texts: impl Iterator<Item = Option<&'a str>>,
) -> Result<()> {
    let mut levels = Vec::new();
    let mut values = Vec::new();
    for text in texts {
        levels.push(i16::from(text.is_some()));
        values.extend(text.map(ByteArray::from));
    }
    let mut column = group.next_column()?.ok_or_else(missing)?;
    column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None)?;
    column.close()
}

fn missing() -> parquet::errors::ParquetError {
    parquet::errors::ParquetError::General("the schema has fewer columns".to_owned())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use causeway_model::Timestamp;
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    use parquet::record::RowAccessor as _;

    use super::*;
    use crate::names::Named;
    use crate::target::Item;

    #[test]
    fn rows_come_back() {
        let told = |body: &'static str, device: Option<&str>| Told {
            item: Item { seq: 1, device: None, at: Timestamp(1_500), body: body.into() },
            named: Named { device_id: device.map(str::to_owned), ..Named::default() },
        };
        let items = [told(r#"{"resource":"device.status"}"#, Some("d1")), told(r#"{"x":1}"#, None)];
        for zstd in [false, true] {
            let file = encode(&items, zstd).expect("a file");
            let reader = SerializedFileReader::new(Bytes::from(file)).expect("sound");
            assert_eq!(reader.metadata().num_row_groups(), 1);
            let rows: Vec<_> = reader.get_row_iter(None).expect("rows").map(|r| r.expect("a row")).collect();
            assert_eq!(rows.len(), 2);
            assert_eq!(rows[0].get_timestamp_millis(0).expect("a time"), 1_500);
            assert_eq!(rows[0].get_string(1).expect("a text"), "d1");
            assert_eq!(rows[0].get_string(2).expect("a text"), "device.status");
            assert!(rows[1].get_string(1).is_err(), "it is null");
        }
    }
}
