//! The document: everything of a master that is only in its memory, and which descriptors stay
//! open for the next program.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use super::parts::{Descriptor, HandedBlock};
use crate::codec::{decode, encode};
use crate::formats::FormatError;
use crate::formats::v2::handed::{HandedLineV2, HandedLogV2, HandoverV2, LogBlockV2};
use crate::history::{Block, BlockParts, KeptLog, LineId};
use crate::ids::{BootId, EventId, InstanceId, RunId};
use crate::line::UnfinishedLine;
use crate::stream::Stream;
use crate::time::Wall;

/// The version of the document, with the engine in it.
pub const HANDOVER_VERSION: u16 = 2;

const MAGIC: [u8; 8] = *b"OPENCTRH";

/// The magic, the version, and the checksum of the rest.
const HEAD_BYTES: usize = 8 + 2 + 4;

/// More descriptors than a process can have open.
const DESCRIPTORS_MAX: usize = 1 << 20;

/// All that a master hands over.
#[derive(Clone)]
pub struct Handover {
    /// The version of the program that hands over.
    pub product: String,
    /// How many programs were replaced in this process, with this one.
    pub generation: u32,
    /// The run of the master, which goes on.
    pub boot: BootId,
    /// The reading of the system's monotonic clock at time 0 of the engine, in µs.
    pub origin_micros: u64,
    /// The reading of the same clock when the first program started, in µs.
    pub started_micros: u64,
    /// The number of the last request.
    pub last_request: u64,
    /// The engine, see `Engine::hand_over`.
    pub engine: Vec<u8>,
    /// The id of the next event of the stream.
    pub next_event: EventId,
    /// The time that was shown last.
    pub time: Wall,
    /// The replay window, oldest first: consecutive, up to `next_event`.
    pub window: Vec<HandedBlock>,
    /// The retained lines of instances.
    pub logs: Vec<KeptLog>,
    /// The lines that runs have not ended yet, and their streams.
    pub unfinished: Vec<(RunId, Stream, UnfinishedLine)>,
    /// What stays open.
    pub descriptors: Vec<Descriptor>,
    /// The certificate that was made in memory, and its key, both as DER.
    pub certificate: Option<(Vec<u8>, Vec<u8>)>,
}

impl fmt::Debug for Handover {
    /// Leaves the content out: it has secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handover({} from {})", self.generation, self.product)
    }
}

/// Why bytes are no handover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandoverError {
    /// They are something else.
    NoHandover,
    /// A program of another version wrote them.
    Version(u16),
    /// They are damaged, or contradict themselves.
    Format(FormatError),
}

impl fmt::Display for HandoverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHandover => f.write_str("it is not a handover"),
            Self::Version(version) => write!(
                f,
                "its version is {version}, and this program reads version {HANDOVER_VERSION}"
            ),
            Self::Format(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for HandoverError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Format(error) => Some(error),
            Self::NoHandover | Self::Version(_) => None,
        }
    }
}

impl From<FormatError> for HandoverError {
    fn from(error: FormatError) -> Self {
        Self::Format(error)
    }
}

impl Handover {
    /// Its bytes. They contain secrets.
    pub fn encode(&self) -> Vec<u8> {
        let body = encode(self.dto());
        let mut bytes = Vec::with_capacity(HEAD_BYTES + body.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&HANDOVER_VERSION.to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
        bytes.extend_from_slice(&body);
        bytes
    }

    /// Reads what [`Handover::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are of another version, or no master can have written them.
    pub fn decode(bytes: &[u8]) -> Result<Self, HandoverError> {
        let rest = bytes.strip_prefix(&MAGIC).ok_or(HandoverError::NoHandover)?;
        let (version, rest) = rest.split_first_chunk().ok_or(HandoverError::NoHandover)?;
        let version = u16::from_le_bytes(*version);
        if version != HANDOVER_VERSION {
            return Err(HandoverError::Version(version));
        }
        let (checksum, body) = rest.split_first_chunk().ok_or(HandoverError::NoHandover)?;
        if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
            return Err(FormatError::Checksum.into());
        }
        Ok(Self::decode_body(body)?)
    }

