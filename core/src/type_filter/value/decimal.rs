//! Decimals as they are written: exact, and aware of how many digits someone cared to write. No binary floats.

use std::cmp::Ordering;

/// An exact decimal number. Equal numbers are equal however they were written: `1.0`, `1` and `10e-1`.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::type_filter) struct Decimal {
    negative: bool,
    /// 0 to 9 each, neither the first nor the last of them 0; none at all for zero.
    digits: Vec<u8>,
    /// The number is 0.digits × 10^magnitude.
    magnitude: i64,
}

/// A number as someone wrote it: its last digit says how precise it is.
pub(in crate::type_filter) struct Written {
    negative: bool,
    digits: Vec<u8>,
    /// The power of ten that the last digit counts.
    exponent: i64,
    scientific: bool,
}

impl Written {
    /// Reads `[-]digits[.digits][(e|E)[+|-]digits]`; `None` for anything else and for an exponent beyond all use.
    pub(in crate::type_filter) fn parse(text: &str) -> Option<Self> {
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |text| (true, text));
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(parse_exponent(exponent)?)),
            None => (text, None),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((_, "")) => return None,
            Some((whole, fraction)) => (whole, fraction),
            None => (mantissa, ""),
        };
        let digit = |byte: u8| byte.is_ascii_digit().then(|| byte - b'0');
        let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(digit).collect::<Option<_>>()?;
        let fraction_length = i64::try_from(fraction.len()).ok()?;
        (!whole.is_empty()).then_some(Self {
            negative,
            digits,
            exponent: exponent.unwrap_or(0) - fraction_length,
            scientific: exponent.is_some(),
        })
    }

    /// The number itself.
    pub(in crate::type_filter) fn value(&self) -> Decimal {
        Decimal::new(self.negative, &self.digits, self.exponent)
    }

    /// Whether it has an exponent.
    pub(in crate::type_filter) fn is_scientific(&self) -> bool {
        self.scientific
    }

    /// Half a unit of the last digit to either side: `[low, high)`.
    pub(in crate::type_filter) fn implicit_range(&self) -> (Decimal, Decimal) {
        let bound = |negative, mut digits: Vec<u8>| {
            digits.push(5);
            Decimal::new(negative, &digits, self.exponent.saturating_sub(1))
        };
        let far = bound(self.negative, self.digits.clone());
        let near = match predecessor(&self.digits) {
            Some(digits) => bound(self.negative, digits),
            // Around zero the near side lies across it.
            None => bound(!self.negative, Vec::new()),
        };
        if self.negative { (far, near) } else { (near, far) }
    }

    /// A tenth of the number to either side: `[low, high]`.
    pub(in crate::type_filter) fn tenth_around(&self) -> (Decimal, Decimal) {
        let times =
            |factor| Decimal::new(self.negative, &product(&self.digits, factor), self.exponent.saturating_sub(1));
        if self.negative { (times(11), times(9)) } else { (times(9), times(11)) }
    }
}

impl Decimal {
    /// Digits of which the last counts 10^exponent.
    fn new(negative: bool, digits: &[u8], exponent: i64) -> Self {
        let zeros = digits.iter().take_while(|digit| **digit == 0).count();
        let significant = digits.get(zeros..).unwrap_or_default();
        let length = significant.iter().rposition(|digit| *digit != 0).map_or(0, |last| last + 1);
        if length == 0 {
            return Self { negative: false, digits: Vec::new(), magnitude: 0 };
        }
        let magnitude = exponent.saturating_add(i64::try_from(significant.len()).unwrap_or(i64::MAX));
        Self { negative, digits: significant.get(..length).unwrap_or_default().to_vec(), magnitude }
    }

