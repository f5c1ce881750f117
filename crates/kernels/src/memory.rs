//! The allocator's memory.

/// Tells the allocator (mimalloc, which the binary has to have chosen) to keep pages that were freed instead of giving
/// them back to the system, which would have to clear them before the next use. A program that allocates the same
/// buffers again and again is faster for it, and never takes more memory than it has needed at once before.
pub fn keep_freed_pages() {
    /// `mi_option_purge_delay` of mimalloc.h, in its versions 2 and 3 alike; the crate has no name for it.
    const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
    const NEVER: std::ffi::c_long = -1;
    // SAFETY: sets a number in the allocator, which any thread may do at any time.
    #[expect(unsafe_code, reason = "the allocator's options have no safe form")]
    unsafe {
        libmimalloc_sys::mi_option_set(PURGE_DELAY, NEVER);
    }
}
