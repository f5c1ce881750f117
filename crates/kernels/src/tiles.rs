//! Products by AMX (Intel since Sapphire Rapids): one instruction multiplies a tile of 16 rows of 64 bytes with one of 64
//! bytes of 16 columns in 16 cycles: 8,192 products of bfloat16, or 16,384 of 8-bit numbers.
//!
//! What it computes for each row and column is in its description (`TDPBF16PS` and `TDPBUSD` in Intel 64 and IA-32
//! Architectures Software Developer's Manual, volume 2). Of bfloat16, the products of the first numbers of all pairs are
//! added up from 0 in their order, those of the second numbers likewise, and what the two come to together is added to
//! what was there: the order of [`crate::bf16`], so other instructions come to the same bits. Sums of 8-bit numbers are
//! exact in any order.
//!
//! The system saves the registers of a thread when it takes turns with others, 8 KiB of them, so it has to be asked for
//! leave before they are used the first time.

use std::arch::asm;
use std::arch::x86_64::__cpuid_count;
use std::marker::PhantomData;
#[cfg(feature = "training")]
use std::mem::MaybeUninit;
use std::sync::OnceLock;

use crate::PANEL;
#[cfg(feature = "training")]
use crate::aligned::Line;
use crate::aligned::LineI8;

/// Rows of a tile.
pub(crate) const ROWS: usize = 16;

/// As many rows at a time as there are registers for: two tiles of them by a panel.
pub(crate) const STRIP: usize = 2 * ROWS;

/// Bytes of a tile's row; rows and columns of whatever is multiplied are padded to a multiple of them.
pub(crate) const WIDTH: usize = 64;

/// Whether the processor has them and the system gives leave, which then holds for all threads. Asked once.
pub(crate) fn available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| {
        /// AMX-BF16, AMX-TILE and AMX-INT8, in EDX of leaf 7.
        const TILES: u32 = 1 << 22 | 1 << 24 | 1 << 25;
        /// `ARCH_REQ_XCOMP_PERM` of Linux's asm/prctl.h, and the tiles' number among the processor's states.
        const ASK_LEAVE: libc::c_long = 0x1023;
        const TILE_DATA: libc::c_long = 18;
        let has = __cpuid_count(7, 0).edx & TILES == TILES;
        // SAFETY: the call takes two numbers, and changes nothing but what the process may use. A system that does not
        // know it says so.
        #[expect(unsafe_code, reason = "a system call without a safe form")]
        let leave = || unsafe { libc::syscall(libc::SYS_arch_prctl, ASK_LEAVE, TILE_DATA) } == 0;
        has && leave()
    })
}

/// How the eight tile registers are divided: 16 rows of 64 bytes each (the structure that `LDTILECFG` reads).
#[repr(C, align(64))]
struct Division([u8; 64]);

static DIVISION: Division = {
    let mut bytes = [0; 64];
    bytes[0] = 1;
    let mut tile = 0;
    while tile < 8 {
        bytes[16 + 2 * tile] = WIDTH as u8;
        bytes[48 + tile] = ROWS as u8;
        tile += 1;
    }
    Division(bytes)
};

/// The tile registers of this thread, ready for use. They are given back when it is dropped, so that the system has
/// nothing to save.
pub(crate) struct Tiles {
    /// Stays in its thread.
    thread: PhantomData<*const ()>,
}

impl Tiles {
    /// # Panics
    ///
    /// When they are not [`available`].
    pub(crate) fn new() -> Self {
        assert!(available(), "a processor with AMX");
        // SAFETY: there are tile registers, and this thread may use them; it reads 64 bytes, which there are. Nothing but
        // this module uses tile registers.
        #[expect(unsafe_code, reason = "instructions without a safe form")]
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &raw const DIVISION, options(nostack, readonly, preserves_flags));
        }
        Self { thread: PhantomData }
    }

    /// `left · right` of pairs of bfloat16, where `left` has one tile or two of rows and `right` is one panel; output rows
    /// are `width` apart.
    ///
    /// # Panics
    ///
    /// When `left` has another number of rows, or a side does not fit the other or the output.
    #[cfg(feature = "training")]
    #[expect(clippy::unused_self, reason = "the registers are ready while there is one")]
    pub(crate) fn multiply_pairs(
        &mut self,
        left: &[u32],
        right: &[Line<u32, 16>],
        output: &mut [MaybeUninit<f32>],
        width: usize,
    ) {
        let blocks = right.len() / (2 * ROWS);
        let rows = size_of_val(left) / (blocks * WIDTH);
        let whole = size_of_val(left) == rows * blocks * WIDTH && right.len() == blocks * 2 * ROWS;
        assert!(whole && (rows == ROWS || rows == STRIP), "{rows} rows of tiles");
        assert!(output.len() >= (rows - 1) * width + PANEL, "tiles within the output");
        let (left, right, output) = (left.as_ptr().cast(), right.as_ptr().cast(), output.as_mut_ptr().cast());
        // SAFETY: there are tile registers, or there would be no `self`; the assertions keep every access within the
        // slices.
        #[expect(unsafe_code, reason = "instructions without a safe form")]
        unsafe {
            if rows == ROWS {
                pairs::one(left, blocks, right, output, width);
            } else {
                pairs::two(left, blocks, right, output, width);
            }
        }
    }

    /// The sums of `left · right` of 8-bit numbers, unsigned ones and signed ones, where `left` has one tile or two of rows
    /// and `right` is one panel.
    ///
    /// # Panics
    ///
    /// When `left` has another number of rows, or a side does not fit the other.
    #[expect(clippy::unused_self, reason = "the registers are ready while there is one")]
    pub(crate) fn multiply_bytes(&mut self, left: &[u8], right: &[LineI8], sums: &mut [i32; STRIP * PANEL]) {
        let blocks = right.len() / (2 * ROWS);
        let rows = left.len() / (blocks * WIDTH);
        let whole = left.len() == rows * blocks * WIDTH && right.len() == blocks * 2 * ROWS;
        assert!(whole && (rows == ROWS || rows == STRIP), "{rows} rows of tiles");
        let (left, right, sums) = (left.as_ptr(), right.as_ptr().cast(), sums.as_mut_ptr().cast());
        // SAFETY: as above.
        #[expect(unsafe_code, reason = "instructions without a safe form")]
        unsafe {
            if rows == ROWS {
                bytes::one(left, blocks, right, sums, PANEL);
            } else {
                bytes::two(left, blocks, right, sums, PANEL);
            }
        }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: there are tile registers.
        #[expect(unsafe_code, reason = "instructions without a safe form")]
        unsafe {
            asm!("tilerelease", options(nomem, nostack, preserves_flags));
        }
    }
}

