//! Contract §1: command line and master URL.

use std::fs;
use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::fs::symlink;

use openctrl_tests::http::Endpoint;
use openctrl_tests::master::run_to_end;
use openctrl_tests::output::Source;
use openctrl_tests::{Api, Master, Script, binary};
use rcgen::generate_simple_self_signed;
use tempfile::TempDir;

/// The binary must give up by itself, with a reason on stderr, a failure as its status and no
/// claim to have started.
fn refuses(arguments: &[&str]) -> String {
    let finished = run_to_end(arguments);
    assert!(!finished.status.success(), "{arguments:?} succeeds");
    assert!(finished.status.code().is_some(), "{arguments:?} dies of {}", finished.status);
    assert!(!finished.stderr.trim().is_empty(), "{arguments:?} gives no reason");
    assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
    assert!(!finished.stderr.contains("Master.run: started"), "{}", finished.stderr);
    assert!(!finished.stdout.contains("Master.run: started"), "{}", finished.stdout);
    finished.stderr
}

#[test]
fn help_prints_usage_on_stdout() {
    for form in ["help", "--help", "-h"] {
        let finished = run_to_end(&[form]);
        assert!(finished.status.success(), "{form}: {}", finished.status);
        assert!(finished.stdout.contains("openctrl"), "{form}: {}", finished.stdout);
        assert!(finished.stdout.contains("master://"), "{form}: {}", finished.stdout);
    }
}

#[test]
fn version_names_program_and_platform_in_go_names() {
    let (os, arch) = go_platform();
    for form in ["version", "--version", "-v"] {
        let finished = run_to_end(&[form]);
        assert!(finished.status.success(), "{form}: {}", finished.status);
        let (program, platform) = finished.stdout.trim_end().split_once(' ').expect("two words");
        let version = program.strip_prefix("openctrl-").expect("openctrl-<version>");
        assert!(!version.is_empty(), "{form}: {}", finished.stdout);
        assert_eq!(platform, format!("{os}/{arch}"), "{form}");
        assert_eq!(finished.stdout.lines().count(), 1, "{form}: {}", finished.stdout);
    }
}

fn go_platform() -> (&'static str, &'static str) {
    let os = if std::env::consts::OS == "macos" { "darwin" } else { std::env::consts::OS };
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    };
    (os, arch)
}

#[test]
fn nothing_to_do_or_an_unknown_scheme_is_refused() {
    refuses(&[]);
    for url in ["", "nonsense", "http://127.0.0.1:0", "managed://edge", "://127.0.0.1:0", "-x"] {
        refuses(&[url]);
    }
}

#[test]
fn a_bad_tls_value_is_refused() {
    for value in ["3", "-1", "yes", "01"] {
        refuses(&[&format!("master://127.0.0.1:0?tls={value}")]);
    }
}

#[test]
fn an_unreadable_certificate_is_refused() {
    let folder = TempDir::new().unwrap();
    let pair = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("good.crt"), pair.cert.pem()).unwrap();
    fs::write(path("good.key"), pair.signing_key.serialize_pem()).unwrap();
    fs::write(path("garbage"), "not PEM at all").unwrap();
    for (certificate, key) in [
        (path("missing"), path("good.key")),
        (path("good.crt"), path("missing")),
        (path("garbage"), path("good.key")),
        (path("good.crt"), path("garbage")),
        (path("good.crt"), path("good.crt")),
    ] {
        refuses(&[&format!("master://127.0.0.1:0?tls=2&crt={certificate}&key={key}")]);
    }
    refuses(&["master://127.0.0.1:0?tls=2"]);
}

#[test]
fn an_unresolvable_host_is_refused() {
    refuses(&["master://no-such-host.invalid:0"]);
}

#[test]
fn a_port_that_cannot_be_bound_is_refused() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    let reason = refuses(&[&format!("master://127.0.0.1:{port}")]);
    assert!(reason.contains(&port.to_string()), "the reason names the port: {reason}");
}

