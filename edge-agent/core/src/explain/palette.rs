//! Colours for bright and dark surroundings, each pair of text and ground with a contrast above 4.5 : 1.

use std::fmt::Write as _;

/// For which surroundings a drawing is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// Whatever the viewer prefers (`prefers-color-scheme`): for SVG files that a browser shows.
    Auto,
    /// Dark ink on white.
    Light,
    /// Light ink on near-black.
    Dark,
}

/// One value for each role in the drawing.
struct Palette {
    ground: &'static str,
    ink: &'static str,
    muted: &'static str,
    grid: &'static str,
    value: &'static str,
    band: &'static str,
    alarm: &'static str,
    /// How much of the alarm's colour lies over the stretch; the expected range shows through.
    alarm_opacity: &'static str,
}

const LIGHT: Palette = Palette {
    ground: "#ffffff",
    ink: "#1b1f24",
    muted: "#57606a",
    grid: "#dfe3e8",
    value: "#0b57d0",
    band: "#c9ddfb",
    alarm: "#b3261e",
    alarm_opacity: ".18",
};

const DARK: Palette = Palette {
    ground: "#15181c",
    ink: "#e8eaed",
    muted: "#a8b0b8",
    grid: "#31373e",
    value: "#8ab4f8",
    band: "#2c4365",
    alarm: "#f28b82",
    alarm_opacity: ".3",
};

impl Theme {
    /// The style sheet of the drawing's classes. Roles, not colours, are named in the drawing itself.
    pub(super) fn style(self) -> String {
        let mut style = String::from("text{font-family:system-ui,Roboto,\"DejaVu Sans\",sans-serif}");
        match self {
            Self::Auto => {
                LIGHT.rules(&mut style);
                style.push_str("@media (prefers-color-scheme: dark){");
                DARK.rules(&mut style);
                style.push('}');
            }
            Self::Light => LIGHT.rules(&mut style),
            Self::Dark => DARK.rules(&mut style),
        }
        style
    }
}

impl Palette {
    fn rules(&self, style: &mut String) {
        let Self { ground, ink, muted, grid, value, band, alarm, alarm_opacity } = self;
        // Writing into a String cannot fail.
        let _ = write!(
            style,
            ".ground{{fill:{ground}}}.ink{{fill:{ink}}}.muted{{fill:{muted}}}\
             .grid{{stroke:{grid};stroke-width:1;fill:none}}\
             .value{{stroke:{value};stroke-width:2;fill:none;stroke-linejoin:round;stroke-linecap:round}}\
             .dot,.on{{fill:{value}}}.off{{fill:{grid}}}.band{{fill:{band}}}\
             .expected{{stroke:{value};stroke-width:1;stroke-dasharray:3 3;fill:none;opacity:.75}}\
             .alarm{{fill:{alarm};fill-opacity:{alarm_opacity}}}.edge{{stroke:{alarm};stroke-width:1.5;fill:none}}.call{{fill:{alarm}}}"
        );
    }
}
