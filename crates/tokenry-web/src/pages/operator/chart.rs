//! A day behind and a day ahead of one service's refreshes, as a small drawing. Colour says nothing alone: what failed is
//! striped and on top, what was held back lies below the ground, and what comes is hollow and behind the line that is now.

use std::fmt::Write as _;

use tokenry_broker::{HourOverview, ProviderOverview};

/// How high the bars grow, and the room of one of them. The template has the drawing's size.
const HEIGHT: i64 = 28;
const STEP: i64 = 5;
/// Where the day ahead begins.
const AHEAD: i64 = 126;
/// A stripe of what failed, with the gap below it.
const STRIPE: i64 = 3;

/// The paths of a drawing, and what it says in words.
pub(super) struct Chart {
    pub(super) done: String,
    pub(super) failed: String,
    pub(super) held: String,
    pub(super) coming: String,
    /// In how many hours refreshes were held back.
    pub(super) held_hours: usize,
    /// How many become due within the next hour.
    pub(super) soon: i64,
}

impl Chart {
    /// Both days have one scale: the highest bar is as high as the drawing.
    pub(super) fn of(it: &ProviderOverview) -> Self {
        let behind = it.hours.iter().map(|hour| hour.done.saturating_add(hour.failed));
        let most = behind.chain(it.coming.iter().copied()).max().unwrap_or_default().max(1);
        let mut chart = Self {
            done: String::new(),
            failed: String::new(),
            held: String::new(),
            coming: String::new(),
            held_hours: it.hours.iter().filter(|hour| hour.held).count(),
            soon: it.coming.first().copied().unwrap_or_default(),
        };
        for (hour, at) in it.hours.iter().zip(0..) {
            chart.add(hour, at * STEP, most);
        }
        for (count, at) in it.coming.iter().zip(0..) {
            let (x, up) = (AHEAD + at * STEP, high(*count, most));
            if up > 0 {
                // The line is drawn on both sides of where it runs.
                draw(&mut chart.coming, format_args!("M{x}.5 {HEIGHT}v-{up}h3v{up}z"));
            }
        }
        chart
    }

    /// An hour of the day behind.
    fn add(&mut self, hour: &HourOverview, x: i64, most: i64) {
        let (done, stripes) = heights(hour, most);
        if done > 0 {
            draw(&mut self.done, format_args!("M{x} {HEIGHT}v-{done}h4v{done}z"));
        }
        for stripe in 0..stripes {
            let y = HEIGHT - done - stripe * STRIPE - 1;
            draw(&mut self.failed, format_args!("M{x} {y}v-2h4v2z"));
        }
        if hour.held {
            // As wide as the hour: hours on end are one strip.
            let y = HEIGHT + 3;
            draw(&mut self.held, format_args!("M{x} {y}h{STEP}v4h-{STEP}z"));
        }
    }
}

/// How high what went well is, and how many stripes stand on it for what did not. What happened at all can be seen.
fn heights(hour: &HourOverview, most: i64) -> (i64, i64) {
    let stripes = match hour.failed {
        0 => 0,
        failed => (high(failed, most) / STRIPE).max(1),
    };
    (high(hour.done, most).min(HEIGHT - stripes * STRIPE), stripes)
}

fn high(count: i64, most: i64) -> i64 {
    match count {
        0 => 0,
        count => (count.saturating_mul(HEIGHT) / most).max(2),
    }
}

/// Adds to a path. A text takes everything.
fn draw(path: &mut String, what: std::fmt::Arguments<'_>) {
    let _ = path.write_fmt(what);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(done: i64, failed: i64) -> HourOverview {
        HourOverview { done, failed, held: false }
    }

    #[test]
    fn bars_stay_inside_the_chart_and_a_single_failure_can_be_seen() {
        let counts = [0, 1, 2, 3, 10, 499, 500, 1000, 1_000_000, i64::MAX / 2];
        for (done, failed) in counts.iter().flat_map(|done| counts.map(|failed| (*done, failed))) {
            for most in [done + failed, 1_000_000_000].map(|most| most.max(done + failed).max(1)) {
                let (up, stripes) = heights(&hour(done, failed), most);
                let all = up + stripes * STRIPE;
                assert!((0..=HEIGHT).contains(&all), "{done} and {failed} of {most}: {all}");
                assert_eq!((up > 0, stripes > 0), (done > 0, failed > 0), "{done} and {failed} of {most}");
            }
        }
        assert_eq!(heights(&hour(1000, 0), 1000), (HEIGHT, 0));
        assert_eq!(heights(&hour(500, 500), 1000), (14, 4));
    }

    #[test]
    fn each_hour_is_drawn_in_its_place_and_both_days_have_one_scale() {
        let mut hours = vec![hour(0, 0); 24];
        hours[1] = HourOverview { held: true, ..hour(5, 0) };
        hours[2].held = true;
        hours[23] = hour(0, 3);
        let mut coming = vec![0; 24];
        (coming[0], coming[23]) = (10, 5);
        let it = ProviderOverview { hours, coming, ..ProviderOverview::default() };
        let chart = Chart::of(&it);
        assert_eq!(chart.done, "M5 28v-14h4v14z");
        assert_eq!(chart.failed, "M115 27v-2h4v2zM115 24v-2h4v2z");
        assert_eq!(chart.held, "M5 31h5v4h-5zM10 31h5v4h-5z");
        assert_eq!(chart.coming, "M126.5 28v-28h3v28zM241.5 28v-14h3v14z");
        assert_eq!((chart.held_hours, chart.soon), (2, 10));
    }

    #[test]
    fn a_service_of_which_nothing_is_known_has_an_empty_chart() {
        let chart = Chart::of(&ProviderOverview::default());
        assert_eq!(chart.done + &chart.failed + &chart.held + &chart.coming, "");
    }
}
