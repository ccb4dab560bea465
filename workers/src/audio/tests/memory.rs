//! How much memory a piece of work holds at most. Counted in the thread that
//! does it, so that tests beside it do not matter.

#![allow(unsafe_code, reason = "an allocator is unsafe to implement")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    /// Bytes that are held more, or less, than when counting began; and the most
    /// there were.
    static HELD: Cell<(isize, isize)> = const { Cell::new((0, 0)) };
}

/// The result of `work`, and the bytes that it held at most beyond those that
/// were held before.
pub(super) fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    HELD.set((0, 0));
    let result = work();
    let (_, most) = HELD.get();
    (result, most.unsigned_abs())
}

fn count(bytes: isize) {
    // A thread that ends frees memory after its locals are gone.
    let _ = HELD.try_with(|counter| {
        let (held, most) = counter.get();
        let held = held + bytes;
        counter.set((held, most.max(held)));
    });
}

// SAFETY: all is done by the system's allocator; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both are held while one is copied into the other.
        count(size.cast_signed());
        // SAFETY: as the caller promises.
        let moved = unsafe { System.realloc(pointer, layout, size) };
        count(-layout.size().cast_signed());
        moved
    }
}

#[test]
fn what_is_held_at_the_same_time_is_counted() {
    let (_, bytes) = peak(|| {
        drop(vec![1_u8; 1_000_000]);
        drop(vec![0_u8; 2_000_000]);
    });
    assert!((2_000_000..2_100_000).contains(&bytes), "{bytes}");
}
