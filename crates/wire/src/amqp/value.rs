//! Values of part 1, read lazily: a compound is a slice until somebody looks into it.

use super::Fault;

/// A value. Fixed-width numbers of one sign are one variant: nothing here depends on their width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// `null`.
    Null,
    /// `boolean`.
    Bool(bool),
    /// `ubyte`, `ushort`, `uint`, `ulong`.
    Unsigned(u64),
    /// `byte`, `short`, `int`, `long`, `timestamp`.
    Signed(i64),
    /// `binary`.
    Binary(&'a [u8]),
    /// `string`.
    Text(&'a str),
    /// `symbol`.
    Symbol(&'a str),
    /// `list`.
    List(Fields<'a>),
    /// `map`, `array`, floating and decimal numbers, `char`, `uuid`: nothing reads them.
    Other,
    /// A described value: its descriptor's number, when it is one, and the bytes of the value.
    Described(Option<u64>, &'a [u8]),
}

/// Described values inside the descriptor of another are looked through so far.
const MAX_DESCRIPTORS: u32 = 4;

/// Reads values one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Over these bytes.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// What is not read yet.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.0
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let (head, tail) = self.0.split_at_checked(length).ok_or(Fault::Length)?;
        self.0 = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (head, tail) = self.0.split_first_chunk::<N>().ok_or(Fault::Length)?;
        self.0 = tail;
        Ok(*head)
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        self.array::<1>().map(|[b]| b)
    }

    /// A length of one byte, or of four.
    fn length(&mut self, wide: bool) -> Result<usize, Fault> {
        if wide {
            usize::try_from(u32::from_be_bytes(self.array()?)).map_err(|_| Fault::Length)
        } else {
            self.byte().map(usize::from)
        }
    }

    fn variable(&mut self, wide: bool) -> Result<&'a [u8], Fault> {
        let length = self.length(wide)?;
        self.take(length)
    }

    fn text(&mut self, wide: bool) -> Result<&'a str, Fault> {
        std::str::from_utf8(self.variable(wide)?).map_err(|_| Fault::Text)
    }

    fn list(&mut self, wide: bool) -> Result<Fields<'a>, Fault> {
        let mut inside = Self(self.variable(wide)?);
        let count = inside.length(wide)?;
        // Each element has at least one byte.
        if count > inside.0.len() {
            return Err(Fault::Length);
        }
        Ok(Fields { reader: inside, left: count })
    }

    /// The next value.
    ///
    /// # Errors
    /// When the bytes are not one.
    pub fn value(&mut self) -> Result<Value<'a>, Fault> {
        self.value_within(MAX_DESCRIPTORS)
    }

    fn value_within(&mut self, depth: u32) -> Result<Value<'a>, Fault> {
        let code = self.byte()?;
        Ok(match code {
            0x00 => {
                let depth = depth.checked_sub(1).ok_or(Fault::Type)?;
                let descriptor = match self.value_within(depth)? {
                    Value::Unsigned(n) => Some(n),
                    Value::Symbol(name) => number_of(name),
                    _ => None,
                };
                let bytes = self.0;
                self.value_within(depth)?;
                Value::Described(descriptor, &bytes[..bytes.len() - self.0.len()])
            }
            0x40 => Value::Null,
            0x41 => Value::Bool(true),
            0x42 => Value::Bool(false),
            0x43 | 0x44 => Value::Unsigned(0),
            0x45 => Value::List(Fields { reader: Reader(&[]), left: 0 }),
            0x50 | 0x52 | 0x53 => Value::Unsigned(self.byte()?.into()),
            0x51 | 0x54 | 0x55 => Value::Signed(i8::from_be_bytes(self.array()?).into()),
            0x56 => match self.byte()? {
                0 => Value::Bool(false),
                1 => Value::Bool(true),
                _ => return Err(Fault::Type),
            },
            0x60 => Value::Unsigned(u16::from_be_bytes(self.array()?).into()),
            0x61 => Value::Signed(i16::from_be_bytes(self.array()?).into()),
            0x70 => Value::Unsigned(u32::from_be_bytes(self.array()?).into()),
            0x71 => Value::Signed(i32::from_be_bytes(self.array()?).into()),
            0x80 => Value::Unsigned(u64::from_be_bytes(self.array()?)),
            0x81 | 0x83 => Value::Signed(i64::from_be_bytes(self.array()?)),
            0x72..=0x74 => self.skip(4)?,
            0x82 | 0x84 => self.skip(8)?,
            0x94 | 0x98 => self.skip(16)?,
            0xa0 | 0xb0 => Value::Binary(self.variable(code == 0xb0)?),
            0xa1 | 0xb1 => Value::Text(self.text(code == 0xb1)?),
            0xa3 | 0xb3 => Value::Symbol(self.text(code == 0xb3)?),
            0xc0 | 0xd0 => Value::List(self.list(code == 0xd0)?),
            0xc1 | 0xd1 | 0xe0 | 0xf0 => {
                self.variable(matches!(code, 0xd1 | 0xf0))?;
                Value::Other
            }
            _ => return Err(Fault::Type),
        })
    }

    fn skip(&mut self, length: usize) -> Result<Value<'a>, Fault> {
        self.take(length)?;
        Ok(Value::Other)
    }
}

