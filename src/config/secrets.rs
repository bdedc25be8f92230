//! The secrets of a mix and of a client, and the files that hold them.

use std::path::Path;

use data_encoding::HEXLOWER;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::crypto::{Digest, IdentityKey, Label, MailboxId, SecretKey, derive_parts, os_csprng};
use crate::wire::MailboxEntry;

use super::{Contact, KeyError, KeyFile, files};

/// 32 secret bytes: who knows them may poll the mailbox whose id is their hash.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Capability([u8; 32]);

impl Capability {
    /// Takes 32 secret bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Draws a capability.
    pub fn random(rng: &mut impl rand::CryptoRng) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// The raw bytes, for a poll and the key file; nothing else may have them.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The mailbox that it opens in the network of this id: the first 16 bytes of H(network | capability).
    pub fn mailbox(&self, network: &Digest) -> MailboxId {
        let digest = derive_parts(Label::Mailbox, &[&network.0, &self.0]);
        MailboxId(*digest.0.first_chunk().expect("a digest has 32 bytes"))
    }
}

/// What a mix alone knows for longer than an epoch.
pub struct MixSecrets {
    /// Who it is.
    pub identity: IdentityKey,
}

impl MixSecrets {
    /// New ones, nowhere on disk.
    ///
    /// # Errors
    /// If the library can make none.
    pub fn generate() -> Result<Self, KeyError> {
        Ok(Self { identity: parse_identity(&new_identity()?).expect("what was just written is a key") })
    }

    /// Those in `dir`.
    ///
    /// # Errors
    /// If a file is missing, unsafe or not a key.
    pub fn load(dir: &Path) -> Result<Self, KeyError> {
        Ok(Self { identity: load_identity(dir)? })
    }

    /// Makes those files in `dir` that are not there yet.
    ///
    /// # Errors
    /// If one cannot be written.
    pub fn create(dir: &Path) -> Result<(), KeyError> {
        create_identity(dir)
    }

    /// The public key file of the mix called `id`.
    pub fn key_file(&self, id: &str) -> KeyFile {
        KeyFile::Mix { id: id.into(), identity: self.identity.identity() }
    }
}

/// What a client alone knows.
pub struct ClientSecrets {
    /// Who it is.
    pub identity: IdentityKey,
    /// Opens its letters.
    pub letter: SecretKey,
    /// Authenticates its list records.
    pub list: SecretKey,
    /// Polls its mailbox.
    pub capability: Capability,
}

impl ClientSecrets {
    /// New ones, nowhere on disk.
    ///
    /// # Errors
    /// If the library can make none.
    pub fn generate() -> Result<Self, KeyError> {
        let mut rng = os_csprng();
        Ok(Self {
            identity: MixSecrets::generate()?.identity,
            letter: SecretKey::random(&mut rng),
            list: SecretKey::random(&mut rng),
            capability: Capability::random(&mut rng),
        })
    }

    /// Those in `dir`.
    ///
    /// # Errors
    /// If a file is missing, unsafe or not a key.
    pub fn load(dir: &Path) -> Result<Self, KeyError> {
        Ok(Self {
            identity: load_identity(dir)?,
            letter: SecretKey::from_bytes(*load_secret(dir, &LETTER)?),
            list: SecretKey::from_bytes(*load_secret(dir, &LIST)?),
            capability: Capability::from_bytes(*load_secret(dir, &CAPABILITY)?),
        })
    }

    /// Makes those files in `dir` that are not there yet.
    ///
    /// # Errors
    /// If one cannot be written.
    pub fn create(dir: &Path) -> Result<(), KeyError> {
        create_identity(dir)?;
        let mut rng = os_csprng();
        for file in [&LETTER, &CAPABILITY, &LIST] {
            // Unlike a key, 32 random bytes are all that each of the three is.
            let secret = Capability::random(&mut rng);
            let mut line = Zeroizing::new(String::with_capacity(MAX_LINE));
            line.push_str(file.kind);
            line.push(' ');
            HEXLOWER.encode_append(secret.expose(), &mut line);
            line.push('\n');
            files::create_secret(&dir.join(file.name), line.as_bytes())?;
        }
        Ok(())
    }

