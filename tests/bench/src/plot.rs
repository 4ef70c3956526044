//! Throughput and latency over load, as SVG: how long calls take at each rate that was offered, up to where the services are full.

use crate::results::{Open, Results};
use anyhow::{Context, ensure};
use plotters::{
    chart::{ChartBuilder, SeriesLabelPosition},
    drawing::IntoDrawingArea,
    element::{Circle, PathElement},
    prelude::{IntoLogRange, SVGBackend},
    series::LineSeries,
    style::{BLACK, Color, RGBColor, WHITE},
};
use std::path::Path;

const SIZE: (u32, u32) = (800, 480);
const SHARES: [(f64, &str, RGBColor); 3] = [
    (0.5, "p50", RGBColor(46, 125, 50)),
    (0.99, "p99", RGBColor(21, 101, 192)),
    (0.999, "p99.9", RGBColor(198, 40, 40)),
];

/// Draws what the open loop came to.
pub(crate) fn draw(results: &Results, file: &Path) -> anyhow::Result<()> {
    ensure!(!results.open.is_empty(), "there is nothing to draw: the open loop was left out");
    let latency = |one: &Open, share: f64| one.measured.latencies.within([share])[0].max(0.1);
    let most = results.open.iter().map(|one| latency(one, 0.999)).fold(1.0, f64::max);
    let rate = results.open.iter().map(|one| one.offered).fold(0.0, f64::max);
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE).context("the drawing can not be written")?;
    let title = format!("{} | PostgreSQL {}", results.machine, results.postgres);
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 13))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..rate * 1.05, (0.5..most * 1.5).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("close-outs a second offered, every effect durable on both sides")
        .y_desc("milliseconds until the answer")
        .draw()?;
    for (share, name, color) in SHARES {
        let points: Vec<_> = results.open.iter().map(|one| (one.offered, latency(one, share))).collect();
        let legend = move |(x, y)| PathElement::new(vec![(x, y), (x + 16, y)], color);
        chart.draw_series(LineSeries::new(points.clone(), color.stroke_width(2)))?.label(name).legend(legend);
        chart.draw_series(points.into_iter().map(|point| Circle::new(point, 3, color.filled())))?;
    }
    chart.configure_series_labels().position(SeriesLabelPosition::UpperLeft).border_style(BLACK).draw()?;
    area.present().context("the drawing can not be written")
}
