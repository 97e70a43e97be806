//! Archives that break off: what stands before the break is read, and the break is noted.

use std::cell::Cell;
use std::io::{self, ErrorKind, Read};
use std::rc::Rc;

/// The note on a file that breaks off.
pub const CUT_SHORT: &str = "the file is cut short or damaged: what stands before the break was read, the rest is missing; copy or \
                             download it again";

/// A packed input whose end may be missing.
#[derive(Debug)]
pub struct Torn<R> {
    input: R,
    cut: Rc<Cell<bool>>,
}

impl<R: Read> Torn<R> {
    /// Reads `input` up to its end or its break; `cut` is set at a break.
    pub fn new(input: R, cut: &Rc<Cell<bool>>) -> Self {
        Self { input, cut: Rc::clone(cut) }
    }
}

impl<R: Read> Read for Torn<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.input.read(buffer) {
            Err(error)
                if [ErrorKind::UnexpectedEof, ErrorKind::InvalidInput, ErrorKind::InvalidData]
                    .contains(&error.kind()) =>
            {
                self.cut.set(true);
                Ok(0)
            }
            read => read,
        }
    }
}
