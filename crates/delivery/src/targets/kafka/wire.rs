//! The four requests that a producer needs, and their answers. No I/O.
//!
//! Document: *Apache Kafka protocol guide*. The versions are the newest before the flexible encoding and are served by
//! every broker from 1.0 to 4.x: `SaslHandshake` 1, `SaslAuthenticate` 0, `Metadata` 4, `Produce` 3 (record batch 2).
//! A frame is `size i32 · api i16 · version i16 · correlation i32 · client id · body`, an answer `size · correlation · body`.

/// What requests are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    Produce,
    Metadata,
    SaslHandshake,
    SaslAuthenticate,
}

impl Api {
    /// Key and version.
    fn key(self) -> (i16, i16) {
        match self {
            Self::Produce => (0, 3),
            Self::Metadata => (3, 4),
            Self::SaslHandshake => (17, 1),
            Self::SaslAuthenticate => (36, 0),
        }
    }
}

/// A whole frame.
pub(crate) fn request(api: Api, correlation: i32, body: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut frame = vec![0; 4];
    let (key, version) = api.key();
    frame.extend(key.to_be_bytes());
    frame.extend(version.to_be_bytes());
    frame.extend(correlation.to_be_bytes());
    text(&mut frame, "causeway");
    body(&mut frame);
    let size = int(frame.len() - 4);
    frame[..4].copy_from_slice(&size.to_be_bytes());
    frame
}

fn int(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend(i16::try_from(text.len()).unwrap_or(i16::MAX).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(int(bytes.len()).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Asks which mechanisms there are.
pub(crate) fn handshake(out: &mut Vec<u8>, mechanism: &str) {
    text(out, mechanism);
}

/// One message of the mechanism.
pub(crate) fn authenticate(out: &mut Vec<u8>, message: &[u8]) {
    bytes(out, message);
}

/// Asks for brokers and partitions of one topic; a cluster that may makes it.
pub(crate) fn metadata(out: &mut Vec<u8>, topic: &str) {
    out.extend(1_i32.to_be_bytes());
    text(out, topic);
    out.push(1);
}

/// A record batch for each partition.
pub(crate) fn produce(out: &mut Vec<u8>, topic: &str, timeout_ms: i32, batches: &[(i32, Vec<u8>)]) {
    // No transaction; all replicas in sync have it before the answer.
    out.extend((-1_i16).to_be_bytes());
    out.extend((-1_i16).to_be_bytes());
    out.extend(timeout_ms.to_be_bytes());
    out.extend(1_i32.to_be_bytes());
    text(out, topic);
    out.extend(int(batches.len()).to_be_bytes());
    for (partition, batch) in batches {
        out.extend(partition.to_be_bytes());
        bytes(out, batch);
    }
}

/// A record to write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    /// What the partition is chosen by.
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: &'a [u8],
    /// Milliseconds since 1970.
    pub(crate) at: i64,
}

/// A record batch, magic 2, not compressed:
///
/// ```text
/// offset i64 · length i32 · leader epoch i32 · magic i8 · crc32c u32 · attributes i16 · last offset i32 ·
/// first timestamp i64 · last timestamp i64 · producer i64 · epoch i16 · sequence i32 · count i32 · records
/// ```
pub(crate) fn batch(records: &[Record<'_>]) -> Vec<u8> {
    let first = records.iter().map(|r| r.at).min().unwrap_or(0);
    let last = records.iter().map(|r| r.at).max().unwrap_or(0);
    let mut sealed = Vec::with_capacity(64 + records.iter().map(|r| r.value.len() + 32).sum::<usize>());
    sealed.extend(0_i16.to_be_bytes());
    sealed.extend(int(records.len().saturating_sub(1)).to_be_bytes());
    sealed.extend(first.to_be_bytes());
    sealed.extend(last.to_be_bytes());
    sealed.extend((-1_i64).to_be_bytes());
    sealed.extend((-1_i16).to_be_bytes());
    sealed.extend((-1_i32).to_be_bytes());
    sealed.extend(int(records.len()).to_be_bytes());
    let mut body = Vec::new();
    for (offset, record) in (0_i64..).zip(records) {
        body.clear();
        body.push(0);
        varint(&mut body, record.at.saturating_sub(first));
        varint(&mut body, offset);
        match record.key {
            Some(key) => varbytes(&mut body, key),
            None => varint(&mut body, -1),
        }
        varbytes(&mut body, record.value);
        varint(&mut body, 0);
        varbytes(&mut sealed, &body);
    }
    let mut out = Vec::with_capacity(sealed.len() + 21);
    out.extend(0_i64.to_be_bytes());
    out.extend(int(sealed.len() + 9).to_be_bytes());
    out.extend((-1_i32).to_be_bytes());
    out.push(2);
    out.extend(crc32c(&sealed).to_be_bytes());
    out.extend_from_slice(&sealed);
    out
}

/// Zigzag, seven bits a byte, lowest first.
fn varint(out: &mut Vec<u8>, n: i64) {
    let mut left = (n.cast_unsigned() << 1) ^ (n >> 63).cast_unsigned();
    while left >= 0x80 {
        out.push(u8::try_from(left & 0x7f).unwrap_or(0) | 0x80);
        left >>= 7;
    }
    out.push(u8::try_from(left).unwrap_or(0));
}

fn varbytes(out: &mut Vec<u8>, bytes: &[u8]) {
    varint(out, i64::try_from(bytes.len()).unwrap_or(i64::MAX));
    out.extend_from_slice(bytes);
}

const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let mut crc = i as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
            bit += 1;
        }
        table[i] = crc;
        i += 1;
    }
    table
};

