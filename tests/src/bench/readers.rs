//! Many event streams read by one thread, which counts marks in them.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::time::Timespec;

use super::client::encode;
use super::stream::{Counter, Marks};
use crate::Api;

/// What is read at a time.
const BLOCK_BYTES: usize = 256 * 1024;
const EVENTS: usize = 256;

/// Open streams.
pub struct Readers {
    poll: OwnedFd,
    streams: Vec<Stream>,
    block: Vec<u8>,
}

struct Stream {
    socket: TcpStream,
    counter: Counter,
}

impl Readers {
    /// Opens this many event streams.
    ///
    /// # Errors
    /// A connection that the master refuses.
    pub fn open(api: &Api, count: usize, marks: &Marks) -> io::Result<Self> {
        let endpoint = api.endpoint();
        let request = encode(api.request("GET", "/events").into_request(), endpoint);
        let mut readers = Self::none()?;
        for _ in 0..count {
            let mut socket = TcpStream::connect(endpoint.address)?;
            socket.write_all(&request)?;
            readers.add(socket, Counter::new(marks))?;
        }
        Ok(readers)
    }

    /// Reads sockets that carry nothing but data.
    ///
    /// # Errors
    /// What the system says.
    pub fn over(sockets: Vec<TcpStream>, marks: &Marks) -> io::Result<Self> {
        let mut readers = Self::none()?;
        for socket in sockets {
            readers.add(socket, Counter::plain(marks))?;
        }
        Ok(readers)
    }

    /// Reads until `is_done` of every stream; returns when the last one was. A stream that ends
    /// before is an error.
    ///
    /// # Errors
    /// What is still to come when the time is over.
    pub fn until(
        &mut self,
        what: &str,
        limit: Duration,
        is_done: impl Fn(&Counter) -> bool,
    ) -> io::Result<Instant> {
        let begun = Instant::now();
        let mut done: Vec<bool> = self.streams.iter().map(|s| is_done(&s.counter)).collect();
        let mut left = done.iter().filter(|done| !**done).count();
        let mut events = Vec::with_capacity(EVENTS);
        while left > 0 {
            if begun.elapsed() > limit {
                let what = format!("{left} of {} streams wait in vain: {what}", done.len());
                return Err(io::Error::new(io::ErrorKind::TimedOut, what));
            }
            events.clear();
            let timeout = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
            epoll::wait(&self.poll, spare_capacity(&mut events), Some(&timeout))?;
            for event in &events {
                let index = usize::try_from(event.data.u64()).expect("an index fits");
                self.read(index)?;
                if !done[index] && is_done(&self.streams[index].counter) {
                    done[index] = true;
                    left -= 1;
                }
            }
        }
        Ok(Instant::now())
    }

    /// What was counted on each stream.
    pub fn counters(&self) -> impl Iterator<Item = &Counter> {
        self.streams.iter().map(|stream| &stream.counter)
    }

    /// The sum of a mark over all streams.
    pub fn total(&self, mark: usize) -> u64 {
        self.counters().map(|counter| counter.count(mark)).sum()
    }

    fn none() -> io::Result<Self> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { poll, streams: Vec::new(), block: vec![0; BLOCK_BYTES] })
    }

    fn add(&mut self, socket: TcpStream, counter: Counter) -> io::Result<()> {
        socket.set_nonblocking(true)?;
        let data = epoll::EventData::new_u64(self.streams.len() as u64);
        epoll::add(&self.poll, &socket, data, epoll::EventFlags::IN)?;
        self.streams.push(Stream { socket, counter });
        Ok(())
    }

    fn read(&mut self, index: usize) -> io::Result<()> {
        let stream = &mut self.streams[index];
        match stream.socket.read(&mut self.block) {
            Ok(0) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "an event stream ended")),
            Ok(count) => {
                stream.counter.push(&self.block[..count]);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }
}
