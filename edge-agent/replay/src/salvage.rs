//! Reads a table by its row numbers around the pages that are damaged.

use super::error::ReplayError;

/// Numbers beyond which there are no rows: a recorder at a thousand states a second needs 35,000 years for them.
const NUMBER_MAX: i64 = 1 << 50;

/// How far one reading of a damaged database came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// Number of the last row that was read.
    pub last: Option<i64>,
    /// Whether it ended at a damaged page.
    pub torn: bool,
}

/// Reads from row 0 on, and behind each tear again: behind the last row, and where that fails ever farther on, so that no
/// more is lost than twice what is damaged. Returns the number of tears.
///
/// # Errors
/// What `read_from` returns; a tear is none.
pub fn walk(read_from: &mut dyn FnMut(i64) -> Result<Reached, ReplayError>) -> Result<u64, ReplayError> {
    let (mut from, mut step, mut tears) = (0, 1, 0);
    while from < NUMBER_MAX {
        let reached = read_from(from)?;
        if !reached.torn {
            return Ok(tears);
        }
        if let Some(last) = reached.last.filter(|last| *last >= from) {
            (from, step) = (last, 1);
            tears += 1;
        } else {
            tears = tears.max(1);
            step *= 2;
        }
        from = from.saturating_add(step);
    }
    Ok(tears)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_on_both_sides_of_a_tear_are_read_once() {
        let mut read = Vec::new();
        let tears = walk(&mut |from| {
            let mut last = None;
            for number in from.max(1)..=40 {
                if (11..20).contains(&number) {
                    return Ok(Reached { last, torn: true });
                }
                read.push(number);
                last = Some(number);
            }
            Ok(Reached { last, torn: false })
        })
        .unwrap();
        assert_eq!(tears, 1);
        assert_eq!(read.first(), Some(&1));
        assert_eq!(read.last(), Some(&40));
        assert!(read.is_sorted_by(|a, b| a < b));
        assert!(read.len() >= 40 - 2 * 9 - 1, "{read:?}");
    }

    #[test]
    fn a_tear_without_an_end_ends_the_search() {
        assert_eq!(walk(&mut |_| Ok(Reached { last: None, torn: true })).unwrap(), 1);
    }
}
