//! Where the messages of one direction begin and end, however their bytes come.

/// The first messages of a client have no type, and these codes where a version would be: they ask for encryption, and are answered by
/// one byte.
const ENCRYPT: [u32; 2] = [80_877_103, 80_877_104];

/// Who says what is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Its messages have a type, from the one after the start on.
    Client,
    /// Its messages have a type, after the bytes that answer whether it encrypts.
    Server,
}

/// What has come of one direction.
#[derive(Debug)]
pub(super) struct Frames {
    side: Side,
    /// Whether the start is over, and messages have a type.
    started: bool,
    /// What has come of the present message.
    message: Vec<u8>,
}

/// A message that has come whole.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    bytes: Vec<u8>,
    typed: bool,
}

impl Frames {
    pub(super) fn of(side: Side) -> Self {
        Self {
            side,
            started: false,
            message: Vec::new(),
        }
    }

    /// Whether the next byte begins a message.
    pub(super) fn is_between(&self) -> bool {
        self.message.is_empty()
    }

    /// How many bytes of the present message have come.
    pub(super) fn within(&self) -> usize {
        self.message.len()
    }

    /// How long the present message is, type included, as soon as that has come.
    fn length(&self) -> Option<usize> {
        if self.side == Side::Server && !self.started && self.message.first() == Some(&b'N') {
            return Some(1);
        }
        let kind = self.kind();
        let length = self.message.get(kind..kind + 4)?;
        let length = u32::from_be_bytes(length.try_into().ok()?);
        // One that is shorter than its own length is none of ours.
        Some(kind + usize::try_from(length).ok()?.max(4))
    }

    /// Takes the next byte; the message, if it is whole with that.
    pub(super) fn add(&mut self, byte: u8) -> Option<Message> {
        self.message.push(byte);
        if self.length()? > self.message.len() {
            return None;
        }
        let message = Message {
            typed: self.kind() == 1,
            bytes: std::mem::take(&mut self.message),
        };
        self.started = self.started || !message.is_about_encryption();
        Some(message)
    }

    /// How many bytes the type takes.
    fn kind(&self) -> usize {
        usize::from(self.started || self.side == Side::Server)
    }
}

impl Message {
    fn is_about_encryption(&self) -> bool {
        if self.typed {
            return self.bytes.len() == 1;
        }
        let code = self.bytes.get(4..8).and_then(|code| code.try_into().ok());
        code.is_some_and(|code| ENCRYPT.contains(&u32::from_be_bytes(code)))
    }

    /// The text that it has the server prepare, if it is a Parse message.
    pub(super) fn prepares(&self) -> Option<String> {
        if !self.typed || self.bytes.first() != Some(&b'P') {
            return None;
        }
        // A name, a NUL, the text, a NUL.
        let text = self.bytes.get(5..)?.split(|byte| *byte == 0).nth(1)?;
        Some(String::from_utf8_lossy(text).into_owned())
    }
}
