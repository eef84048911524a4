//! The client commands where something is wrong: one line that says what to do, and an exit status
//! that says what kind of thing it is.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use openctrl_tests::{Master, Shell, binary};
use rcgen::generate_simple_self_signed;
use serde_json::json;
use tempfile::TempDir;

/// A shell that knows of no master.
fn lonely(home: &Path) -> Shell {
    let program = home.join("openctrl");
    // A link cannot meet "text file busy"; another file system needs a copy.
    if fs::hard_link(binary::openctrl(), &program).is_err() {
        fs::copy(binary::openctrl(), &program).expect("the binary can be copied");
    }
    Shell::new(&program, home)
}

#[test]
fn without_a_master_it_says_how_to_name_one() {
    let home = TempDir::new().unwrap();
    let shell = lonely(home.path());
    let none = shell.fails(3, &["list"]);
    assert!(none.contains("--api URL") && none.contains("OPENCTRL_KEY"), "{none}");
    let missing = home.path().join("nothing");
    let missing = shell.fails(3, &["list", "--state", missing.to_str().unwrap()]);
    assert!(missing.contains("there is no state directory"), "{missing}");
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let api = format!("http://{free}/api/v2");
    let dead = shell.clone().with("OPENCTRL_KEY", "k").fails(3, &["list", "--api", &api]);
    assert!(dead.contains("nothing listens there") && dead.contains(&api), "{dead}");
    let keyless = shell.fails(4, &["list", "--api", &api]);
    assert!(keyless.contains("set OPENCTRL_KEY"), "{keyless}");
    let odd = shell.clone().with("OPENCTRL_KEY", "k").fails(2, &["list", "--api", "ftp://h"]);
    assert!(odd.starts_with("--api: neither http:// nor https://"), "{odd}");
}

#[test]
fn a_master_that_was_killed_is_not_found() {
    let mut master = Master::start();
    let shell = Shell::beside(&master);
    shell.ok(&["list"]);
    let address = master.folder().join("gob/openctrl.address");
    let mode = fs::metadata(&address).expect("it is published").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    master.kill9();
    assert!(address.exists(), "a killed master leaves it behind");
    let gone = shell.fails(3, &["list"]);
    assert!(gone.contains("no master runs with its state in"), "{gone}");
    master.restart();
    shell.ok(&["list"]);
    master.stop();
    assert!(!address.exists(), "it is removed at the end");
    shell.fails(3, &["list"]);
}

#[test]
fn a_wrong_key_and_a_wrong_address_are_told_apart() {
    let master = Master::start();
    let shell = Shell::beside(&master);
    let wrong = shell.fails(4, &["list", "--key", &"0".repeat(32)]);
    assert!(wrong.contains("does not take the key from --key"), "{wrong}");
    assert!(!wrong.contains("000"), "the key is not repeated: {wrong}");
    let elsewhere = format!("http://{}/api/v3", master.endpoint().address);
    let away = shell.clone().with("OPENCTRL_KEY", master.key());
    let strange = away.fails(3, &["list", "--api", &elsewhere]);
    assert!(strange.contains("is not the API of a master"), "{strange}");
    let tls = elsewhere.replace("http:", "https:");
    let plain = away.fails(3, &["list", "--api", &tls]);
    assert!(plain.contains("does not speak TLS; is it http://?"), "{plain}");
}

