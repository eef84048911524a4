//! How a screen is drawn.

use std::time::Instant;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::board::{Board, Order};
use crate::client::list::{Shape, status_counts};
use crate::client::table::{Cell, Tone, looks};
use crate::client::text::{fit, plain, plain_line};
use crate::client::units::{bytes, rate, span};
use crate::grammar::Sort;

const KEYS: &str = "[s]ort [r]everse [l]og [S]tart s[T]op [R]estart [q]uit";

impl Board {
    /// Draws everything.
    pub(super) fn draw(&mut self, frame: &mut Frame<'_>, now: Instant, has_colours: bool) {
        let area = frame.area();
        let heading = self.heading(now, has_colours, usize::from(area.width));
        let tall = u16::try_from(heading.len()).unwrap_or(u16::MAX);
        let pane = if self.pane.is_some() { area.height.saturating_sub(tall + 1) / 2 } else { 0 };
        let parts = [
            Constraint::Length(tall),
            Constraint::Min(0),
            Constraint::Length(pane),
            Constraint::Length(1),
        ];
        let [top, middle, low, foot] = Layout::vertical(parts).areas(area);
        frame.render_widget(Paragraph::new(heading), top);
        let total = self.draw_table(frame, middle, now, has_colours);
        self.draw_pane(frame, low, has_colours);
        let text = fit(&self.foot(total), usize::from(area.width)).into_owned();
        let tone = if self.question.is_some() { Tone::Bad } else { Tone::Dim };
        frame.render_widget(Paragraph::new(Span::styled(text, style(tone, has_colours))), foot);
    }

    /// How many instances there are to be shown.
    fn draw_table(
        &mut self,
        frame: &mut Frame<'_>,
        area: Rect,
        now: Instant,
        has_colours: bool,
    ) -> usize {
        self.page = usize::from(area.height).saturating_sub(1).max(1);
        let shown = self.shown(now);
        let total = shown.len();
        let order: Vec<String> = shown.iter().map(|line| line.instance.id().to_owned()).collect();
        let first = self.first.min(total.saturating_sub(self.page));
        let visible = &shown[first..total.min(first + self.page)];
        // Columns do not come and go while the list is scrolled.
        let shape = Shape::of(&shown, self.kind.is_wide, self.kind.is_top);
        let cells: Vec<Vec<Cell>> = visible.iter().map(|line| shape.row(line)).collect();
        let lines = looks(&shape.columns(), &cells, usize::from(area.width));
        let mut lines: Vec<Line<'_>> =
            lines.into_iter().map(|pieces| spans(pieces, has_colours)).collect();
        let selected = self.selected.as_ref();
        let at = selected.and_then(|id| visible.iter().position(|one| one.instance.id() == id));
        if let Some(line) = at.and_then(|at| lines.get_mut(at + 1)) {
            *line = std::mem::take(line).style(Style::new().add_modifier(Modifier::REVERSED));
        }
        frame.render_widget(Paragraph::new(lines), area);
        (self.first, self.order) = (first, order);
        total
    }

    fn draw_pane(&self, frame: &mut Frame<'_>, area: Rect, has_colours: bool) {
        let Some(pane) = self.pane.as_ref().filter(|_| area.height > 0) else { return };
        let width = usize::from(area.width);
        let name =
            self.entries.get(&pane.id).map_or_else(|| pane.id.clone(), |e| e.instance.name());
        // In the table the reason may be cut.
        let now = Instant::now();
        let reason = self.entries.get(&pane.id).map(|entry| entry.line(now).reason().into_owned());
        let reason = reason.filter(|reason| !reason.is_empty());
        let reason = reason.map(|reason| format!(": {}", plain(&reason))).unwrap_or_default();
        let title = fit(&format!("log of {}{reason}", plain(&name)), width).into_owned();
        let mut lines = vec![Line::from(Span::styled(title, style(Tone::Dim, has_colours)))];
        let rows = usize::from(area.height) - 1;
        let last = pane.lines.iter().skip(pane.lines.len().saturating_sub(rows));
        lines.extend(last.map(|line| {
            // As `logs` marks them.
            let mark = if line.is_stderr && !has_colours { "! " } else { "" };
            let tone = if line.is_stderr { Tone::Bad } else { Tone::Plain };
            let text = format!("{mark}{}", plain_line(&line.text));
            let text = fit(&text, width).into_owned();
            Line::from(Span::styled(text, style(tone, has_colours)))
        }));
        frame.render_widget(Paragraph::new(lines), area);
    }

    fn foot(&self, total: usize) -> String {
        if let Some(Order::Act { name, action, .. }) = &self.question {
            return format!("{action} {}? [y/n]", plain(name));
        }
        if !self.notice.is_empty() {
            return plain(&self.notice).into_owned();
        }
        let last = total.min(self.first + self.page);
        format!(
            "{}-{last} of {total}  sort: {}{}  {KEYS}",
            if total == 0 { 0 } else { self.first + 1 },
            sort_name(self.kind.sort),
            if self.is_reversed { ", reversed" } else { "" },
        )
    }

    fn heading(&self, now: Instant, has_colours: bool, width: usize) -> Vec<Line<'static>> {
        let name = match self.info.at("alias").text() {
            "" => &self.place,
            alias => alias,
        };
        let instances = self.entries.values().map(|entry| &entry.instance);
        let mut texts = vec![format!("{}  {}", plain(name), status_counts(instances))];
        if self.kind.is_top {
            texts.push(self.machine(now));
        }
        let mut lines: Vec<Line<'static>> =
            texts.iter().map(|text| Line::from(fit(text, width).into_owned())).collect();
        if let Some(reason) = &self.lost {
            let text = format!("not connected, trying again: {}", plain(reason));
            let text = fit(&text, width).into_owned();
            lines.push(Line::from(Span::styled(text, style(Tone::Bad, has_colours))));
        }
        lines
    }

    fn machine(&self, now: Instant) -> String {
        let rates = self.entries.values().map(|entry| entry.line(now).rates);
        let (rx, tx) = rates.fold((0.0, 0.0), |(rx, tx), (r, t)| (rx + r, tx + t));
        let size = |name: &str| bytes(self.info.at(name).whole().unwrap_or(0));
        format!(
            "cpu {}%  memory {} of {}  rx {}/s  tx {}/s  up {}{}",
            self.info.at("cpu").bare(),
            size("mem_used"),
            size("mem_total"),
            rate(rx),
            rate(tx),
            span(self.info.at("uptime").whole().unwrap_or(0)),
            if self.has_processes {
                ""
            } else {
                "  (no CPU and memory of instances: older master)"
            },
        )
    }
}

fn spans(pieces: Vec<(String, Tone)>, has_colours: bool) -> Line<'static> {
    let span = |(text, tone)| Span::styled(text, style(tone, has_colours));
    Line::from(pieces.into_iter().map(span).collect::<Vec<_>>())
}

fn style(tone: Tone, has_colours: bool) -> Style {
    match tone {
        _ if !has_colours => Style::new(),
        Tone::Plain => Style::new(),
        Tone::Good => Style::new().fg(Color::Green),
        Tone::Bad => Style::new().fg(Color::Red),
        Tone::Dim => Style::new().add_modifier(Modifier::DIM),
    }
}

fn sort_name(sort: Sort) -> String {
    use clap::ValueEnum;
    sort.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
