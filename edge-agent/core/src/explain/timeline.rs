//! The states of an entity that is on or off, as two rows of blocks: what a share of ten minutes would hide.

use std::fmt::Write as _;

use hearthwatch_detector::grid::STEP_SECONDS;

use super::Point;

/// A stretch of time in one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    pub from: i64,
    pub until: i64,
    pub on: bool,
}

/// The stretches of on and off in `points`, and of `alarm`. A step that was on for a part of its time is on first, for as long. A step without
/// a value is in no state. `alarm` is a stretch in which the entity was on for sure, such as a warning of danger, which is drawn
/// before its step is over.
pub(super) fn stretches(points: &[Point], alarm: Option<(i64, i64)>) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::new();
    let mut add = |from: i64, until: i64, on: bool| match stretches.last_mut() {
        _ if until <= from => {}
        Some(last) if last.on == on && last.until == from => last.until = until,
        _ => stretches.push(Stretch { from, until, on }),
    };
    for point in points {
        let Some(share) = point.observed.filter(|share| share.is_finite()) else { continue };
        let begin = point.at - STEP_SECONDS;
        #[expect(clippy::cast_possible_truncation, reason = "a share of 600 seconds")]
        let on_until = begin + (share.clamp(0.0, 1.0) * STEP_SECONDS as f32).round() as i64;
        add(begin, on_until, true);
        add(on_until, point.at, false);
    }
    if let Some((from, until)) = alarm.filter(|(from, until)| from < until) {
        let outside = |stretch: &Stretch| {
            let before = Stretch { until: stretch.until.min(from), ..*stretch };
            let behind = Stretch { from: stretch.from.max(until), ..*stretch };
            [before, behind].into_iter().filter(|part| part.from < part.until).collect::<Vec<_>>()
        };
        stretches = stretches.iter().flat_map(outside).collect();
        stretches.push(Stretch { from, until, on: true });
        stretches.sort_by_key(|stretch| stretch.from);
    }
    stretches
}

/// Draws them: on in the upper row, off in the lower.
pub(super) fn draw(body: &mut String, stretches: &[Stretch], x: impl Fn(i64) -> f32, top: f32, height: f32) {
    let row = height / 2.0;
    for Stretch { from, until, on } in stretches {
        let (left, right) = (x(*from), x(*until));
        // An event of a second is seen too.
        let width = (right - left).max(if *on { 1.5 } else { 0.0 });
        let y = if *on { top + row * 0.2 } else { top + row * 1.2 };
        let class = if *on { "on" } else { "off" };
        // Writing into a String cannot fail.
        let _ = write!(
            body,
            "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{:.1}\"/>",
            row * 0.6
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(step: i64, share: Option<f32>) -> Point {
        Point { at: step * STEP_SECONDS, observed: share, band: None }
    }

    #[test]
    fn steps_become_stretches_and_a_part_of_a_step_is_on_first() {
        let points =
            [point(1, Some(0.0)), point(2, Some(1.0)), point(3, Some(0.5)), point(4, None), point(5, Some(0.0))];
        let stretch = |from, until, on| Stretch { from, until, on };
        let told = [
            stretch(0, 600, false),
            stretch(600, 1_500, true),
            stretch(1_500, 1_800, false),
            stretch(2_400, 3_000, false),
        ];
        assert_eq!(stretches(&points, None), told);
    }

    #[test]
    fn a_warning_is_on_from_its_second_on_though_its_step_is_not_over() {
        let points = [point(1, Some(0.0)), point(2, Some(0.0))];
        let told = stretches(&points, Some((900, 2_000)));
        let stretch = |from, until, on| Stretch { from, until, on };
        assert_eq!(told, [stretch(0, 900, false), stretch(900, 2_000, true)]);
    }
}