#[test]
fn instances_that_are_not_there_or_many() {
    let master = Master::start();
    let shell = Shell::beside(&master);
    let unknown = shell.fails(5, &["stop", "zz"]);
    assert_eq!(unknown, "no instance has the id or alias \"zz\"; see 'openctrl list'");
    let tag = shell.fails(5, &["stop", "--tag", "a=b"]);
    assert!(tag.starts_with("no instance has the tag a=b"), "{tag}");
    for _ in 0..2 {
        shell.ok(&["create", "stub://x", "-a", "twin"]);
    }
    let twins = shell.fails(5, &["stop", "twin"]);
    assert!(twins.starts_with("2 instances have the alias \"twin\": twin ("), "{twins}");
    // Seventeen ids have at least one first digit in common.
    for _ in 0..15 {
        shell.ok(&["create", "stub://x"]);
    }
    let ids: Vec<String> = master.api().list().iter().map(|i| i["id"].to_string()).collect();
    let first = |digit: char| ids.iter().filter(|id| id[1..].starts_with(digit)).count();
    let digit = "0123456789abcdef".chars().find(|digit| first(*digit) > 1).unwrap();
    let several = shell.fails(5, &["show", &digit.to_string()]);
    assert!(
        several.contains(&format!("instances have ids that begin with \"{digit}\": ")),
        "{several}"
    );
    shell.fails(5, &["show", "********"]);
}

#[test]
fn what_the_master_refuses_is_said_at_the_word() {
    let master = Master::start();
    let shell = Shell::beside(&master);
    for url in ["", "://x", "master://h:1", "stub://a b", "stub://[::", "stub://%zz"] {
        let refused = shell.fails(1, &["create", url]);
        assert!(refused.starts_with("URL: "), "{url:?}: {refused}");
    }
    let id = shell.ok(&["create", "stub://x"]).trim().to_owned();
    let long = "x".repeat(257);
    let alias = shell.fails(1, &["set", &id, "--alias", &long]);
    assert!(alias.starts_with("--alias: "), "{alias}");
    let tag = shell.fails(1, &["set", &id, "--tag", &format!("k={long}")]);
    assert!(tag.starts_with("--tag: "), "{tag}");
    let peer = shell.fails(1, &["set", &id, "--peer-sid", &long]);
    assert!(peer.starts_with("--peer-sid: "), "{peer}");
    let huge = format!("stub://{}", "x".repeat(40_000));
    shell.fails(1, &["create", &huge]);
    let same = shell.fails(1, &["url", &id, "stub://x"]);
    assert!(same.contains("has this url already"), "{same}");
    assert_eq!(master.api().instance(&id)["meta"]["tags"], json!({}));
}

