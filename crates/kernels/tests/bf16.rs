//! Products of bfloat16, rounded by the crate `half`: the same bits whatever the processor has, those of the written-out
//! sums, and near those of arithmetic in 64 bits.
#![cfg(feature = "training")]
#![allow(missing_docs, reason = "a test")]

mod support;

use half::bf16;
use support::numbers;
use wellformed_kernels::Isa;
use wellformed_kernels::bf16::{Engine, Panels, Rows};

fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..rows * columns).map(|at| values[at % rows * columns + at / rows]).collect()
}

/// Rows, depth, columns: around the sizes of tiles, panels, blocks and shares, depths even and odd.
const SHAPES: [(usize, usize, usize); 13] = [
    (1, 1, 1),
    (1, 384, 64),
    (2, 5, 33),
    (7, 30, 31),
    (12, 32, 32),
    (13, 63, 2),
    (25, 7, 100),
    (40, 48, 32),
    (49, 33, 130),
    (65, 31, 64),
    (80, 128, 96),
    (97, 65, 47),
    (200, 96, 385),
];

/// The four ways to the same product.
fn products(
    engine: Engine,
    left: &[f32],
    right: &[f32],
    (rows, depth, columns): (usize, usize, usize),
) -> [Vec<f32>; 4] {
    let (standing_left, standing_right) = (transposed(left, rows, depth), transposed(right, depth, columns));
    let lefts = [Rows::new(engine, left, depth), Rows::transposed(engine, &standing_left, rows)];
    let rights = [Panels::new(engine, right, columns), Panels::transposed(engine, &standing_right, depth)];
    [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(left, right): (usize, usize)| {
        let output = lefts[left].times(&rights[right]);
        assert_eq!(output.len(), rows * columns);
        output
    })
}

#[test]
fn a_product_is_that_of_the_rounded_numbers() {
    for engine in Engine::available() {
        for shape @ (rows, depth, columns) in SHAPES {
            let (left, right) = (numbers(rows * depth, 1), numbers(depth * columns, 2));
            let exact = |row: usize, column: usize| -> f64 {
                let rounded = |x: f32| bf16::from_f32(x).to_f64();
                (0..depth).map(|k| rounded(left[row * depth + k]) * rounded(right[k * columns + column])).sum()
            };
            for output in products(engine, &left, &right, shape) {
                for (at, found) in output.into_iter().enumerate() {
                    let expected = exact(at / columns, at % columns);
                    let difference = (f64::from(found) - expected).abs();
                    assert!(difference < 1e-5, "{} {shape:?} at {at}: {found}, expected {expected}", engine.name());
                }
            }
        }
    }
}

/// The product with every sum written out in the order that holds for all processors.
fn in_order(left: &[f32], right: &[f32], (rows, depth, columns): (usize, usize, usize)) -> Vec<f32> {
    let rounded = |x: f32| bf16::from_f32(x).to_f32();
    let sum = |row: usize, column: usize| {
        let mut total = 0.0;
        for block in (0..depth).step_by(32) {
            let mut sums = [0.0f32; 2];
            for k in block..depth.min(block + 32) {
                // A product of two bfloat16 is exact, so it does not matter whether it is rounded before it is added.
                sums[k % 2] += rounded(left[row * depth + k]) * rounded(right[k * columns + column]);
            }
            total += sums[0] + sums[1];
        }
        total
    };
    (0..rows * columns).map(|at| sum(at / columns, at % columns)).collect()
}

#[test]
fn every_processor_comes_to_the_same_bits() {
    let bits = |output: Vec<f32>| output.into_iter().map(f32::to_bits).collect::<Vec<_>>();
    for shape @ (rows, depth, columns) in SHAPES {
        let (left, right) = (numbers(rows * depth, 3), numbers(depth * columns, 4));
        let expected = bits(in_order(&left, &right, shape));
        for engine in Engine::available() {
            for (way, found) in products(engine, &left, &right, shape).into_iter().enumerate() {
                assert!(bits(found) == expected, "{shape:?}, way {way}: {} has other bits", engine.name());
            }
        }
    }
}