    fn sign(&self) -> i8 {
        match (self.digits.is_empty(), self.negative) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => -1,
        }
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        // Without zeros at either end, digits compare as text does.
        let sizes = || self.magnitude.cmp(&other.magnitude).then_with(|| self.digits.cmp(&other.digits));
        self.sign().cmp(&other.sign()).then_with(|| if self.negative { sizes().reverse() } else { sizes() })
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn parse_exponent(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let size: i64 = is_number.then(|| digits.parse().ok()).flatten()?;
    (size <= EXPONENT_MAX).then_some(sign * size)
}

/// One less; `None` for zero.
fn predecessor(digits: &[u8]) -> Option<Vec<u8>> {
    let last = digits.iter().rposition(|digit| *digit != 0)?;
    let lowered = digits.iter().enumerate().map(|(position, digit)| match position.cmp(&last) {
        Ordering::Less => *digit,
        Ordering::Equal => digit.saturating_sub(1),
        Ordering::Greater => 9,
    });
    Some(lowered.collect())
}

/// The digits times a factor up to 11.
fn product(digits: &[u8], factor: u8) -> Vec<u8> {
    let mut reversed = Vec::with_capacity(digits.len() + 2);
    let mut carry = 0;
    for digit in digits.iter().rev() {
        let sum = digit * factor + carry;
        reversed.push(sum % 10);
        carry = sum / 10;
    }
    reversed.extend([carry % 10, carry / 10]);
    reversed.reverse();
    reversed
}

/// No decimal that anyone stores goes beyond: FHIR recommends 18 digits, and the widest IEEE decimal ends at 6144.
const EXPONENT_MAX: i64 = 10_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimal(text: &str) -> Decimal {
        Written::parse(text).unwrap().value()
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in
            ["", "-", ".5", "5.", "+5", "1e", "1e+", "1e1.5", "1.2.3", "0x1", "1 ", "NaN", "٣", "1e10001", "--1"]
        {
            assert!(Written::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn spelling_does_not_matter() {
        for (one, other) in
            [("1", "1.0"), ("100", "1e2"), ("0", "-0.00"), ("12.5e-1", "1.25"), ("007", "7"), ("0e9", "0")]
        {
            assert!(decimal(one) == decimal(other), "{one} {other}");
        }
    }

    #[test]
    fn ranges_follow_the_digits() {
        for (text, low, high) in [
            ("0.8", "0.75", "0.85"),
            ("0.80", "0.795", "0.805"),
            ("100", "99.5", "100.5"),
            ("1e2", "50", "150"),
            ("0", "-0.5", "0.5"),
            ("-0.0", "-0.05", "0.05"),
            ("-10", "-10.5", "-9.5"),
            ("1000.0", "999.95", "1000.05"),
        ] {
            let (from, to) = Written::parse(text).unwrap().implicit_range();
            assert!(from == decimal(low) && to == decimal(high), "{text}");
        }
        let (from, to) = Written::parse("-99").unwrap().tenth_around();
        assert!(from == decimal("-108.9") && to == decimal("-89.1"));
    }

    proptest! {
        /// Against integers: both numbers times 10^20 are whole.
        #[test]
        fn order_is_that_of_integers(
            (a, a_places, a_exponent) in (-99_999_i128..99_999, 0_u32..8, -8_i64..8),
            (b, b_places, b_exponent) in (-99_999_i128..99_999, 0_u32..8, -8_i64..8),
        ) {
            let model = |n: i128, places: u32, exponent: i64| {
                n * 10_i128.pow(u32::try_from(20 - i64::from(places) + exponent).unwrap())
            };
            let text = |n: i128, places: u32, exponent: i64| {
                let size = 10_u128.pow(places);
                let sign = if n < 0 { "-" } else { "" };
                let (whole, fraction) = (n.unsigned_abs() / size, n.unsigned_abs() % size);
                match places {
                    0 => format!("{sign}{whole}e{exponent}"),
                    _ => format!("{sign}{whole}.{fraction:0width$}E{exponent}", width = places as usize),
                }
            };
            let expected = model(a, a_places, a_exponent).cmp(&model(b, b_places, b_exponent));
            let (a, b) = (text(a, a_places, a_exponent), text(b, b_places, b_exponent));
            prop_assert_eq!(decimal(&a).cmp(&decimal(&b)), expected);
            let (low, high) = Written::parse(&a).unwrap().implicit_range();
            prop_assert!(low < decimal(&a) && decimal(&a) < high);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[-+.eE0-9]{0,12}|\\PC*") {
            if let Some(written) = Written::parse(&text) {
                written.implicit_range();
                written.tenth_around();
            }
        }
    }
}
