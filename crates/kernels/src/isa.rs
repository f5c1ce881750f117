//! Which instructions the processor has.

/// A set of instructions that this processor has. It can only be had by asking the processor, so a function that takes
/// one may use the instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Isa(pub(crate) Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "other processors have only the first"))]
pub(crate) enum Kind {
    /// What the compiler makes of plain Rust for the target.
    Portable,
    /// AVX2 and FMA: every x86-64 server of the last ten years.
    Avx2,
    /// AVX-512 with VNNI: Intel since 2019, AMD since 2022.
    Avx512,
    /// That and AMX: Intel's Xeons since 2023, on Linux.
    Amx,
}

impl Isa {
    /// The best that this processor has.
    pub fn detect() -> Self {
        Self::available().pop().unwrap_or(Self(Kind::Portable))
    }

    /// All that this processor has, the best last.
    pub fn available() -> Vec<Self> {
        #[cfg_attr(not(target_arch = "x86_64"), allow(unused_mut, reason = "other processors add nothing"))]
        let mut kinds = vec![Kind::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                kinds.push(Kind::Avx2);
                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vnni")
                {
                    kinds.push(Kind::Avx512);
                    #[cfg(target_os = "linux")]
                    if crate::tiles::available() {
                        kinds.push(Kind::Amx);
                    }
                }
            }
        }
        kinds.into_iter().map(Self).collect()
    }

    /// The name, for logs.
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Portable => "portable",
            Kind::Avx2 => "avx2",
            Kind::Avx512 => "avx512-vnni",
            Kind::Amx => "amx-int8",
        }
    }

    /// Whether there is AVX-512.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn wide(self) -> bool {
        self.0 >= Kind::Avx512
    }
}
