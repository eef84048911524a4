//! Carries out a command: the runtime, signals, and the exit status.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use super::api::Api;
use super::failure::Failure;
use super::outlet::Outlet;
use super::place::Place;
#[cfg(target_os = "linux")]
use super::upgrade;
use super::{
    act, apply, audit, control, create, doctor, edit, events, export, launch, list, live, logs,
    master, outlet, pages, screen, show, token,
};
use crate::grammar::{Command, Format, Key, Line, Options};

/// Carries out a command.
pub(crate) fn run(line: Line) -> ExitCode {
    match carry_out(line) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.is_silent() {
                // If standard error fails, only the exit status reports the error.
                let _ = writeln!(io::stderr(), "openctrl: {failure}");
            }
            ExitCode::from(failure.exit_code())
        }
    }
}

fn carry_out(line: Line) -> Result<(), Failure> {
    if let Command::Completions(question) = &line.command {
        return pages::completions(question);
    }
    if let Command::Man(question) = &line.command {
        return pages::man(question);
    }
    // One thread works; this one can hang in a write to a pipe that no process reads.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| Failure::Refused(format!("cannot start: {error}")))?;
    let result = runtime.block_on(async {
        end_on_signals().map_err(|error| Failure::Refused(format!("cannot start: {error}")))?;
        ask(line.command, &line.options).await
    });
    // A name look-up may hang for as long as the resolver likes.
    runtime.shutdown_background();
    result
}

async fn ask(command: Command, options: &Options) -> Result<(), Failure> {
    if let Command::Control(question) = &command {
        return control::control(&Outlet::new(options.output), question).await;
    }
    if matches!(command, Command::Doctor) {
        return doctor::doctor(&Outlet::new(options.output), options).await;
    }
    if matches!(command, Command::Upgrade) {
        #[cfg(target_os = "linux")]
        return upgrade::upgrade(&Outlet::new(options.output), options);
        #[cfg(not(target_os = "linux"))]
        return Err(Failure::Refused("only Linux has upgrades in place".to_owned()));
    }
    let api = Arc::new(Api::new(Place::find(options)?)?);
    let out = Outlet::new(options.output);
    match command {
        Command::List(list) if list.watch => {
            only_for_reading(options, "list --watch")?;
            live::watch(&api, live::Kind::list(&list, options.output)).await
        }
        Command::List(question) => list::list(&api, &out, &question).await,
        Command::Top(top) => {
            only_for_reading(options, "top")?;
            match top.count {
                Some(count) => live::print(&api, &out, &top, count).await,
                None => live::watch(&api, live::Kind::top(&top, options.output)).await,
            }
        }
        Command::Show(which) => show::show(&api, &out, &which).await,
        Command::Run(question) => launch::run(&api, &out, &question).await,
        Command::Apply(question) => apply::apply(&api, &out, &question).await,
        Command::Plan(question) => apply::show_plan(&api, &out, &question).await,
        Command::Export(question) => export::export(&api, &out, &question).await,
        Command::Create(question) => create::create(&api, &out, &question).await,
        Command::Start(act) => act::change(&api, &out, act::Action::Start, &act).await,
        Command::Stop(act) => act::change(&api, &out, act::Action::Stop, &act).await,
        Command::Restart(act) => act::change(&api, &out, act::Action::Restart, &act).await,
        Command::Reset(which) => act::reset(&api, &out, &which).await,
        Command::Delete(question) => act::delete(&api, &out, &question).await,
        Command::Set(question) => edit::set(&api, &out, &question).await,
        Command::Url(question) => edit::url(&api, &out, &question).await,
        Command::Logs(question) => logs::logs(&api, &out, &question).await,
        Command::Events(question) => events::events(&api, &out, &question).await,
        Command::Info => master::info(&api, &out).await,
        Command::Alias(question) => master::alias(&api, &out, &question).await,
        Command::Key(Key::Rotate { yes }) => master::rotate(&api, &out, yes).await,
        Command::Audit(question) => audit::audit(&api, &out, question.lines).await,
        Command::Token(question) => token::token(&api, &out, &question).await,
        Command::Ping(question) => master::ping(&api, &out, &question.target).await,
        // Dispatched before a master is looked for.
        Command::Control(_)
        | Command::Upgrade
        | Command::Completions(_)
        | Command::Man(_)
        | Command::Doctor
        | Command::Import(_)
        | Command::Replay(_)
        | Command::Service(_)
        | Command::State(_)
        | Command::Patrol(_)
        | Command::Master
        | Command::Runtime
        | Command::Version => Ok(()),
    }
}

fn only_for_reading(options: &Options, what: &str) -> Result<(), Failure> {
    match options.output {
        Format::Table | Format::Wide => Ok(()),
        Format::Json | Format::Yaml => Err(Failure::Usage(format!(
            "{what} is a screen; for a program that reads there is 'events --follow --json'"
        ))),
    }
}

/// Ends the program at once, its screen restored, also while it hangs in a write.
fn end_on_signals() -> io::Result<()> {
    let kinds = [
        (SignalKind::interrupt(), 130),
        (SignalKind::terminate(), 143),
        (SignalKind::hangup(), 129),
    ];
    for (kind, code) in kinds {
        let mut stream = signal(kind)?;
        tokio::spawn(async move {
            stream.recv().await;
            screen::restore();
            outlet::interrupted();
            std::process::exit(code);
        });
    }
    Ok(())
}
