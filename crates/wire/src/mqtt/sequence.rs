//! Repeated elements of a packet, read from the wire while iterating or given as a slice for encoding.

use std::fmt;

use super::error::DecodeError;
use super::frame::Reader;

/// What a [`Sequence`] can hold.
pub trait Element<'a>: Copy + PartialEq + fmt::Debug + 'a {
    /// Takes one element off the front.
    #[doc(hidden)]
    fn take(reader: &mut Reader<'a>) -> Result<Self, DecodeError>;
}

/// Elements of a packet in their order, without an allocation.
///
/// After decoding it is the checked piece of the receive buffer; for encoding it is made from a slice with
/// `Sequence::from(&[…])`. Both compare equal when they hold equal elements.
pub struct Sequence<'a, T>(Repr<'a, T>);

enum Repr<'a, T> {
    /// Bytes that were read once by [`Sequence::checked`], element by element to the end.
    Wire(&'a [u8]),
    List(&'a [T]),
}

impl<'a, T: Element<'a>> Sequence<'a, T> {
    /// Bytes in which every element was read successfully.
    pub(crate) const fn checked(bytes: &'a [u8]) -> Self {
        Sequence(Repr::Wire(bytes))
    }

    /// The elements in their order.
    pub fn iter(&self) -> impl Iterator<Item = T> + use<'a, T> {
        let (mut wire, list) = match self.0 {
            Repr::Wire(bytes) => (Reader::new(bytes), [].as_slice()),
            Repr::List(list) => (Reader::new(&[]), list),
        };
        let from_wire = std::iter::from_fn(move || {
            // Checked bytes hold whole elements only, so an error cannot occur before the end.
            if wire.is_empty() { None } else { T::take(&mut wire).ok() }
        });
        from_wire.chain(list.iter().copied())
    }

    /// Whether there is no element.
    pub const fn is_empty(&self) -> bool {
        match self.0 {
            Repr::Wire(bytes) => bytes.is_empty(),
            Repr::List(list) => list.is_empty(),
        }
    }
}

impl<T> Clone for Sequence<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Sequence<'_, T> {}

impl<T> Clone for Repr<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Repr<'_, T> {}

impl<T> Default for Sequence<'_, T> {
    fn default() -> Self {
        Sequence(Repr::List(&[]))
    }
}

impl<'a, T: Element<'a>> From<&'a [T]> for Sequence<'a, T> {
    fn from(list: &'a [T]) -> Self {
        Sequence(Repr::List(list))
    }
}

impl<'a, T: Element<'a>, const N: usize> From<&'a [T; N]> for Sequence<'a, T> {
    fn from(list: &'a [T; N]) -> Self {
        Sequence(Repr::List(list))
    }
}

impl<'a, T: Element<'a>> From<&'a Vec<T>> for Sequence<'a, T> {
    fn from(list: &'a Vec<T>) -> Self {
        Sequence(Repr::List(list))
    }
}

impl<'a, T: Element<'a>> PartialEq for Sequence<'a, T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<'a, T: Element<'a>> fmt::Debug for Sequence<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_the_wire_and_from_a_list_are_equal() {
        let wire: Sequence<'_, &str> = Sequence::checked(b"\0\x01a\0\x02bc");
        let list = vec!["a", "bc"];
        assert_eq!(wire, Sequence::from(&list));
        assert_eq!(wire, Sequence::from(&["a", "bc"]));
        assert_eq!(wire, Sequence::from(list.as_slice()));
        for other in [&["a"][..], &["a", "bd"], &["a", "bc", "d"], &["bc", "a"], &[]] {
            assert_ne!(wire, Sequence::from(other));
        }
        assert!(!wire.is_empty() && !Sequence::from(&list).is_empty());
        assert!(Sequence::<'_, &str>::default().is_empty() && Sequence::<'_, &str>::checked(&[]).is_empty());
    }

    #[test]
    fn shows_its_elements() {
        assert_eq!(format!("{:?}", Sequence::from(&["a", "b"])), r#"["a", "b"]"#);
    }
}
