//! The program of this process, remembered from its start: a package manager or `mv` puts another
//! file in its place, and `/proc/self/exe` names a file that was deleted then.

use std::env;
use std::ffi::{CString, OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::arrival::VARIABLE;
use crate::orders::variable;

/// How this process was started.
#[derive(Clone, Debug)]
pub(crate) struct OwnProgram {
    /// The path of its file. A link stays a link, so that another file can be linked there.
    pub(super) path: PathBuf,
    /// All arguments, the name of the program first.
    pub(super) arguments: Vec<CString>,
    /// Without what was only for this program.
    pub(super) environment: Vec<CString>,
}

impl OwnProgram {
    /// Looks up how this process was started. Call it at the start.
    ///
    /// # Errors
    /// When the system does not tell.
    pub(crate) fn remember() -> io::Result<Self> {
        let own = env::current_exe()?;
        let arguments: Vec<OsString> = env::args_os().collect();
        let name = arguments.first().cloned().unwrap_or_else(|| own.clone().into());
        let is_own = |path: &PathBuf| is_same_file(path, Path::new("/proc/self/exe"));
        let named = as_named(&name).into_iter().find(is_own);
        let texts = |text: OsString| CString::new(text.as_bytes()).map_err(io::Error::other);
        Ok(Self {
            path: named.unwrap_or(own),
            arguments: arguments.into_iter().map(texts).collect::<Result<_, _>>()?,
            environment: env::vars_os()
                .filter(|(name, _)| name != VARIABLE)
                .filter_map(variable)
                .collect(),
        })
    }

    /// The path as the system takes it.
    pub(super) fn path(&self) -> CString {
        CString::new(self.path.as_os_str().as_bytes()).expect("a path has no zero byte")
    }

    /// The arguments after the name of the program.
    pub(super) fn words(&self) -> &[CString] {
        self.arguments.get(1..).unwrap_or_default()
    }
}

/// The files that the first argument of a process may mean.
fn as_named(name: &OsStr) -> Vec<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return std::path::absolute(name).into_iter().collect();
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).map(|folder| folder.join(name)).collect()
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    let (Ok(one), Ok(other)) = (fs::metadata(one), fs::metadata(other)) else { return false };
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}
