//! A manifest from the text of a file.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use openctrl_core::instance::circle;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use super::entry::{Entry, Program, Restart};
use super::env_file::{EnvFile, EnvFiles};
use super::file::{Manifest, ManifestError};
use super::name::check_name;
use super::variables::{expand, is_name, parse_env_file};
use crate::runtime::SecretSource;

/// The largest file, in bytes: ten thousand instances of an ordinary size.
pub(crate) const FILE_MAX_BYTES: u64 = 4 * 1024 * 1024;

/// The most instances in a file.
const INSTANCES_MAX: usize = 10_000;

/// The content of a file before variables are substituted.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: Option<String>,
    #[serde(default)]
    env_file: EnvFiles,
    #[serde(default)]
    instance: BTreeMap<String, RawEntry>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEntry {
    command: Option<Words>,
    shell: Option<String>,
    url: Option<String>,
    cwd: Option<String>,
    #[serde(default)]
    env: BTreeMap<String, Scalar>,
    #[serde(default)]
    env_file: EnvFiles,
    #[serde(default)]
    secrets: BTreeMap<String, String>,
    #[serde(default)]
    restart: RawRestart,
    max_restarts: Option<Scalar>,
    restart_window: Option<Scalar>,
    boot: Option<Scalar>,
    stop_signal: Option<Scalar>,
    stop_timeout: Option<Scalar>,
    user: Option<Scalar>,
    group: Option<Scalar>,
    umask: Option<Scalar>,
    open_files: Option<Scalar>,
    memory: Option<Scalar>,
    lease: Option<Scalar>,
    error: Option<Scalar>,
    ready: Option<Scalar>,
    ready_timeout: Option<Scalar>,
    live: Option<Scalar>,
    live_interval: Option<Scalar>,
    live_timeout: Option<Scalar>,
    live_threshold: Option<Scalar>,
    schedule: Option<Scalar>,
    schedule_tz: Option<Scalar>,
    stderr: Option<Scalar>,
    #[serde(default)]
    after: Many,
    #[serde(default)]
    watch: Many,
    #[serde(default)]
    watch_ignore: Many,
    #[serde(default)]
    tags: BTreeMap<String, Scalar>,
    #[serde(default)]
    peer: RawPeer,
}

#[derive(Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawRestart {
    #[default]
    OnFailure,
    Never,
    Always,
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPeer {
    #[serde(default)]
    sid: String,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    alias: String,
}

/// Reads a manifest. The extension of `path` determines the format, and relative paths start at its
/// directory; `variable` is the environment of the caller.
///
/// # Errors
/// The file, the line or key, and the error.
pub(crate) fn read(
    path: &Path,
    text: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Manifest, ManifestError> {
    let raw = parse(path, text)?;
    let base = path.parent().unwrap_or(Path::new("/"));
    let variables = variables(base, &raw.env_file.0, variable)?;
    let value = |name: &str| variable(name).or_else(|| variables.get(name).cloned());
    if let Some(name) = &raw.name
        && (name.is_empty() || name.len() > 128 || name.contains(char::is_control))
    {
        return Err(ManifestError::new("name", "give 1 to 128 bytes without control characters"));
    }
    if raw.instance.len() > INSTANCES_MAX {
        let count = raw.instance.len();
        let reason = format!("there are {count}; a file has at most {INSTANCES_MAX}");
        return Err(ManifestError::new("instance", reason));
    }
    let mut instances = BTreeMap::new();
    for (name, raw) in raw.instance {
        let place = format!("instance {name:?}");
        check_name(&name).map_err(|reason| ManifestError::new(&place, reason))?;
        let entry = raw.entry(&Within { place: &place, base, value: &value })?;
        let url = entry.url(base);
        url.map_err(|(key, reason)| ManifestError::new(format!("{place}, {key}"), reason))?;
        instances.insert(name, entry);
    }
    check_order(&instances)?;
    Ok(Manifest { name: raw.name, instances })
}

/// Refuses instances that would wait for each other.
fn check_order(instances: &BTreeMap<String, Entry>) -> Result<(), ManifestError> {
    let mut edges = BTreeMap::new();
    for (name, entry) in instances {
        edges.insert(name.as_str(), entry.after.iter().map(String::as_str).collect());
    }
    match instances.keys().find_map(|name| Some((name, circle(name, &edges)?))) {
        Some((name, path)) => {
            let place = format!("instance {name:?}, after");
            Err(ManifestError::new(
                place,
                format!("it makes a circle: {path}; remove one of these"),
            ))
        }
        None => Ok(()),
    }
}

fn parse(path: &Path, text: &str) -> Result<Raw, ManifestError> {
    let at = |line: u64, reason: &str| {
        let reason = reason.lines().next().unwrap_or_default();
        ManifestError::new(format!("line {line}"), reason)
    };
    match path.extension().and_then(|end| end.to_str()) {
        Some("yaml" | "yml") => serde_saphyr::from_str(text).map_err(|error| {
            let error = error.without_snippet();
            let line = error.location().map_or(1, |location| location.line());
            at(line, &yaml_reason(error))
        }),
        Some("toml") => toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let line = text.get(..start).unwrap_or(text).matches('\n').count() + 1;
            at(line as u64, error.message())
        }),
        _ => {
            let reason = "unknown format; its name must end in .toml, .yaml or .yml";
            Err(ManifestError::new("", reason))
        }
    }
}

