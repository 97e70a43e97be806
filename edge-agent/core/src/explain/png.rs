//! From SVG to pixels, in Rust alone: notifications and image entities want PNG.

use std::io::Write as _;
use std::sync::{Arc, LazyLock};

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

/// Pixels for each unit of the drawing: 1080 for 360, the width of a phone's screen.
const SCALE: f32 = 3.0;
/// Largest drawing, in pixels a side; ours is 1080 wide.
const SIDE_MAX: f32 = 4_096.0;
/// Rows that are drawn and packed at a time.
const BAND_ROWS: u32 = 128;
/// Rows above and below a band that are drawn with it and not packed: edges are smoothed with what is beside them.
const BESIDE_ROWS: u32 = 8;
/// The carried font's family, as it names itself; of its widths only the condensed one is carried.
const FONT_FAMILY: &str = "DejaVu Sans";

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum DrawError {
    /// The SVG document cannot be parsed: an error in this program.
    #[error("the drawing is not SVG: {0}")]
    Svg(#[from] resvg::usvg::Error),
    /// The document has no size, or more than is drawn.
    #[error("the drawing is {width} × {height} units, beyond what is drawn")]
    Size {
        /// In pixels.
        width: f32,
        /// In pixels.
        height: f32,
    },
    /// The PNG encoder failed.
    #[error("the picture cannot be written as PNG: {0}")]
    Encode(#[from] png::EncodingError),
}

/// The one font that every text is drawn with. It is carried in the program, since a container has none; what it lacks
/// (scripts beyond Latin, Greek, Cyrillic and their neighbours) is drawn as boxes.
static FONTS: LazyLock<Arc<fontdb::Database>> = LazyLock::new(|| {
    let mut fonts = fontdb::Database::new();
    // In place: no copy of it on the heap.
    fonts.load_font_source(fontdb::Source::Binary(Arc::new(dejavu::sans_condensed::regular())));
    fonts.set_sans_serif_family(FONT_FAMILY);
    // What is drawn with when no family of a list is known.
    fonts.set_serif_family(FONT_FAMILY);
    Arc::new(fonts)
});

/// Draws an SVG document as PNG, three pixels for a unit. `@media` rules are not heeded: give a document with one theme.
///
/// # Errors
/// [`DrawError`] when `svg` is not a drawing of sensible size.
pub fn png(svg: &str) -> Result<Vec<u8>, DrawError> {
    let options = Options { font_family: FONT_FAMILY.to_owned(), fontdb: Arc::clone(&FONTS), ..Options::default() };
    let tree = Tree::from_str(svg, &options)?;
    let size = tree.size();
    let (width, height) = (size.width() * SCALE, size.height() * SCALE);
    let too_large = || DrawError::Size { width: size.width(), height: size.height() };
    if width > SIDE_MAX || height > SIDE_MAX {
        return Err(too_large());
    }
    let (width, height) = (width.ceil() as u32, height.ceil() as u32);
    let mut picture = Vec::new();
    let mut encoder = png::Encoder::new(&mut picture, width, height);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    let mut rows = writer.stream_writer()?;
    // A whole picture and its copy are 9 MB, a third of what the agent holds beside it.
    let mut band = Pixmap::new(width, BAND_ROWS + 2 * BESIDE_ROWS).ok_or_else(too_large)?;
    let mut row = Vec::with_capacity(4 * width as usize);
    for top in (0..height).step_by(BAND_ROWS as usize) {
        band.data_mut().fill(0);
        let place = Transform::from_scale(SCALE, SCALE).post_translate(0.0, BESIDE_ROWS as f32 - top as f32);
        resvg::render(&tree, place, &mut band.as_mut());
        let drawn = (height - top).min(BAND_ROWS) as usize;
        for pixels in band.pixels().chunks(width as usize).skip(BESIDE_ROWS as usize).take(drawn) {
            row.clear();
            for pixel in pixels {
                let plain = pixel.demultiply();
                row.extend([plain.red(), plain.green(), plain.blue(), plain.alpha()]);
            }
            rows.write_all(&row).map_err(png::EncodingError::from)?;
        }
    }
    rows.finish()?;
    writer.finish()?;
    Ok(picture)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_that_is_drawn_in_bands_looks_like_the_one_that_is_drawn_in_whole() {
        // 450 rows: three bands and a part of one, with an edge and a text across two of them.
        let svg = r##"<svg xmlns="http://www.w3.org/2000/svg" width="90" height="150"><rect width="90" height="150" fill="#fff"/>
            <circle cx="45" cy="43" r="30.3" fill="#c00" fill-opacity=".4"/><text x="4" y="87" font-size="12">21.5 °C</text></svg>"##;
        let banded = Pixmap::decode_png(&png(svg).unwrap()).unwrap();
        let options = Options { font_family: FONT_FAMILY.to_owned(), fontdb: Arc::clone(&FONTS), ..Options::default() };
        let mut whole = Pixmap::new(270, 450).unwrap();
        resvg::render(
            &Tree::from_str(svg, &options).unwrap(),
            Transform::from_scale(SCALE, SCALE),
            &mut whole.as_mut(),
        );
        assert_eq!((banded.width(), banded.height()), (270, 450));
        let apart = banded.data().iter().zip(whole.data()).map(|(one, other)| one.abs_diff(*other));
        // Curves are rounded from where they are drawn: some bytes of half a million may be a shade off, which nobody sees.
        let (most, count) = (apart.clone().max().unwrap(), apart.filter(|apart| *apart > 0).count());
        assert!(most <= 16 && count <= 16, "{count} bytes are off, by {most} at the most");
    }
}
