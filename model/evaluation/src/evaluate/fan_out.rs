//! The same work for many homes on a few threads, with results in the order of the homes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

/// Applies `work` to every item on up to `threads` threads and returns the results in the items' order, so that the
/// number of threads never changes a result. `done` is told how many are finished, on the calling thread.
pub fn fan_out<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> R + Sync,
    mut done: impl FnMut(usize),
) -> Vec<R> {
    if threads <= 1 || items.len() <= 1 {
        return items
            .iter()
            .enumerate()
            .map(|(index, item)| {
                let result = work(item);
                done(index + 1);
                result
            })
            .collect();
    }
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    let mut results: Vec<Option<R>> = items.iter().map(|_| None).collect();
    std::thread::scope(|scope| {
        for _ in 0..threads.min(items.len()) {
            let (sender, next, work) = (sender.clone(), &next, &work);
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { break };
                    // The receiver lives until all results are in; a failed send can only follow a panic there.
                    if sender.send((index, work(item))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        for (count, (index, result)) in receiver.iter().enumerate() {
            results[index] = Some(result);
            done(count + 1);
        }
    });
    results.into_iter().map(|result| result.expect("every index was taken by one thread")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_the_order_whatever_the_number_of_threads() {
        let items: Vec<u64> = (0..50).collect();
        let mut seen = Vec::new();
        let many = fan_out(&items, 4, |item| item * item, |count| seen.push(count));
        assert_eq!(many, fan_out(&items, 1, |item| item * item, |_| {}));
        assert_eq!(seen, (1..=50).collect::<Vec<_>>());
    }
}