#[test]
fn a_line_that_makes_no_sense() {
    let master = Master::start();
    let shell = Shell::beside(&master);
    for (words, says) in [
        (&["stop"][..], "not provided"),
        (&["create", "nosch"], "use: openctrl run -- nosch"),
        (&["create", "/x"], "use: openctrl run -- /x"),
        (&["list", "--nope"], "--nope"),
        (&["lst", "--all"], "unknown command \"lst\"; did you mean 'list'?"),
        (&["list", "-o", "xml"], "invalid value 'xml'"),
        (&["create", "a://b", "--tag", "x"], "NAME=VALUE"),
        (&["create", "a://b", "--tag", "=x"], "a name before"),
        (&["create", "a://b", "--tag", "x=1", "--tag", "x=2"], "the tag is given twice"),
        (&["stop", "a", "--timeout", "0"], "more than 0"),
        (&["set", "a"], "nothing to set"),
        (&["top"], "needs a terminal"),
        (&["list", "--watch", "-o", "json"], "events --follow --json"),
        (&["list", "--pin", "ab"], "64 hex digits"),
        (&["list", "--ca", "/nonexistent", "--api", "https://127.0.0.1:1", "--key", "k"], "--ca: "),
        (&["list", "--master", "none"], "no master \"none\""),
        (&["man", "nope"], "unknown command"),
    ] {
        let ran = shell.run(words);
        assert!(matches!(ran.code, Some(1 | 2)), "{words:?}: {:?} {}", ran.code, ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1, "{words:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(says), "{words:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "", "{words:?}");
    }
}

#[test]
fn a_certificate_made_at_start_is_believed_where_it_was_found_or_pinned() {
    let master = Master::builder().query("tls", "1").path("/a/b").start();
    let shell = Shell::beside(&master);
    let info = shell.ok(&["info"]);
    let print = info.split("SHA-256 ").nth(1).expect("the fingerprint").lines().next().unwrap();
    let away = shell.clone().with("OPENCTRL_KEY", master.key());
    let api = ["list", "--api", master.url()];
    let refused = away.fails(3, &api);
    assert!(refused.contains("its issuer is not trusted"), "{refused}");
    assert!(refused.contains(&format!("--pin {print}")), "{refused}");
    away.ok(&[&api[..], &["--pin", print]].concat());
    away.ok(&[&api[..], &["--insecure"]].concat());
    let other = "0".repeat(64);
    away.fails(3, &[&api[..], &["--pin", &other]].concat());
    let plain = away.fails(3, &["list", "--api", &master.url().replace("https", "http")]);
    assert!(plain.contains("https://?") || plain.contains("broke"), "{plain}");
}

#[test]
fn certificates_in_files_are_believed_by_their_authority() {
    let folder = TempDir::new().unwrap();
    let pair = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (crt, key) = (folder.path().join("crt.pem"), folder.path().join("key.pem"));
    fs::write(&crt, pair.cert.pem()).unwrap();
    fs::write(&key, pair.signing_key.serialize_pem()).unwrap();
    let [crt, key] = [crt, key].map(|path| path.to_str().unwrap().to_owned());
    let builder = Master::builder().authority("localhost:0");
    let master = builder.query("tls", "2").query("crt", &crt).query("key", &key).start();
    let shell = Shell::beside(&master);
    shell.ok(&["list"]);
    let away = shell.clone().with("OPENCTRL_KEY", master.key());
    away.fails(3, &["list", "--api", master.url()]);
    away.ok(&["list", "--api", master.url(), "--ca", &crt]);
}

#[test]
fn masters_have_names_in_a_private_file() {
    let master = Master::builder().query("tls", "1").start();
    let home = TempDir::new().unwrap();
    let shell = lonely(home.path());
    let folder = home.path().join(".config/openctrl");
    fs::create_dir_all(&folder).unwrap();
    let config = folder.join("config.toml");
    let write = |text: &str, mode: u32| {
        fs::write(&config, text).unwrap();
        fs::set_permissions(&config, fs::Permissions::from_mode(mode)).unwrap();
    };
    let state = master.folder().join("gob");
    let text = format!(
        "default = \"here\"\n[master.here]\nstate = \"{}\"\n[master.there]\napi = \"{}\"\n\
         key = \"{}\"\ninsecure = true\n",
        state.display(),
        master.url(),
        master.key(),
    );
    write(&text, 0o644);
    let open = shell.fails(2, &["list"]);
    assert!(open.contains("others can read") && open.contains("chmod 600"), "{open}");
    write(&text, 0o600);
    shell.ok(&["list"]);
    shell.ok(&["list", "--master", "there"]);
    let unknown = shell.fails(2, &["list", "--master", "nowhere"]);
    assert!(unknown.contains("it has here, there"), "{unknown}");
    write("default = \"here\"\n[master.here]\nhost = 1\n", 0o600);
    let wrong = shell.fails(2, &["list"]);
    assert!(wrong.contains("config.toml, line 3: unknown field"), "{wrong}");
    // The environment comes before the file, and an option before both.
    let near = shell.clone().with("OPENCTRL_API", master.url()).with("OPENCTRL_KEY", master.key());
    near.ok(&["list", "--insecure"]);
    near.ok(&["list", "--state", state.to_str().unwrap()]);

    let key = home.path().join("key");
    fs::write(&key, format!("{}\n", master.key())).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let words = ["list", "--insecure", "--api", master.url(), "--key-file", key.to_str().unwrap()];
    let open = shell.fails(4, &words);
    assert!(open.contains("others can read"), "{open}");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    shell.ok(&words);
}