/// CRC-32C (Castagnoli).
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| CRC_TABLE[((crc ^ u32::from(*byte)) & 0xff) as usize] ^ (crc >> 8))
}

/// The partition of a key, as Kafka's own clients choose it (Murmur2).
pub(crate) fn partition_of(key: &[u8], partitions: usize) -> usize {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ u32::try_from(key.len()).unwrap_or(u32::MAX);
    let mut words = key.chunks_exact(4);
    for word in words.by_ref() {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (i, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * i);
        }
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^= hash >> 15;
    (hash & 0x7fff_ffff) as usize % partitions.max(1)
}

/// Reads an answer, which is not trusted.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn i16(&mut self) -> Option<i16> {
        self.array().map(i16::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    /// Null is the empty text.
    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.i16()?).unwrap_or(0);
        Some(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.i32()?).unwrap_or(0);
        self.take(length)
    }

    /// The elements of an array. Each has at least a byte, so that their number is bounded by the frame.
    fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = usize::try_from(self.i32()?).unwrap_or(0);
        (0..count).map(|_| read(self)).collect()
    }
}

/// The answer to a handshake: an error, and the mechanisms there are.
pub(crate) fn read_handshake(answer: &[u8]) -> Option<(i16, Vec<String>)> {
    let mut reader = Reader(answer);
    Some((reader.i16()?, reader.list(Reader::text)?))
}

/// The answer of a mechanism: an error with its text, and a message.
pub(crate) fn read_authenticate(answer: &[u8]) -> Option<(i16, String, &[u8])> {
    let mut reader = Reader(answer);
    Some((reader.i16()?, reader.text()?, reader.bytes()?))
}

/// Where the partitions of the topic are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Metadata {
    /// Id, host and port.
    pub(crate) brokers: Vec<(i32, String, i32)>,
    /// Why the topic cannot be used, or 0.
    pub(crate) error: i16,
    /// Error, partition and leader.
    pub(crate) partitions: Vec<(i16, i32, i32)>,
}

pub(crate) fn read_metadata(answer: &[u8]) -> Option<Metadata> {
    let mut reader = Reader(answer);
    reader.i32()?;
    let brokers = reader.list(|r| {
        let broker = (r.i32()?, r.text()?, r.i32()?);
        r.text()?;
        Some(broker)
    })?;
    reader.text()?;
    reader.i32()?;
    let mut topics = reader.list(|r| {
        let error = r.i16()?;
        r.text()?;
        r.take(1)?;
        let partitions = r.list(|r| {
            let partition = (r.i16()?, r.i32()?, r.i32()?);
            r.list(Reader::i32)?;
            r.list(Reader::i32)?;
            Some(partition)
        })?;
        Some((error, partitions))
    })?;
    let (error, mut partitions) = topics.pop()?;
    partitions.sort_unstable_by_key(|(_, partition, _)| *partition);
    Some(Metadata { brokers, error, partitions })
}