#[test]
fn a_state_directory_that_another_master_holds_is_refused() {
    let folder = TempDir::new().unwrap();
    let state = folder.path().to_str().unwrap();
    let first = Master::builder().query("state", state).start();
    refuses(&[&format!("master://127.0.0.1:0?state={state}")]);
    assert_eq!(first.api().list().len(), 1, "the first master goes on");
}

#[test]
fn the_path_is_the_prefix_and_v2_is_appended() {
    for (path, base) in [
        ("", "/api/v2"),
        ("/", "/api/v2"),
        ("/control", "/control/v2"),
        ("/control/", "/control/v2"),
        ("/a/b//", "/a/b/v2"),
        ("/api/v2", "/api/v2/v2"),
    ] {
        let master = Master::builder().path(path).start();
        assert_eq!(master.base(), base, "path {path:?}");
        master.api().get("/info").expect(200);
        if base != "/api/v2" {
            master.api().request_at("GET", "/api/v2/info").send().expect(404);
        }
        master.api().request_at("GET", "/info").send().expect(404);
    }
}

#[test]
fn an_empty_host_listens_on_all_addresses() {
    let master = Master::builder().authority(":0").start();
    master.api().get("/info").expect(200);
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
        let address = SocketAddr::from((Ipv6Addr::LOCALHOST, master.endpoint().address.port()));
        let endpoint = Endpoint { address, tls: false };
        Api::new(endpoint, master.base(), master.key()).get("/info").expect(200);
    }
}

#[test]
fn a_host_may_be_an_ipv6_literal_or_a_name() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
        let master = Master::builder().authority("[::1]:0").start();
        assert!(master.url().starts_with("http://[::1]:"), "{}", master.url());
        master.api().get("/info").expect(200);
    }
    let master = Master::builder().authority("localhost:0").start();
    assert!(master.url().starts_with("http://localhost:"), "{}", master.url());
    let port = master.endpoint().address.port();
    let reachable = ["127.0.0.1", "::1"].iter().any(|host| {
        let address = SocketAddr::new(host.parse().unwrap(), port);
        let api = Api::new(Endpoint { address, tls: false }, master.base(), master.key());
        api.request("GET", "/info").try_send().is_ok_and(|response| response.status == 200)
    });
    assert!(reachable, "localhost is reachable over loopback");
}

#[test]
fn query_values_are_percent_decoded() {
    let folder = TempDir::new().unwrap();
    let runtime = folder.path().join("a runtime & more #1%");
    symlink(binary::stub_runtime(), &runtime).unwrap();
    let everything_escaped: String =
        runtime.to_str().unwrap().bytes().map(|byte| format!("%{byte:02x}")).collect();
    let state = folder.path().join("state + more");
    let state_escaped = state.to_str().unwrap().replace('+', "%2B").replace(' ', "%20");
    let master = Master::builder()
        .without_bin()
        .raw_query(&format!("bin={everything_escaped}"))
        .raw_query(&format!("state={state_escaped}"))
        .start();
    let mut events = master.events();
    let id = master.run(&mut events, &Script::new().print("hello").wait());
    events.wait_log(&id, "hello");
    assert!(state.is_dir(), "the state lies where the decoded value says");
}

#[test]
fn unknown_parameters_are_ignored_with_one_warning_that_names_them() {
    let warning = |line: &openctrl_tests::output::Line| {
        line.text.contains("left_over_a") || line.text.contains("left_over_b")
    };
    let master = Master::builder().query("left_over_a", "info").query("left_over_b", "1").start();
    let line = master.output().wait_for_line("the warning", warning);
    assert!(line.text.contains("left_over_a") && line.text.contains("left_over_b"), "{line:?}");
    master.api().get("/info").expect(200);
    assert_eq!(master.output().count(warning), 1, "one warning");

    let quiet = Master::start();
    quiet.api().get("/info").expect(200);
    let lines = quiet.output().text(Source::Stderr).to_lowercase();
    assert!(!lines.contains("unknown"), "no warning without a cause: {lines}");
}
