//! Some thousand devices in a row, column by column.

use memchr::memmem;

/// Devices of one bucket have numbers that differ in the lowest so many bits.
pub(super) const BITS: u32 = 12;

/// Stands between two names; it occurs in no UTF-8 text, so nothing that is looked for reaches over it.
const BETWEEN: u8 = 0xff;

/// What lists filter a device by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sqlite) struct Entry {
    pub(in crate::sqlite) no: i64,
    pub(in crate::sqlite) app: u32,
    pub(in crate::sqlite) product: u32,
    /// 0 for a device behind none.
    pub(in crate::sqlite) gateway: i64,
    pub(in crate::sqlite) created_at: i64,
    pub(in crate::sqlite) name: String,
}

/// What a list asks for, in numbers of the store.
pub(super) struct Wanted {
    pub(super) apps: Option<Vec<u32>>,
    pub(super) products: Option<Vec<u32>>,
    pub(super) gateways: Option<Vec<i64>>,
    pub(super) from: Option<i64>,
    pub(super) to: Option<i64>,
    pub(super) name: Option<memmem::Finder<'static>>,
}

/// The columns, in order of the devices' numbers.
#[derive(Clone, Default)]
pub(super) struct Bucket {
    /// The lowest bits of the numbers.
    low: Vec<u16>,
    app: Vec<u32>,
    product: Vec<u32>,
    /// Empty when none is behind a gateway.
    gateway: Vec<i64>,
    created_at: Vec<i64>,
    /// Where each name ends in `names`, before its [`BETWEEN`].
    ends: Vec<u32>,
    names: Vec<u8>,
}

/// Strikes out of `keep` the rows whose value is none of `values`.
fn only<T: Copy + Ord>(keep: &mut [u8], column: &[T], values: &[T]) {
    if let [value] = values {
        for (keep, found) in keep.iter_mut().zip(column) {
            *keep &= u8::from(found == value);
        }
    } else {
        for (keep, found) in keep.iter_mut().zip(column) {
            *keep &= u8::from(values.binary_search(found).is_ok());
        }
    }
}

impl Bucket {
    pub(super) fn len(&self) -> usize {
        self.low.len()
    }

    /// Bytes that the columns take.
    pub(super) fn bytes(&self) -> usize {
        self.len() * 22 + self.gateway.len() * 8 + self.names.len()
    }

    /// Gives back what growing took too much.
    pub(super) fn shrink(&mut self) {
        self.low.shrink_to_fit();
        self.app.shrink_to_fit();
        self.product.shrink_to_fit();
        self.gateway.shrink_to_fit();
        self.created_at.shrink_to_fit();
        self.ends.shrink_to_fit();
        self.names.shrink_to_fit();
    }

    /// Where the name of row `at` begins.
    fn start(&self, at: usize) -> usize {
        if at == 0 { 0 } else { self.ends[at - 1] as usize + 1 }
    }

    /// The gateway of the device with these low bits; `None` when there is no such device.
    pub(super) fn gateway_of(&self, low: u16) -> Option<i64> {
        let at = self.low.binary_search(&low).ok()?;
        Some(self.gateway.get(at).copied().unwrap_or(0))
    }

    /// Puts a device in or in place of what was known of it. The gateway that it had.
    pub(super) fn put(&mut self, low: u16, entry: &Entry) -> Option<i64> {
        let had = self.remove(low);
        let at = self.low.partition_point(|found| *found < low);
        self.low.insert(at, low);
        self.app.insert(at, entry.app);
        self.product.insert(at, entry.product);
        self.created_at.insert(at, entry.created_at);
        if entry.gateway != 0 && self.gateway.is_empty() {
            self.gateway = vec![0; self.ends.len()];
        }
        if entry.gateway != 0 || !self.gateway.is_empty() {
            self.gateway.insert(at, entry.gateway);
        }
        let start = self.start(at);
        let name = entry.name.as_bytes();
        self.names.splice(start..start, name.iter().copied().chain([BETWEEN]));
        let grown = name.len() as u32 + 1;
        self.ends.insert(at, start as u32 + grown - 1);
        self.ends[at + 1..].iter_mut().for_each(|end| *end += grown);
        had
    }

    /// Takes a device out. The gateway that it had.
    pub(super) fn remove(&mut self, low: u16) -> Option<i64> {
        let at = self.low.binary_search(&low).ok()?;
        let (start, end) = (self.start(at), self.ends[at] as usize + 1);
        self.names.drain(start..end);
        self.ends.remove(at);
        self.ends[at..].iter_mut().for_each(|later| *later -= (end - start) as u32);
        self.low.remove(at);
        self.app.remove(at);
        self.product.remove(at);
        self.created_at.remove(at);
        Some(if self.gateway.is_empty() { 0 } else { self.gateway.remove(at) })
    }

    /// Marks the rows that match with 1 in `keep`; how many there are.
    pub(super) fn select(&self, wanted: &Wanted, keep: &mut Vec<u8>) -> usize {
        keep.clear();
        keep.resize(self.len(), 1);
        if let Some(gateways) = &wanted.gateways {
            if self.gateway.is_empty() {
                return 0;
            }
            only(keep, &self.gateway, gateways);
        }
        if let Some(products) = &wanted.products {
            only(keep, &self.product, products);
        }
        if let Some(apps) = &wanted.apps {
            only(keep, &self.app, apps);
        }
        if let Some(from) = wanted.from {
            keep.iter_mut().zip(&self.created_at).for_each(|(keep, at)| *keep &= u8::from(*at >= from));
        }
        if let Some(to) = wanted.to {
            keep.iter_mut().zip(&self.created_at).for_each(|(keep, at)| *keep &= u8::from(*at < to));
        }
        let kept = |keep: &[u8]| keep.iter().map(|k| usize::from(*k)).sum::<usize>();
        match &wanted.name {
            None => kept(keep),
            Some(_) if kept(keep) == 0 => 0,
            Some(name) => {
                self.names_with(name, keep);
                kept(keep)
            }
        }
    }

    fn names_with(&self, wanted: &memmem::Finder<'static>, keep: &mut [u8]) {
        let mut at = 0;
        // From the end of one name that has it to the next one.
        while at < keep.len() {
            let start = self.start(at);
            let found = match wanted.find(&self.names[start..]) {
                Some(offset) => {
                    let position = (start + offset) as u32;
                    // Often the very next row.
                    let ahead = self.ends[at..].iter().take(8).position(|end| *end >= position);
                    at + ahead.unwrap_or_else(|| self.ends[at..].partition_point(|end| *end < position))
                }
                None => keep.len(),
            };
            keep[at..found].fill(0);
            at = found + 1;
        }
    }

    /// The low bits of the number in row `at`.
    pub(super) fn low(&self, at: usize) -> u16 {
        self.low[at]
    }
}