    /// The same without the head.
    ///
    /// # Errors
    /// What no master can have written.
    pub fn decode_body(body: &[u8]) -> Result<Self, FormatError> {
        let dto: HandoverV2 = decode(body)?;
        if dto.descriptors.len() > DESCRIPTORS_MAX {
            return Err(FormatError::TooLarge("the number of descriptors"));
        }
        let [origin_micros, started_micros] = dto.clock;
        let next_event = EventId(dto.next_event);
        let window: Vec<HandedBlock> =
            dto.window.into_iter().map(HandedBlock::read).collect::<Result<_, _>>()?;
        let ends = window.iter().map(HandedBlock::end);
        let begins = window.iter().skip(1).map(|block| block.first).chain([next_event]);
        if !window.is_empty() && !ends.eq(begins) {
            return Err(FormatError::Contradiction("the events of the window have a gap"));
        }
        let unfinished = dto
            .unfinished
            .into_iter()
            .map(|(run, is_stderr, line)| Ok((RunId(run), stream(is_stderr), line.read()?)));
        Ok(Self {
            product: dto.product,
            generation: dto.generation,
            boot: BootId(dto.boot),
            origin_micros,
            started_micros,
            last_request: dto.last_request,
            engine: dto.engine,
            next_event,
            time: Wall::from_micros(dto.time),
            window,
            logs: dto.logs.into_iter().map(HandedLogV2::read).collect::<Result<_, _>>()?,
            unfinished: unfinished.collect::<Result<_, FormatError>>()?,
            descriptors: dto
                .descriptors
                .into_iter()
                .map(Descriptor::read)
                .collect::<Result<_, _>>()?,
            certificate: dto.certificate,
        })
    }

    fn dto(&self) -> HandoverV2 {
        let unfinished = |(run, stream, line): &(RunId, Stream, UnfinishedLine)| {
            (run.0, *stream == Stream::Stderr, HandedLineV2::of(line))
        };
        HandoverV2 {
            product: self.product.clone(),
            generation: self.generation,
            boot: self.boot.0,
            clock: [self.origin_micros, self.started_micros],
            last_request: self.last_request,
            engine: self.engine.clone(),
            next_event: self.next_event.0,
            time: self.time.as_micros(),
            window: self.window.iter().map(HandedBlock::dto).collect(),
            logs: self.logs.iter().map(HandedLogV2::of).collect(),
            unfinished: self.unfinished.iter().map(unfinished).collect(),
            descriptors: self.descriptors.iter().map(Descriptor::dto).collect(),
            certificate: self.certificate.clone(),
        }
    }
}

impl HandedLogV2 {
    fn of(log: &KeptLog) -> Self {
        let block = |block: &Arc<Block>| {
            let BlockParts { first, time, stream, text, lines } = BlockParts::from(block.as_ref());
            let is_stderr = stream == Stream::Stderr;
            LogBlockV2 { first: words(first), time: time.as_micros(), is_stderr, text, lines }
        };
        Self {
            instance: log.instance.0,
            gone: log.gone,
            last_gone: log.last_gone.map(words),
            blocks: log.blocks.iter().map(block).collect(),
        }
    }

    fn read(self) -> Result<KeptLog, FormatError> {
        let block = |block: LogBlockV2| {
            let LogBlockV2 { first, time, is_stderr, text, lines } = block;
            let (first, time, stream) =
                (line_id(first), Wall::from_micros(time), stream(is_stderr));
            let parts = BlockParts { first, time, stream, text, lines };
            let block = Block::from_parts(parts);
            block.map(Arc::new).ok_or(FormatError::Contradiction("lines do not fit their text"))
        };
        Ok(KeptLog {
            instance: InstanceId(self.instance),
            blocks: self.blocks.into_iter().map(block).collect::<Result<_, _>>()?,
            gone: self.gone,
            last_gone: self.last_gone.map(line_id),
        })
    }
}

const fn stream(is_stderr: bool) -> Stream {
    if is_stderr { Stream::Stderr } else { Stream::Stdout }
}

const fn words(id: LineId) -> (u64, u32) {
    (id.event.0, id.earlier)
}

const fn line_id((event, earlier): (u64, u32)) -> LineId {
    LineId { event: EventId(event), earlier }
}

impl HandedLineV2 {
    fn of(line: &UnfinishedLine) -> Self {
        let &UnfinishedLine { ref held, segment, is_segment_cut, returns, seen_bytes } = line;
        let segment = u32::try_from(segment).expect("a line is at most 64 KiB");
        Self { held: held.clone(), segment, is_segment_cut, returns, seen_bytes }
    }

    fn read(self) -> Result<UnfinishedLine, FormatError> {
        let Self { held, segment, is_segment_cut, returns, seen_bytes } = self;
        let segment = segment as usize;
        let line = UnfinishedLine { held, segment, is_segment_cut, returns, seen_bytes };
        let is_possible = line.is_possible();
        is_possible.then_some(line).ok_or(FormatError::Contradiction("a line cannot be like this"))
    }
}