/// Partition and error, for each.
pub(crate) fn read_produce(answer: &[u8]) -> Option<Vec<(i32, i16)>> {
    let mut reader = Reader(answer);
    let topics = reader.list(|r| {
        r.text()?;
        r.list(|r| {
            let outcome = (r.i32()?, r.i16()?);
            r.take(16)?;
            Some(outcome)
        })
    })?;
    Some(topics.into_iter().flatten().collect())
}

/// What an error code says.
pub(crate) fn error_text(code: i16) -> String {
    let text = match code {
        -1 => "the broker met an unexpected error",
        2 => "the broker found the records damaged",
        3 => "the topic or partition does not exist",
        5 => "the partition has no leader now",
        6 => "the partition's leader is another broker now",
        7 => "the replicas did not answer in time",
        10 | 18 => "a record or batch is larger than the broker takes (message.max.bytes)",
        17 => "the name of the topic is not legal",
        19 | 20 => "too few replicas are in sync (min.insync.replicas)",
        29 => "the user may not write to the topic",
        31 => "the user may not do this in the cluster",
        33 => "the broker does not know the mechanism",
        35 => "the broker does not speak this version of the protocol",
        44 => "the policy of the topic refuses the records",
        58 => "user name or password are wrong",
        87 => "the broker refuses the record",
        _ => return format!("the broker answered with error {code}"),
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_and_partitions_are_those_of_other_clients() {
        // RFC 3720 §B.4
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        // From the tests of Apache Kafka: murmur2("21"), murmur2("foobar").
        assert_eq!(partition_of(b"21", 1 << 31), (-973_932_308_i32 & 0x7fff_ffff) as usize);
        assert_eq!(partition_of(b"foobar", 1 << 31), (-790_332_482_i32 & 0x7fff_ffff) as usize);
        assert_eq!(partition_of(b"a-little-bit-long-string", 1 << 31), (-985_981_536_i32 & 0x7fff_ffff) as usize);
    }

    #[test]
    fn varints() {
        for (n, expected) in [(0, vec![0]), (-1, vec![1]), (1, vec![2]), (300, vec![0xd8, 0x04]), (-64, vec![0x7f])] {
            let mut out = Vec::new();
            varint(&mut out, n);
            assert_eq!(out, expected, "{n}");
        }
    }

    #[test]
    fn cut_answers_are_no_answers() {
        let mut answer = Vec::new();
        answer.extend(0_i32.to_be_bytes());
        answer.extend(1_i32.to_be_bytes());
        answer.extend(7_i32.to_be_bytes());
        text(&mut answer, "host");
        answer.extend(9092_i32.to_be_bytes());
        text(&mut answer, "");
        text(&mut answer, "cluster");
        answer.extend(7_i32.to_be_bytes());
        answer.extend(1_i32.to_be_bytes());
        answer.extend(0_i16.to_be_bytes());
        text(&mut answer, "topic");
        answer.push(0);
        answer.extend(1_i32.to_be_bytes());
        answer.extend(0_i16.to_be_bytes());
        answer.extend(0_i32.to_be_bytes());
        answer.extend(7_i32.to_be_bytes());
        answer.extend(0_i32.to_be_bytes());
        answer.extend(0_i32.to_be_bytes());
        let whole = read_metadata(&answer).expect("whole");
        assert_eq!(whole.brokers, [(7, "host".to_owned(), 9092)]);
        assert_eq!(whole.partitions, [(0, 0, 7)]);
        for length in 0..answer.len() {
            assert_eq!(read_metadata(&answer[..length]), None, "{length}");
        }
        assert_eq!(read_produce(&[0x7f; 12]), None);
    }
}
