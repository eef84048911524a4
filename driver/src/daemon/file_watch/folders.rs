//! The watched directories, and which instances they concern.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use openctrl_core::ids::InstanceId;
use openctrl_core::instance::Watch;
use rustix::fs::inotify::{ReadFlags, WatchFlags, add_watch, remove_watch};
use rustix::io::Errno;

use super::plan::{Interest, plan};

/// What is reported by the system: that a file was written, and that names changed.
const CHANGES: WatchFlags = WatchFlags::CLOSE_WRITE
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR)
    .union(WatchFlags::EXCL_UNLINK);

/// Names that changed.
const NAMES: ReadFlags = ReadFlags::CREATE
    .union(ReadFlags::DELETE)
    .union(ReadFlags::MOVED_FROM)
    .union(ReadFlags::MOVED_TO);

/// The watched directories.
#[derive(Debug, Default)]
pub(super) struct Folders {
    /// By the number that the system gave them.
    folders: HashMap<i32, Folder>,
    instances: BTreeMap<InstanceId, Watched>,
}

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    users: BTreeMap<InstanceId, Use>,
}

/// What of a directory concerns an instance.
#[derive(Debug, Default)]
struct Use {
    is_whole: bool,
    names: BTreeSet<OsString>,
}

#[derive(Debug)]
struct Watched {
    watch: Watch,
    numbers: BTreeSet<i32>,
    /// Which of the paths are there.
    present: Vec<bool>,
}

/// What an event means.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Instances that are to be told, each with a path that changed.
    pub(super) changed: BTreeMap<InstanceId, PathBuf>,
    /// Instances whose directories are others now.
    pub(super) moved: BTreeSet<InstanceId>,
}

impl Folders {
    /// Watches these files for an instance, instead of others.
    ///
    /// # Errors
    /// Why not all of them are watched.
    pub(super) fn watch(
        &mut self,
        inotify: &OwnedFd,
        instance: InstanceId,
        watch: Watch,
    ) -> Result<(), String> {
        let mut uses: BTreeMap<i32, (PathBuf, Use)> = BTreeMap::new();
        let result = plan(&watch, &mut |path, interest| {
            let number = match add_watch(inotify, path, CHANGES) {
                Ok(number) => number,
                // It vanished meanwhile, or may not be read.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) => return Ok(()),
                Err(Errno::NOSPC) => {
                    return Err("the system watches too many files; raise \
                                fs.inotify.max_user_watches"
                        .to_owned());
                }
                Err(error) => return Err(format!("{}: {error}", path.display())),
            };
            let (_, of) = uses.entry(number).or_insert_with(|| (path.to_owned(), Use::default()));
            match interest {
                Interest::All => of.is_whole = true,
                Interest::Name(name) => {
                    of.names.insert(name);
                }
            }
            Ok(())
        });
        let before = self.instances.remove(&instance).map(|known| known.numbers);
        for number in before.into_iter().flatten() {
            if !uses.contains_key(&number) {
                self.leave(inotify, number, instance);
            }
        }
        let numbers = uses.keys().copied().collect();
        for (number, (path, of)) in uses {
            let users = BTreeMap::new();
            let folder =
                self.folders.entry(number).or_insert(Folder { path: PathBuf::new(), users });
            folder.path = path;
            folder.users.insert(instance, of);
        }
        let present = watch.paths.iter().map(|path| Path::new(path).exists()).collect();
        self.instances.insert(instance, Watched { watch, numbers, present });
        result
    }

    /// Watches nothing for an instance any more.
    pub(super) fn unwatch(&mut self, inotify: &OwnedFd, instance: InstanceId) {
        let known = self.instances.remove(&instance).map(|known| known.numbers);
        for number in known.into_iter().flatten() {
            self.leave(inotify, number, instance);
        }
    }

    /// Watches the files of an instance anew, as directories are others now. Returns a path that
    /// appeared or vanished meanwhile.
    ///
    /// # Errors
    /// Why not all of them are watched.
    pub(super) fn watch_again(
        &mut self,
        inotify: &OwnedFd,
        instance: InstanceId,
    ) -> (Option<PathBuf>, Result<(), String>) {
        let Some(Watched { watch, present, .. }) = self.instances.get(&instance) else {
            return (None, Ok(()));
        };
        let (watch, before) = (watch.clone(), present.clone());
        let result = self.watch(inotify, instance, watch);
        let changed =
            self.instances.get(&instance).and_then(|Watched { watch, present, .. }| {
                let mut pairs = watch.paths.iter().zip(before.iter().zip(present));
                pairs.find(|(_, (before, now))| before != now).map(|(path, _)| PathBuf::from(path))
            });
        (changed, result)
    }

    /// All instances that have files watched.
    pub(super) fn instances(&self) -> impl Iterator<Item = InstanceId> + '_ {
        self.instances.keys().copied()
    }

    /// Takes an event of the directory with this number.
    pub(super) fn take(
        &mut self,
        number: i32,
        flags: ReadFlags,
        name: Option<&OsStr>,
        news: &mut News,
    ) {
        let Some(folder) = self.folders.get(&number) else { return };
        for (instance, of) in &folder.users {
            match name {
                Some(name) => {
                    let Some(known) = self.instances.get(instance) else { continue };
                    folder.take(of, &known.watch, *instance, flags, name, news);
                }
                // The directory itself is another one, or there is none.
                None if !of.names.is_empty() || flags.contains(ReadFlags::MOVE_SELF) => {
                    news.moved.insert(*instance);
                }
                None => {}
            }
        }
        if flags.contains(ReadFlags::IGNORED)
            && let Some(folder) = self.folders.remove(&number)
        {
            for instance in folder.users.keys() {
                if let Some(known) = self.instances.get_mut(instance) {
                    known.numbers.remove(&number);
                }
            }
        }
    }

    fn leave(&mut self, inotify: &OwnedFd, number: i32, instance: InstanceId) {
        let Some(folder) = self.folders.get_mut(&number) else { return };
        folder.users.remove(&instance);
        if folder.users.is_empty() {
            self.folders.remove(&number);
            // One that is there no more has ended by itself.
            let _ = remove_watch(inotify, number);
        }
    }
}

impl Folder {
    fn take(
        &self,
        of: &Use,
        watch: &Watch,
        instance: InstanceId,
        flags: ReadFlags,
        name: &OsStr,
        news: &mut News,
    ) {
        let path = self.path.join(name);
        let is_named = of.names.contains(name);
        let is_root = is_named && watch.paths.iter().any(|root| Path::new(root) == path);
        let is_below = of.is_whole && !watch.ignores(&name.to_string_lossy());
        let has_moved = flags.intersects(NAMES);
        if has_moved && (is_named || is_below && flags.contains(ReadFlags::ISDIR)) {
            news.moved.insert(instance);
        }
        if is_root || is_below {
            news.changed.entry(instance).or_insert(path);
        }
    }
}
