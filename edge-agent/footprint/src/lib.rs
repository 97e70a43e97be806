//! How much memory a program that stays for months holds on a small computer: what its heap keeps, and what is mapped of its own file.
//!
//! The only crate of this workspace with `unsafe` in it. Elsewhere than on Linux, and in part on another C library than glibc, its
//! functions do nothing.

mod maps;

/// Pieces of this size and more get pages of their own, which go back when they are freed; of a heap's end as much is kept. In bytes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const HEAP_THRESHOLD: i32 = 64 * 1024;

/// Has the C library give back what is freed. Left alone, glibc raises its two thresholds with the largest piece that was ever freed
/// (a picture is 2 MB, a slice of history up to 4 MiB), and from then on keeps that much and more for each thread. Call it first.
pub fn keep_heap_small() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    for threshold in [libc::M_MMAP_THRESHOLD, libc::M_TRIM_THRESHOLD] {
        #[expect(unsafe_code, reason = "mallopt has no safe wrapper")]
        // SAFETY: takes two integers and sets a parameter under the allocator's own lock; glibc allows it at any time.
        let _accepted = unsafe { libc::mallopt(threshold, HEAP_THRESHOLD) };
    }
}

/// Unmaps the pages of the running program's file that are as in the file: its instructions and constants. Those that are needed again
/// are mapped again, one fault for some sixteen of them, from the system's page cache, where they stay. For a lull after something rare:
/// what starting, reading weeks of history or drawing took would otherwise count as this program's memory until the system runs short.
pub fn let_go_of_program() {
    #[cfg(target_os = "linux")]
    for range in pages_of_program() {
        #[expect(unsafe_code, reason = "madvise has no safe wrapper")]
        // SAFETY: by the kernel's own word the range is one whole private mapping of the file that is executed. It is read-only and has
        // no page of its own, and nobody but the loader, which is done, makes such a mapping writable: so each page of it is the very page in which
        // the system keeps that piece of the file, and what a thread that executes or reads there faults in again is that page.
        // Whatever could happen to the file would show in a mapped page as well.
        let _dropped = unsafe { libc::madvise(range.start as *mut libc::c_void, range.len(), libc::MADV_DONTNEED) };
    }
}

/// Where the program's file is mapped, as it is in the file; nothing where the system does not say.
#[cfg(target_os = "linux")]
fn pages_of_program() -> Vec<std::ops::Range<usize>> {
    let here = let_go_of_program as fn() as usize;
    std::fs::read_to_string("/proc/self/smaps").map_or_else(|_| Vec::new(), |smaps| maps::as_in_the_file(&smaps, here))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_programs_instructions_and_constants_are_found_and_what_it_writes_is_not() {
        static CONSTANT: [u8; 4] = *b"here";
        static WRITTEN: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(1);
        let pages = pages_of_program();
        let holds = |address: usize| pages.iter().any(|range| range.contains(&address));
        assert!(holds(let_go_of_program as fn() as usize) && holds(&raw const CONSTANT as usize), "{pages:x?}");
        assert!(!holds(&raw const WRITTEN as usize) && !holds(&raw const pages as usize), "{pages:x?}");
    }

    #[test]
    fn a_program_that_lets_go_of_its_own_pages_goes_on_executing_them_on_every_thread() {
        keep_heap_small();
        let sum = |numbers: u64| (0..numbers).map(|number| number.wrapping_mul(number)).fold(0, u64::wrapping_add);
        let expected = sum(100_000);
        std::thread::scope(|scope| {
            let others: Vec<_> = (0..2).map(|_| scope.spawn(|| (0..50).all(|_| sum(100_000) == expected))).collect();
            for _ in 0..50 {
                let_go_of_program();
            }
            assert!(others.into_iter().all(|other| other.join().unwrap()));
        });
    }
}
