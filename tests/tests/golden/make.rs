//! Writes golden files with the program of a release: `core/testdata/v1/README.md` has the command.
//!
//! Real masters run real processes here. What they acknowledged over HTTP is what the files must
//! load to, and the program that wrote them is asked once whether they do.

use std::fs;
use std::path::{Path, PathBuf};

use openctrl_tests::api::id_of;
use openctrl_tests::master::{Builder, run_to_end};
use openctrl_tests::script::Step;
use openctrl_tests::state::segments;
use openctrl_tests::{Api, KEY_ID, Master, Script, State, until};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::{exported, shown};

/// A runtime that no machine has.
const NO_RUNTIME: &str = "/opt/absent/runtime";

#[test]
#[ignore = "writes the files; see core/testdata/v1/README.md"]
fn make() {
    let out = PathBuf::from(std::env::var_os("GOLDEN").expect("GOLDEN names the folder"));
    fs::create_dir_all(&out).unwrap();
    let mut states = Files { out: out.clone(), made: Map::new() };
    fresh_state(&mut states);
    full_states(&mut states);
    let mut traces = Files { out: out.clone(), made: Map::new() };
    busy_trace(&mut traces);
    crash_traces(&mut traces);
    middle_trace(&mut traces);
    let expected = json!({"states": states.made, "traces": traces.made});
    let text = serde_json::to_string_pretty(&expected).unwrap() + "\n";
    fs::write(out.join("expected.json"), text).unwrap();
}

/// The files that were made, and what each must load to.
struct Files {
    out: PathBuf,
    made: Map<String, Value>,
}

impl Files {
    /// Keeps a state directory. `torn_at` is where its last journal was cut within a record.
    fn state(&mut self, name: &str, state: &State, known: &Value, torn_at: Option<u64>) {
        assert_eq!(exported(state.path()), *known, "{name}");
        let folder = self.out.join(name);
        fs::create_dir_all(&folder).unwrap();
        for (file, bytes) in state.contents() {
            fs::write(folder.join(file), bytes).unwrap();
        }
        let mut known = known.clone();
        known["torn_at"] = json!(torn_at);
        self.made.insert(name.to_owned(), known);
    }

    /// Keeps a segment. These texts must be found in its inputs, and those in a replay of it.
    fn trace(&mut self, name: &str, segment: &Path, shows: &[&str], replay_shows: &[&str]) {
        let replayed = run_to_end(&["replay", "--json", segment.to_str().unwrap()]);
        assert!(replayed.status.success(), "{name}: {}{}", replayed.stdout, replayed.stderr);
        let lines: Vec<Value> =
            replayed.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let (head, end) = (&lines[0], &lines[lines.len() - 1]);
        let inputs: String = lines.iter().filter_map(|line| line["what"].as_str()).collect();
        for (text, shown) in shows
            .iter()
            .map(|text| (text, &inputs))
            .chain(replay_shows.iter().map(|text| (text, &replayed.stdout)))
        {
            assert!(shown.contains(text), "{name}: {text}\n{shown}");
        }
        let file = format!("{name}.trace");
        fs::copy(segment, self.out.join(&file)).unwrap();
        let is_whole = end["end"].as_str().unwrap().contains("ended");
        self.made.insert(
            file,
            json!({
                "product": head["version"], "boot": head["boot"], "sequence": head["sequence"],
                "has_text": head["text"], "inputs": end["inputs"], "is_whole": is_whole,
                "shows": shows, "replay_shows": replay_shows,
            }),
        );
    }
}

fn runtime(state: &State) -> Builder {
    Master::builder().query("state", state.path()).query("trace", "off")
}

/// A line that counts: mode, ping, pool, tcps, udps, tcprx, tcptx, udprx, udptx.
fn counting(fields: [u64; 9]) -> Script {
    Script::new().checkpoint(fields)
}

/// Waits until the disk has all that the master shows, totals included.
fn saved(api: &Api, state: &State) -> Value {
    until("the totals are saved", || exported(state.path()) == shown(api));
    shown(api)
}

fn fresh_state(files: &mut Files) {
    let state = State::new();
    let mut master = runtime(&state).start();
    let known = shown(&master.api());
    master.stop();
    files.state("fresh", &state, &known, None);
}