/// Bytes from one row of a panel to the next.
const ACROSS: usize = 2 * WIDTH;

/// The two functions that multiply by one instruction.
macro_rules! products {
    ($(#[$meta:meta])* $module:ident, $multiply:literal) => {
        $(#[$meta])*
        mod $module {
            use super::{ACROSS, ROWS, WIDTH, asm};

            /// Sums in tiles 0 and 1, the left side in 4, the right side in 6 and 7.
            ///
            /// # Safety
            ///
            /// The tile registers are divided as [`super::DIVISION`] says. `a` holds 16 rows of `blocks` times 64 bytes, `b` a
            /// panel of `blocks` times 16 rows of 128 bytes, `c` 16 rows of 32 numbers of 32 bits, `stride` of them apart.
            #[expect(unsafe_code, reason = "instructions without a safe form")]
            pub(super) unsafe fn one(a: *const u8, blocks: usize, b: *const u8, c: *mut u32, stride: usize) {
                // SAFETY: as above.
                unsafe {
                    asm!(
                        "tilezero tmm0",
                        "tilezero tmm1",
                        "2:",
                        "tileloadd tmm4, [{a} + {along}]",
                        "tileloadd tmm6, [{b} + {across}]",
                        "tileloadd tmm7, [{b} + {across} + 64]",
                        concat!($multiply, " tmm0, tmm4, tmm6"),
                        concat!($multiply, " tmm1, tmm4, tmm7"),
                        "add {a}, 64",
                        "add {b}, {block}",
                        "dec {blocks}",
                        "jnz 2b",
                        "tilestored [{c} + {stride}], tmm0",
                        "tilestored [{c} + {stride} + 64], tmm1",
                        a = inout(reg) a => _,
                        along = in(reg) blocks * WIDTH,
                        b = inout(reg) b => _,
                        across = in(reg) ACROSS,
                        block = const ROWS * ACROSS,
                        blocks = inout(reg) blocks => _,
                        c = in(reg) c,
                        stride = in(reg) stride * size_of::<u32>(),
                        out("tmm0") _, out("tmm1") _, out("tmm4") _, out("tmm6") _, out("tmm7") _,
                        options(nostack),
                    );
                }
            }

            /// Sums in tiles 0 to 3, the left side in 4 and 5, the right side in 6 and 7: each tile that is loaded is
            /// multiplied twice.
            ///
            /// # Safety
            ///
            /// As for [`one`], with 32 rows.
            #[expect(unsafe_code, reason = "instructions without a safe form")]
            pub(super) unsafe fn two(a: *const u8, blocks: usize, b: *const u8, c: *mut u32, stride: usize) {
                // SAFETY: as above.
                unsafe {
                    asm!(
                        "tilezero tmm0",
                        "tilezero tmm1",
                        "tilezero tmm2",
                        "tilezero tmm3",
                        "2:",
                        "tileloadd tmm4, [{a} + {along}]",
                        "tileloadd tmm6, [{b} + {across}]",
                        "tileloadd tmm7, [{b} + {across} + 64]",
                        concat!($multiply, " tmm0, tmm4, tmm6"),
                        concat!($multiply, " tmm1, tmm4, tmm7"),
                        "tileloadd tmm5, [{below} + {along}]",
                        concat!($multiply, " tmm2, tmm5, tmm6"),
                        concat!($multiply, " tmm3, tmm5, tmm7"),
                        "add {a}, 64",
                        "add {below}, 64",
                        "add {b}, {block}",
                        "dec {blocks}",
                        "jnz 2b",
                        "tilestored [{c} + {stride}], tmm0",
                        "tilestored [{c} + {stride} + 64], tmm1",
                        "tilestored [{lower} + {stride}], tmm2",
                        "tilestored [{lower} + {stride} + 64], tmm3",
                        a = inout(reg) a => _,
                        below = inout(reg) a.add(ROWS * blocks * WIDTH) => _,
                        along = in(reg) blocks * WIDTH,
                        b = inout(reg) b => _,
                        across = in(reg) ACROSS,
                        block = const ROWS * ACROSS,
                        blocks = inout(reg) blocks => _,
                        c = in(reg) c,
                        lower = in(reg) c.add(ROWS * stride),
                        stride = in(reg) stride * size_of::<u32>(),
                        out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                        out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                        options(nostack),
                    );
                }
            }
        }
    };
}

products! {
    #[cfg(feature = "training")]
    pairs, "tdpbf16ps"
}
products! { bytes, "tdpbusd" }