/// The error of YAML in one line, without its position and without options of the parser.
pub(crate) fn yaml_reason(error: &serde_saphyr::Error) -> String {
    let text = error.to_string();
    let text = text.lines().next().unwrap_or_default();
    let text = text.split(" at line ").next().unwrap_or(text);
    text.split(", set DuplicateKeyPolicy").next().unwrap_or(text).to_owned()
}

/// The variables of files, the later ones first.
fn variables(
    base: &Path,
    files: &[EnvFile],
    outside: &dyn Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, String>, ManifestError> {
    let mut all = BTreeMap::new();
    for file in files {
        let path =
            expand(&file.path, outside).map_err(|reason| ManifestError::new("env_file", reason))?;
        let file = EnvFile { path, ..*file };
        all.extend(read_variables(base, &file).map_err(|error| error.of("env_file"))?);
    }
    Ok(all)
}

fn read_variables(base: &Path, file: &EnvFile) -> Result<BTreeMap<String, String>, ManifestError> {
    let path = base.join(&file.path);
    if !file.is_required && path.try_exists().is_ok_and(|exists| !exists) {
        return Ok(BTreeMap::new());
    }
    let shown = path.display().to_string();
    let text = read_text(&path).map_err(|reason| ManifestError::new(&shown, reason))?;
    parse_env_file(&text).map_err(|error| error.of(&shown))
}

/// The text of a file of bounded size.
///
/// # Errors
/// Why it cannot be read.
pub(crate) fn read_text(path: &Path) -> Result<String, String> {
    use std::io::Read;
    let failed = |error: std::io::Error| format!("cannot read it: {error}");
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut text = String::new();
    let read = file.take(FILE_MAX_BYTES + 1).read_to_string(&mut text);
    read.map_err(failed)?;
    if text.len() as u64 > FILE_MAX_BYTES {
        return Err("it is larger than 4 MiB; divide it".to_owned());
    }
    Ok(text)
}

/// The position of an entry.
struct Within<'a> {
    place: &'a str,
    base: &'a Path,
    value: &'a dyn Fn(&str) -> Option<String>,
}

impl Within<'_> {
    fn wrong(&self, key: &str, reason: impl Into<String>) -> ManifestError {
        ManifestError::new(format!("{}, {key}", self.place), reason)
    }

    fn expand(&self, key: &str, text: &str) -> Result<String, ManifestError> {
        expand(text, self.value).map_err(|reason| self.wrong(key, reason))
    }

    fn map(
        &self,
        key: &str,
        map: BTreeMap<String, Scalar>,
    ) -> Result<BTreeMap<String, String>, ManifestError> {
        map.into_iter().map(|(name, Scalar(text))| Ok((name, self.expand(key, &text)?))).collect()
    }
}

