//! The weights of the int8 file.

use wellformed_core::bundle::Precision;
use wellformed_onnx::{Architecture, Error, Weight, quantize};

use crate::support::{fp32_weights, small};

#[test]
fn every_number_is_within_half_a_step_and_the_largest_of_a_column_is_127() {
    let weights = fp32_weights(&small());
    let quantized = quantize(&small(), &weights).unwrap();
    for name in ["layers.0.qkv.weight", "layers.1.outer.weight", "head.weight"] {
        let columns = weights[name].dims[1];
        let integers = quantized[&format!("{name}.int8")].i8_values();
        let scales = quantized[&format!("{name}.scale")].f32_values();
        for (at, (value, integer)) in weights[name].f32_values().iter().zip(&integers).enumerate() {
            let scale = scales[at % columns];
            let back = f32::from(*integer) * scale;
            assert!((value - back).abs() <= scale * 0.500_001, "{name} at {at}: {value} became {back}");
        }
        for column in 0..columns {
            let largest = integers.iter().skip(column).step_by(columns).map(|value| value.unsigned_abs()).max();
            assert_eq!(largest, Some(127), "{name}, column {column}");
        }
    }
}

#[test]
fn each_word_has_a_scale_of_its_own() {
    let mut weights = fp32_weights(&small());
    let mut values = vec![0.0; 40 * 16];
    values[..3].copy_from_slice(&[2.0, -127.0, 0.5]);
    values[16..19].copy_from_slice(&[0.25, 1.27, -0.635]);
    weights.insert("embeddings.word".to_owned(), Weight::from_f32(vec![40, 16], &values));
    let quantized = quantize(&small(), &weights).unwrap();
    let (integers, scales) = (&quantized["embeddings.word.int8"], &quantized["embeddings.word.scale"]);
    assert_eq!(scales.dims, [40, 1]);
    // 0.5 is half-way between two integers and goes to the even one; a row of zeros has the scale 1.
    assert_eq!(integers.i8_values()[..4], [2, -127, 0, 0]);
    assert_eq!(integers.i8_values()[16..20], [25, 127, -64, 0]);
    assert_eq!(scales.f32_values()[..3], [1.0, 0.01, 1.0]);
}

#[test]
fn what_is_no_matrix_of_a_product_stays_as_it_is() {
    let weights = fp32_weights(&small());
    let quantized = quantize(&small(), &weights).unwrap();
    for name in ["classifier.weight", "classifier.bias", "embeddings.position", "layers.1.outer_norm.weight"] {
        assert_eq!(quantized[name], weights[name], "{name}");
    }
    assert!(!quantized.contains_key("head.weight"));
}

#[test]
fn weights_that_do_not_fit_are_refused() {
    let mut weights = fp32_weights(&small());
    weights.remove("head.weight");
    let int8 = Architecture { precision: Precision::Int8, ..small() };
    assert_eq!(quantize(&int8, &weights), Err(Error::Missing { name: "head.weight".to_owned() }));
}
