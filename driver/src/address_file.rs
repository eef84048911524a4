//! `openctrl.address` in the state directory: where the master that runs can be reached, for clients
//! of the same user on the same machine.
//!
//! Owns the name and the form of the file. The key is not in it; the state has it. A master that was
//! killed leaves the file behind: it counts only while a master holds the directory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::published_file::PublishedFile;

const NAME: &str = "openctrl.address";
const HEADING: &str = "openctrl-address 1";

/// How a master can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// The API base, as logged.
    pub(crate) url: String,
    /// The SHA-256 of the certificate that was made in memory (`tls=1`), in hex.
    pub(crate) certificate: Option<String>,
    /// The file that holds the certificate (`tls=2`).
    pub(crate) crt: Option<PathBuf>,
    /// The directory of the log files (`logs=`).
    pub(crate) logs: Option<PathBuf>,
}

impl Address {
    /// The file of the master of a state directory.
    pub(crate) fn file(directory: &Path) -> PublishedFile {
        PublishedFile::at(directory.join(NAME))
    }

    /// The content of the file.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{HEADING}\nurl {}\n", self.url);
        if let Some(certificate) = &self.certificate {
            text.push_str(&format!("certificate {certificate}\n"));
        }
        if let Some(crt) = &self.crt {
            text.push_str(&format!("crt {}\n", crt.display()));
        }
        if let Some(logs) = &self.logs {
            text.push_str(&format!("logs {}\n", logs.display()));
        }
        text
    }
}

/// Reads the file in a state directory; none where it is missing or of another form.
pub(crate) fn read(directory: &Path) -> io::Result<Option<Address>> {
    match fs::read_to_string(directory.join(NAME)) {
        Ok(text) => Ok(parse(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn parse(text: &str) -> Option<Address> {
    let mut lines = text.lines();
    if lines.next() != Some(HEADING) {
        return None;
    }
    let fields: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(' ')).collect();
    let field = |name| fields.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    Some(Address {
        url: field("url")?.to_owned(),
        certificate: field("certificate").map(str::to_owned),
        crt: field("crt").map(PathBuf::from),
        logs: field("logs").map(PathBuf::from),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_is_read() {
        let home = tempfile::tempdir().expect("a temporary directory");
        fs::write(home.path().join(NAME), "openctrl-address 1\nurl http://old\n").expect("written");
        let mut file = Address::file(home.path());
        file.remove_earlier();
        assert_eq!(read(home.path()).expect("readable"), None);
        let address = Address {
            url: "https://[::]:8443/api/v2".to_owned(),
            certificate: Some("ab12".to_owned()),
            crt: Some(PathBuf::from("/etc/with space.pem")),
            logs: Some(PathBuf::from("/var/log/with space")),
        };
        file.publish(address.text()).expect("written");
        assert_eq!(read(home.path()).expect("readable"), Some(address));
    }

    #[test]
    fn another_form_says_nothing() {
        assert_eq!(parse(""), None);
        assert_eq!(parse("openctrl-address 2\nurl http://a\n"), None);
        assert_eq!(parse("openctrl-address 1\n"), None);
    }
}