impl RawEntry {
    fn entry(self, within: &Within<'_>) -> Result<Entry, ManifestError> {
        let program = match (self.command, self.shell, self.url) {
            (Some(words), None, None) => Program::Command(words.split(within)?),
            (None, Some(line), None) => Program::Shell(within.expand("shell", &line)?),
            (None, None, Some(url)) => Program::Url(within.expand("url", &url)?),
            _ => {
                let reason = "give exactly one of command, shell and url";
                return Err(ManifestError::new(within.place, reason));
            }
        };
        let cwd = self.cwd.map(|cwd| within.expand("cwd", &cwd)).transpose()?.map(PathBuf::from);
        let mut env = BTreeMap::new();
        for file in &self.env_file.0 {
            let file = EnvFile { path: within.expand("env_file", &file.path)?, ..*file };
            let read = read_variables(within.base, &file);
            env.extend(read.map_err(|error| error.of(within.place))?);
        }
        let given = within.map("env", self.env)?;
        if let Some(name) = given.keys().find(|name| !is_name(name)) {
            let reason = format!("{name:?} is not a name: letters, digits and _, no digit first");
            return Err(within.wrong("env", reason));
        }
        env.extend(given);
        let mut secrets = BTreeMap::new();
        for (name, text) in self.secrets {
            let source = SecretSource::parse(&within.expand("secrets", &text)?);
            // The text is not repeated: it may be the secret itself.
            let source = source.ok_or_else(|| {
                let reason = format!("{name}: write \"file:/absolute/path\" or \"env:NAME\"");
                within.wrong("secrets", reason)
            })?;
            secrets.insert(name, source);
        }
        let restart = match self.restart {
            RawRestart::OnFailure => Restart::OnFailure,
            RawRestart::Never => Restart::Never,
            RawRestart::Always => Restart::Always,
        };
        let given = [
            ("max_restarts", self.max_restarts),
            ("restart_window", self.restart_window),
            ("boot", self.boot),
            ("stop_signal", self.stop_signal),
            ("stop_timeout", self.stop_timeout),
            ("user", self.user),
            ("group", self.group),
            ("umask", self.umask),
            ("open_files", self.open_files),
            ("memory", self.memory),
            ("lease", self.lease),
            ("error", self.error),
            ("ready", self.ready),
            ("ready_timeout", self.ready_timeout),
            ("live", self.live),
            ("live_interval", self.live_interval),
            ("live_timeout", self.live_timeout),
            ("live_threshold", self.live_threshold),
            ("schedule", self.schedule),
            ("schedule_tz", self.schedule_tz),
            ("stderr", self.stderr),
        ];
        let mut policy = BTreeMap::new();
        for (name, value) in given {
            if let Some(Scalar(text)) = value {
                policy.insert(name.to_owned(), within.expand(name, &text)?);
            }
        }
        let tags = within.map("tags", self.tags)?;
        if tags.contains_key("") {
            return Err(within.wrong("tags", "a tag needs a name"));
        }
        let RawPeer { sid, kind, alias } = self.peer;
        let peer = [sid, kind, alias];
        let after = self.after.0.iter().map(|name| within.expand("after", name));
        let after = after.collect::<Result<_, _>>()?;
        let watch = self.watch.0.iter().map(|path| within.expand("watch", path).map(PathBuf::from));
        let watch = watch.collect::<Result<_, _>>()?;
        let watch_ignore = self.watch_ignore.0.iter();
        let watch_ignore = watch_ignore.map(|name| within.expand("watch_ignore", name));
        let watch_ignore = watch_ignore.collect::<Result<_, _>>()?;
        let env_file = Vec::new();
        Ok(Entry {
            program,
            cwd,
            env,
            env_file,
            secrets,
            restart,
            policy,
            after,
            watch,
            watch_ignore,
            tags,
            peer,
        })
    }
}

