//! Numbers as they stand in JSON: compared exactly, whatever their length; calculated in decimals as long as these hold
//! the result, so that 0.1 + 0.2 is 0.3, else in `f64`.

use std::cmp::Ordering;
use std::fmt::Write as _;

/// A number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Number<'a> {
    /// Most of them.
    Int(i64),
    /// The text of any other JSON number.
    Raw(&'a str),
    /// A result: coefficient and power of ten.
    Decimal(i128, i32),
    /// A result that is not exact. Finite.
    Float(f64),
}

/// What is calculated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// Longer integers are kept as text.
const INT_DIGITS: usize = 18;
/// Powers of ten beyond this are left to `f64`.
const MAX_POWER: i32 = 400;
/// Places behind the point that a quotient may have.
const QUOTIENT: u32 = 18;
/// Room for the coefficient of a decimal: 39 digits and a sign.
const ROOM: usize = 40;

impl<'a> Number<'a> {
    /// The number that a JSON number stands for; `None` when it does not begin like one.
    pub(crate) fn of_json(text: &'a str) -> Option<Self> {
        let bytes = text.as_bytes();
        let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
        if !digits.first()?.is_ascii_digit() {
            return None;
        }
        if digits.len() > INT_DIGITS {
            return Some(Self::Raw(text));
        }
        let mut value = 0_i64;
        for byte in digits {
            if !byte.is_ascii_digit() {
                return Some(Self::Raw(text));
            }
            value = value * 10 + i64::from(byte - b'0');
        }
        Some(Self::Int(if digits.len() == bytes.len() { value } else { -value }))
    }

    /// Which is greater. Exact, unless one of them is a result that is not.
    pub(crate) fn order(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.cmp(&b),
            (Self::Float(_), _) | (_, Self::Float(_)) => {
                self.float().partial_cmp(&other.float()).unwrap_or(Ordering::Equal)
            }
            _ => {
                if let Some((a, b, _)) = self.decimal().zip(other.decimal()).and_then(|(a, b)| aligned(a, b)) {
                    return a.cmp(&b);
                }
                let (mut a, mut b) = (Room::default(), Room::default());
                self.digits(&mut a).order(&other.digits(&mut b))
            }
        }
    }

    fn digits<'b>(self, room: &'b mut Room) -> Digits<'b>
    where
        'a: 'b,
    {
        match self {
            Self::Raw(text) => Digits::of(text.as_bytes()),
            Self::Int(n) => room.digits(i128::from(n), 0),
            Self::Decimal(coefficient, power) => room.digits(coefficient, power),
            // Not compared by digits.
            Self::Float(_) => room.digits(0, 0),
        }
    }

    fn float(self) -> f64 {
        match self {
            Self::Int(n) => n as f64,
            Self::Raw(text) => text.parse().unwrap_or(f64::NAN),
            Self::Decimal(coefficient, power) => format!("{coefficient}e{power}").parse().unwrap_or(f64::NAN),
            Self::Float(float) => float,
        }
    }

    fn decimal(self) -> Option<(i128, i32)> {
        match self {
            Self::Int(n) => Some((i128::from(n), 0)),
            Self::Raw(text) => Digits::of(text.as_bytes()).decimal(),
            Self::Decimal(coefficient, power) => Some((coefficient, power)),
            Self::Float(_) => None,
        }
    }

    /// `-n`; `None` when that is no number.
    pub(super) fn negated<'b>(self) -> Option<Number<'b>> {
        Number::Int(0).calculated(Arithmetic::Subtract, self)
    }

    /// The result; `None` when it is none: divided by zero, or too large.
    pub(super) fn calculated<'b>(self, what: Arithmetic, other: Number<'_>) -> Option<Number<'b>> {
        if let (Some(a), Some(b)) = (self.decimal(), other.decimal()) {
            if b.0 == 0 && matches!(what, Arithmetic::Divide | Arithmetic::Remainder) {
                return None;
            }
            if let Some((coefficient, power)) = exact(what, a, b).filter(|(_, power)| power.abs() <= MAX_POWER) {
                return Some(normal(coefficient, power));
            }
        }
        let (a, b) = (self.float(), other.float());
        let result = match what {
            Arithmetic::Add => a + b,
            Arithmetic::Subtract => a - b,
            Arithmetic::Multiply => a * b,
            Arithmetic::Divide => a / b,
            Arithmetic::Remainder => a % b,
        };
        result.is_finite().then_some(Number::Float(result))
    }

    /// Appends the JSON number.
    pub(super) fn write(self, out: &mut String) {
        let written = match self {
            Self::Int(n) => write!(out, "{n}"),
            Self::Raw(text) => {
                out.push_str(text);
                Ok(())
            }
            Self::Decimal(coefficient, power @ -30..0) => {
                let places = power.unsigned_abs() as usize;
                let digits = format!("{:0>width$}", coefficient.unsigned_abs(), width = places + 1);
                let (whole, part) = digits.split_at(digits.len() - places);
                write!(out, "{}{whole}.{part}", if coefficient < 0 { "-" } else { "" })
            }
            Self::Decimal(coefficient, 0) => write!(out, "{coefficient}"),
            Self::Decimal(coefficient, power) => write!(out, "{coefficient}e{power}"),
            Self::Float(float) => write!(out, "{float:?}"),
        };
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
    }
}

