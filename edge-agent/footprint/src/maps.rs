//! Reading `/proc/PID/maps`. Pure.

use std::ops::Range;

/// The mapping that `address` lies in, when it maps a file for reading and executing and for nothing else.
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "there is no such file elsewhere"))]
pub(crate) fn instructions_around(maps: &str, address: usize) -> Option<Range<usize>> {
    maps.lines().filter_map(executed).find(|range| range.contains(&address))
}

/// A line's range, where it is `START-END r-xp OFFSET DEVICE INODE PATH` with a path.
fn executed(line: &str) -> Option<Range<usize>> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let is_executed = words.next()? == "r-xp";
    let is_file = words.nth(3)?.starts_with('/');
    let address = |text| usize::from_str_radix(text, 16).ok();
    (is_executed && is_file).then_some(address(start)?..address(end)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
5581d0000000-5581d00a0000 r--p 00000000 fe:00 77 /usr/bin/program
5581d00a0000-5581d0a00000 r-xp 000a0000 fe:00 77 /usr/bin/program
5581d0a00000-5581d0a20000 rw-p 00a00000 fe:00 77 /usr/bin/program
7f0000000000-7f0000010000 r-xp 00000000 00:00 0 
7ffd00000000-7ffd00002000 r-xp 00000000 00:00 0 [vdso]
";

    #[test]
    fn the_mapping_that_is_executed_is_found_by_an_address_in_it() {
        assert_eq!(instructions_around(MAPS, 0x5581_d00a_0000), Some(0x5581_d00a_0000..0x5581_d0a0_0000));
        assert_eq!(instructions_around(MAPS, 0x5581_d09f_ffff), Some(0x5581_d00a_0000..0x5581_d0a0_0000));
    }

    #[test]
    fn what_can_be_written_what_is_no_file_and_what_is_no_line_is_left_alone() {
        for address in [0x5581_d000_0010, 0x5581_d0a0_0010, 0x7f00_0000_0010, 0x7ffd_0000_0010, 0] {
            assert_eq!(instructions_around(MAPS, address), None, "{address:x}");
        }
        assert_eq!(instructions_around("no-range r-xp\n5581 r-xp 0 0 0 /x\n\n", 0x5581), None);
    }
}