/// A command: a list of words, or one text that is split as a shell splits it.
enum Words {
    Line(String),
    List(Vec<String>),
}

impl Words {
    fn split(self, within: &Within<'_>) -> Result<Vec<String>, ManifestError> {
        match self {
            Self::List(words) => words.iter().map(|word| within.expand("command", word)).collect(),
            // Split before variables are put in: a value with spaces is one word.
            Self::Line(line) => {
                let words = shell_words::split(&line)
                    .map_err(|_| within.wrong("command", "a quote is not closed"))?;
                words.iter().map(|word| within.expand("command", word)).collect()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let want = "a command: a list of texts, or one text";
        deserializer.deserialize_any(TextOrList { want, from: PhantomData })
    }
}

impl From<OneOrList> for Words {
    fn from(given: OneOrList) -> Self {
        match given {
            OneOrList::One(line) => Self::Line(line),
            OneOrList::List(words) => Self::List(words),
        }
    }
}

/// One text, or a list of texts.
#[derive(Default)]
struct Many(Vec<String>);

impl<'de> Deserialize<'de> for Many {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let want = "a text, or a list of texts";
        deserializer.deserialize_any(TextOrList { want, from: PhantomData })
    }
}

impl From<OneOrList> for Many {
    fn from(given: OneOrList) -> Self {
        match given {
            OneOrList::One(one) => Self(vec![one]),
            OneOrList::List(all) => Self(all),
        }
    }
}

enum OneOrList {
    One(String),
    List(Vec<String>),
}

struct TextOrList<T> {
    want: &'static str,
    from: PhantomData<T>,
}

impl<'de, T: From<OneOrList>> Visitor<'de> for TextOrList<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.want)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        Ok(OneOrList::One(text.to_owned()).into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(|list| OneOrList::List(list).into())
    }
}

