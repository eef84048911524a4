//! The live screens, `list --watch` and `top`: takes in events, keys and figures, and draws.

mod board;
mod draw;

use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::Method;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::api::{Api, object};
use super::document::Document;
use super::failure::Failure;
use super::follow::Follower;
use super::list;
use super::outlet::Outlet;
use super::screen::{Key, Screen, keys};
use crate::grammar::{Format, Top};
pub(crate) use board::Kind;
use board::{Answer, Board, LogLine, Order};

/// Pictures a second, at most, are enough for eyes.
const FRAME: Duration = Duration::from_millis(250);

/// Redraws without new data, because durations change.
const STALE: Duration = Duration::from_secs(1);

/// How often figures are asked for. An answer that takes long is asked for less often.
const FIGURES: Duration = Duration::from_secs(2);
const FIGURES_SHARE: u32 = 20;

/// Lines that the log pane begins with.
const PANE_LINES: usize = 200;

/// Keeps a screen until it is quit.
pub(crate) async fn watch(api: &Arc<Api>, kind: Kind) -> Result<(), Failure> {
    // Errors at the start are reported on the normal screen.
    let info = api.get("/info").await?;
    let mut items = Follower::new(api, None).spawn();
    let (sender, mut answers) = mpsc::channel(16);
    ask_for_figures(api, sender.clone());
    let mut board = Board::new(kind, api.shown(), info);
    let mut screen = Screen::enter(board.kind.name())?;
    let mut keys = keys();
    let failed = |error| Failure::Refused(format!("cannot listen for signals: {error}"));
    let mut resized = signal(SignalKind::window_change()).map_err(failed)?;
    let mut frame = interval(FRAME);
    frame.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut drawn = None::<Instant>;
    loop {
        tokio::select! {
            Some(item) = items.recv() => board.hear(item?),
            Some(answer) = answers.recv() => board.learn(answer),
            Some(key) = keys.recv() => {
                if key == Key::Letter('q') {
                    return Ok(());
                }
                board.press(key);
                drawn = None;
            }
            _ = resized.recv() => drawn = None,
            _ = frame.tick() => board.refresh_pane(),
        }
        if let Some(order) = board.take_order() {
            carry_out(api, order, sender.clone());
        }
        let pause = if board.has_news { FRAME } else { STALE };
        if drawn.is_none_or(|drawn| drawn.elapsed() >= pause) {
            let has_colours = Outlet::new(Format::Table).canvas.has_colours;
            screen.draw(|frame| board.draw(frame, Instant::now(), has_colours))?;
            board.has_news = false;
            drawn = Some(Instant::now());
        }
    }
}

/// Prints tables in place of a screen, `FIGURES` apart.
pub(crate) async fn print(
    api: &Arc<Api>,
    out: &Outlet,
    question: &Top,
    count: u32,
) -> Result<(), Failure> {
    for number in 0..count {
        if number > 0 {
            sleep(FIGURES).await;
            out.print("\n")?;
        }
        let (instances, processes) = list::both(api, None, Some(&list::OF_PROCESS)).await?;
        let mut lines = list::lines(&instances, &processes);
        lines.retain(|line| line.instance.has_tags(&question.tag));
        lines.sort_by(|a, b| list::compare(question.sort, a, b));
        list::print(out, &lines)?;
    }
    Ok(())
}

fn carry_out(api: &Arc<Api>, order: Order, answers: mpsc::Sender<Answer>) {
    let api = Arc::clone(api);
    tokio::spawn(async move {
        let answer = match order {
            Order::Lines(id) => {
                let path = format!("/instances/{id}/logs?limit={PANE_LINES}");
                let page = api.get_if_known(&path).await.ok().flatten();
                let lines = page.map(|page| page.at("lines").clone().into_list());
                let lines = lines.unwrap_or_default();
                let line = |line: &Document| LogLine {
                    text: line.at("text").text().to_owned(),
                    is_stderr: line.at("stream").text() == "stderr",
                };
                Answer::Lines(id, lines.iter().map(line).collect())
            }
            Order::Act { id, name, action } => {
                let body = object(&[("action", Some(action))]);
                let path = format!("/instances/{id}");
                match api.change(Method::PATCH, &path, &body).await {
                    Ok(_) => Answer::Notice(format!("{name}: {action} requested")),
                    Err(failure) => Answer::Notice(format!("{name}: {failure}")),
                }
            }
        };
        // The screen may have been quit.
        let _ = answers.send(answer).await;
    });
}

fn ask_for_figures(api: &Arc<Api>, sender: mpsc::Sender<Answer>) {
    let api = Arc::clone(api);
    tokio::spawn(async move {
        let mut has_processes = true;
        loop {
            let begun = Instant::now();
            // The event stream reports a lost connection.
            if has_processes {
                let news = match api.get_if_known("/processes").await {
                    Ok(Some(list)) => Some(Answer::Processes(list.into_list())),
                    Ok(None) => {
                        has_processes = false;
                        Some(Answer::NoProcesses)
                    }
                    Err(_) => None,
                };
                if let Some(news) = news
                    && sender.send(news).await.is_err()
                {
                    return;
                }
            }
            if let Ok(info) = api.get("/info").await
                && sender.send(Answer::Info(info)).await.is_err()
            {
                return;
            }
            sleep(FIGURES.max(begun.elapsed() * FIGURES_SHARE)).await;
        }
    });
}

#[cfg(test)]
mod tests;
