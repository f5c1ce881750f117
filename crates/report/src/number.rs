//! Numbers as people read them.

use serde_json::Value;

/// A measure with three decimals; a dash where there is none.
pub fn measure(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), three)
}

/// Three decimals, with a minus sign that is one.
pub fn three(value: f64) -> String {
    minus(&format!("{value:.3}"))
}

/// Three decimals and always a sign; `0.000` without one.
pub fn signed(value: f64) -> String {
    let text = format!("{value:+.3}");
    if text.trim_start_matches(['+', '-']).chars().all(|c| c == '0' || c == '.') {
        return "0.000".to_owned();
    }
    minus(&text)
}

/// A p-value: two significant digits, and `< 0.001` below that.
pub fn p_value(p: f64) -> String {
    match p {
        p if p < 0.001 => "< 0.001".to_owned(),
        p if p < 0.01 => format!("{p:.4}"),
        p if p < 0.1 => format!("{p:.3}"),
        p => format!("{p:.2}"),
    }
}

/// A p-value in a sentence: `p = 0.044`, `p < 0.001`.
pub fn p_words(p: f64) -> String {
    let text = p_value(p);
    if text.starts_with('<') { format!("p {text}") } else { format!("p = {text}") }
}

/// A share in percent, without decimals.
pub fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

/// A whole number with commas between the thousands.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size in bytes, in the unit that fits.
pub fn bytes(value: u64) -> String {
    match value {
        0..1_000 => format!("{value} bytes"),
        1_000..1_000_000 => format!("{:.1} kB", value as f64 / 1e3),
        _ => format!("{:.1} MB", value as f64 / 1e6),
    }
}

/// A value of a parameter as one would write it in YAML: very small and very large numbers with an exponent.
pub fn value(value: &Value) -> String {
    match value {
        Value::Null => "empty".to_owned(),
        Value::String(text) if text.is_empty() => "''".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float != 0.0 && !(1e-3..1e6).contains(&float.abs()) => {
                format!("{float:e}")
            }
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}

/// As few decimals as tell ticks apart that are `step` apart; with an exponent below a hundredth.
pub(crate) fn tick(value: f64, step: f64, largest: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if largest < 0.01 {
        // One decimal at most: sums of steps are not always round in binary.
        return minus(&format!("{value:.1e}").replace(".0e", "e"));
    }
    let decimals = (0..6).find(|&n| ((step * 10f64.powi(n)).round() - step * 10f64.powi(n)).abs() < 1e-6).unwrap_or(6);
    if decimals == 0 && value.abs() >= 1000.0 {
        let text = count(value.abs().round() as u64);
        return if value < 0.0 { format!("−{text}") } else { text };
    }
    minus(&format!("{value:.*}", decimals as usize))
}

fn minus(text: &str) -> String {
    text.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(signed(0.0241), "+0.024");
        assert_eq!(signed(-0.0241), "−0.024");
        assert_eq!(signed(-0.000_04), "0.000");
        assert_eq!(count(19_165_058), "19,165,058");
        assert_eq!(count(12), "12");
        assert_eq!(bytes(76_700_000), "76.7 MB");
        assert_eq!([0.0004, 0.004, 0.0441, 0.441].map(p_value), ["< 0.001", "0.0040", "0.044", "0.44"]);
        assert_eq!(value(&serde_json::json!(1e-4)), "1e-4");
        assert_eq!(value(&serde_json::json!(0.06)), "0.06");
        assert_eq!(value(&serde_json::json!(128)), "128");
        assert_eq!(tick(0.25, 0.25, 1.0), "0.25");
        assert_eq!(tick(1440.0, 200.0, 1600.0), "1,440");
        assert_eq!(tick(5e-5, 5e-5, 1e-4), "5e−5");
    }
}