/// One directory through several runs of a master, with copies of it in between.
fn full_states(files: &mut Files) {
    let state = State::new();
    let mut master = runtime(&state).start();
    let api = fill(&master);
    let known = saved(&api, &state);
    master.kill9();
    files.state("journal", &state, &known, None);

    master.restart();
    let known = saved(&master.api(), &state);
    master.stop();
    files.state("snapshot", &state, &known, None);

    // Each generation of files gets something that no other has.
    for life in ["second", "third"] {
        master.restart();
        let alias = format!("{life} life");
        let created = json!({"url": format!("stub://{life}.example"), "alias": alias});
        master.api().post("/instances", &created).expect(201);
        master.api().post("/info", &json!({"alias": alias})).expect(200);
        master.kill9();
    }
    master.restart();
    let last = id_of(&master.api().create("stub://last.example/?x=%7E#f"));
    master.api().patch(&last, &json!({"alias": "the last change"})).expect(200);
    let known = saved(&master.api(), &state);
    master.kill9();
    files.state("killed", &state, &known, None);

    master.restart();
    master.api().patch(&last, &json!({"alias": "acknowledged", "restart": false})).expect(200);
    let known = saved(&master.api(), &state);
    let torn_at = fs::metadata(state.journal()).unwrap().len();
    master.api().patch(&last, &json!({"alias": "cut off"})).expect(200);
    master.kill9();
    let journal = fs::read(state.journal()).unwrap();
    fs::write(state.journal(), &journal[..journal.len() - 5]).unwrap();
    files.state("torn", &state, &known, Some(torn_at));
}

/// Makes every kind of change, and totals. Returns a client with the new key.
fn fill(master: &Master) -> Api {
    let api = master.api();
    let post = |url: &str, alias: &str| {
        let body = json!({"url": url, "alias": alias});
        id_of(&api.post("/instances", &body).expect(201).json())
    };
    let edge = post("MANAGED://Edge-A.Example:8080/Path?token=hush", "edge-a");
    let tags =
        json!({"region": "süd-öst", "ключ": "значение 🌍", "": "", "quoted": "a \"b\" \\ c"});
    let peer = json!({"sid": "site-1", "type": "edge", "alias": "Zürich"});
    let patch =
        json!({"alias": "Grüße, мир 🌍", "restart": false, "meta": {"peer": peer, "tags": tags}});
    api.patch(&edge, &patch).expect(200);
    api.act(&edge, "stop");
    until("it is stopped", || api.status(&edge) == "stopped");

    let replaced = post("stub://before.example", "replaced");
    api.put(&replaced, "managed://user:secret@After.Example/%7e?a=1&b=2#Frag").expect(200);
    api.patch(&replaced, &json!({"meta": {"tags": {"one": "1"}}})).expect(200);
    api.patch(&replaced, &json!({"meta": {"tags": {}}})).expect(200);
    post("mailto:joe", "");
    post("a+b.c-d://Host", &"long alias ".repeat(27));
    let deleted = post("stub://deleted.example", "deleted");
    api.delete(&deleted).expect(204);

    let total = |id: &str| api.instance(id)["tcprx"].as_u64();
    let once = |script: &Script, alias: &str| {
        let id = post(&script.url(), alias);
        api.patch(&id, &json!({"restart": false})).expect(200);
        id
    };
    let counted = once(&counting([1, 12, 4, 2, 3, 1_000, 2_000, 30, 40]), "counted twice");
    until("the first process counted", || total(&counted) == Some(1_000));
    until("and ended", || api.status(&counted) == "stopped");
    api.act(&counted, "start");
    until("the second process counted", || total(&counted) == Some(2_000));
    let great = (1 << 63) - 1;
    let great = once(&counting([2_147_483_647, 0, 0, 0, 0, great, great, great, great]), "great");
    until("it counted", || total(&great).is_some_and(|total| total > 0));
    let reset = once(&counting([7, 1, 1, 1, 1, 250, 251, 252, u64::from(u32::MAX)]), "reset");
    until("it counted", || total(&reset) == Some(250));
    api.act(&reset, "reset");
    for id in [&counted, &great, &reset] {
        until("it ended", || api.status(id) == "stopped");
    }

    api.post("/info", &json!({"alias": "прод-1"})).expect(200);
    let renewed = api.act(KEY_ID, "restart");
    api.with_key(renewed["url"].as_str().unwrap())
}

/// The only segment in a folder.
fn only(folder: &Path) -> PathBuf {
    let segments = segments(folder);
    assert_eq!(segments.len(), 1, "{segments:?}");
    segments[0].clone()
}

fn traced(folder: &TempDir) -> Builder {
    Master::builder().query("trace", folder.path().to_str().unwrap())
}

