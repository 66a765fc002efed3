//! Which devices exist, as far as the writer has looked: one bit a device, so that a report needs no look-up.

use rusqlite::{Connection, OptionalExtension};

use super::error::Outcome;

/// Numbers beyond this are looked up each time: 32 MB of bits are enough.
const MAX: i64 = 1 << 28;

/// The writer is the only one who adds and deletes devices, so what it knows stays true until it changes it.
#[derive(Default)]
pub(super) struct Alive {
    bits: Vec<u64>,
}

impl Alive {
    /// Whether the device exists.
    pub(super) fn check(&mut self, conn: &Connection, device: i64) -> Outcome<bool> {
        let place = (0..MAX).contains(&device).then_some((device as usize / 64, device % 64));
        if let Some((word, bit)) = place
            && self.bits.get(word).is_some_and(|w| w >> bit & 1 == 1)
        {
            return Ok(true);
        }
        let found = conn
            .prepare_cached("SELECT 1 FROM device WHERE no = ?1")?
            .query_row([device], |_| Ok(()))
            .optional()?
            .is_some();
        if let Some((word, bit)) = place
            && found
        {
            if self.bits.len() <= word {
                self.bits.resize(word + 1, 0);
            }
            self.bits[word] |= 1 << bit;
        }
        Ok(found)
    }

    /// The device was deleted.
    pub(super) fn remove(&mut self, device: i64) {
        if let Ok(device) = usize::try_from(device)
            && let Some(word) = self.bits.get_mut(device / 64)
        {
            *word &= !(1 << (device % 64));
        }
    }
}