/// The exact result, when there is one and it fits.
fn exact(what: Arithmetic, a: (i128, i32), b: (i128, i32)) -> Option<(i128, i32)> {
    match what {
        Arithmetic::Multiply => Some((a.0.checked_mul(b.0)?, a.1 + b.1)),
        Arithmetic::Divide => {
            let dividend = a.0.checked_mul(10_i128.pow(QUOTIENT))?;
            let places = QUOTIENT as i32;
            (dividend.checked_rem(b.0)? == 0).then_some((dividend.checked_div(b.0)?, a.1 - b.1 - places))
        }
        Arithmetic::Add | Arithmetic::Subtract | Arithmetic::Remainder => {
            let (a, b, power) = aligned(a, b)?;
            let result = match what {
                Arithmetic::Add => a.checked_add(b)?,
                Arithmetic::Subtract => a.checked_sub(b)?,
                _ => a.checked_rem(b)?,
            };
            Some((result, power))
        }
    }
}

/// The coefficients at one power of ten, when they fit.
fn aligned((a, a_power): (i128, i32), (b, b_power): (i128, i32)) -> Option<(i128, i128, i32)> {
    let power = a_power.min(b_power);
    let raised = |n: i128, by: i32| match u32::try_from(by).ok()? {
        0 => Some(n),
        by => n.checked_mul(10_i128.checked_pow(by)?),
    };
    Some((raised(a, a_power - power)?, raised(b, b_power - power)?, power))
}

/// The plainest form of a result.
fn normal<'b>(mut coefficient: i128, mut power: i32) -> Number<'b> {
    if coefficient == 0 {
        return Number::Int(0);
    }
    if let Ok(mut short) = i64::try_from(coefficient) {
        while power < 0 && short % 10 == 0 {
            short /= 10;
            power += 1;
        }
        coefficient = i128::from(short);
    }
    while power < 0 && coefficient % 10 == 0 {
        coefficient /= 10;
        power += 1;
    }
    let whole = u32::try_from(power).ok().and_then(|power| 10_i128.checked_pow(power)?.checked_mul(coefficient));
    match whole.and_then(|whole| i64::try_from(whole).ok()) {
        Some(n) => Number::Int(n),
        None => Number::Decimal(coefficient, power),
    }
}

/// Where the digits of a coefficient are written.
#[derive(Default)]
struct Room {
    bytes: Bytes,
    length: usize,
}

struct Bytes([u8; ROOM]);

impl Default for Bytes {
    fn default() -> Self {
        Self([0; ROOM])
    }
}

impl std::fmt::Write for Room {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        self.bytes.0.get_mut(self.length..end).ok_or(std::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

impl Room {
    fn digits(&mut self, coefficient: i128, power: i32) -> Digits<'_> {
        let written = write!(self, "{coefficient}");
        debug_assert!(written.is_ok(), "an i128 has at most 39 digits");
        let mut digits = Digits::of(&self.bytes.0[..self.length]);
        digits.power += i64::from(power);
        digits
    }
}

/// The parts of a written number.
struct Digits<'a> {
    negative: bool,
    whole: &'a [u8],
    part: &'a [u8],
    power: i64,
}

impl<'a> Digits<'a> {
    fn of(text: &'a [u8]) -> Self {
        let negative = text.first() == Some(&b'-');
        let (whole, rest) = leading_digits(&text[usize::from(negative)..]);
        let (part, rest) = match rest {
            [b'.', rest @ ..] => leading_digits(rest),
            _ => (&rest[..0], rest),
        };
        let (sign, power) = match rest {
            [b'e' | b'E', b'-', rest @ ..] => (-1, leading_digits(rest).0),
            [b'e' | b'E', b'+', rest @ ..] | [b'e' | b'E', rest @ ..] => (1, leading_digits(rest).0),
            _ => (1, &rest[..0]),
        };
        // Powers beyond any use are all the same.
        let power = power.iter().fold(0_i64, |n, b| (n * 10 + i64::from(b - b'0')).min(1 << 50));
        Self { negative, whole, part, power: sign * power }
    }

    /// The digits from the first that is not 0.
    fn significant(&self) -> impl Iterator<Item = u8> + '_ {
        self.whole.iter().chain(self.part).copied().skip_while(|b| *b == b'0')
    }

    /// The sign, and how far the first digit that is not 0 stands before the point.
    fn magnitude(&self) -> (i8, i64) {
        let digits = self.whole.len() + self.part.len();
        let zeros = digits - self.significant().count();
        if zeros == digits {
            return (0, 0);
        }
        (if self.negative { -1 } else { 1 }, self.power + self.whole.len() as i64 - zeros as i64)
    }

    fn order(&self, other: &Self) -> Ordering {
        let ((sign, magnitude), (other_sign, other_magnitude)) = (self.magnitude(), other.magnitude());
        if sign != other_sign || sign == 0 {
            return sign.cmp(&other_sign);
        }
        let size = magnitude.cmp(&other_magnitude).then_with(|| {
            let (mut a, mut b) = (self.significant(), other.significant());
            loop {
                match (a.next(), b.next()) {
                    (None, None) => return Ordering::Equal,
                    (x, y) => match x.unwrap_or(b'0').cmp(&y.unwrap_or(b'0')) {
                        Ordering::Equal => {}
                        unequal => return unequal,
                    },
                }
            }
        });
        if sign < 0 { size.reverse() } else { size }
    }

    fn decimal(&self) -> Option<(i128, i32)> {
        let coefficient =
            self.significant().try_fold(0_i128, |n, digit| n.checked_mul(10)?.checked_add(i128::from(digit - b'0')))?;
        let power = i32::try_from(self.power - self.part.len() as i64).ok().filter(|p| p.abs() <= MAX_POWER)?;
        Some((if self.negative { -coefficient } else { coefficient }, power))
    }
}

fn leading_digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}