/// A run of a master with all that its API and its processes can do, from start to end.
fn busy_trace(files: &mut Files) {
    let folder = TempDir::new().unwrap();
    let mut master = traced(&folder).start();
    let mut events = master.events();
    let api = master.api();
    let talking = counting([1, 12, 4, 2, 3, 100, 200, 300, 400])
        .print("a line")
        .step(Step::PrintError("an ERROR".into()))
        .checkpoint([1, 13, 4, 2, 3, 150, 250, 350, 450])
        .raw([b'x', 0xff, b'\n'])
        .step(Step::Fill(b'y', 70_000))
        .raw("\n")
        .wait();
    let talks = id_of(&api.create(&talking.url_at("stub://user:pass@talks.example")));
    until("it counted", || api.instance(&talks)["tcprx"] == 150);
    api.patch(&talks, &json!({"alias": "Grüße", "meta": {"tags": {"k": "v"}}})).expect(200);
    api.act(&talks, "reset");
    api.act(&talks, "restart");
    let crashes = id_of(&api.create(&Script::new().exit(3).url_at("stub://crashes.example")));
    events.wait_status(&crashes, "error");
    events.wait_status(&crashes, "running");
    let dies = id_of(&api.create(&Script::new().step(Step::Die(9)).url_at("stub://dies.example")));
    events.wait_status(&dies, "error");
    let group = Script::new().step(Step::Grandchild(Script::new().wait()));
    let stubborn = group.clone().ignore_term().wait().url_at("stub://stubborn.example");
    let stubborn = id_of(&api.create(&stubborn));
    events.wait_status(&stubborn, "running");
    let leaves = id_of(&api.create(&group.exit(0).url_at("stub://leaves.example")));
    events.wait_status(&leaves, "running");
    events.wait_status(&leaves, "stopped");
    api.act(&stubborn, "stop");
    api.put(&talks, "stub://replaced.example/?token=one").expect(200);
    api.put(&talks, "stub://replaced.example/?token=two").expect(200);
    api.put(&talks, "stub://replaced.example/?token=two").expect(409);
    let port = api.endpoint().address.port();
    api.get("/tcping?target=127.0.0.1:1").expect(200);
    api.get(&format!("/tcping?target=127.0.0.1:{port}")).expect(200);
    api.delete(&crashes).expect(204);
    api.post("/info", &json!({"alias": "master"})).expect(200);
    events.wait_status(&stubborn, "stopped");
    api.patch(KEY_ID, &json!({"action": "restart"})).expect(200);
    master.stop();
    // The user-info of the first is masked.
    let hosts = ["********0@talks", "replaced", "crashes", "dies", "stubborn", "leaves"];
    let hosts = hosts.map(|host| format!("stub://{host}.example"));
    let mut shows: Vec<&str> = hosts.iter().map(String::as_str).collect();
    shows.extend(["127.0.0.1:1", &talks, &crashes, &stubborn]);
    files.trace("busy", &only(folder.path()), &shows, &[&dies, &leaves]);
}

/// A run that ends with `kill -9`, and the next one, which finds its processes and has no runtime.
fn crash_traces(files: &mut Files) {
    let folders = [TempDir::new().unwrap(), TempDir::new().unwrap()];
    let mut master = traced(&folders[0]).start();
    let mut events = master.events();
    let mut run = |script: &Script, url: &str| {
        let id = id_of(&master.api().create(&script.url_at(url)));
        events.wait_status(&id, "running");
        id
    };
    let stays = run(&Script::new().ignore_term().wait(), "stub://stays.example");
    let goes = run(&Script::new().wait(), "stub://goes.example");
    let seen = |folder: &TempDir, text: &str| {
        let file = segments(folder.path()).pop();
        file.is_some_and(|file| {
            run_to_end(&["replay", file.to_str().unwrap()]).stdout.contains(text)
        })
    };
    until("the last start is recorded", || seen(&folders[0], &format!("update of {goes}")));
    master.crash();
    let hosts = ["stub://stays.example", "stub://goes.example"];
    files.trace("killed", &only(folders[0].path()), &hosts, &[&stays, &goes]);

    let next = folders[1].path().to_str().unwrap().to_owned();
    master.reconfigure(|builder| builder.query("trace", &next).query("bin", NO_RUNTIME));
    master.restart();
    let api = master.api();
    until("both starts failed", || [&stays, &goes].iter().all(|id| api.status(id) == "error"));
    master.stop();
    files.trace("leftovers", &only(folders[1].path()), &[NO_RUNTIME], &[&stays, &goes]);
}

/// The second segment of a run: it begins with processes that are alive. With the text of lines.
fn middle_trace(files: &mut Files) {
    let folder = TempDir::new().unwrap();
    let mut master = traced(&folder).query("trace_size", "1").query("trace_text", "on").start();
    let mut events = master.events();
    let alive = master.run(&mut events, &counting([1, 2, 3, 4, 5, 6, 7, 8, 9]).wait());
    let flood = Script::new().step(Step::Flood(200, 100)).exit(0);
    let floods = master.api().run_once(&flood);
    until("a second segment begins", || {
        if master.api().status(&floods) == "stopped" {
            master.api().act(&floods, "start");
        }
        segments(folder.path()).len() > 1
    });
    until("the flood is over", || master.api().status(&floods) == "stopped");
    master.api().patch(&alive, &json!({"alias": "in the middle"})).expect(200);
    let talks = master.api().run_once(&Script::new().print("a line of text 🌍").exit(0));
    events.wait_log(&talks, "a line of text 🌍");
    until("it ended", || master.api().status(&talks) == "stopped");
    master.stop();
    let segments = segments(folder.path());
    files.trace("middle", &segments[1], &[&alive, &talks, "a line of text 🌍"], &[]);
}