#[test]
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn tiles_are_used_where_the_system_names_them() {
    let processor = std::fs::read_to_string("/proc/cpuinfo").expect("Linux has /proc");
    let flags = processor.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    let named =
        ["amx_tile", "amx_bf16", "amx_int8"].iter().all(|flag| flags.split_whitespace().any(|word| word == *flag));
    let used = Engine::available().iter().any(|engine| engine.name() == "amx-bf16");
    let used_by_predictions = Isa::available().iter().any(|isa| isa.name() == "amx-int8");
    assert_eq!((used, used_by_predictions), (named, named));
}

#[test]
fn numbers_are_rounded_to_the_nearest_and_halves_to_even() {
    // Just below, at and just above the middle between two neighbours, of both kinds; the largest numbers; no numbers.
    let special = [
        0x3f80_7fff,
        0x3f80_8000,
        0x3f80_8001,
        0x3f81_7fff,
        0x3f81_8000,
        0x3f81_8001,
        0x7f7f_ffff,
        0xff7f_ffff,
        0x7f7f_0000,
        0x0000_0000,
        0x8000_0000,
        0x7f80_0000,
        0xff80_0000,
        0x7fc0_0000,
        0xffff_ffff,
        0x7f80_0001,
        0x0080_0000,
        0x0100_7fff,
    ];
    let values: Vec<f32> = special.into_iter().map(f32::from_bits).collect();
    for engine in Engine::available() {
        // Each number times one: on the left, where a row is read, and on the right, where columns are.
        for value in &values {
            let one = [1.0];
            let found = [
                Rows::new(engine, &[*value], 1).times(&Panels::new(engine, &one, 1)),
                Rows::new(engine, &one, 1).times(&Panels::new(engine, &[*value], 1)),
            ];
            let expected = bf16::from_f32(*value).to_f32();
            for found in found {
                let [found] = found[..] else { panic!("one number") };
                let same = found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan();
                // A sum begins with +0, and −0 is lost in it.
                assert!(same || found == 0.0 && expected == 0.0, "{}: {value:e} is {found:e}", engine.name());
            }
        }
        // Whole registers of them, where other instructions round.
        let finite = values.iter().copied().filter(|value| value.is_finite());
        let many: Vec<f32> = finite.filter(|value| bf16::from_f32(*value).is_finite()).cycle().take(256).collect();
        let (rows, panels) = (Rows::new(engine, &many, 256), Panels::transposed(engine, &many, 256));
        for (place, value) in many.iter().enumerate() {
            let mut unit = vec![0.0; 256];
            unit[place] = 1.0;
            let expected = [bf16::from_f32(*value).to_f32()];
            assert_eq!(rows.times(&Panels::transposed(engine, &unit, 256)), expected);
            assert_eq!(Rows::new(engine, &unit, 256).times(&panels), expected);
        }
    }
}

#[test]
fn what_is_no_number_stays_none() {
    for engine in Engine::available() {
        let mut left = numbers(3 * 70, 5);
        left[70 + 33] = f32::from_bits(0xffff_ffff);
        let (left, right) = (Rows::new(engine, &left, 70), Panels::new(engine, &numbers(70 * 40, 6), 40));
        for (at, value) in left.times(&right).iter().enumerate() {
            assert_eq!(value.is_nan(), at / 40 == 1, "{} at {at}", engine.name());
        }
    }
}

#[test]
fn a_product_does_not_depend_on_the_number_of_threads() {
    let (left, right) = (numbers(300 * 96, 7), numbers(96 * 64, 8));
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| products(Engine::detect(), &left, &right, (300, 96, 64)))
    };
    assert_eq!(with(1), with(3));
}

#[test]
#[should_panic(expected = "both sides of a product")]
fn sides_of_another_depth_are_refused() {
    let engine = Engine::detect();
    Rows::new(engine, &[0.0; 6], 3).times(&Panels::new(engine, &[0.0; 8], 4));
}
