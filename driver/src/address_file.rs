//! `openctrl.address` in the state directory: where the master that runs can be reached, for clients
//! of the same user on the same machine.
//!
//! Owns the file and its form. The key is not in it; the state has it. A master that was killed
//! leaves the file behind: it counts only while a master holds the directory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::file_identity::{FileIdentity, Place};

const NAME: &str = "openctrl.address";
const TEMPORARY: &str = "openctrl.address.tmp";
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
}

/// The file of a running master, removed when it stops.
#[derive(Debug)]
pub(crate) struct AddressFile {
    path: PathBuf,
    published: Option<Published>,
}

/// The content, and the file, held open so that no other file is mistaken for it.
#[derive(Debug)]
struct Published {
    address: Address,
    identity: FileIdentity,
    _file: File,
}

impl AddressFile {
    /// Removes the file of an earlier master; there is no file until it is published.
    pub(crate) fn claim(directory: &Path) -> Self {
        let path = directory.join(NAME);
        let _ = fs::remove_file(&path);
        Self { path, published: None }
    }

    /// Writes it again if it was removed. One that another master put there stays.
    ///
    /// Returns whether it was written.
    pub(crate) fn restore(&mut self) -> io::Result<bool> {
        match &self.published {
            Some(published) if published.identity.place(&self.path)? == Place::Missing => {
                let address = published.address.clone();
                self.publish(&address).map(|()| true)
            }
            Some(_) | None => Ok(false),
        }
    }

    /// Writes it, whole and private.
    pub(crate) fn publish(&mut self, address: &Address) -> io::Result<()> {
        let mut text = format!("{HEADING}\nurl {}\n", address.url);
        if let Some(certificate) = &address.certificate {
            text.push_str(&format!("certificate {certificate}\n"));
        }
        if let Some(crt) = &address.crt {
            text.push_str(&format!("crt {}\n", crt.display()));
        }
        let temporary = self.path.with_file_name(TEMPORARY);
        let _ = fs::remove_file(&temporary);
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(text.as_bytes())?;
        fs::rename(&temporary, &self.path)?;
        let (address, identity) = (address.clone(), FileIdentity::of(&file)?);
        self.published = Some(Published { address, identity, _file: file });
        Ok(())
    }
}

impl Drop for AddressFile {
    fn drop(&mut self) {
        let is_ours = |published: &Published| {
            published.identity.place(&self.path).is_ok_and(|place| place == Place::Same)
        };
        if self.published.as_ref().is_some_and(is_ours) {
            let _ = fs::remove_file(&self.path);
        }
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
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_published_is_read_and_removed() {
        let home = tempfile::tempdir().expect("a temporary directory");
        fs::write(home.path().join(NAME), "openctrl-address 1\nurl http://old\n").expect("written");
        let mut file = AddressFile::claim(home.path());
        assert_eq!(read(home.path()).expect("readable"), None);
        let address = Address {
            url: "https://[::]:8443/api/v2".to_owned(),
            certificate: Some("ab12".to_owned()),
            crt: Some(PathBuf::from("/etc/with space.pem")),
        };
        file.publish(&address).expect("written");
        assert_eq!(read(home.path()).expect("readable"), Some(address));
        let mode = fs::metadata(home.path().join(NAME)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(file);
        assert_eq!(fs::read_dir(home.path()).expect("a directory").count(), 0);
    }

    #[test]
    fn a_file_that_was_removed_is_written_again_and_that_of_another_stays() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let path = home.path().join(NAME);
        let mut file = AddressFile::claim(home.path());
        let address = Address { url: "http://a".to_owned(), certificate: None, crt: None };
        file.publish(&address).expect("written");
        assert!(!file.restore().expect("it is there"));
        fs::remove_file(&path).expect("removed");
        assert!(file.restore().expect("written"));
        assert_eq!(read(home.path()).expect("readable"), Some(address));
        fs::remove_file(&path).expect("removed");
        fs::write(&path, "of another").expect("written");
        assert!(!file.restore().expect("it is there"));
        drop(file);
        assert_eq!(fs::read_to_string(&path).expect("still there"), "of another");
    }

    #[test]
    fn another_form_says_nothing() {
        assert_eq!(parse(""), None);
        assert_eq!(parse("openctrl-address 2\nurl http://a\n"), None);
        assert_eq!(parse("openctrl-address 1\n"), None);
    }
}
