//! A bare loop that writes the same frames to many sockets.

use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::super::meter::thread_cpu_ns;
use super::super::readers::Readers;
use super::super::stream::Marks;

/// What every frame of the floor contains once.
const MARK: &str = "event: instance";
const LIMIT: Duration = Duration::from_secs(60);

/// What the writing came to.
#[derive(Clone, Copy, Debug)]
pub struct FanOut {
    /// CPU time of the writer for one frame on one socket, in µs.
    pub cpu_us: f64,
    /// Frames on sockets per second, until the last was read.
    pub per_s: f64,
    /// From the first write to the last read, in ms.
    pub last_ms: f64,
}

/// Writes `frames` frames of `frame_bytes` to each socket, `batch` of them a write;
/// they are read by the readers of the benchmark meanwhile.
///
/// # Errors
/// What the system says.
pub fn write_all(
    sockets: usize,
    frames: usize,
    batch: usize,
    frame_bytes: usize,
) -> io::Result<FanOut> {
    let (mut writers, read_ends) = connect(sockets)?;
    let mut readers = Readers::over(read_ends, &Marks::new(&[MARK]))?;
    let frame = format!("{MARK}\ndata: {:x<1$}\n\n", "", frame_bytes.saturating_sub(24));
    let block = frame.repeat(batch).into_bytes();
    let begun = Instant::now();
    let writing = thread::spawn(move || -> io::Result<(f64, Vec<TcpStream>)> {
        let cpu = thread_cpu_ns();
        for _ in 0..frames.div_ceil(batch) {
            for socket in &mut writers {
                socket.write_all(&block)?;
            }
        }
        // The sockets stay open until all is read.
        Ok((thread_cpu_ns() - cpu, writers))
    });
    let wanted = (frames.div_ceil(batch) * batch) as u64;
    let last = readers.until("bare frames", LIMIT, |counter| counter.count(0) >= wanted)?;
    let (used, _writers) = writing.join().expect("it does not panic")?;
    let (took, count) = (last.duration_since(begun).as_secs_f64(), wanted as f64 * sockets as f64);
    Ok(FanOut { cpu_us: used / 1e3 / count, per_s: count / took, last_ms: took * 1e3 })
}

fn connect(count: usize) -> io::Result<(Vec<TcpStream>, Vec<TcpStream>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let pair = |_| Ok((TcpStream::connect(address)?, listener.accept()?.0));
    (0..count).map(pair).collect()
}