/// A text, a number or a boolean, as written.
struct Scalar(String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // YAML returns the text of a number then, so that `010` stays unchanged.
        deserializer.deserialize_str(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, true or false")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar(text.to_owned()))
    }

    fn visit_bool<E: Error>(self, is: bool) -> Result<Scalar, E> {
        Ok(Scalar(is.to_string()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar(number.to_string()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Scalar, E> {
        Ok(Scalar(number.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_as(file: &str, text: &str) -> String {
        let variable = |name: &str| (name == "PORT").then(|| "80 80".to_owned());
        match read(Path::new(file), text, &variable) {
            Ok(manifest) => format!("{manifest:#?}"),
            Err(error) => error.to_string(),
        }
    }

    const TOML: &str = r#"
name = "shop"
[instance.web]
command = "node server.js --port ${PORT} 'a b'"
cwd = "app"
env = { A = 1, B = true, C = "x" }
secrets = { T = "file:/run/t" }
restart = "never"
tags = { site = "x" }
peer = { alias = "hub" }
[instance.demo]
url = "demo://a"
"#;

    #[test]
    fn toml_and_yaml_say_the_same() {
        let yaml = "
name: shop
instance:
  web:
    command: node server.js --port ${PORT} 'a b'
    cwd: app
    env: {A: 1, B: true, C: x}
    secrets: {T: file:/run/t}
    restart: never
    tags: {site: x}
    peer: {alias: hub}
  demo: {url: 'demo://a'}
";
        let read = read_as("/x/f.toml", TOML);
        assert_eq!(read, read_as("/x/f.yaml", yaml));
        insta::assert_snapshot!(read);
        let zero = read_as("/f.yml", "instance: {a: {command: x, env: {MODE: 010, N: 1e3}}}");
        assert!(zero.contains("\"010\"") && zero.contains("\"1e3\""), "{zero}");
    }

    #[test]
    fn a_file_of_variables_may_be_missing_if_the_manifest_says_so() {
        let home = tempfile::tempdir().expect("a folder");
        std::fs::write(home.path().join("there.env"), "A=1\n").expect("written");
        let env = |file: &str, text: &str| {
            let manifest = read(&home.path().join(file), text, &|_| None);
            manifest.map(|manifest| manifest.instances["a"].env.clone())
        };
        let toml = "[instance.a]\ncommand = \"x\"\nenv_file = [\"there.env\", \
                    { path = \"missing.env\", required = false }]\n";
        let yaml = "instance: {a: {command: x, env_file: [{path: there.env, required: false}]}}";
        for (file, text) in [("f.toml", toml), ("f.yaml", yaml)] {
            let read = env(file, text).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(read, BTreeMap::from([("A".to_owned(), "1".to_owned())]), "{file}");
        }
        let top = "env_file = { path = \"missing.env\", required = false }\n[instance.a]\ncommand = \"x\"\n";
        assert_eq!(env("f.toml", top), Ok(BTreeMap::new()));
        let required = toml.replace("false", "true");
        let error = env("f.toml", &required).expect_err("it has to exist").to_string();
        assert!(error.contains("missing.env: cannot read it"), "{error}");
    }

    #[test]
    fn what_is_wrong_is_one_line_with_its_place() {
        let texts = [
            ("f.txt", ""),
            ("f.toml", "name = 1"),
            ("f.toml", "nam = \"x\""),
            ("f.toml", "[instance.a]\ncommand = 1"),
            ("f.toml", "[instance.a]\ncommand = \"x\"\ncommand = \"y\""),
            ("f.toml", "[instance.a]\ncommand = \"x\"\n[instance.a]\ncommand = \"y\""),
            ("f.toml", "[instance.a]\ncommand = \"x\"\nrestart = \"always!\""),
            ("f.toml", "[instance.a]"),
            ("f.toml", "[instance.a]\ncommand = \"x\"\nurl = \"demo://a\""),
            ("f.toml", "[instance.a]\ncommand = \"x 'y\""),
            ("f.toml", "[instance.a]\ncommand = \"\""),
            ("f.toml", "[instance.a]\ncommand = \"x\"\nenv = { \"A B\" = \"1\" }"),
            ("f.toml", "[instance.a]\ncommand = \"x\"\nenv = { A = [1] }"),
            ("f.toml", "[instance.a]\ncommand = \"x\"\nenv = { A = \"a\\u0000\" }"),
            ("f.toml", "[instance.a]\ncommand = \"x\"\nsecrets = { T = \"hunter2\" }"),
            ("f.toml", "[instance.a]\ncommand = \"x ${NO}\""),
            ("f.toml", "[instance.a]\ncommand = \"x\"\nenv_file = \"no/such\""),
            ("f.toml", "[instance.a]\ncommand = \"x\"\nenv_file = { path = \"no/such\" }"),
            ("f.toml", "[instance.a]\ncommand = \"x\"\nenv_file = { required = false }"),
            ("f.toml", "[instance.a]\ncommand = \"x\"\nenv_file = 1"),
            ("f.yaml", "instance: {a: {command: x, env_file: [{path: a, requried: no}]}}"),
            ("f.toml", "[instance.deadbeef]\ncommand = \"x\""),
            ("f.toml", "[instance.a"),
            ("f.yaml", "instance: {a: {command: x, bogus: 1}}"),
            ("f.yaml", "instance:\n  a: {command: x}\n  a: {command: y}"),
            ("f.yaml", "instance:\n  a: {command: x, env: {A: {}}}"),
            ("f.yaml", "instance: [1"),
        ];
        let said: Vec<String> = texts.iter().map(|(file, text)| read_as(file, text)).collect();
        assert!(said.iter().all(|line| line.lines().count() == 1), "{said:#?}");
        assert!(!said.iter().any(|line| line.contains("hunter2")), "a secret is repeated");
        insta::assert_snapshot!(said.join("\n"));
    }
}