/// Descriptors may be written as symbols too; these are the ones that clients are free to choose. `[3.4]`, `[3.5]`
fn number_of(symbol: &str) -> Option<u64> {
    Some(match symbol {
        "amqp:open:list" => 0x10,
        "amqp:begin:list" => 0x11,
        "amqp:attach:list" => 0x12,
        "amqp:flow:list" => 0x13,
        "amqp:transfer:list" => 0x14,
        "amqp:disposition:list" => 0x15,
        "amqp:detach:list" => 0x16,
        "amqp:end:list" => 0x17,
        "amqp:close:list" => 0x18,
        "amqp:received:list" => 0x23,
        "amqp:accepted:list" => 0x24,
        "amqp:rejected:list" => 0x25,
        "amqp:released:list" => 0x26,
        "amqp:modified:list" => 0x27,
        "amqp:source:list" => 0x28,
        "amqp:sasl-init:list" => 0x41,
        _ => return None,
    })
}

/// The fields of a list: those that are left out at its end read as null. `[1.4]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields<'a> {
    reader: Reader<'a>,
    left: usize,
}

impl<'a> Fields<'a> {
    /// The next field.
    ///
    /// # Errors
    /// When its bytes are not a value.
    pub fn value(&mut self) -> Result<Value<'a>, Fault> {
        if self.left == 0 {
            return Ok(Value::Null);
        }
        self.left -= 1;
        self.reader.value()
    }

    /// The next field with the bytes that it was written in; none for null.
    ///
    /// # Errors
    /// See [`value`](Self::value).
    pub fn raw(&mut self) -> Result<(Value<'a>, &'a [u8]), Fault> {
        let bytes = self.reader.0;
        let value = self.value()?;
        let length = if value == Value::Null { 0 } else { bytes.len() - self.reader.0.len() };
        Ok((value, &bytes[..length]))
    }

    /// Passes over fields.
    ///
    /// # Errors
    /// See [`value`](Self::value).
    pub fn skip(&mut self, count: usize) -> Result<(), Fault> {
        (0..count).try_for_each(|_| self.value().map(|_| ()))
    }

    /// A number of at most 32 bits.
    ///
    /// # Errors
    /// When it is something else.
    pub fn number(&mut self) -> Result<Option<u32>, Fault> {
        match self.value()? {
            Value::Null => Ok(None),
            Value::Unsigned(n) => u32::try_from(n).map(Some).map_err(|_| Fault::Type),
            _ => Err(Fault::Type),
        }
    }

    /// A boolean; null reads as false, the default of all those that are read.
    ///
    /// # Errors
    /// When it is something else.
    pub fn flag(&mut self) -> Result<bool, Fault> {
        match self.value()? {
            Value::Null => Ok(false),
            Value::Bool(flag) => Ok(flag),
            _ => Err(Fault::Type),
        }
    }

    /// A text, written as string or symbol.
    ///
    /// # Errors
    /// When it is something else.
    pub fn text(&mut self) -> Result<Option<&'a str>, Fault> {
        match self.value()? {
            Value::Null => Ok(None),
            Value::Text(text) | Value::Symbol(text) => Ok(Some(text)),
            _ => Err(Fault::Type),
        }
    }
}
