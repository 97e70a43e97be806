//! Reading `/proc/PID/smaps`. Pure.

use std::ops::Range;

/// A mapping as a line of `/proc/PID/maps` has it: `START-END PERMISSIONS OFFSET DEVICE INODE PATH`.
struct Mapping<'a> {
    range: Range<usize>,
    permissions: &'a str,
    path: &'a str,
}

/// The read-only mappings of the file whose instructions lie around `address`, in which every page is as in the file: none was ever
/// written to for this process, neither in memory nor swapped out. None where the text is not the kernel's own: an emulator (qemu) that writes
/// one with nothing but zeros would have pages dropped that the loader wrote to. It betrays itself, since the instructions at `address`
/// run and so are in memory.
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "there is no such file elsewhere"))]
pub(crate) fn as_in_the_file(smaps: &str, address: usize) -> Vec<Range<usize>> {
    let mappings = mappings(smaps);
    let around = |entry: &&Entry<'_>| {
        entry.mapping.range.contains(&address) && entry.mapping.permissions == "r-xp" && entry.resident
    };
    let Some(path) = mappings.iter().find(around).map(|entry| entry.mapping.path).filter(|path| path.starts_with('/'))
    else {
        return Vec::new();
    };
    let fits = |mapping: &Mapping<'_>| mapping.path == path && ["r-xp", "r--p"].contains(&mapping.permissions);
    mappings
        .into_iter()
        .filter(|entry| fits(&entry.mapping) && entry.proven == 2)
        .map(|entry| entry.mapping.range)
        .collect()
}

/// What the file says of a mapping.
struct Entry<'a> {
    mapping: Mapping<'a>,
    /// Whether any of it is in memory.
    resident: bool,
    /// How many of the two kinds of pages of its own (anonymous, swapped out) it surely has none of.
    proven: u8,
}

fn mappings(smaps: &str) -> Vec<Entry<'_>> {
    let mut all: Vec<Entry<'_>> = Vec::new();
    for line in smaps.lines() {
        if let Some(mapping) = mapping(line) {
            all.push(Entry { mapping, resident: false, proven: 0 });
        } else if let Some(entry) = all.last_mut()
            && let Some((what, amount)) = line.split_once(':')
        {
            let nothing = amount.trim() == "0 kB";
            match what {
                "Rss" => entry.resident = !nothing,
                "Anonymous" | "Swap" => entry.proven += u8::from(nothing),
                _ => {}
            }
        }
    }
    all
}

fn mapping(line: &str) -> Option<Mapping<'_>> {
    // What follows the inode is the path, whatever it is made of.
    let mut words = line.splitn(6, ' ');
    let (start, end) = words.next()?.split_once('-')?;
    let permissions = words.next()?;
    let path = words.nth(3).unwrap_or_default().trim_start();
    let address = |text| usize::from_str_radix(text, 16).ok();
    Some(Mapping { range: address(start)?..address(end)?, permissions, path })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &str = "\
5581d0000000-5581d00a0000 r--p 00000000 fe:00 77                         /opt/a home/program
Size:                640 kB
Anonymous:             0 kB
Swap:                  0 kB
5581d00a0000-5581d0a00000 r-xp 000a0000 fe:00 77                         /opt/a home/program
Rss:                 512 kB
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd ex mr mw me
5581d0a00000-5581d0a20000 r--p 00a00000 fe:00 77                         /opt/a home/program
Anonymous:           128 kB
Swap:                  0 kB
5581d0a20000-5581d0a30000 r--p 00a20000 fe:00 77                         /opt/a home/program
Anonymous:             0 kB
Swap:                  4 kB
5581d0a30000-5581d0a40000 r--p 00a30000 fe:00 77                         /opt/a home/program
Anonymous:             0 kB
5581d0a40000-5581d0a50000 rw-p 00a40000 fe:00 77                         /opt/a home/program
Anonymous:             0 kB
Swap:                  0 kB
7f0000000000-7f0000010000 r-xp 00000000 fe:00 78                         /opt/a library.so
Rss:                  64 kB
Anonymous:             0 kB
Swap:                  0 kB
7ffd00000000-7ffd00002000 r-xp 00000000 00:00 0                          [vdso]
Anonymous:             0 kB
Swap:                  0 kB
";

    #[test]
    fn of_the_executed_file_what_is_read_only_and_was_never_written_to_is_found() {
        let instructions = 0x5581_d00a_0000..0x5581_d0a0_0000;
        let expected = [0x5581_d000_0000..0x5581_d00a_0000, instructions.clone()];
        assert_eq!(as_in_the_file(SMAPS, instructions.start), expected);
        assert_eq!(as_in_the_file(SMAPS, instructions.end - 1), expected);
    }

    #[test]
    fn a_text_by_which_the_instructions_that_run_are_not_in_memory_finds_nothing() {
        let made_up = SMAPS.replace("512 kB", "  0 kB");
        assert_eq!(as_in_the_file(&made_up, 0x5581_d00a_0000), []);
        assert_eq!(as_in_the_file(&SMAPS.replace("Rss:", "Size:"), 0x5581_d00a_0000), []);
    }

    #[test]
    fn an_address_that_no_file_is_executed_at_finds_nothing() {
        for address in [0x5581_d000_0010, 0x5581_d0a4_0010, 0x7ffd_0000_0010, 0] {
            assert_eq!(as_in_the_file(SMAPS, address), [], "{address:x}");
        }
        assert_eq!(as_in_the_file("no-range r-xp\n5581 r-xp 0 0 0 /x\nAnonymous: 0 kB\n\n", 0x5581), []);
    }
}
