//! How much memory a thread holds, by an allocator that counts. Where it is not installed, nothing is counted.

#![allow(unsafe_code, reason = "an allocator cannot be written without")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

/// The allocator of the system, counting.
pub struct Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// Bytes that this thread holds.
pub(crate) fn live() -> isize {
    LIVE.get()
}

/// The most that it has held since [`restart_peak`].
pub(crate) fn peak() -> isize {
    PEAK.get()
}

pub(crate) fn restart_peak() {
    PEAK.set(LIVE.get());
}

fn count(bytes: usize, sign: isize) {
    // A thread that ends frees what is left after its counters are gone.
    let counted = LIVE.try_with(|live| {
        live.set(live.get() + sign * isize::try_from(bytes).unwrap_or(isize::MAX / 2));
        live.get()
    });
    if let Ok(live) = counted {
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(live)));
    }
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches no memory but two cells.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: the caller keeps the contract of this very method.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(layout.size(), -1);
        // SAFETY: the pointer came from `alloc` above, which is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }
}
