//! A fixed number of the newest values, one for each step.

use half::bf16;

/// How a value is kept.
pub(crate) trait Kept: Copy {
    fn keep(value: f32) -> Self;
    fn value(self) -> f32;
}

impl Kept for f32 {
    fn keep(value: f32) -> Self {
        value
    }

    fn value(self) -> f32 {
        self
    }
}

/// To within 0.4 %, in half the memory: for what is summed up, and not shown.
impl Kept for bf16 {
    fn keep(value: f32) -> Self {
        Self::from_f32(value)
    }

    fn value(self) -> f32 {
        self.to_f32()
    }
}

/// The last `capacity` values; what was never pushed is NaN.
#[derive(Debug, Clone)]
pub(crate) struct Ring<T = f32> {
    values: Box<[T]>,
    /// Where the next value goes.
    head: usize,
}

impl<T: Kept> Ring<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { values: vec![T::keep(f32::NAN); capacity].into_boxed_slice(), head: 0 }
    }

    pub(crate) fn push(&mut self, value: f32) {
        self.values[self.head] = T::keep(value);
        self.head = if self.head + 1 == self.values.len() { 0 } else { self.head + 1 };
    }

    /// The value `back` steps before the newest (0 is the newest); NaN beyond what is kept.
    pub(crate) fn back(&self, back: usize) -> f32 {
        let length = self.values.len();
        if back >= length {
            return f32::NAN;
        }
        let index = self.head + length - 1 - back;
        self.values[if index >= length { index - length } else { index }].value()
    }

    /// The newest `count` values as two runs; together oldest first.
    pub(crate) fn newest(&self, count: usize) -> (&[T], &[T]) {
        let count = count.min(self.values.len());
        if count <= self.head {
            (&[], &self.values[self.head - count..self.head])
        } else {
            let wrapped = count - self.head;
            (&self.values[self.values.len() - wrapped..], &self.values[..self.head])
        }
    }

    /// Copies everything into `out`, oldest first.
    pub(crate) fn copy_into(&self, out: &mut Vec<f32>) {
        out.clear();
        let (new, old) = self.values.split_at(self.head);
        out.extend(old.iter().chain(new).map(|value| value.value()));
    }

    pub(crate) fn clear(&mut self) {
        self.values.fill(T::keep(f32::NAN));
    }

    /// Becomes a copy of one of the same capacity, where it is in memory.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        self.values.copy_from_slice(&other.values);
        self.head = other.head;
    }
}

/// The mean of what is known of two runs of values; 0 where nothing is.
pub(crate) fn mean_known<T: Kept>((old, new): (&[T], &[T])) -> f32 {
    let (mut sum, mut count) = (0.0f32, 0u32);
    for value in old.iter().chain(new).map(|value| value.value()) {
        if !value.is_nan() {
            sum += value;
            count += 1;
        }
    }
    if count == 0 { 0.0 } else { sum / count as f32 }
}

/// The last `capacity` answers to a yes-or-no question, a bit each: of 300 entities and a fortnight 76 KB, where numbers take 2.4 MB.
#[derive(Debug, Clone)]
pub(crate) struct Flags {
    words: Box<[u64]>,
    capacity: usize,
    /// Where the next one goes.
    head: usize,
}

impl Flags {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { words: vec![0; capacity.div_ceil(64)].into_boxed_slice(), capacity, head: 0 }
    }

    pub(crate) fn push(&mut self, flag: bool) {
        let bit = 1 << (self.head % 64);
        let word = &mut self.words[self.head / 64];
        *word = if flag { *word | bit } else { *word & !bit };
        self.head = if self.head + 1 == self.capacity { 0 } else { self.head + 1 };
    }

    /// All of them, oldest first; no for what was never pushed.
    pub(crate) fn iter(&self) -> impl Iterator<Item = bool> {
        let at = |index: usize| self.words[index / 64] >> (index % 64) & 1 == 1;
        (self.head..self.capacity).chain(0..self.head).map(at)
    }

    pub(crate) fn clear(&mut self) {
        self.words.fill(0);
    }

    /// Becomes a copy of one of the same capacity, where it is in memory.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        self.words.copy_from_slice(&other.words);
        self.head = other.head;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_come_back_in_order_across_the_wrap() {
        let mut flags = Flags::new(70);
        (0..100).for_each(|number| flags.push(number % 3 == 0));
        assert!(flags.iter().eq((30..100).map(|number| number % 3 == 0)));
        flags.push(true);
        assert_eq!((flags.iter().count(), flags.iter().last()), (70, Some(true)));
        flags.clear();
        assert!(flags.iter().all(|flag| !flag));
    }

    #[test]
    fn the_newest_values_come_back_in_order_across_the_wrap() {
        let mut ring: Ring = Ring::new(4);
        for value in 1..=6 {
            ring.push(value as f32);
        }
        assert_eq!(ring.back(0), 6.0);
        assert_eq!(ring.back(3), 3.0);
        assert!(ring.back(4).is_nan());
        let (old, new) = ring.newest(3);
        assert_eq!([old, new].concat(), [4.0, 5.0, 6.0]);
        let mut all = Vec::new();
        ring.copy_into(&mut all);
        assert_eq!(all, [3.0, 4.0, 5.0, 6.0]);
    }

    #[test]
    fn what_is_kept_in_half_the_memory_comes_back_to_within_its_precision_however_large() {
        let mut ring: Ring<bf16> = Ring::new(3);
        for value in [0.123_456, -98_765.0, f32::NAN] {
            ring.push(value);
        }
        assert!(ring.back(0).is_nan());
        assert!((ring.back(1) / -98_765.0 - 1.0).abs() < 0.004, "{}", ring.back(1));
        assert!((ring.back(2) / 0.123_456 - 1.0).abs() < 0.004, "{}", ring.back(2));
    }
}