    /// The public key files of the client called `id` in the network of this id: its own, and its mailbox's.
    pub fn key_files(&self, id: &str, network: &Digest) -> [KeyFile; 2] {
        let (identity, list_key) = (self.identity.identity(), self.list.public_key());
        [KeyFile::Client { id: id.into(), identity, list_key }, KeyFile::Mailbox(self.mailbox(network))]
    }

    /// Its mailbox in the network of this id.
    pub fn mailbox(&self, network: &Digest) -> MailboxEntry {
        MailboxEntry { id: self.capability.mailbox(network), letter_key: self.letter.public_key() }
    }

    /// What others need to write to it, under the name that it calls itself.
    pub fn contact(&self, id: &str, network: &Digest) -> Contact {
        let mailbox = self.mailbox(network);
        Contact { name: id.into(), mailbox: mailbox.id, letter_key: mailbox.letter_key }
    }
}

/// A file of one line: `KIND HEX`.
struct SecretFile {
    name: &'static str,
    kind: &'static str,
    expected: &'static str,
}

const IDENTITY_NAME: &str = "identity.pem";
const PEM_LABEL: &str = "-----BEGIN PRIVATE KEY-----";
const LETTER: SecretFile = SecretFile {
    name: "letter.key",
    kind: "mixnet-letter-key-v1",
    expected: "mixnet-letter-key-v1 and 64 hexadecimal digits",
};
const CAPABILITY: SecretFile = SecretFile {
    name: "capability.key",
    kind: "mixnet-capability-v1",
    expected: "mixnet-capability-v1 and 64 hexadecimal digits",
};
const LIST: SecretFile = SecretFile {
    name: "list.key",
    kind: "mixnet-list-key-v1",
    expected: "mixnet-list-key-v1 and 64 hexadecimal digits",
};
/// kind 20 | space | 64 digits | newline.
const MAX_LINE: usize = 86;

fn load_secret(dir: &Path, file: &SecretFile) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let path = dir.join(file.name);
    let text = files::read_secret(&path)?;
    let mut bytes = Zeroizing::new([0; 32]);
    let digits = text.trim_end().strip_prefix(file.kind).and_then(|rest| rest.strip_prefix(' '));
    let decoded =
        digits.filter(|digits| digits.len() == 64).map(|digits| HEXLOWER.decode_mut(digits.as_bytes(), &mut *bytes));
    match decoded {
        Some(Ok(32)) => Ok(bytes),
        _ => Err(KeyError::Malformed { path, expected: file.expected }),
    }
}

fn create_identity(dir: &Path) -> Result<(), KeyError> {
    let path = dir.join(IDENTITY_NAME);
    // Making a key costs more than looking; two that look at once still get one key.
    if !path.exists() {
        files::create_secret(&path, new_identity()?.as_bytes())?;
    }
    Ok(())
}

fn load_identity(dir: &Path) -> Result<IdentityKey, KeyError> {
    let path = dir.join(IDENTITY_NAME);
    let pem = files::read_secret(&path)?;
    parse_identity(&pem).ok_or(KeyError::Malformed { path, expected: "an Ed25519 private key, PKCS#8 in PEM" })
}

fn new_identity() -> Result<Zeroizing<String>, KeyError> {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).map_err(|e| KeyError::Generate(e.to_string()))?;
    Ok(Zeroizing::new(pair.serialize_pem()))
}

fn parse_identity(pem: &str) -> Option<IdentityKey> {
    // rcgen looks at what is inside, whatever the label says.
    let pair = pem.starts_with(PEM_LABEL).then(|| rcgen::KeyPair::from_pem(pem).ok())??;
    IdentityKey::from_pkcs8(pair.serialized_der()).ok()
}
