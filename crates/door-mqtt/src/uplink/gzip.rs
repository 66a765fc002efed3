//! `?encoding=gzip` (`iotda-device-access.md` §4).

use std::borrow::Cow;
use std::io::Read as _;

use flate2::bufread::MultiGzDecoder;

use super::Malformed;

/// The payload as the topic's suffix says it is written.
///
/// # Errors
/// [`Malformed::Encoding`] for damage and unknown encodings, [`Malformed::TooLarge`] beyond `limit` bytes.
pub(crate) fn unpack<'a>(payload: &'a [u8], encoding: Option<&str>, limit: usize) -> Result<Cow<'a, [u8]>, Malformed> {
    match encoding {
        None => return Ok(Cow::Borrowed(payload)),
        Some("gzip") => {}
        Some(_) => return Err(Malformed::Encoding),
    }
    let mut unpacked = Vec::new();
    // One byte more than the limit tells a bomb from a payload that just fits.
    let mut decoder = MultiGzDecoder::new(payload).take(limit as u64 + 1);
    decoder.read_to_end(&mut unpacked).map_err(|_| Malformed::Encoding)?;
    if unpacked.len() > limit { Err(Malformed::TooLarge) } else { Ok(Cow::Owned(unpacked)) }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    #[test]
    fn unpacks_within_the_limit() {
        let packed = gzip(&[b'a'; 1000]);
        assert_eq!(unpack(&packed, Some("gzip"), 1000).expect("fits").len(), 1000);
        assert_eq!(unpack(&packed, Some("gzip"), 999), Err(Malformed::TooLarge));
        assert_eq!(unpack(&packed[..packed.len() - 3], Some("gzip"), 1000), Err(Malformed::Encoding));
        assert_eq!(unpack(b"{}", Some("gzip"), 1000), Err(Malformed::Encoding));
        assert_eq!(unpack(b"{}", Some("br"), 1000), Err(Malformed::Encoding));
        assert_eq!(unpack(b"{}", None, 1), Ok(Cow::Borrowed(&b"{}"[..])));
    }

    #[test]
    fn a_bomb_is_cut_at_the_limit() {
        let packed = gzip(&vec![0; 64 << 20]);
        assert!(packed.len() < 100_000);
        assert_eq!(unpack(&packed, Some("gzip"), 1 << 20), Err(Malformed::TooLarge));
    }
}
